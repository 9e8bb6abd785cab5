#include "cpu/cores.h"

#include <strings.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <thread>

#include "cpu/files.h"

#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__linux__) && defined(__aarch64__)
#include <sys/auxv.h>
#endif

namespace edgecnn {
namespace {

constexpr uint32_t kArm = 0x41;
constexpr size_t KiB = 1024;

// A second-level cache that cores share counts by each core's part.
constexpr CoreDesign kDesigns[] = {
    {kArm,
     0xD03,
     "Cortex-A53",
     CoreClass::kInOrder,
     {32 * KiB, 128 * KiB}},  // Pi 3, Zero 2 W: 512 KiB for four
    {kArm, 0xC07, "Cortex-A7", CoreClass::kInOrder, {32 * KiB, 128 * KiB}},  // Pi 2
    {kArm, 0xC0F, "Cortex-A15", CoreClass::kOutOfOrder, {32 * KiB, 256 * KiB}},
    {kArm, 0xD04, "Cortex-A35", CoreClass::kInOrder, {32 * KiB, 128 * KiB}},
    {kArm, 0xD05, "Cortex-A55", CoreClass::kInOrder, {32 * KiB, 128 * KiB}},
    {kArm,
     0xD07,
     "Cortex-A57",
     CoreClass::kOutOfOrder,
     {32 * KiB, 512 * KiB}},  // Jetson Nano: 2 MiB for four
    {kArm, 0xD08, "Cortex-A72", CoreClass::kOutOfOrder, {32 * KiB, 256 * KiB}},  // Pi 4: 1 MiB for four
    {kArm, 0xD09, "Cortex-A73", CoreClass::kOutOfOrder, {32 * KiB, 256 * KiB}},
    {kArm, 0xD0A, "Cortex-A75", CoreClass::kOutOfOrder, {64 * KiB, 256 * KiB}},
    {kArm, 0xD0B, "Cortex-A76", CoreClass::kOutOfOrder, {64 * KiB, 512 * KiB}},  // Pi 5: its own
    {kArm, 0xD0C, "Neoverse-N1", CoreClass::kOutOfOrder, {64 * KiB, 1024 * KiB}},
    {kArm, 0xD40, "Neoverse-V1", CoreClass::kOutOfOrder, {64 * KiB, 1024 * KiB}},
    {kArm, 0xD41, "Cortex-A78", CoreClass::kOutOfOrder, {64 * KiB, 256 * KiB}},
    {kArm, 0xD42, "Cortex-A78AE", CoreClass::kOutOfOrder, {64 * KiB, 256 * KiB}},  // Jetson Orin
    {kArm, 0xD44, "Cortex-X1", CoreClass::kOutOfOrder, {64 * KiB, 1024 * KiB}},
    {kArm, 0xD46, "Cortex-A510", CoreClass::kInOrder, {32 * KiB, 128 * KiB}},
    {kArm, 0xD47, "Cortex-A710", CoreClass::kOutOfOrder, {64 * KiB, 512 * KiB}},
};

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::vector<int> allowed_cpus() {
  std::vector<int> cpus;
#if defined(__linux__)
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    for (int i = 0; i < CPU_SETSIZE; ++i) {
      if (CPU_ISSET(i, &set)) cpus.push_back(i);
    }
  }
#endif
  if (cpus.empty()) {
    for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i)
      cpus.push_back(static_cast<int>(i));
  }
  return cpus;
}

// Where /proc/cpuinfo does not tell: the kernel answers for the register where it says so (HWCAP_CPUID).
std::vector<uint64_t> midr_of_this_core() {
#if defined(__linux__) && defined(__aarch64__)
  if (getauxval(AT_HWCAP) & (1ul << 11)) {
    uint64_t midr;
    __asm__("mrs %0, midr_el1" : "=r"(midr));
    return {midr};
  }
#endif
  return {};
}

CoreClass class_of(uint64_t midr) {
  const CoreDesign* design = find_core_design(midr);
  return design ? design->core_class : CoreClass::kOutOfOrder;
}

// The design that EDGECNN_UARCH names; nullptr where it is not set, or names none.
const CoreDesign* forced_design() {
  const char* name = std::getenv("EDGECNN_UARCH");
  if (!name) return nullptr;
  for (const CoreDesign& design : kDesigns) {
    if (strcasecmp(design.name, name) == 0) return &design;
  }
  return nullptr;
}

// One class for each processor, or a single one for all.
std::vector<CoreClass> find_classes() {
  if (const CoreDesign* design = forced_design()) return {design->core_class};
  std::vector<CoreClass> classes;
  for (const uint64_t midr : host_midrs()) classes.push_back(class_of(midr));
  if (classes.empty()) return {CoreClass::kOutOfOrder};
  const bool mixed =
      std::count(classes.begin(), classes.end(), classes[0]) != static_cast<int64_t>(classes.size());
  if (!mixed) classes.resize(1);
  return classes;
}

}  // namespace

const CoreDesign* find_core_design(uint64_t midr) {
  const uint32_t implementer = (midr >> 24) & 0xFF, part = (midr >> 4) & 0xFFF;
  for (const CoreDesign& design : kDesigns) {
    if (design.implementer == implementer && design.part == part) return &design;
  }
  return nullptr;
}

std::vector<uint64_t> midrs_of_cpuinfo(const std::string& text) {
  std::vector<uint64_t> midrs;
  size_t begin = 0;
  while (begin < text.size()) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const size_t colon = text.find(':', begin);
    if (colon < end) {
      const std::string key = trimmed(text.substr(begin, colon - begin));
      const uint64_t value = std::strtoull(text.substr(colon + 1, end - colon - 1).c_str(), nullptr, 0);
      // The implementer is the first of a processor's fields.
      if (key == "CPU implementer") {
        midrs.push_back((value & 0xFF) << 24 | 0xF << 16);
      } else if (!midrs.empty() && key == "CPU variant") {
        midrs.back() |= (value & 0xF) << 20;
      } else if (!midrs.empty() && key == "CPU part") {
        midrs.back() |= (value & 0xFFF) << 4;
      } else if (!midrs.empty() && key == "CPU revision") {
        midrs.back() |= value & 0xF;
      }
    }
    begin = end + 1;
  }
  return midrs;
}

const std::vector<uint64_t>& host_midrs() {
  static const std::vector<uint64_t> midrs = [] {
    const std::vector<uint64_t> found = midrs_of_cpuinfo(read_text("/proc/cpuinfo"));
    return found.empty() ? midr_of_this_core() : found;
  }();
  return midrs;
}

CoreClass current_core_class() {
  static const std::vector<CoreClass> classes = find_classes();
  if (classes.size() == 1) return classes[0];
#if defined(__linux__)
  const int cpu = sched_getcpu();
  if (cpu >= 0 && static_cast<size_t>(cpu) < classes.size()) return classes[static_cast<size_t>(cpu)];
#endif
  return CoreClass::kOutOfOrder;
}

std::string check_forced_core() {
  const char* name = std::getenv("EDGECNN_UARCH");
  if (!name || !*name || forced_design()) return "";
  std::string known;
  for (const CoreDesign& design : kDesigns) known += (known.empty() ? "" : ", ") + std::string(design.name);
  return "EDGECNN_UARCH=" + std::string(name) + ": choose one of " + known;
}

int count_physical_cores(const std::string& cpu_folder, const std::vector<int>& cpus) {
  std::set<std::string> cores;
  for (const int cpu : cpus) {
    const std::string name = "cpu" + std::to_string(cpu);
    const std::string siblings = read_line(cpu_folder + "/" + name + "/topology/thread_siblings_list");
    cores.insert(siblings.empty() ? name : siblings);
  }
  return static_cast<int>(cores.size());
}

std::vector<int> fast_cpus(const std::string& cpu_folder, const std::vector<int>& cpus) {
  std::vector<long> capacities;
  for (const int cpu : cpus) {
    const std::string text = read_line(cpu_folder + "/cpu" + std::to_string(cpu) + "/cpu_capacity");
    capacities.push_back(std::strtol(text.c_str(), nullptr, 10));
  }
  const long highest = cpus.empty() ? 0 : *std::max_element(capacities.begin(), capacities.end());
  std::vector<int> fast;
  for (size_t i = 0; i < cpus.size(); ++i) {
    if (2 * capacities[i] >= highest) fast.push_back(cpus[i]);
  }
  return fast;
}

int available_physical_cores(bool fast) {
  const std::string folder = "/sys/devices/system/cpu";
  const std::vector<int> cpus = allowed_cpus();
  return std::max(1, count_physical_cores(folder, fast ? fast_cpus(folder, cpus) : cpus));
}

}  // namespace edgecnn

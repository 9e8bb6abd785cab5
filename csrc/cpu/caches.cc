#include "cpu/caches.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "cpu/cores.h"
#include "cpu/files.h"

namespace edgecnn {
namespace {

// "32K", "2M" or "1048576" in bytes.
size_t parse_size(const std::string& text) {
  char* end = nullptr;
  const unsigned long long value = std::strtoull(text.c_str(), &end, 10);
  if (*end == 'K') return value << 10;
  if (*end == 'M') return value << 20;
  return value;
}

// How many CPUs a list such as "0-3,7" names.
size_t count_cpus(const std::string& list) {
  size_t count = 0;
  for (const char* p = list.c_str(); *p;) {
    char* end = nullptr;
    const long first = std::strtol(p, &end, 10);
    if (end == p) break;
    long last = first;
    if (*end == '-') {
      p = end + 1;
      last = std::strtol(p, &end, 10);
    }
    count += static_cast<size_t>(std::max(0L, last - first) + 1);
    p = *end == ',' ? end + 1 : end;
  }
  return count;
}

}  // namespace

CacheSizes read_cache_sizes(const std::string& cpu_folder, uint64_t midr) {
  const CoreDesign* design = find_core_design(midr);
  CacheSizes sizes = design ? design->caches : CacheSizes{};
  for (int i = 0; i < 8; ++i) {
    const std::string folder = cpu_folder + "/cache/index" + std::to_string(i) + "/";
    const std::string level = read_line(folder + "level");
    if (level.empty()) break;
    const size_t bytes = parse_size(read_line(folder + "size"));
    if (bytes == 0) continue;
    if (level == "1" && read_line(folder + "type") == "Data") sizes.l1d_bytes = bytes;
    if (level == "2") {
      sizes.l2_bytes = bytes / std::max<size_t>(1, count_cpus(read_line(folder + "shared_cpu_list")));
    }
  }
  return sizes;
}

const CacheSizes& host_cache_sizes() {
  static const CacheSizes sizes =
      read_cache_sizes("/sys/devices/system/cpu/cpu0", host_midrs().empty() ? 0 : host_midrs()[0]);
  return sizes;
}

}  // namespace edgecnn

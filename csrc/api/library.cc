// Version, errors, and the machine.
#include <map>

#include "api/status.h"
#include "cpu/caches.h"
#include "cpu/cores.h"
#include "cpu/features.h"

namespace edgecnn {
namespace {

constexpr size_t kMaxMessage = 512;
thread_local char last_error[kMaxMessage] = "";

std::string names_of_targets() {
  int count = 0;
  const Target* const* targets = compiled_targets(&count);
  std::string names;
  for (int i = 0; i < count; ++i) {
    if (cpu_supports(*targets[i])) names += std::string(names.empty() ? "" : " ") + targets[i]->name;
  }
  return names;
}

std::string names_of_cores() {
  std::map<std::string, int> counts;
  for (const uint64_t midr : host_midrs()) {
    const CoreDesign* design = find_core_design(midr);
    ++counts[design ? design->name : "unknown"];
  }
  std::string names;
  for (const auto& [name, count] : counts) {
    names += (names.empty() ? "" : ", ") + std::to_string(count) + " x " + name;
  }
  return names;
}

}  // namespace

ecnn_status fail(ecnn_status status, const char* message) {
  const size_t size = std::min(std::strlen(message), kMaxMessage - 1);
  std::memcpy(last_error, message, size);
  last_error[size] = 0;
  return status;
}

}  // namespace edgecnn

const char* ecnn_version(void) { return EDGECNN_VERSION; }
int32_t ecnn_abi_version(void) { return ECNN_ABI_VERSION; }
const char* ecnn_last_error(void) { return edgecnn::last_error; }

ecnn_status ecnn_cpu_report(ecnn_cpu* report) {
  return edgecnn::guarded([&] {
    if (!report) return edgecnn::fail(ECNN_ERROR_ARGUMENT, "ecnn_cpu_report: the report is null");
    static const std::string targets = edgecnn::names_of_targets(), cores = edgecnn::names_of_cores();
    ecnn_cpu known{};
    known.target = edgecnn::best_target().name;
    known.targets = targets.c_str();
    known.cores = cores.c_str();
    known.physical_cores = edgecnn::available_physical_cores(false);
    known.fast_cores = edgecnn::available_physical_cores(true);
    known.l1d_bytes = edgecnn::host_cache_sizes().l1d_bytes;
    known.l2_bytes = edgecnn::host_cache_sizes().l2_bytes;
    if (!edgecnn::write_struct(known, report)) {
      return edgecnn::fail(ECNN_ERROR_ARGUMENT, "ecnn_cpu_report: the size of the report is not set");
    }
    return ecnn_status{ECNN_OK};
  });
}

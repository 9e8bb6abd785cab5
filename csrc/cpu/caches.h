// Cache sizes, from what the kernel of the operating system tells.
#ifndef EDGECNN_CPU_CACHES_H_
#define EDGECNN_CPU_CACHES_H_

#include <cstdint>
#include <string>

#include "algo/step.h"

namespace edgecnn {

// Sizes below a sysfs folder of one CPU ("/sys/devices/system/cpu/cpu0"); where it does not tell, those of
// the core design with this MIDR_EL1 (0: unknown). A second-level cache that cores share counts by each
// core's part.
CacheSizes read_cache_sizes(const std::string& cpu_folder, uint64_t midr);

// Those of the first CPU, read once.
const CacheSizes& host_cache_sizes();

}  // namespace edgecnn

#endif  // EDGECNN_CPU_CACHES_H_

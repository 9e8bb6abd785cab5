// Cache sizes, from what the kernel of the operating system tells.
#ifndef EDGECNN_CPU_CACHES_H_
#define EDGECNN_CPU_CACHES_H_

#include "algo/step.h"

namespace edgecnn {

// Sizes below a sysfs folder of one CPU ("/sys/devices/system/cpu/cpu0"); defaults where it does not tell. A
// second-level cache that several cores share counts by each core's part.
CacheSizes read_cache_sizes(const char* cpu_folder);

// Those of the first CPU, read once.
const CacheSizes& host_cache_sizes();

}  // namespace edgecnn

#endif  // EDGECNN_CPU_CACHES_H_

// The cores of a machine: of which design each is, and how many can work at once.
#ifndef EDGECNN_CPU_CORES_H_
#define EDGECNN_CPU_CORES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "algo/step.h"

namespace edgecnn {

// A design of an ARM core, known by two fields of its register MIDR_EL1.
struct CoreDesign {
  uint32_t implementer, part;
  const char* name;
  CoreClass core_class;
  CacheSizes caches;  // on the boards that have it, for systems that do not tell
};

// nullptr for one that is not in the table.
const CoreDesign* find_core_design(uint64_t midr);

// The MIDR_EL1 of each processor in the text of /proc/cpuinfo, in its order; empty on other architectures.
std::vector<uint64_t> midrs_of_cpuinfo(const std::string& text);

// The class of the core that the caller runs on, at this moment where a machine has cores of several classes;
// that of the design which the environment variable EDGECNN_UARCH names, read once; kOutOfOrder where nothing
// is known.
CoreClass current_core_class();

// The complaint about an EDGECNN_UARCH that names no design of the table, or "".
std::string check_forced_core();

// Those of this machine, read once.
const std::vector<uint64_t>& host_midrs();

// How many physical cores the processors `cpus` belong to. `cpu_folder` is sysfs' "/sys/devices/system/cpu";
// where it does not tell, each processor counts as a core.
int count_physical_cores(const std::string& cpu_folder, const std::vector<int>& cpus);

// Those of `cpus` that are not slow: whose capacity, where sysfs tells it, is at least half of the highest. A
// little core among big ones has a quarter to a half of theirs.
std::vector<int> fast_cpus(const std::string& cpu_folder, const std::vector<int>& cpus);

// Physical cores that this process may run on, at least 1; `fast` ones only, or all. Asked of the system at
// each call: affinity changes.
int available_physical_cores(bool fast);

}  // namespace edgecnn

#endif  // EDGECNN_CPU_CORES_H_

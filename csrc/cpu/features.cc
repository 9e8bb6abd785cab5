#include "cpu/features.h"

#include <cstring>

#if defined(__arm__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace edgecnn {

bool cpu_supports([[maybe_unused]] const Target& target) {
#if defined(__x86_64__)
  // __builtin_cpu_supports asks the operating system too (XGETBV) whether it saves the wide registers.
  __builtin_cpu_init();
  if (std::strcmp(target.name, "x86-avx512") == 0) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("fma");
  }
  if (std::strcmp(target.name, "x86-avx2") == 0) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  }
#elif defined(__arm__) && defined(__linux__)
  if (std::strcmp(target.name, "armv7") == 0) {
    constexpr unsigned long kNeon = 1ul << 12, kVfp4 = 1ul << 16;
    return (getauxval(AT_HWCAP) & (kNeon | kVfp4)) == (kNeon | kVfp4);
  }
#endif
  // "armv8" is the base of every aarch64 CPU, "portable" that of the architecture.
  return true;
}

const Target& best_target() {
  int count = 0;
  const Target* const* targets = compiled_targets(&count);
  int i = 0;
  while (i < count - 1 && !cpu_supports(*targets[i])) ++i;
  return *targets[i];
}

}  // namespace edgecnn

#include "targets/target.h"

#include <cstring>

namespace edgecnn {

#if defined(__x86_64__)
extern const Target kTarget_avx512, kTarget_avx2;
#elif defined(__aarch64__)
extern const Target kTarget_neon;
#elif defined(__arm__)
extern const Target kTarget_neon32;
#endif
extern const Target kTarget_portable;

const Target* const* compiled_targets(int* count) {
  static const Target* const targets[] = {
#if defined(__x86_64__)
    &kTarget_avx512,
    &kTarget_avx2,
#elif defined(__aarch64__)
    &kTarget_neon,
#elif defined(__arm__)
    &kTarget_neon32,
#endif
    &kTarget_portable
  };
  *count = static_cast<int>(sizeof(targets) / sizeof(targets[0]));
  return targets;
}

const Target* find_target(const char* name) {
  int count = 0;
  const Target* const* targets = compiled_targets(&count);
  for (int i = 0; i < count; ++i) {
    if (std::strcmp(targets[i]->name, name) == 0) return targets[i];
  }
  return nullptr;
}

}  // namespace edgecnn

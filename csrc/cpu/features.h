// What the CPU can run, and which target that makes the best choice.
#ifndef EDGECNN_CPU_FEATURES_H_
#define EDGECNN_CPU_FEATURES_H_

#include "targets/target.h"

namespace edgecnn {

// Whether this CPU and operating system can run a compiled target.
bool cpu_supports(const Target& target);

// The first of compiled_targets() that runs here.
const Target& best_target();

}  // namespace edgecnn

#endif  // EDGECNN_CPU_FEATURES_H_

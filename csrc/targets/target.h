// A target is an instruction set with its kernels: one table of functions, filled by targets/target_<isa>.cc.
#ifndef EDGECNN_TARGETS_TARGET_H_
#define EDGECNN_TARGETS_TARGET_H_

#include "algo/step.h"

namespace edgecnn {

struct StepKernel {
  StepKind kind;
  const char* name;
  int64_t (*items)(const void* params);
  uint64_t (*scratch_bytes)(const void* params);
  void (*run)(const void* params, const StepArgs& args, int64_t begin, int64_t end);
};

// The instruction set decides the layout of packed weights: `lanes` floats a vector, `nr` output channels a
// panel.
struct Target {
  const char* name;  // "portable", "x86-avx2", "x86-avx512", "armv8"
  int lanes;
  int mr;  // pixels of the largest register tile
  int nr;
  const StepKernel* kernels;  // one per row of steps.inc, in its order
  int kernel_count;
};

// The targets compiled into this library, best first; the last one is "portable". Whether this CPU can run
// one is decided in cpu/ (cpu_supports).
const Target* const* compiled_targets(int* count);

// By name; nullptr where it was not compiled in.
const Target* find_target(const char* name);

}  // namespace edgecnn

#endif  // EDGECNN_TARGETS_TARGET_H_

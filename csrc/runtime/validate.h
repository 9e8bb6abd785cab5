// What stands between a file and the kernels: kernels check nothing, so every parameter is checked here once,
// when a program is loaded.
#ifndef EDGECNN_RUNTIME_VALIDATE_H_
#define EDGECNN_RUNTIME_VALIDATE_H_

#include <cstdint>

#include "algo/step.h"

namespace edgecnn {

// The operands a step has been given, and the target whose packing its weights have.
struct OperandSizes {
  int inputs = 0;
  int64_t input_bytes[kMaxStepInputs] = {};
  int64_t output_bytes[kMaxStepOutputs] = {};
  int lanes = 1;
  int nr = 1;
};

// nullptr when no run() of this step can access anything outside its operands (beside reading kTailBytes past
// an input), divide by zero, overflow an index or loop without bound; otherwise a message, a string constant.
// `params` points to the <Name>Params of `kind`, which may hold any bits.
const char* validate_step(StepKind kind, const void* params, const OperandSizes& sizes);

}  // namespace edgecnn

#endif  // EDGECNN_RUNTIME_VALIDATE_H_

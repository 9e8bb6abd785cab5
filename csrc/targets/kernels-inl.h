// The kernel table of one instruction set: included by each target_<isa>.cc after its vec_<isa>.h.
#ifndef EDGECNN_TARGETS_KERNELS_INL_H_
#define EDGECNN_TARGETS_KERNELS_INL_H_

#include "algo/arg_max-inl.h"
#include "algo/avg_pool-inl.h"
#include "algo/binary-inl.h"
#include "algo/cast-inl.h"
#include "algo/conv-inl.h"
#include "algo/conv_transpose-inl.h"
#include "algo/copy-inl.h"
#include "algo/dwconv-inl.h"
#include "algo/dwpw-inl.h"
#include "algo/first_conv-inl.h"
#include "algo/first_winograd-inl.h"
#include "algo/firstdwpw-inl.h"
#include "algo/lrn-inl.h"
#include "algo/matmul-inl.h"
#include "algo/max_pool-inl.h"
#include "algo/pad-inl.h"
#include "algo/pwdwpw-inl.h"
#include "algo/reduce-inl.h"
#include "algo/resize-inl.h"
#include "algo/softmax-inl.h"
#include "algo/strassen-inl.h"
#include "algo/unary-inl.h"
#include "algo/winograd-inl.h"
#include "gemm/igemm-inl.h"
#include "targets/target.h"

namespace edgecnn {
namespace EC_ISA {

template <class Params, class Step>
struct Erased {
  static int64_t items(const void* p) { return Step::items(*static_cast<const Params*>(p)); }
  static uint64_t scratch_bytes(const void* p) { return Step::scratch_bytes(*static_cast<const Params*>(p)); }
  static void run(const void* p, const StepArgs& args, int64_t begin, int64_t end) {
    Step::run(*static_cast<const Params*>(p), args, begin, end);
  }
};

constexpr StepKernel kKernels[] = {
#define EC_STEP(Name, id, fields)                                     \
  {StepKind::k##Name, #Name, Erased<Name##Params, Name##Step>::items, \
   Erased<Name##Params, Name##Step>::scratch_bytes, Erased<Name##Params, Name##Step>::run},
#include "runtime/steps.inc"
#undef EC_STEP
};

constexpr Target make_target(const char* name) {
  return {name,        kLanes,   kTileRows,
          kPanelWidth, kKernels, static_cast<int>(sizeof(kKernels) / sizeof(kKernels[0]))};
}

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_TARGETS_KERNELS_INL_H_

// The inverted residual of MobileNetV2: a pointwise convolution that expands the channels, the depthwise one
// of its results and the pointwise one that projects these, without the two wide maps between them.
#ifndef EDGECNN_ALGO_PWDWPW_INL_H_
#define EDGECNN_ALGO_PWDWPW_INL_H_

#include "algo/ring-inl.h"
#include "algo/strip-inl.h"

namespace edgecnn {
namespace EC_ISA {

// See algo/ring-inl.h.
struct ExpandedRows {
  static constexpr int kItemBands = 1;
  static int height(const PwDwPwParams& p) { return p.in_h; }
  static int width(const PwDwPwParams& p) { return p.in_w; }
  static int64_t weight_floats(const PwDwPwParams& p) { return (p.in_c + 1) * round_up(p.channels, kLanes); }
  static int64_t scratch_floats(const PwDwPwParams& p) { return packed_floats(p.in_c, p.channels); }

  ExpandedRows(const PwDwPwParams& params, const StepArgs& args, float* scratch, int to_stride)
      : p(params),
        in(static_cast<const float*>(args.in[0])),
        stride(to_stride),
        expand(Panels::make(
                   params.in_c, params.channels, 1, args.in[1],
                   static_cast<const float*>(args.in[1]) + params.in_c * round_up(params.channels, kLanes)),
               args.core, scratch) {
    make_epilogue(static_cast<UnaryKind>(p.pw_act), p.pw_alpha, p.pw_beta, /*residual=*/0, /*pool=*/0,
                  &expand.epilogue);
  }

  void make(int64_t picture, int y, int count, float* to) {
    const float* from = in + (picture * p.in_h + y) * p.in_w * p.in_stride;
    expand.run({from, p.in_stride}, count * p.in_w, {to, stride}, {nullptr, 0});
  }

 private:
  const PwDwPwParams& p;
  const float* const in;
  const int stride;
  Strip expand;
};

using PwDwPwStep = RingStep<PwDwPwParams, ExpandedRows>;

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_PWDWPW_INL_H_

// The first layer of MobileNets with the depthwise and the pointwise convolution behind it, without the two
// maps between them, of which the first is the largest of the network.
#ifndef EDGECNN_ALGO_FIRSTDWPW_INL_H_
#define EDGECNN_ALGO_FIRSTDWPW_INL_H_

#include "algo/first_conv-inl.h"
#include "algo/ring-inl.h"

namespace edgecnn {
namespace EC_ISA {

// See algo/ring-inl.h.
struct FirstRows {
  // The first rows of an item, and their strips, are made for the one before, too.
  static constexpr int kItemBands = 4;
  static int height(const FirstDwPwParams& p) { return p.first_h; }
  static int width(const FirstDwPwParams& p) { return p.first_w; }
  static int64_t weight_floats(const FirstDwPwParams& p) {
    return (taps(p) + 1) * round_up(p.channels, kLanes);
  }
  static int64_t scratch_floats(const FirstDwPwParams& p) {
    return static_cast<int64_t>(FirstConvStep::scratch_bytes(convolution(p, p.channels)) / sizeof(float));
  }

  FirstRows(const FirstDwPwParams& p, const StepArgs& args, float* scratch, int to_stride)
      : params(convolution(p, to_stride)), worker(params, operands(p, args, scratch)) {}

  void make(int64_t picture, int y, int count, float* to) {
    for (int i = 0; i < count; ++i, to += int64_t{params.out_w} * params.out_stride)
      worker.row_to(picture, y + i, to);
  }

 private:
  const FirstConvParams params;
  FirstConvStep::Worker worker;

  static int64_t taps(const FirstDwPwParams& p) { return int64_t{p.kernel_h} * p.kernel_w * p.in_c; }

  static StepArgs operands(const FirstDwPwParams& p, const StepArgs& args, float* scratch) {
    StepArgs first = args;
    first.in[2] = static_cast<const float*>(args.in[1]) + taps(p) * round_up(p.channels, kLanes);
    first.scratch = scratch;
    return first;
  }

  static FirstConvParams convolution(const FirstDwPwParams& p, int out_stride) {
    FirstConvParams c{};
    c.batch = p.batch;
    c.in_h = p.in_h;
    c.in_w = p.in_w;
    c.in_c = p.in_c;
    c.in_stride = p.in_stride;
    c.planar = p.planar;
    c.out_h = c.pooled_h = p.first_h;
    c.out_w = c.pooled_w = p.first_w;
    c.out_c = p.channels;
    c.out_stride = out_stride;
    c.kernel_h = p.kernel_h;
    c.kernel_w = p.kernel_w;
    c.stride_h = p.stride_h;
    c.stride_w = p.stride_w;
    c.pad_top = p.first_pad_top;
    c.pad_left = p.first_pad_left;
    c.pool_kernel_h = c.pool_kernel_w = c.pool_stride_h = c.pool_stride_w = 1;
    c.act = p.first_act;
    c.alpha = p.first_alpha;
    c.beta = p.first_beta;
    return c;
  }
};

using FirstDwPwStep = RingStep<FirstDwPwParams, FirstRows>;

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_FIRSTDWPW_INL_H_

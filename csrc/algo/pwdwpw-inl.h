// The inverted residual of MobileNetV2: a pointwise convolution that expands the channels, the depthwise one
// of its results and the pointwise one that projects these, without the two wide maps between them.
//
// The expanded rows that the windows of a band of outputs reach lie in a ring, which stays in the
// second-level cache; the next band finds those that both need. What follows is DwPwStep's block by block,
// reading the ring. An item is a band; only the first one of a range computes rows that another range has,
// too.
#ifndef EDGECNN_ALGO_PWDWPW_INL_H_
#define EDGECNN_ALGO_PWDWPW_INL_H_

#include "algo/dwpw-inl.h"
#include "algo/strip-inl.h"

namespace edgecnn {
namespace EC_ISA {

struct PwDwPwStep {
  static constexpr int kRows = DwPwStep::kRows;

  static int64_t items(const PwDwPwParams& p) { return p.batch * DwPwStep::bands(behind(p)); }
  static uint64_t scratch_bytes(const PwDwPwParams& p) {
    return static_cast<uint64_t>(ring_floats(p) + packed_floats(p.in_c, p.channels)) * sizeof(float) +
           DwPwStep::scratch_bytes(behind(p));
  }
  static void run(const PwDwPwParams& p, const StepArgs& args, int64_t begin, int64_t end) {
    Worker w(p, args);
    const int64_t bands = DwPwStep::bands(w.rest);
    for (int64_t item = begin; item < end; ++item)
      w.band(item / bands, static_cast<int>(item % bands) * kRows);
  }

 private:
  // Rows of the ring: what the windows of a band reach.
  static int ring_rows(const PwDwPwParams& p) { return (kRows - 1) * p.stride + 3; }
  static int ring_stride(const PwDwPwParams& p) { return static_cast<int>(DwPwStep::stride_for(p.channels)); }
  static int64_t ring_floats(const PwDwPwParams& p) {
    return int64_t{ring_rows(p)} * p.in_w * ring_stride(p) + kLineFloats;
  }

  // The two layers behind, which read the ring.
  static DwPwParams behind(const PwDwPwParams& p) {
    DwPwParams d{};
    d.batch = p.batch;
    d.in_h = p.in_h;
    d.in_w = p.in_w;
    d.channels = p.channels;
    d.in_stride = ring_stride(p);
    d.out_h = p.out_h;
    d.out_w = p.out_w;
    d.out_c = p.out_c;
    d.out_stride = p.out_stride;
    d.stride = p.stride;
    d.pad_top = p.pad_top;
    d.pad_left = p.pad_left;
    d.dw_act = p.dw_act;
    d.dw_alpha = p.dw_alpha;
    d.dw_beta = p.dw_beta;
    d.residual = p.residual;
    d.residual_stride = p.residual_stride;
    d.act = p.act;
    d.alpha = p.alpha;
    d.beta = p.beta;
    return d;
  }

  // Where the weights of the depthwise layer begin, behind those of the first.
  static const float* depthwise_weights(const PwDwPwParams& p, const void* weights) {
    return static_cast<const float*>(weights) + (p.in_c + 1) * round_up(p.channels, kLanes);
  }

  static StepArgs behind(const PwDwPwParams& p, const StepArgs& args) {
    StepArgs rest = args;
    rest.in[0] = args.scratch;
    rest.in[1] = depthwise_weights(p, args.in[1]);
    rest.scratch = static_cast<float*>(args.scratch) + ring_floats(p) + packed_floats(p.in_c, p.channels);
    return rest;
  }

  struct Worker {
    const PwDwPwParams& p;
    const DwPwParams rest;
    const float* in;
    float* ring;
    int slots;
    Strip expand;
    DwPwStep::Worker blocks;
    int64_t picture = -1;  // of the ring
    int done = 0;          // rows of it that were expanded

    Worker(const PwDwPwParams& params, const StepArgs& args)
        : p(params),
          rest(behind(params)),
          in(static_cast<const float*>(args.in[0])),
          ring(static_cast<float*>(args.scratch)),
          slots(ring_rows(params)),
          expand(Panels::make(
                     params.in_c, params.channels, 1, args.in[1],
                     static_cast<const float*>(args.in[1]) + params.in_c * round_up(params.channels, kLanes)),
                 args.core, ring + ring_floats(params)),
          blocks(rest, behind(params, args)) {
      make_epilogue(static_cast<UnaryKind>(p.pw_act), p.pw_alpha, p.pw_beta, /*residual=*/0, /*pool=*/0,
                    &expand.epilogue);
      blocks.band.slots = slots;
      blocks.in_picture = 0;
    }

    // Output rows [y, y + kRows) of a picture.
    void band(int64_t of, int y) {
      if (of != picture) {
        picture = of;
        done = 0;
      }
      const int rows = smaller(kRows, p.out_h - y), top = y * p.stride - p.pad_top;
      expand_rows(larger(done, top), smaller(p.in_h, top + (rows - 1) * p.stride + 3));
      const DwPwStep::Blocks cut(rest);
      for (int64_t i = 0; i < cut.count; ++i) {
        const int x = cut.start(i);
        blocks.block(picture, y, x, cut.start(i + 1) - x);
      }
    }

    void expand_rows(int first, int last) {
      for (int y = first; y < last;) {
        const int slot = (y + p.pad_top) % slots, n = smaller(last - y, slots - slot);
        const float* from = in + (picture * p.in_h + y) * p.in_w * p.in_stride;
        expand.run({from, p.in_stride}, n * p.in_w,
                   {ring + int64_t{slot} * p.in_w * rest.in_stride, rest.in_stride}, {nullptr, 0});
        y += n;
      }
      done = larger(done, last);
    }
  };
};

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_PWDWPW_INL_H_

// Depthwise convolution and the pointwise one behind it on rows that a layer before makes meanwhile, without
// the map between.
//
// The rows that the windows of a band of outputs reach lie in a ring, which stays in the second-level cache;
// the next band finds those that both need. What follows is DwPwStep's block by block, reading the ring. An
// item is some bands; only the first one of a range computes rows that another range has, too.
//
// A layer is given by a class Rows:
//
//   kItemBands                                bands of an item
//   height(p), width(p)                       of the map between
//   weight_floats(p), scratch_floats(p)       before the depthwise weights; for itself
//   Rows(p, args, scratch, stride)            `stride` floats between the pixels of the ring
//   make(picture, y, count, to)               rows of the map from y on
#ifndef EDGECNN_ALGO_RING_INL_H_
#define EDGECNN_ALGO_RING_INL_H_

#include "algo/dwpw-inl.h"

namespace edgecnn {
namespace EC_ISA {

template <class Params, class Rows>
struct RingStep {
  static constexpr int kRows = DwPwStep::kRows;

  static int64_t items(const Params& p) { return p.batch * picture_items(p); }
  static uint64_t scratch_bytes(const Params& p) {
    return static_cast<uint64_t>(ring_floats(p) + scratch_floats(p)) * sizeof(float) +
           DwPwStep::scratch_bytes(behind(p));
  }
  static void run(const Params& p, const StepArgs& args, int64_t begin, int64_t end) {
    Worker w(p, args);
    const int64_t items = picture_items(p), bands = DwPwStep::bands(w.rest);
    for (int64_t item = begin; item < end; ++item) {
      const int64_t first = item % items * Rows::kItemBands;
      const int64_t last = smaller(bands, first + Rows::kItemBands);
      for (int64_t band = first; band < last; ++band) w.band(item / items, static_cast<int>(band) * kRows);
    }
  }

 private:
  static int64_t picture_items(const Params& p) {
    return ceil_div(DwPwStep::bands(behind(p)), Rows::kItemBands);
  }
  // Rows of the ring: what the windows of a band reach.
  static int ring_rows(const Params& p) { return (kRows - 1) * p.stride + 3; }
  static int ring_stride(const Params& p) { return static_cast<int>(DwPwStep::stride_for(p.channels)); }
  static int64_t ring_floats(const Params& p) {
    return round_up(int64_t{ring_rows(p)} * Rows::width(p) * ring_stride(p), kLineFloats) + kLineFloats;
  }
  static int64_t scratch_floats(const Params& p) { return round_up(Rows::scratch_floats(p), kLineFloats); }

  // The two layers behind, which read the ring.
  static DwPwParams behind(const Params& p) {
    DwPwParams d{};
    d.batch = p.batch;
    d.in_h = Rows::height(p);
    d.in_w = Rows::width(p);
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
  static StepArgs behind(const Params& p, const StepArgs& args) {
    StepArgs rest = args;
    rest.in[0] = args.scratch;
    rest.in[1] = static_cast<const float*>(args.in[1]) + Rows::weight_floats(p);
    rest.scratch = static_cast<float*>(args.scratch) + ring_floats(p) + scratch_floats(p);
    return rest;
  }

  struct Worker {
    const DwPwParams rest;
    float* const ring;
    const int slots;
    Rows rows;
    DwPwStep::Worker blocks;
    int64_t picture = -1;  // of the ring
    int done = 0;          // rows of it that were made

    Worker(const Params& p, const StepArgs& args)
        : rest(behind(p)),
          ring(static_cast<float*>(args.scratch)),
          slots(ring_rows(p)),
          rows(p, args, ring + ring_floats(p), rest.in_stride),
          blocks(rest, behind(p, args)) {
      blocks.band.slots = slots;
      blocks.in_picture = 0;
    }

    // Output rows [y, y + kRows) of a picture.
    void band(int64_t of, int y) {
      if (of != picture) {
        picture = of;
        done = 0;
      }
      const int count = smaller(kRows, rest.out_h - y), top = y * rest.stride - rest.pad_top;
      make_rows(larger(done, top), smaller(rest.in_h, top + (count - 1) * rest.stride + 3));
      const DwPwStep::Blocks cut(rest);
      for (int64_t i = 0; i < cut.count; ++i) {
        const int x = cut.start(i);
        blocks.block(picture, y, x, cut.start(i + 1) - x);
      }
    }

    void make_rows(int first, int last) {
      for (int y = first; y < last;) {
        const int slot = (y + rest.pad_top) % slots, n = smaller(last - y, slots - slot);
        rows.make(picture, y, n, ring + int64_t{slot} * rest.in_w * rest.in_stride);
        y += n;
      }
      done = larger(done, last);
    }
  };
};

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_RING_INL_H_

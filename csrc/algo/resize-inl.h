// Resampling of height and width of an NHWC picture, vectorised over channels. Source positions of the
// columns are worked out once per call into scratch, those of the rows as they come.
#ifndef EDGECNN_ALGO_RESIZE_INL_H_
#define EDGECNN_ALGO_RESIZE_INL_H_

#include "algo/rows-inl.h"
#include "algo/step.h"
#include "algo/window-inl.h"

namespace edgecnn {
namespace EC_ISA {

struct ResizeStep {
  // Between cells `low` and `high`, `t` of the way. For "nearest" only `low` counts.
  struct Source {
    int32_t low, high;
    float t;
  };

  // One axis of m input and n output cells; i / s is taken as i * m / n, which is exact, where the scale is n
  // / m.
  struct Axis {
    ResizeMode mode;
    ResizeCoordinates coordinates;
    NearestRounding rounding;
    int64_t m, n;
    double scale;
    bool exact;

    EC_INLINE Axis(const ResizeParams& p, int64_t in, int64_t out, float s)
        : mode(static_cast<ResizeMode>(p.mode)),
          coordinates(static_cast<ResizeCoordinates>(p.coordinates)),
          rounding(static_cast<NearestRounding>(p.nearest)),
          m(in),
          n(out),
          scale(s),
          exact(s == static_cast<float>(static_cast<double>(out) / static_cast<double>(in))) {}

    EC_INLINE double unscaled(double i) const {
      return exact ? i * static_cast<double>(m) / static_cast<double>(n) : i / scale;
    }

    double position(int64_t i) const {
      const double at = static_cast<double>(i);
      switch (coordinates) {
        case ResizeCoordinates::kAsymmetric:
          return unscaled(at);
        case ResizeCoordinates::kAlignCorners:
          return n > 1 ? at * static_cast<double>(m - 1) / static_cast<double>(n - 1) : 0.0;
        case ResizeCoordinates::kPytorchHalfPixel:
          if (n == 1) return 0.0;
          break;
        case ResizeCoordinates::kHalfPixel:
          break;
      }
      return unscaled(at + 0.5) - 0.5;
    }

    double rounded(double at) const {
      switch (rounding) {
        case NearestRounding::kFloor:
          return __builtin_floor(at);
        case NearestRounding::kCeil:
          return __builtin_ceil(at);
        case NearestRounding::kRoundPreferFloor:
          return __builtin_ceil(at - 0.5);
        case NearestRounding::kRoundPreferCeil:
          return __builtin_floor(at + 0.5);
      }
      return at;
    }

    Source source(int64_t i) const {
      const double last = static_cast<double>(m - 1);
      double at = position(i);
      if (mode == ResizeMode::kNearest) at = rounded(at);
      at = smaller(larger(at, 0.0), last);
      const int64_t low = static_cast<int64_t>(at);
      return {static_cast<int32_t>(low), static_cast<int32_t>(smaller(low + 1, m - 1)),
              static_cast<float>(at - static_cast<double>(low))};
    }
  };

  static int64_t rows(const ResizeParams& p) { return int64_t{p.batch} * p.out_h; }
  static int64_t row_elements(const ResizeParams& p) { return int64_t{p.out_w} * p.channels; }

  static int64_t items(const ResizeParams& p) { return row_items(rows(p), row_elements(p)); }

  static uint64_t scratch_bytes(const ResizeParams& p) {
    return static_cast<uint64_t>(p.out_w) * sizeof(Source);
  }

  static void run(const ResizeParams& p, const StepArgs& args, int64_t begin, int64_t end) {
    const float* x = static_cast<const float*>(args.in[0]);
    float* y = static_cast<float*>(args.out[0]);
    const Axis down(p, p.in_h, p.out_h, p.scale_h), across(p, p.in_w, p.out_w, p.scale_w);
    Source* columns = static_cast<Source*>(args.scratch);
    for (int64_t ox = 0; ox < p.out_w; ++ox) columns[ox] = across.source(ox);
    const int64_t in_row = int64_t{p.in_w} * p.in_stride;
    const RowRange range(rows(p), row_elements(p), begin, end);
    for (int64_t row = range.first; row < range.last; ++row) {
      const Source source = down.source(row % p.out_h);
      const float* image = x + row / p.out_h * p.in_h * in_row;
      const float* top = image + source.low * in_row;
      float* to = y + row * p.out_w * p.out_stride;
      if (down.mode == ResizeMode::kNearest) {
        nearest_row(p, top, columns, to);
      } else {
        linear_row(p, top, image + source.high * in_row, source.t, columns, to);
      }
    }
  }

  static void nearest_row(const ResizeParams& p, const float* x, const Source* columns, float* y) {
    for (int64_t ox = 0; ox < p.out_w; ++ox) {
      copy_floats(y + ox * p.out_stride, x + int64_t{columns[ox].low} * p.in_stride, p.channels);
    }
  }

  static void linear_row(const ResizeParams& p, const float* top, const float* bottom, float down,
                         const Source* columns, float* y) {
    const Vec ty = broadcast(down), sy = broadcast(1.0f - down);
    for (int64_t ox = 0; ox < p.out_w; ++ox) {
      const int64_t left = int64_t{columns[ox].low} * p.in_stride,
                    right = int64_t{columns[ox].high} * p.in_stride;
      const Vec tx = broadcast(columns[ox].t), sx = broadcast(1.0f - columns[ox].t);
      float* to = y + ox * p.out_stride;
      for_channels(p.channels, [&](auto vectors, int64_t c, int lanes) {
        for (int v = 0; v < decltype(vectors)::value; ++v, c += kLanes) {
          const Vec l =
              fma(load_lanes(bottom + left + c, lanes), ty, mul(load_lanes(top + left + c, lanes), sy));
          const Vec r =
              fma(load_lanes(bottom + right + c, lanes), ty, mul(load_lanes(top + right + c, lanes), sy));
          store_lanes(to + c, fma(r, tx, mul(l, sx)), lanes);
        }
      });
    }
  }
};

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_RESIZE_INL_H_

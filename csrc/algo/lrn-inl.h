// Local response normalisation across channels:
// y[c] = x[c] / (bias + alpha / size * sum of x[i]^2 for i from c - (size-1)/2 to c + size/2) ^ beta
#ifndef EDGECNN_ALGO_LRN_INL_H_
#define EDGECNN_ALGO_LRN_INL_H_

#include "algo/rows-inl.h"
#include "algo/step.h"
#include "simd/math-inl.h"

namespace edgecnn {
namespace EC_ISA {

// d -> 1 / d^beta; AlexNet's and GoogLeNet's beta is 3/4.
struct ThreeQuarterPower {
  EC_INLINE Vec operator()(Vec d) const {
    const Vec root = sqrt(d);
    return div(broadcast(1.0f), mul(root, sqrt(root)));
  }
};
struct AnyPower {
  Vec minus_beta;
  EC_INLINE Vec operator()(Vec d) const { return pow_positive(d, minus_beta); }
};

struct LrnStep {
  // Neighbours that exist, before and after: a window wider than the picture has no more.
  static int64_t before(const LrnParams& p) { return smaller((p.size - 1) / 2, p.channels); }
  static int64_t after(const LrnParams& p) { return smaller(p.size / 2, p.channels); }

  static int64_t items(const LrnParams& p) { return row_items(p.pixels, p.channels); }

  // The squares of one pixel with zeros around them.
  static uint64_t scratch_bytes(const LrnParams& p) {
    return static_cast<uint64_t>(before(p) + p.channels + after(p) + kLanes) * sizeof(float);
  }

  template <class Power>
  static void pixel(const LrnParams& p, const float* x, float* y, float* squares, Power power) {
    const Vec scale = broadcast(p.alpha / static_cast<float>(p.size)), bias = broadcast(p.bias);
    const int64_t taps = before(p) + 1 + after(p);
    map_row(p.channels, x, squares + before(p), broadcast(0.0f), [](Vec v) { return mul(v, v); });
    for (int64_t c = 0; c < p.channels; c += kLanes) {
      Vec sum = broadcast(0.0f);
      for (int64_t i = 0; i < taps; ++i) sum = add(sum, load(squares + c + i));
      const Vec factor = power(fma(scale, sum, bias));
      const int64_t n = p.channels - c;
      if (n >= kLanes) {
        store(y + c, mul(load(x + c), factor));
      } else {
        const int rest = static_cast<int>(n);
        store_partial(y + c, mul(load_partial(x + c, rest), factor), rest);
      }
    }
  }

  template <class Power>
  static void pixels(const LrnParams& p, const StepArgs& args, int64_t begin, int64_t end, Power power) {
    const float* x = static_cast<const float*>(args.in[0]);
    float* y = static_cast<float*>(args.out[0]);
    float* squares = static_cast<float*>(args.scratch);
    __builtin_memset(squares, 0, scratch_bytes(p));
    const RowRange rows(p.pixels, p.channels, begin, end);
    for (int64_t r = rows.first; r < rows.last; ++r) {
      pixel(p, x + r * p.in_stride, y + r * p.out_stride, squares, power);
    }
  }

  static void run(const LrnParams& p, const StepArgs& args, int64_t begin, int64_t end) {
    if (p.beta == 0.75f) {
      pixels(p, args, begin, end, ThreeQuarterPower{});
    } else {
      pixels(p, args, begin, end, AnyPower{broadcast(-p.beta)});
    }
  }
};

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_LRN_INL_H_

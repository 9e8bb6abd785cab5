// Softmax (and its logarithm) along the middle axis of [outer][n][inner]: exp(x - max) / sum.
#ifndef EDGECNN_ALGO_SOFTMAX_INL_H_
#define EDGECNN_ALGO_SOFTMAX_INL_H_

#include "algo/rows-inl.h"
#include "algo/step.h"
#include "algo/transpose-inl.h"
#include "simd/math-inl.h"

namespace edgecnn {
namespace EC_ISA {

struct SoftmaxStep {
  // With inner > 1, columns that are worked on together: their maxima and sums stay in the L1 cache.
  static constexpr int64_t kStrip = 64;
  // Rows shorter than this are faster as columns.
  static constexpr int64_t kShortRow = 32;

  static int64_t strips(const SoftmaxParams& p) { return ceil_div(p.inner, kStrip); }

  static int64_t items(const SoftmaxParams& p) {
    if (p.n == 0) return 0;
    if (p.inner == 1) return row_items(p.outer, p.n);
    return row_items(p.outer * strips(p), p.n * kStrip);
  }

  static uint64_t scratch_bytes(const SoftmaxParams&) { return 0; }

  static void run(const SoftmaxParams& p, const StepArgs& args, int64_t begin, int64_t end) {
    const float* x = static_cast<const float*>(args.in[0]);
    float* y = static_cast<float*>(args.out[0]);
    if (p.inner == 1) {
      const RowRange rows(p.outer, p.n, begin, end);
      if (p.n < kShortRow) {
        for (int64_t r = rows.first; r < rows.last; r += kStrip) {
          short_rows(p.n, smaller(kStrip, rows.last - r), x + r * p.n, y + r * p.n, p.log != 0);
        }
        return;
      }
      for (int64_t r = rows.first; r < rows.last; ++r) row(p.n, x + r * p.n, y + r * p.n, p.log != 0);
      return;
    }
    const RowRange units(p.outer * strips(p), p.n * kStrip, begin, end);
    for (int64_t u = units.first; u < units.last; ++u) {
      const int64_t column = u % strips(p) * kStrip;
      const int64_t offset = u / strips(p) * p.n * p.inner + column;
      strip(p.n, p.inner, smaller(kStrip, p.inner - column), x + offset, y + offset, p.log != 0);
    }
  }

  // n contiguous elements. Lanes beyond the end hold minus infinity, which adds nothing to the sum.
  static void row(int64_t n, const float* x, float* y, bool log_of) {
    const Vec lowest = broadcast(-__builtin_inff());
    const int rest = static_cast<int>(n % kLanes);
    Vec top = lowest;
    for (int64_t i = 0; i + kLanes <= n; i += kLanes) top = max(top, load(x + i));
    if (rest > 0) top = max(top, keep_first(load_partial(x + n - rest, rest), rest, lowest));
    top = broadcast(reduce_max(top));

    Vec sum = broadcast(0.0f);
    if (log_of) {
      map_row(n, x, y, lowest, [&](Vec v) {
        const Vec shifted = sub(v, top);
        sum = add(sum, exp(shifted));
        return shifted;
      });
      const Vec log_total = log(broadcast(reduce_add(sum)));
      map_row(n, y, y, lowest, [&](Vec v) { return sub(v, log_total); });
    } else {
      map_row(n, x, y, lowest, [&](Vec v) {
        const Vec e = exp(sub(v, top));
        sum = add(sum, e);
        return e;
      });
      const Vec scale = broadcast(1.0f / reduce_add(sum));
      map_row(n, y, y, lowest, [&](Vec v) { return mul(v, scale); });
    }
  }

  // Up to kStrip rows of n contiguous elements, transposed and back.
  static void short_rows(int64_t n, int64_t rows, const float* x, float* y, bool log_of) {
    alignas(kAlignment) float columns[kShortRow * kStrip];
    __builtin_memset(columns, 0, static_cast<size_t>(n * kStrip) * sizeof(float));
    transpose(rows, n, x, n, columns, 1, kStrip);
    strip(n, kStrip, rows, columns, columns, log_of);
    transpose(n, rows, columns, kStrip, y, 1, n);
  }

  // n rows of `columns` neighbouring columns, rows `stride` apart.
  static void strip(int64_t n, int64_t stride, int64_t columns, const float* x, float* y, bool log_of) {
    alignas(kAlignment) float top[kStrip];
    alignas(kAlignment) float sum[kStrip];
    for (int64_t c = 0; c < kStrip; c += kLanes) {
      store(top + c, broadcast(-__builtin_inff()));
      store(sum + c, broadcast(0.0f));
    }
    for (int64_t i = 0; i < n; ++i) {
      for_vectors(columns, x + i * stride, [&](int64_t c, Vec v) { store(top + c, max(load(top + c), v)); });
    }
    for (int64_t i = 0; i < n; ++i) {
      for_vectors(columns, x + i * stride, [&](int64_t c, Vec v) {
        const Vec shifted = sub(v, load(top + c));
        const Vec e = exp(shifted);
        store(sum + c, add(load(sum + c), e));
        store_up_to(y + i * stride + c, columns - c, log_of ? shifted : e);
      });
    }
    for (int64_t c = 0; c < kStrip; c += kLanes) {
      const Vec total = load(sum + c);
      store(sum + c, log_of ? log(total) : div(broadcast(1.0f), total));
    }
    for (int64_t i = 0; i < n; ++i) {
      for_vectors(columns, y + i * stride, [&](int64_t c, Vec v) {
        const Vec s = load(sum + c);
        store_up_to(y + i * stride + c, columns - c, log_of ? sub(v, s) : mul(v, s));
      });
    }
  }

  // body(c, vector at c) along a row; past its end the vector has zeros.
  template <class Body>
  EC_INLINE static void for_vectors(int64_t n, const float* x, Body body) {
    int64_t c = 0;
    for (; c + kLanes <= n; c += kLanes) body(c, load(x + c));
    if (c < n) body(c, load_partial(x + c, static_cast<int>(n - c)));
  }

  EC_INLINE static void store_up_to(float* y, int64_t n, Vec v) {
    if (n >= kLanes) {
      store(y, v);
    } else {
      store_partial(y, v, static_cast<int>(n));
    }
  }
};

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_SOFTMAX_INL_H_

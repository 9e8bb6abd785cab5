// Reduction over the middle axis of [outer][n][inner].
//
// Sums are taken over blocks of kBlock vectors whose results are then added up, so that the rounding error
// grows with n / kBlock + kBlock instead of n. The order depends on nothing but n and the width of a vector.
#ifndef EDGECNN_ALGO_REDUCE_INL_H_
#define EDGECNN_ALGO_REDUCE_INL_H_

#include "algo/rows-inl.h"
#include "algo/step.h"

namespace edgecnn {
namespace EC_ISA {

// Each has: start, the neutral element; take(acc, x), one more element; join(a, b), of two partial results.
struct SumReduction {
  EC_INLINE static Vec start() { return broadcast(0.0f); }
  EC_INLINE static Vec take(Vec acc, Vec x) { return add(acc, x); }
  EC_INLINE static Vec join(Vec a, Vec b) { return add(a, b); }
};
struct SquareReduction {
  EC_INLINE static Vec start() { return broadcast(0.0f); }
  EC_INLINE static Vec take(Vec acc, Vec x) { return fma(x, x, acc); }
  EC_INLINE static Vec join(Vec a, Vec b) { return add(a, b); }
};
struct ProductReduction {
  EC_INLINE static Vec start() { return broadcast(1.0f); }
  EC_INLINE static Vec take(Vec acc, Vec x) { return mul(acc, x); }
  EC_INLINE static Vec join(Vec a, Vec b) { return mul(a, b); }
};
struct MaxReduction {
  EC_INLINE static Vec start() { return broadcast(-__builtin_inff()); }
  EC_INLINE static Vec take(Vec acc, Vec x) { return max_nan(acc, x); }
  EC_INLINE static Vec join(Vec a, Vec b) { return max_nan(a, b); }
};
struct MinReduction {
  EC_INLINE static Vec start() { return broadcast(__builtin_inff()); }
  EC_INLINE static Vec take(Vec acc, Vec x) { return min_nan(acc, x); }
  EC_INLINE static Vec join(Vec a, Vec b) { return min_nan(a, b); }
};

struct ReduceStep {
  static constexpr int64_t kBlock = 128;
  // Vectors of a row that are reduced side by side, to hide the latency of the operation.
  static constexpr int kUnroll = 4;
  static constexpr int64_t kStrip = kUnroll * kLanes;

  // Columns that are reduced together.
  static constexpr int64_t kColumns = 256;

  static int64_t strips(const ReduceParams& p) { return ceil_div(p.inner, kColumns); }

  static int64_t items(const ReduceParams& p) {
    if (p.inner == 1) return row_items(p.outer, p.n);
    return row_items(p.outer * strips(p), p.n * kColumns);
  }

  static uint64_t scratch_bytes(const ReduceParams&) { return 0; }

  static void run(const ReduceParams& p, const StepArgs& args, int64_t begin, int64_t end) {
    const float* x = static_cast<const float*>(args.in[0]);
    float* y = static_cast<float*>(args.out[0]);
    switch (static_cast<ReduceKind>(p.kind)) {
      case ReduceKind::k_mean:
        return reduce(SumReduction{}, p, x, y, begin, end,
                      [&](Vec v) { return div(v, broadcast(static_cast<float>(p.n))); });
      case ReduceKind::k_sum:
        return reduce(SumReduction{}, p, x, y, begin, end, [](Vec v) { return v; });
      case ReduceKind::k_max:
        return reduce(MaxReduction{}, p, x, y, begin, end, [](Vec v) { return v; });
      case ReduceKind::k_min:
        return reduce(MinReduction{}, p, x, y, begin, end, [](Vec v) { return v; });
      case ReduceKind::k_prod:
        return reduce(ProductReduction{}, p, x, y, begin, end, [](Vec v) { return v; });
      case ReduceKind::k_l2:
        return reduce(SquareReduction{}, p, x, y, begin, end, [](Vec v) { return sqrt(v); });
    }
  }

  template <class R, class Finish>
  static void reduce(R, const ReduceParams& p, const float* x, float* y, int64_t begin, int64_t end,
                     Finish finish) {
    if (p.inner == 1) {
      const RowRange rows(p.outer, p.n, begin, end);
      for (int64_t r = rows.first; r < rows.last; ++r) {
        store_partial(y + r, finish(row<R>(p.n, x + r * p.n)), 1);
      }
      return;
    }
    const RowRange units(p.outer * strips(p), p.n * kColumns, begin, end);
    alignas(kAlignment) float totals[kColumns];
    for (int64_t u = units.first; u < units.last; ++u) {
      const int64_t outer = u / strips(p), first = u % strips(p) * kColumns;
      const int64_t count = smaller(kColumns, p.inner - first);
      columns<R>(p.n, p.inner, x + outer * p.n * p.inner + first, count, totals);
      float* to = y + outer * p.inner + first;
      for (int64_t c = 0; c < count; c += kLanes)
        store_partial(to + c, finish(load(totals + c)),
                      static_cast<int>(smaller<int64_t>(kLanes, count - c)));
    }
  }

  // `count` columns over n rows `stride` apart. Row by row, so that caches foresee what comes: the sums are
  // in memory.
  template <class R>
  static __attribute__((noinline)) void columns(int64_t n, int64_t stride, const float* x, int64_t count,
                                                float* totals) {
    alignas(kAlignment) float block[kColumns];
    const int64_t whole = count / kLanes * kLanes;
    const int rest = static_cast<int>(count - whole);
    for (int64_t c = 0; c < count; c += kLanes) store(totals + c, R::start());
    for (int64_t i = 0; i < n;) {
      const int64_t stop = smaller(n, i + kBlock);
      for (int64_t c = 0; c < count; c += kLanes) store(block + c, R::start());
      for (; i < stop; ++i, x += stride) {
        for (int64_t c = 0; c < whole; c += kLanes) store(block + c, R::take(load(block + c), load(x + c)));
        if (rest > 0) store(block + whole, R::take(load(block + whole), load_partial(x + whole, rest)));
      }
      for (int64_t c = 0; c < count; c += kLanes)
        store(totals + c, R::join(load(totals + c), load(block + c)));
    }
  }

  // n contiguous elements; the result is in lane 0.
  template <class R>
  static Vec row(int64_t n, const float* x) {
    Vec total = R::start();
    int64_t i = 0;
    while (i + kStrip <= n) {
      const int64_t stop = smaller(n, i + kBlock * kStrip);
      Vec acc[kUnroll];
      for (int v = 0; v < kUnroll; ++v) acc[v] = R::start();
      for (; i + kStrip <= stop; i += kStrip) {
        for (int v = 0; v < kUnroll; ++v) acc[v] = R::take(acc[v], load(x + i + v * kLanes));
      }
      for (int v = 0; v < kUnroll; ++v) total = R::join(total, acc[v]);
    }
    for (; i + kLanes <= n; i += kLanes) total = R::take(total, load(x + i));
    const int rest = static_cast<int>(n - i);
    if (rest > 0) {
      const Vec taken = R::take(total, load_partial(x + i, rest));
      alignas(kAlignment) float lanes[kLanes], with_rest[kLanes];
      store(lanes, total);
      store(with_rest, taken);
      for (int lane = 0; lane < rest; ++lane) lanes[lane] = with_rest[lane];
      total = load(lanes);
    }
    // Lanes are joined pairwise.
    alignas(kAlignment) float lanes[2 * kLanes];
    store(lanes + kLanes, R::start());
    for (int half = kLanes / 2; half > 0; half /= 2) {
      store(lanes, total);
      total = R::join(total, load(lanes + half));
    }
    return total;
  }
};

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_REDUCE_INL_H_

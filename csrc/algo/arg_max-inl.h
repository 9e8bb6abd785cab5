// Index of the largest element along the middle axis of [outer][n][inner]. As in numpy a NaN counts as the
// largest.
#ifndef EDGECNN_ALGO_ARG_MAX_INL_H_
#define EDGECNN_ALGO_ARG_MAX_INL_H_

#include "algo/rows-inl.h"
#include "algo/step.h"

namespace edgecnn {
namespace EC_ISA {

struct ArgMaxStep {
  // Columns that are searched together when inner > 1, so that rows are read in order.
  static constexpr int64_t kStrip = 64;

  static int64_t strip_width(const ArgMaxParams& p) {
    return smaller<int64_t>(kStrip, larger<int64_t>(p.inner, 1));
  }
  static int64_t strips(const ArgMaxParams& p) { return ceil_div(p.inner, strip_width(p)); }

  static int64_t items(const ArgMaxParams& p) { return row_items(p.outer * strips(p), p.n * strip_width(p)); }

  static uint64_t scratch_bytes(const ArgMaxParams&) { return 0; }

  // Whether x, met later, replaces the best so far.
  template <bool kLast>
  EC_INLINE static bool wins(float x, float best) {
    const bool better = kLast ? x >= best : x > best;
    return better || (x != x && (kLast || best == best));
  }

  template <bool kLast>
  static void strip(int64_t n, int64_t stride, int64_t columns, const float* x, char* y) {
    float best[kStrip];
    int64_t index[kStrip];
    for (int64_t c = 0; c < columns; ++c) {
      best[c] = x[c];
      index[c] = 0;
    }
    for (int64_t i = 1; i < n; ++i) {
      const float* row = x + i * stride;
      for (int64_t c = 0; c < columns; ++c) {
        if (wins<kLast>(row[c], best[c])) {
          best[c] = row[c];
          index[c] = i;
        }
      }
    }
    // The output is aligned to 4 bytes only.
    __builtin_memcpy(y, index, static_cast<size_t>(columns) * sizeof(int64_t));
  }

  static void run(const ArgMaxParams& p, const StepArgs& args, int64_t begin, int64_t end) {
    const float* x = static_cast<const float*>(args.in[0]);
    char* y = static_cast<char*>(args.out[0]);
    const int64_t width = strip_width(p);
    const RowRange units(p.outer * strips(p), p.n * width, begin, end);
    for (int64_t u = units.first; u < units.last; ++u) {
      const int64_t outer = u / strips(p), column = u % strips(p) * width;
      const int64_t columns = smaller<int64_t>(width, p.inner - column);
      const float* from = x + outer * p.n * p.inner + column;
      char* to = y + (outer * p.inner + column) * static_cast<int64_t>(sizeof(int64_t));
      if (p.select_last != 0) {
        strip<true>(p.n, p.inner, columns, from, to);
      } else {
        strip<false>(p.n, p.inner, columns, from, to);
      }
    }
  }
};

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_ARG_MAX_INL_H_

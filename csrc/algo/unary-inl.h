// y = f(x) for every element.
#ifndef EDGECNN_ALGO_UNARY_INL_H_
#define EDGECNN_ALGO_UNARY_INL_H_

#include "algo/rows-inl.h"
#include "algo/step.h"
#include "simd/activation-inl.h"

namespace edgecnn {
namespace EC_ISA {

// f over `rows` rows of `columns`; x == y is allowed. Not inlined: the code for all functions exists once.
__attribute__((noinline)) inline void unary_rows(UnaryKind kind, float alpha, float beta, int64_t rows,
                                                 int64_t columns, const float* x, int64_t x_stride, float* y,
                                                 int64_t y_stride) {
  with_activation(kind, alpha, beta, [&](auto f) {
    for (int64_t r = 0; r < rows; ++r)
      map_row(columns, x + r * x_stride, y + r * y_stride, broadcast(0.0f), f);
  });
}

struct UnaryStep {
  // Rows without gaps are one long row, cut into chunks.
  static bool dense(const UnaryParams& p) {
    return p.rows == 1 || (p.in_stride == p.columns && p.out_stride == p.columns);
  }

  static int64_t items(const UnaryParams& p) {
    if (dense(p)) return ceil_div(int64_t{p.rows} * p.columns, kItemElements);
    return p.columns == 0 ? 0 : row_items(p.rows, p.columns);
  }

  static uint64_t scratch_bytes(const UnaryParams&) { return 0; }

  static void run(const UnaryParams& p, const StepArgs& args, int64_t begin, int64_t end) {
    const float* x = static_cast<const float*>(args.in[0]);
    float* y = static_cast<float*>(args.out[0]);
    const UnaryKind kind = static_cast<UnaryKind>(p.act);
    if (dense(p)) {
      const int64_t first = begin * kItemElements;
      const int64_t last = smaller(int64_t{p.rows} * p.columns, end * kItemElements);
      unary_rows(kind, p.alpha, p.beta, 1, last - first, x + first, 0, y + first, 0);
    } else {
      const RowRange rows(p.rows, p.columns, begin, end);
      unary_rows(kind, p.alpha, p.beta, rows.last - rows.first, p.columns, x + rows.first * p.in_stride,
                 p.in_stride, y + rows.first * p.out_stride, p.out_stride);
    }
  }
};

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_UNARY_INL_H_

// A tile of a transpose.
#ifndef EDGECNN_ALGO_TRANSPOSE_INL_H_
#define EDGECNN_ALGO_TRANSPOSE_INL_H_

#include <cstdint>

#include "simd/vec.h"

namespace edgecnn {
namespace EC_ISA {

// y[j * kCount + i] = x[i * x_stride + j]: planes to pixels of a few channels.
template <int kCount>
EC_INLINE void interleave(int64_t n, const float* x, int64_t x_stride, float* y) {
  for (int64_t j = 0; j < n; ++j) {
    for (int i = 0; i < kCount; ++i) y[j * kCount + i] = x[i * x_stride + j];
  }
}

// y[j * y_stride + i] = x[i * kCount + j]: and back.
template <int kCount>
EC_INLINE void deinterleave(int64_t n, const float* x, float* y, int64_t y_stride) {
  for (int64_t i = 0; i < n; ++i) {
    for (int j = 0; j < kCount; ++j) y[j * y_stride + i] = x[i * kCount + j];
  }
}

typedef float Quad __attribute__((vector_size(16)));

EC_INLINE Quad load_quad(const float* p) {
  Quad q;
  __builtin_memcpy(&q, p, sizeof(q));
  return q;
}
EC_INLINE void store_quad(float* p, Quad q) { __builtin_memcpy(p, &q, sizeof(q)); }

#if defined(__clang__)
#define EC_SHUFFLE(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
typedef int32_t QuadIndex __attribute__((vector_size(16)));
#define EC_SHUFFLE(a, b, i, j, k, l) __builtin_shuffle(a, b, QuadIndex{i, j, k, l})
#endif

// y[j * y_stride + i] = x[i * x_stride + j] for i, j < 4.
EC_INLINE void transpose_quads(const float* x, int64_t x_stride, float* y, int64_t y_stride) {
  const Quad r0 = load_quad(x), r1 = load_quad(x + x_stride);
  const Quad r2 = load_quad(x + 2 * x_stride), r3 = load_quad(x + 3 * x_stride);
  const Quad a = EC_SHUFFLE(r0, r1, 0, 4, 1, 5), b = EC_SHUFFLE(r0, r1, 2, 6, 3, 7);
  const Quad c = EC_SHUFFLE(r2, r3, 0, 4, 1, 5), d = EC_SHUFFLE(r2, r3, 2, 6, 3, 7);
  store_quad(y, EC_SHUFFLE(a, c, 0, 1, 4, 5));
  store_quad(y + y_stride, EC_SHUFFLE(a, c, 2, 3, 6, 7));
  store_quad(y + 2 * y_stride, EC_SHUFFLE(b, d, 0, 1, 4, 5));
  store_quad(y + 3 * y_stride, EC_SHUFFLE(b, d, 2, 3, 6, 7));
}

#undef EC_SHUFFLE

// y[j * y_across + i * y_row] = x[i * x_stride + j] for i < n, j < across.
EC_INLINE void transpose(int64_t n, int64_t across, const float* x, int64_t x_stride, float* y, int64_t y_row,
                         int64_t y_across) {
  if (y_row == 1 && n == 3 && y_across == 3) return interleave<3>(across, x, x_stride, y);
  if (y_row == 1 && across == 3 && x_stride == 3) return deinterleave<3>(n, x, y, y_across);
  int64_t whole_rows = 0, whole_across = 0;
  if (y_row == 1) {
    whole_rows = n / 4 * 4;
    whole_across = across / 4 * 4;
    for (int64_t j = 0; j < whole_across; j += 4) {
      for (int64_t i = 0; i < whole_rows; i += 4) {
        transpose_quads(x + i * x_stride + j, x_stride, y + j * y_across + i, y_across);
      }
    }
  }
  // What is left: the last rows of the whole columns, and the last columns.
  for (int64_t j = 0; j < across; ++j) {
    for (int64_t i = j < whole_across ? whole_rows : 0; i < n; ++i)
      y[j * y_across + i * y_row] = x[i * x_stride + j];
  }
}

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_TRANSPOSE_INL_H_

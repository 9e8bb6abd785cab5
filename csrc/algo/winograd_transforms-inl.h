// The transforms of F(4, 3) in one dimension, on vectors.
#ifndef EDGECNN_ALGO_WINOGRAD_TRANSFORMS_INL_H_
#define EDGECNN_ALGO_WINOGRAD_TRANSFORMS_INL_H_

#include "simd/vec.h"

namespace edgecnn {
namespace EC_ISA {

// The compiler is not to move loads and stores across: the order of a transform is chosen so that what is
// alive fits into the registers.
EC_INLINE void keep_order() { asm volatile("" ::: "memory"); }

// The compiler is to hold x as it is, instead of making it anew from what it was made of. Only where there
// are registers for it.
template <class T>
EC_INLINE void keep_in_register(T& x) {
#ifdef EC_HAS_FMA_LANE
  asm("" : "+r"(x));
#else
  (void)x;
#endif
}

// Bt: the polynomial through the points 0, 1, -1, 2, -2 and infinity. Its rows 1 to 4, and 0 and 5.
EC_INLINE void transform_middle(Vec d1, Vec d2, Vec d3, Vec d4, Vec* t, int step) {
  const Vec minus_four = broadcast(-4.0f);
  const Vec even = fma(minus_four, d2, d4), odd = fma(minus_four, d1, d3);
  const Vec near = sub(d4, d2), half = sub(d3, d1), far = add(half, half);
  t[1 * step] = add(even, odd);
  t[2 * step] = sub(even, odd);
  t[3 * step] = add(near, far);
  t[4 * step] = sub(near, far);
}
EC_INLINE Vec transform_end(Vec d0, Vec d2, Vec d4) {
  return fma(broadcast(-4.0f), sub(d2, d0), sub(d4, d2));
}

// At.
EC_INLINE void transform_output(const Vec (&m)[6], Vec* y, int step) {
  const Vec sum1 = add(m[1], m[2]), sum2 = add(m[3], m[4]);
  const Vec difference1 = sub(m[1], m[2]), difference2 = sub(m[3], m[4]);
  y[0] = add(m[0], add(sum1, sum2));
  y[1 * step] = fma(broadcast(2.0f), difference2, difference1);
  y[2 * step] = fma(broadcast(4.0f), sum2, sum1);
  y[3 * step] = fma(broadcast(8.0f), difference2, add(difference1, m[5]));
}

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_WINOGRAD_TRANSFORMS_INL_H_

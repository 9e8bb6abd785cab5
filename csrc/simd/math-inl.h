// Transcendental functions of a Vec, within about 2 units in the last place, right for infinities, NaN and
// denormals. Polynomials are least-maximum-error fits on the reduced interval.
#ifndef EDGECNN_SIMD_MATH_INL_H_
#define EDGECNN_SIMD_MATH_INL_H_

#include "simd/vec.h"

namespace edgecnn {
namespace EC_ISA {

// x = n * ln 2 + r with |r| <= ln(2) / 2; returns e^r - 1, and n in `exponent`. |x| < 2^15.
EC_INLINE Vec exp_reduced(Vec x, VecI* exponent) {
  // Adding 1.5 * 2^23 leaves the nearest integer in the low bits.
  const Vec magic = broadcast(12582912.0f);
  const Vec shifted = fma(x, broadcast(1.44269504f), magic);
  const Vec n = sub(shifted, magic);
  *exponent = isub(bits(shifted), bits(magic));
  const Vec r = fma(n, broadcast(2.12194442e-4f), fma(n, broadcast(-0.693359375f), x));
  Vec q = broadcast(0x1.6db45ep-10f);
  q = fma(q, r, broadcast(0x1.123b7ep-7f));
  q = fma(q, r, broadcast(0x1.55545ep-5f));
  q = fma(q, r, broadcast(0x1.55548ep-3f));
  q = fma(q, r, broadcast(0.5f));
  return fma(mul(r, r), q, r);
}

EC_INLINE Vec power_of_two(VecI n) { return from_bits(shift_left<23>(iadd(n, broadcast_int(127)))); }

EC_INLINE Vec exp(Vec x) {
  x = min(broadcast(89.0f), max(broadcast(-104.0f), x));
  VecI n;
  const Vec y = add(exp_reduced(x, &n), broadcast(1.0f));
  // In two steps, so that results beyond the largest float and below the smallest normal one come out right.
  const VecI half = shift_right<1>(n);
  return mul(mul(y, power_of_two(half)), power_of_two(isub(n, half)));
}

// e^x - 1 for x <= 0 without cancellation near 0.
EC_INLINE Vec expm1_nonpositive(Vec x) {
  x = max(broadcast(-20.0f), x);
  VecI n;
  const Vec q = exp_reduced(x, &n);
  const Vec scale = power_of_two(n);
  return fma(scale, q, sub(scale, broadcast(1.0f)));
}

EC_INLINE Vec log(Vec x) {
  const Vec infinity = broadcast(__builtin_inff());
  const Mask tiny = lt(x, broadcast(0x1p-126f));
  const Vec y = select(tiny, mul(x, broadcast(0x1p23f)), x);
  // y = 2^e * m with m in [sqrt(1/2), sqrt(2)).
  const VecI offset = isub(bits(y), broadcast_int(0x3f3504f3));
  const VecI e = shift_right<23>(offset);
  const Vec m = from_bits(isub(bits(y), shift_left<23>(e)));
  const Vec k = sub(to_float(e), select(tiny, broadcast(23.0f), broadcast(0.0f)));
  const Vec f = sub(m, broadcast(1.0f));
  // log(1 + f) = f - f^2/2 + s * (f^2/2 + R(s^2)), s = f / (2 + f)
  const Vec s = div(f, add(f, broadcast(2.0f)));
  const Vec z = mul(s, s);
  Vec r = broadcast(0x1.32d176p-2f);
  r = fma(r, z, broadcast(0x1.995442p-2f));
  r = fma(r, z, broadcast(0x1.555588p-1f));
  r = mul(r, z);
  const Vec half_square = mul(broadcast(0.5f), mul(f, f));
  const Vec low = fma(k, broadcast(-2.12194442e-4f), mul(s, add(half_square, r)));
  Vec result = fma(k, broadcast(0.693359375f), add(f, sub(low, half_square)));
  result = select(eq(x, infinity), infinity, result);
  result = select(eq(x, broadcast(0.0f)), broadcast(-__builtin_inff()), result);
  result = select(lt(x, broadcast(0.0f)), broadcast(__builtin_nanf("")), result);
  return select(is_nan(x), x, result);
}

EC_INLINE Vec tanh(Vec x) {
  const Vec a = abs(x), z = mul(x, x);
  Vec p = broadcast(-0x1.76abe4p-8f);
  p = fma(p, z, broadcast(0x1.5256cap-6f));
  p = fma(p, z, broadcast(-0x1.b84446p-5f));
  p = fma(p, z, broadcast(0x1.110768p-3f));
  p = fma(p, z, broadcast(-0x1.555534p-2f));
  const Vec small = fma(mul(p, z), x, x);
  const Vec large = sub(broadcast(1.0f), div(broadcast(2.0f), add(exp(add(a, a)), broadcast(1.0f))));
  return select(lt(a, broadcast(0.625f)), small, copysign(large, x));
}

EC_INLINE Vec sigmoid(Vec x) { return div(broadcast(1.0f), add(broadcast(1.0f), exp(neg(x)))); }

// log(1 + u) for u in [0, 1], exact in relative terms for small u.
EC_INLINE Vec log1p_unit(Vec u) {
  const Vec y = add(u, broadcast(1.0f));
  return add(log(y), div(sub(u, sub(y, broadcast(1.0f))), y));
}

// log(1 + e^x)
EC_INLINE Vec softplus(Vec x) { return add(max(broadcast(0.0f), x), log1p_unit(exp(neg(abs(x))))); }

EC_INLINE Vec erf(Vec x) {
  const Vec t = min(broadcast(4.0f), abs(x)), z = mul(x, x);
  Vec p = broadcast(-0x1.379782p-11f);
  p = fma(p, z, broadcast(0x1.46a800p-8f));
  p = fma(p, z, broadcast(-0x1.b67438p-6f));
  p = fma(p, z, broadcast(0x1.ce1902p-4f));
  p = fma(p, z, broadcast(-0x1.8126dep-2f));
  p = fma(p, z, broadcast(0x1.06eba6p-3f));
  const Vec small = fma(p, x, x);
  // erfc(t) = exp(-t * q(t))
  Vec q = broadcast(-0x1.bf16ecp-13f);
  q = fma(q, t, broadcast(0x1.a48a10p-9f));
  q = fma(q, t, broadcast(-0x1.76b118p-6f));
  q = fma(q, t, broadcast(0x1.af05c6p-4f));
  q = fma(q, t, broadcast(0x1.457ffcp-1f));
  q = fma(q, t, broadcast(0x1.20e5dcp+0f));
  const Vec large = sub(broadcast(1.0f), exp(neg(mul(t, q))));
  return select(lt(t, broadcast(0.9375f)), small, copysign(large, x));
}

// a^b for a > 0, by e^(b * log a): the error grows with |b * log a|, some 10 units where that is 10.
EC_INLINE Vec pow_positive(Vec a, Vec b) { return exp(mul(b, log(a))); }

// a^b with every special case of the C library, lane by lane.
EC_INLINE Vec pow(Vec a, Vec b) {
  float x[kLanes], y[kLanes];
  store(x, a);
  store(y, b);
  for (int i = 0; i < kLanes; ++i) x[i] = __builtin_powf(x[i], y[i]);
  return load(x);
}

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_SIMD_MATH_INL_H_

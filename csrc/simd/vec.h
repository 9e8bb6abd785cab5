// The vector vocabulary of all algorithms: one Vec of kLanes floats, a VecI of as many int32, a Mask from
// comparisons, and some forty functions on them, spelled once per instruction set in vec_<isa>.h. A target
// file (targets/target_<isa>.cc) defines EC_ISA, the name of its namespace, and includes its vec_<isa>.h
// before anything else; the algorithms see only these names:
//
//   broadcast(x)  load(p)  store(p, a)               unaligned
//   load_partial(p, n)  store_partial(p, a, n)       the first n of kLanes (0 <= n <= kLanes); others are 0 /
//   untouched add sub mul div  fma(a, b, c) = a * b + c        fused where the instruction set can max(a, b)
//   min(a, b)                             a NaN in b is returned, one in a may be lost: put the data in b
//   max_nan(a, b)  min_nan(a, b)                     a NaN in either is returned
//   neg abs sqrt copysign(magnitude, sign)  round (half to even)  floor  ceil
//   lt le eq is_nan -> Mask;  select(mask, a, b) = mask ? a : b
//   bits from_bits to_float broadcast_int iadd isub iand shift_left<n> shift_right<n> (arithmetic)
//   reduce_add reduce_max -> float
//
// Rules for -inl.h files: everything lives in namespace edgecnn::EC_ISA (use EC_INLINE for small helpers),
// and nothing of std:: is instantiated, since the linker keeps one copy of an inline function whichever file
// compiled it, and a copy compiled for AVX-512 must not reach the other paths. math-inl.h has the
// transcendental functions, activation-inl.h the UnaryKinds.
#ifndef EDGECNN_SIMD_VEC_H_
#define EDGECNN_SIMD_VEC_H_

#include <cstddef>
#include <cstdint>

#ifndef EC_ISA
#error "a target file defines EC_ISA and includes its vec_<isa>.h first"
#endif

namespace edgecnn {
namespace EC_ISA {

#ifdef EC_MAX_PROPAGATES_NAN
EC_INLINE Vec max_nan(Vec a, Vec b) { return max(a, b); }
EC_INLINE Vec min_nan(Vec a, Vec b) { return min(a, b); }
#else
EC_INLINE Vec max_nan(Vec a, Vec b) { return select(is_nan(a), a, max(a, b)); }
EC_INLINE Vec min_nan(Vec a, Vec b) { return select(is_nan(a), a, min(a, b)); }
#endif

template <class T>
EC_INLINE constexpr T smaller(T a, T b) {
  return a < b ? a : b;
}
template <class T>
EC_INLINE constexpr T larger(T a, T b) {
  return a < b ? b : a;
}
EC_INLINE constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
EC_INLINE constexpr int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_SIMD_VEC_H_

// Vec for AVX-512 (F, DQ, BW, VL). The vocabulary is described in vec.h.
#ifndef EDGECNN_SIMD_VEC_AVX512_H_
#define EDGECNN_SIMD_VEC_AVX512_H_

#include <cstdint>

// GCC 12 takes the deliberately undefined operands inside of its own header for mistakes.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop

#define EC_INLINE inline __attribute__((always_inline))

namespace edgecnn {
namespace EC_ISA {

constexpr int kLanes = 16;

struct Vec {
  __m512 v;
};
struct VecI {
  __m512i v;
};
struct Mask {
  __mmask16 m;
};

EC_INLINE __mmask16 first_lanes(int n) { return static_cast<__mmask16>((1u << n) - 1u); }

EC_INLINE Vec broadcast(float x) { return {_mm512_set1_ps(x)}; }
EC_INLINE Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
EC_INLINE Vec load_partial(const float* p, int n) { return {_mm512_maskz_loadu_ps(first_lanes(n), p)}; }
EC_INLINE void store(float* p, Vec a) { _mm512_storeu_ps(p, a.v); }
EC_INLINE void store_partial(float* p, Vec a, int n) { _mm512_mask_storeu_ps(p, first_lanes(n), a.v); }

EC_INLINE Vec add(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
EC_INLINE Vec sub(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
EC_INLINE Vec mul(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
EC_INLINE Vec div(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
EC_INLINE Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
EC_INLINE Vec max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
EC_INLINE Vec min(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }
EC_INLINE Vec neg(Vec a) { return {_mm512_xor_ps(a.v, _mm512_set1_ps(-0.0f))}; }
EC_INLINE Vec abs(Vec a) { return {_mm512_andnot_ps(_mm512_set1_ps(-0.0f), a.v)}; }
EC_INLINE Vec copysign(Vec magnitude, Vec sign) {
  const __m512 bit = _mm512_set1_ps(-0.0f);
  return {_mm512_or_ps(_mm512_andnot_ps(bit, magnitude.v), _mm512_and_ps(bit, sign.v))};
}
EC_INLINE Vec sqrt(Vec a) { return {_mm512_sqrt_ps(a.v)}; }
EC_INLINE Vec round(Vec a) {
  return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
EC_INLINE Vec floor(Vec a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)}; }
EC_INLINE Vec ceil(Vec a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC)}; }

EC_INLINE Mask lt(Vec a, Vec b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
EC_INLINE Mask le(Vec a, Vec b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)}; }
EC_INLINE Mask eq(Vec a, Vec b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)}; }
EC_INLINE Mask is_nan(Vec a) { return {_mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q)}; }
EC_INLINE Vec select(Mask m, Vec a, Vec b) { return {_mm512_mask_blend_ps(m.m, b.v, a.v)}; }

EC_INLINE VecI broadcast_int(int32_t x) { return {_mm512_set1_epi32(x)}; }
EC_INLINE VecI bits(Vec a) { return {_mm512_castps_si512(a.v)}; }
EC_INLINE Vec from_bits(VecI a) { return {_mm512_castsi512_ps(a.v)}; }
EC_INLINE Vec to_float(VecI a) { return {_mm512_cvtepi32_ps(a.v)}; }
EC_INLINE VecI iadd(VecI a, VecI b) { return {_mm512_add_epi32(a.v, b.v)}; }
EC_INLINE VecI isub(VecI a, VecI b) { return {_mm512_sub_epi32(a.v, b.v)}; }
EC_INLINE VecI iand(VecI a, VecI b) { return {_mm512_and_si512(a.v, b.v)}; }
template <int kBits>
EC_INLINE VecI shift_left(VecI a) {
  return {_mm512_slli_epi32(a.v, kBits)};
}
template <int kBits>
EC_INLINE VecI shift_right(VecI a) {
  return {_mm512_srai_epi32(a.v, kBits)};
}

EC_INLINE float reduce_add(Vec a) { return _mm512_reduce_add_ps(a.v); }
EC_INLINE float reduce_max(Vec a) { return _mm512_reduce_max_ps(a.v); }

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_SIMD_VEC_AVX512_H_

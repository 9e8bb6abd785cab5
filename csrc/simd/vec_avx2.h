// Vec for AVX2 with FMA. The vocabulary is described in vec.h.
#ifndef EDGECNN_SIMD_VEC_AVX2_H_
#define EDGECNN_SIMD_VEC_AVX2_H_

#include <immintrin.h>

#include <cstdint>

#define EC_INLINE inline __attribute__((always_inline))

namespace edgecnn {
namespace EC_ISA {

constexpr int kLanes = 8;

struct Vec {
  __m256 v;
};
struct VecI {
  __m256i v;
};
struct Mask {
  __m256 m;
};

EC_INLINE __m256i first_lanes(int n) {
  const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), index);
}

EC_INLINE Vec broadcast(float x) { return {_mm256_set1_ps(x)}; }
EC_INLINE Vec load(const float* p) { return {_mm256_loadu_ps(p)}; }
EC_INLINE Vec load_partial(const float* p, int n) { return {_mm256_maskload_ps(p, first_lanes(n))}; }
EC_INLINE void store(float* p, Vec a) { _mm256_storeu_ps(p, a.v); }
EC_INLINE void store_partial(float* p, Vec a, int n) { _mm256_maskstore_ps(p, first_lanes(n), a.v); }

EC_INLINE Vec add(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
EC_INLINE Vec sub(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
EC_INLINE Vec mul(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
EC_INLINE Vec div(Vec a, Vec b) { return {_mm256_div_ps(a.v, b.v)}; }
EC_INLINE Vec fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
EC_INLINE Vec max(Vec a, Vec b) { return {_mm256_max_ps(a.v, b.v)}; }
EC_INLINE Vec min(Vec a, Vec b) { return {_mm256_min_ps(a.v, b.v)}; }
EC_INLINE Vec neg(Vec a) { return {_mm256_xor_ps(a.v, _mm256_set1_ps(-0.0f))}; }
EC_INLINE Vec abs(Vec a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)}; }
EC_INLINE Vec copysign(Vec magnitude, Vec sign) {
  const __m256 bit = _mm256_set1_ps(-0.0f);
  return {_mm256_or_ps(_mm256_andnot_ps(bit, magnitude.v), _mm256_and_ps(bit, sign.v))};
}
EC_INLINE Vec sqrt(Vec a) { return {_mm256_sqrt_ps(a.v)}; }
EC_INLINE Vec round(Vec a) { return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
EC_INLINE Vec floor(Vec a) { return {_mm256_floor_ps(a.v)}; }
EC_INLINE Vec ceil(Vec a) { return {_mm256_ceil_ps(a.v)}; }

EC_INLINE Mask lt(Vec a, Vec b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)}; }
EC_INLINE Mask le(Vec a, Vec b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ)}; }
EC_INLINE Mask eq(Vec a, Vec b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ)}; }
EC_INLINE Mask is_nan(Vec a) { return {_mm256_cmp_ps(a.v, a.v, _CMP_UNORD_Q)}; }
EC_INLINE Vec select(Mask m, Vec a, Vec b) { return {_mm256_blendv_ps(b.v, a.v, m.m)}; }

EC_INLINE VecI broadcast_int(int32_t x) { return {_mm256_set1_epi32(x)}; }
EC_INLINE VecI bits(Vec a) { return {_mm256_castps_si256(a.v)}; }
EC_INLINE Vec from_bits(VecI a) { return {_mm256_castsi256_ps(a.v)}; }
EC_INLINE Vec to_float(VecI a) { return {_mm256_cvtepi32_ps(a.v)}; }
EC_INLINE VecI iadd(VecI a, VecI b) { return {_mm256_add_epi32(a.v, b.v)}; }
EC_INLINE VecI isub(VecI a, VecI b) { return {_mm256_sub_epi32(a.v, b.v)}; }
EC_INLINE VecI iand(VecI a, VecI b) { return {_mm256_and_si256(a.v, b.v)}; }
template <int kBits>
EC_INLINE VecI shift_left(VecI a) {
  return {_mm256_slli_epi32(a.v, kBits)};
}
template <int kBits>
EC_INLINE VecI shift_right(VecI a) {
  return {_mm256_srai_epi32(a.v, kBits)};
}

EC_INLINE float reduce_add(Vec a) {
  __m128 x = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  x = _mm_add_ps(x, _mm_movehl_ps(x, x));
  return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}
EC_INLINE float reduce_max(Vec a) {
  __m128 x = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  x = _mm_max_ps(x, _mm_movehl_ps(x, x));
  return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
}

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_SIMD_VEC_AVX2_H_

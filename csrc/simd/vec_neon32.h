// Vec for Advanced SIMD of 32-bit ARM (ARMv7-A with VFPv4: Cortex-A7, A15, and ARMv8 in 32-bit mode). The
// vocabulary is described in vec.h. These units flush subnormal numbers to zero.
#ifndef EDGECNN_SIMD_VEC_NEON32_H_
#define EDGECNN_SIMD_VEC_NEON32_H_

#include <arm_neon.h>

#include <cstdint>

#define EC_INLINE inline __attribute__((always_inline))
// max and min return a NaN in either operand.
#define EC_MAX_PROPAGATES_NAN 1

namespace edgecnn {
namespace EC_ISA {

constexpr int kLanes = 4;
// Twelve accumulators, two of B and one broadcast in sixteen registers.
#define EC_TILE_ROWS 6

struct Vec {
  float32x4_t v;
};
struct VecI {
  int32x4_t v;
};
struct Mask {
  uint32x4_t m;
};

EC_INLINE Vec broadcast(float x) { return {vdupq_n_f32(x)}; }
EC_INLINE Vec load(const float* p) { return {vld1q_f32(p)}; }
EC_INLINE Vec load_partial(const float* p, int n) {
  float32x4_t v = vdupq_n_f32(0.0f);
  if (n > 0) v = vld1q_lane_f32(p, v, 0);
  if (n > 1) v = vld1q_lane_f32(p + 1, v, 1);
  if (n > 2) v = vld1q_lane_f32(p + 2, v, 2);
  if (n > 3) v = vld1q_lane_f32(p + 3, v, 3);
  return {v};
}
EC_INLINE void store(float* p, Vec a) { vst1q_f32(p, a.v); }
EC_INLINE void store_partial(float* p, Vec a, int n) {
  if (n > 0) vst1q_lane_f32(p, a.v, 0);
  if (n > 1) vst1q_lane_f32(p + 1, a.v, 1);
  if (n > 2) vst1q_lane_f32(p + 2, a.v, 2);
  if (n > 3) vst1q_lane_f32(p + 3, a.v, 3);
}

EC_INLINE Vec add(Vec a, Vec b) { return {vaddq_f32(a.v, b.v)}; }
EC_INLINE Vec sub(Vec a, Vec b) { return {vsubq_f32(a.v, b.v)}; }
EC_INLINE Vec mul(Vec a, Vec b) { return {vmulq_f32(a.v, b.v)}; }
// By the scalar unit, lane by lane: vectors have only approximations.
EC_INLINE Vec div(Vec a, Vec b) { return {a.v / b.v}; }
EC_INLINE Vec fma(Vec a, Vec b, Vec c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
EC_INLINE Vec max(Vec a, Vec b) { return {vmaxq_f32(a.v, b.v)}; }
EC_INLINE Vec min(Vec a, Vec b) { return {vminq_f32(a.v, b.v)}; }
EC_INLINE Vec neg(Vec a) { return {vnegq_f32(a.v)}; }
EC_INLINE Vec abs(Vec a) { return {vabsq_f32(a.v)}; }
EC_INLINE Vec copysign(Vec magnitude, Vec sign) {
  return {vbslq_f32(vdupq_n_u32(0x80000000u), sign.v, magnitude.v)};
}
EC_INLINE Vec sqrt(Vec a) {
  float x[4];
  vst1q_f32(x, a.v);
  for (float& lane : x) asm("vsqrt.f32 %0, %1" : "=t"(lane) : "t"(lane));
  return {vld1q_f32(x)};
}
// Adding 2^23 leaves no room for a fraction; larger numbers have none, and NaN compares as if it were one.
EC_INLINE Vec round(Vec a) {
  const float32x4_t large = vdupq_n_f32(8388608.0f), magnitude = vabsq_f32(a.v);
  const float32x4_t rounded = vsubq_f32(vaddq_f32(magnitude, large), large);
  return {vbslq_f32(vcltq_f32(magnitude, large), copysign({rounded}, a).v, a.v)};
}
EC_INLINE Vec floor(Vec a) {
  const float32x4_t near = round(a).v;
  return copysign({vbslq_f32(vcgtq_f32(near, a.v), vsubq_f32(near, vdupq_n_f32(1.0f)), near)}, a);
}
EC_INLINE Vec ceil(Vec a) {
  const float32x4_t near = round(a).v;
  return copysign({vbslq_f32(vcltq_f32(near, a.v), vaddq_f32(near, vdupq_n_f32(1.0f)), near)}, a);
}

EC_INLINE Mask lt(Vec a, Vec b) { return {vcltq_f32(a.v, b.v)}; }
EC_INLINE Mask le(Vec a, Vec b) { return {vcleq_f32(a.v, b.v)}; }
EC_INLINE Mask eq(Vec a, Vec b) { return {vceqq_f32(a.v, b.v)}; }
EC_INLINE Mask is_nan(Vec a) { return {vmvnq_u32(vceqq_f32(a.v, a.v))}; }
EC_INLINE Vec select(Mask m, Vec a, Vec b) { return {vbslq_f32(m.m, a.v, b.v)}; }

EC_INLINE VecI broadcast_int(int32_t x) { return {vdupq_n_s32(x)}; }
EC_INLINE VecI bits(Vec a) { return {vreinterpretq_s32_f32(a.v)}; }
EC_INLINE Vec from_bits(VecI a) { return {vreinterpretq_f32_s32(a.v)}; }
EC_INLINE Vec to_float(VecI a) { return {vcvtq_f32_s32(a.v)}; }
EC_INLINE VecI iadd(VecI a, VecI b) { return {vaddq_s32(a.v, b.v)}; }
EC_INLINE VecI isub(VecI a, VecI b) { return {vsubq_s32(a.v, b.v)}; }
EC_INLINE VecI iand(VecI a, VecI b) { return {vandq_s32(a.v, b.v)}; }
template <int kBits>
EC_INLINE VecI shift_left(VecI a) {
  return {vshlq_n_s32(a.v, kBits)};
}
template <int kBits>
EC_INLINE VecI shift_right(VecI a) {
  return {vshrq_n_s32(a.v, kBits)};
}

EC_INLINE float reduce_add(Vec a) {
  const float32x2_t pairs = vpadd_f32(vget_low_f32(a.v), vget_high_f32(a.v));
  return vget_lane_f32(vpadd_f32(pairs, pairs), 0);
}
EC_INLINE float reduce_max(Vec a) {
  const float32x2_t pairs = vpmax_f32(vget_low_f32(a.v), vget_high_f32(a.v));
  return vget_lane_f32(vpmax_f32(pairs, pairs), 0);
}

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_SIMD_VEC_NEON32_H_

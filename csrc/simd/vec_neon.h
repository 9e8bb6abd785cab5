// Vec for ARMv8-A Advanced SIMD. The vocabulary is described in vec.h.
#ifndef EDGECNN_SIMD_VEC_NEON_H_
#define EDGECNN_SIMD_VEC_NEON_H_

#include <arm_neon.h>

#include <cstdint>

#define EC_INLINE inline __attribute__((always_inline))
// This instruction set multiplies by one lane of a register (fma_lane_in_order), which saves the broadcasts
// of a GEMM.
#define EC_HAS_FMA_LANE 1
// max and min return a NaN in either operand.
#define EC_MAX_PROPAGATES_NAN 1
// A load can deal its floats to 2 to 4 vectors in turn (load_dealt).
#define EC_HAS_LOAD_DEALT 1

namespace edgecnn {
namespace EC_ISA {

constexpr int kLanes = 4;

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
// Three vectors, in one instruction.
EC_INLINE void load_side_by_side(const float* p, Vec (&v)[3]) {
  const float32x4x3_t x = vld1q_f32_x3(p);
  v[0] = {x.val[0]}, v[1] = {x.val[1]}, v[2] = {x.val[2]};
}
EC_INLINE void load_dealt(const float* p, Vec (&v)[2]) {
  const float32x4x2_t x = vld2q_f32(p);
  v[0] = {x.val[0]}, v[1] = {x.val[1]};
}
EC_INLINE void load_dealt(const float* p, Vec (&v)[3]) {
  const float32x4x3_t x = vld3q_f32(p);
  v[0] = {x.val[0]}, v[1] = {x.val[1]}, v[2] = {x.val[2]};
}
EC_INLINE void load_dealt(const float* p, Vec (&v)[4]) {
  const float32x4x4_t x = vld4q_f32(p);
  v[0] = {x.val[0]}, v[1] = {x.val[1]}, v[2] = {x.val[2]}, v[3] = {x.val[3]};
}
EC_INLINE void store(float* p, Vec a) { vst1q_f32(p, a.v); }
// Four vectors side by side, in one instruction.
EC_INLINE void store4(float* p, Vec a, Vec b, Vec c, Vec d) { vst1q_f32_x4(p, {{a.v, b.v, c.v, d.v}}); }
EC_INLINE void store_partial(float* p, Vec a, int n) {
  if (n > 0) vst1q_lane_f32(p, a.v, 0);
  if (n > 1) vst1q_lane_f32(p + 1, a.v, 1);
  if (n > 2) vst1q_lane_f32(p + 2, a.v, 2);
  if (n > 3) vst1q_lane_f32(p + 3, a.v, 3);
}

EC_INLINE Vec add(Vec a, Vec b) { return {vaddq_f32(a.v, b.v)}; }
EC_INLINE Vec sub(Vec a, Vec b) { return {vsubq_f32(a.v, b.v)}; }
EC_INLINE Vec mul(Vec a, Vec b) { return {vmulq_f32(a.v, b.v)}; }
EC_INLINE Vec div(Vec a, Vec b) { return {vdivq_f32(a.v, b.v)}; }
EC_INLINE Vec fma(Vec a, Vec b, Vec c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
// A load and c += a[lane] * b that the compiler keeps in the order in which they are written. GCC 12 would
// spread the loads over the products of a GEMM and copy accumulators: a quarter more cycles on the Cortex-A53
// of the cycle model.
template <int kOffset>
EC_INLINE Vec load_in_order(const float* p) {
  Vec a;
  asm volatile("ldr %q0, [%1, %2]" : "=w"(a.v) : "r"(p), "i"(4 * kOffset) : "memory");
  return a;
}
EC_INLINE Vec load_in_order(const float* p, int64_t offset) {
  Vec a;
  asm volatile("ldr %q0, [%1, %2]" : "=w"(a.v) : "r"(p), "r"(4 * offset) : "memory");
  return a;
}
template <int kLane>
EC_INLINE void fma_lane_in_order(Vec a, Vec b, Vec* c) {
  asm volatile("fmla %0.4s, %1.4s, %2.s[%3]" : "+w"(c->v) : "w"(b.v), "w"(a.v), "i"(kLane));
}
template <int kLane>
EC_INLINE void mul_lane_in_order(Vec a, Vec b, Vec* c) {
  asm volatile("fmul %0.4s, %1.4s, %2.s[%3]" : "=w"(c->v) : "w"(b.v), "w"(a.v), "i"(kLane));
}
EC_INLINE Vec max(Vec a, Vec b) { return {vmaxq_f32(a.v, b.v)}; }
EC_INLINE Vec min(Vec a, Vec b) { return {vminq_f32(a.v, b.v)}; }
EC_INLINE Vec neg(Vec a) { return {vnegq_f32(a.v)}; }
EC_INLINE Vec abs(Vec a) { return {vabsq_f32(a.v)}; }
EC_INLINE Vec copysign(Vec magnitude, Vec sign) {
  return {vbslq_f32(vdupq_n_u32(0x80000000u), sign.v, magnitude.v)};
}
EC_INLINE Vec sqrt(Vec a) { return {vsqrtq_f32(a.v)}; }
EC_INLINE Vec round(Vec a) { return {vrndnq_f32(a.v)}; }
EC_INLINE Vec floor(Vec a) { return {vrndmq_f32(a.v)}; }
EC_INLINE Vec ceil(Vec a) { return {vrndpq_f32(a.v)}; }

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

EC_INLINE float reduce_add(Vec a) { return vaddvq_f32(a.v); }
EC_INLINE float reduce_max(Vec a) { return vmaxvq_f32(a.v); }

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_SIMD_VEC_NEON_H_

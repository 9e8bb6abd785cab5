// Vec for any GCC or Clang target: four floats in the compiler's own vector type, which becomes whatever the
// base instruction set has (SSE2 on x86-64, plain scalars elsewhere). The vocabulary is described in vec.h.
#ifndef EDGECNN_SIMD_VEC_SCALAR_H_
#define EDGECNN_SIMD_VEC_SCALAR_H_

#include <cstdint>
#include <cstring>

#define EC_INLINE inline __attribute__((always_inline))

namespace edgecnn {
namespace EC_ISA {

constexpr int kLanes = 4;

typedef float Float4 __attribute__((vector_size(16)));
typedef int32_t Int4 __attribute__((vector_size(16)));

struct Vec {
  Float4 v;
};
struct VecI {
  Int4 v;
};
struct Mask {
  Int4 m;
};

EC_INLINE Vec broadcast(float x) { return {Float4{x, x, x, x}}; }
EC_INLINE Vec load(const float* p) {
  Vec a;
  std::memcpy(&a.v, p, sizeof(a.v));
  return a;
}
EC_INLINE Vec load_partial(const float* p, int n) {
  Float4 v = {0.0f, 0.0f, 0.0f, 0.0f};
  for (int i = 0; i < n; ++i) v[i] = p[i];
  return {v};
}
EC_INLINE void store(float* p, Vec a) { std::memcpy(p, &a.v, sizeof(a.v)); }
EC_INLINE void store_partial(float* p, Vec a, int n) {
  for (int i = 0; i < n; ++i) p[i] = a.v[i];
}

EC_INLINE VecI bits(Vec a) { return {reinterpret_cast<Int4>(a.v)}; }
EC_INLINE Vec from_bits(VecI a) { return {reinterpret_cast<Float4>(a.v)}; }
EC_INLINE VecI broadcast_int(int32_t x) { return {Int4{x, x, x, x}}; }
EC_INLINE Vec select(Mask m, Vec a, Vec b) { return from_bits({(m.m & bits(a).v) | (~m.m & bits(b).v)}); }

EC_INLINE Mask lt(Vec a, Vec b) { return {a.v < b.v}; }
EC_INLINE Mask le(Vec a, Vec b) { return {a.v <= b.v}; }
EC_INLINE Mask eq(Vec a, Vec b) { return {a.v == b.v}; }
EC_INLINE Mask is_nan(Vec a) { return {a.v != a.v}; }

EC_INLINE Vec add(Vec a, Vec b) { return {a.v + b.v}; }
EC_INLINE Vec sub(Vec a, Vec b) { return {a.v - b.v}; }
EC_INLINE Vec mul(Vec a, Vec b) { return {a.v * b.v}; }
EC_INLINE Vec div(Vec a, Vec b) { return {a.v / b.v}; }
EC_INLINE Vec fma(Vec a, Vec b, Vec c) { return {a.v * b.v + c.v}; }
EC_INLINE Vec max(Vec a, Vec b) { return select(lt(b, a), a, b); }
EC_INLINE Vec min(Vec a, Vec b) { return select(lt(a, b), a, b); }
EC_INLINE Vec neg(Vec a) { return {-a.v}; }
EC_INLINE Vec abs(Vec a) { return from_bits({bits(a).v & 0x7fffffff}); }
EC_INLINE Vec copysign(Vec magnitude, Vec sign) {
  return from_bits({(bits(magnitude).v & 0x7fffffff) | (bits(sign).v & INT32_MIN)});
}
EC_INLINE Vec sqrt(Vec a) {
  for (int i = 0; i < kLanes; ++i) a.v[i] = __builtin_sqrtf(a.v[i]);
  return a;
}
EC_INLINE Vec round(Vec a) {
  for (int i = 0; i < kLanes; ++i) a.v[i] = __builtin_rintf(a.v[i]);
  return a;
}
EC_INLINE Vec floor(Vec a) {
  for (int i = 0; i < kLanes; ++i) a.v[i] = __builtin_floorf(a.v[i]);
  return a;
}
EC_INLINE Vec ceil(Vec a) {
  for (int i = 0; i < kLanes; ++i) a.v[i] = __builtin_ceilf(a.v[i]);
  return a;
}

EC_INLINE Vec to_float(VecI a) {
  Vec f;
  for (int i = 0; i < kLanes; ++i) f.v[i] = static_cast<float>(a.v[i]);
  return f;
}
// Sums wrap around, as they do in the other instruction sets (a NaN on its way through exp makes them
// overflow).
typedef uint32_t UInt4 __attribute__((vector_size(16)));
EC_INLINE VecI iadd(VecI a, VecI b) { return {(Int4)((UInt4)a.v + (UInt4)b.v)}; }
EC_INLINE VecI isub(VecI a, VecI b) { return {(Int4)((UInt4)a.v - (UInt4)b.v)}; }
EC_INLINE VecI iand(VecI a, VecI b) { return {a.v & b.v}; }
template <int kBits>
EC_INLINE VecI shift_left(VecI a) {
  return {(Int4)((UInt4)a.v << kBits)};
}
template <int kBits>
EC_INLINE VecI shift_right(VecI a) {
  return {a.v >> kBits};
}

EC_INLINE float reduce_add(Vec a) { return (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]); }
EC_INLINE float reduce_max(Vec a) {
  const float x = a.v[0] > a.v[2] ? a.v[0] : a.v[2], y = a.v[1] > a.v[3] ? a.v[1] : a.v[3];
  return x > y ? x : y;
}

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_SIMD_VEC_SCALAR_H_

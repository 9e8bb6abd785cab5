// Four int32 sums, one per channel of a pixel, and the one operation that filtering a row needs: four taps
// added at once. In the base instruction set of each architecture (SSE2, NEON), with the same bits
// everywhere.
#ifndef EDGECNN_VISION_QUAD_H_
#define EDGECNN_VISION_QUAD_H_

#include <cstddef>
#include <cstdint>

#if defined(__aarch64__)
#include <arm_neon.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace edgecnn::vision {

#if defined(__aarch64__)

struct Quad {
  int32x4_t sum = vdupq_n_s32(0);

  // sum[c] += w[0] * p[c] + w[1] * p[stride + c] + w[2] * p[2 * stride + c] + w[3] * p[3 * stride + c]
  void add_taps(const int16_t* p, ptrdiff_t stride, const int16_t* w) {
    const int16x4_t weights = vld1_s16(w);
    sum = vmlal_lane_s16(sum, vld1_s16(p), weights, 0);
    sum = vmlal_lane_s16(sum, vld1_s16(p + stride), weights, 1);
    sum = vmlal_lane_s16(sum, vld1_s16(p + 2 * stride), weights, 2);
    sum = vmlal_lane_s16(sum, vld1_s16(p + 3 * stride), weights, 3);
  }
  void store(int32_t* out) const { vst1q_s32(out, sum); }
};

#elif defined(__SSE2__)

struct Quad {
  __m128i sum = _mm_setzero_si128();

  void add_taps(const int16_t* p, ptrdiff_t stride, const int16_t* w) {
    const __m128i weights = load(w);
    const __m128i first = _mm_unpacklo_epi16(load(p), load(p + stride));
    const __m128i second = _mm_unpacklo_epi16(load(p + 2 * stride), load(p + 3 * stride));
    sum = _mm_add_epi32(sum, _mm_madd_epi16(first, _mm_shuffle_epi32(weights, 0x00)));
    sum = _mm_add_epi32(sum, _mm_madd_epi16(second, _mm_shuffle_epi32(weights, 0x55)));
  }
  void store(int32_t* out) const { _mm_storeu_si128(reinterpret_cast<__m128i*>(out), sum); }

 private:
  static __m128i load(const int16_t* four) { return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(four)); }
};

#else

struct Quad {
  int32_t sum[4] = {};

  void add_taps(const int16_t* p, ptrdiff_t stride, const int16_t* w) {
    for (int k = 0; k < 4; ++k) {
      for (int c = 0; c < 4; ++c) sum[c] += w[k] * p[k * stride + c];
    }
  }
  void store(int32_t* out) const {
    for (int c = 0; c < 4; ++c) out[c] = sum[c];
  }
};

#endif

}  // namespace edgecnn::vision

#endif  // EDGECNN_VISION_QUAD_H_

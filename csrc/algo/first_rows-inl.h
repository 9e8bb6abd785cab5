// Rows of pictures of few channels, NHWC or NCHW, as the kernels of first layers want them: channel by
// channel, padded with zeros, and cut by a stride.
#ifndef EDGECNN_ALGO_FIRST_ROWS_INL_H_
#define EDGECNN_ALGO_FIRST_ROWS_INL_H_

#include "algo/rows-inl.h"
#include "algo/step.h"
#include "simd/vec.h"

namespace edgecnn {
namespace EC_ISA {

// y[r][i] = x[i * N + r]
template <int N>
__attribute__((noinline)) void deal(const float* __restrict x, int64_t n, float* __restrict a,
                                    float* __restrict b, float* __restrict c, float* __restrict d) {
  int64_t i = 0;
#ifdef EC_HAS_LOAD_DEALT
  const auto deal_vectors = [&](int64_t at) {
    Vec v[N];
    load_dealt(x + at * N, v);
    store(a + at, v[0]);
    if constexpr (N > 1) store(b + at, v[1]);
    if constexpr (N > 2) store(c + at, v[2]);
    if constexpr (N > 3) store(d + at, v[3]);
  };
  for (; i + kLanes <= n; i += kLanes) deal_vectors(i);
  if (i > 0) {
    if (i < n) deal_vectors(n - kLanes);
    return;
  }
#endif
  for (; i < n; ++i) {
    a[i] = x[i * N];
    if constexpr (N > 1) b[i] = x[i * N + 1];
    if constexpr (N > 2) c[i] = x[i * N + 2];
    if constexpr (N > 3) d[i] = x[i * N + 3];
  }
}
// The same for 1 <= count <= 4 rows, `step` apart.
inline void deal(int count, const float* x, int64_t n, float* y, int64_t step) {
  switch (count) {
    case 1:
      return copy_floats(y, x, n);
    case 2:
      return deal<2>(x, n, y, y + step, nullptr, nullptr);
    case 3:
      return deal<3>(x, n, y, y + step, y + 2 * step, nullptr);
    case 4:
      return deal<4>(x, n, y, y + step, y + 2 * step, y + 3 * step);
  }
}

// Row y of picture n, channel by channel: each `channel` floats, with zeros beside the picture.
template <class Params>
void pad_row(const Params& p, const float* in, int64_t n, int64_t y, int64_t channel, float* to) {
  const int64_t left = smaller<int64_t>(p.pad_left, channel);
  const int64_t count = smaller<int64_t>(p.in_w, channel - left), right = left + count;
  for (int c = 0; c < p.in_c; ++c) {
    float* row = to + c * channel;
    fill_floats(row, left, 0.0f);
    fill_floats(row + right, channel - right, 0.0f);
  }
  if (p.planar) {
    for (int c = 0; c < p.in_c; ++c) {
      copy_floats(to + c * channel + left, in + ((n * p.in_c + c) * p.in_h + y) * p.in_w, count);
    }
    return;
  }
  const float* x = in + (n * p.in_h + y) * p.in_w * p.in_stride;
  if (p.in_stride == p.in_c) return deal(p.in_c, x, count, to + left, channel);
  for (int64_t i = 0; i < count; ++i) {
    for (int c = 0; c < p.in_c; ++c) to[c * channel + left + i] = x[i * p.in_stride + c];
  }
}

// The same, cut by the stride: of each channel strip by strip, `phase` floats each, of which `used`
// matter. `padded` has room for a row.
template <class Params>
void cut_row(const Params& p, const float* in, int64_t n, int64_t y, int64_t phase, int64_t used,
             float* padded, float* to) {
  const int64_t stride = p.stride_w, channel = phase * stride;
  if (stride == 1) return pad_row(p, in, n, y, channel, to);
  if (!p.planar) {
    pad_row(p, in, n, y, channel, padded);
    for (int c = 0; c < p.in_c; ++c) deal(p.stride_w, padded + c * channel, phase, to + c * channel, phase);
    return;
  }
  // Floats [first, last) of all strips lie inside the picture.
  const int64_t left = p.pad_left, width = p.in_w;
  const int64_t first = smaller(used, ceil_div(left, stride));
  const int64_t last = larger(first, smaller(used, (left + width) / stride));
  for (int c = 0; c < p.in_c; ++c, to += channel) {
    const float* x = in + ((n * p.in_c + c) * p.in_h + y) * width;
    deal(p.stride_w, x + first * stride - left, last - first, to + first, phase);
    for (int64_t i = first > 0 ? 0 : last; i < used; i = i + 1 == first ? last : i + 1) {
      for (int64_t r = 0; r < stride; ++r) {
        const int64_t at = i * stride + r - left;
        float v = 0.0f;
        if (static_cast<uint64_t>(at) < static_cast<uint64_t>(width)) v = x[at];
        to[r * phase + i] = v;
      }
    }
  }
}

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_FIRST_ROWS_INL_H_

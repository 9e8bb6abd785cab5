// The windows of pooling: which cells of a window lie inside the picture, and the walk over output pixels
// that MaxPool and AvgPool share.
#ifndef EDGECNN_ALGO_WINDOW_INL_H_
#define EDGECNN_ALGO_WINDOW_INL_H_

#include "algo/rows-inl.h"

namespace edgecnn {
namespace EC_ISA {

// Of `kernel` cells at start, start + dilation, ..., the range [first, last) at positions in [low, high).
struct TapRange {
  int64_t first, last;
  EC_INLINE TapRange(int64_t start, int64_t kernel, int64_t dilation, int64_t low, int64_t high)
      : first(start >= low ? 0 : ceil_div(low - start, dilation)),
        last(start + (kernel - 1) * dilation < high ? kernel
             : start < high                         ? ceil_div(high - start, dilation)
                                                    : 0) {
    first = smaller(first, last);
  }
  EC_INLINE int64_t size() const { return last - first; }
};

// The cells of one window that lie inside the picture: rows x columns of them from `x` on, with their
// distances.
struct Window {
  const float* x;
  int64_t rows, columns;
  int64_t row_step, column_step;
};

// visit(window, output pixel, oy, ox) for every pixel of output rows [first, last), counted over the batch.
template <class P, class Visit>
EC_INLINE void for_windows(const P& p, const float* x, float* y, int64_t first, int64_t last, Visit visit) {
  const int64_t row_elements = int64_t{p.in_w} * p.in_stride;
  Window window;
  window.row_step = p.dilation_h * row_elements;
  window.column_step = int64_t{p.dilation_w} * p.in_stride;
  for (int64_t row = first; row < last; ++row) {
    const int64_t oy = row % p.out_h;
    const int64_t top = oy * p.stride_h - p.pad_top;
    const TapRange down(top, p.kernel_h, p.dilation_h, 0, p.in_h);
    const float* image = x + row / p.out_h * p.in_h * row_elements;
    const float* from = image + (top + down.first * p.dilation_h) * row_elements;
    float* to = y + row * p.out_w * p.out_stride;
    window.rows = down.size();
    for (int64_t ox = 0; ox < p.out_w; ++ox, to += p.out_stride) {
      const int64_t left = ox * p.stride_w - p.pad_left;
      const TapRange across(left, p.kernel_w, p.dilation_w, 0, p.in_w);
      window.columns = across.size();
      window.x = from + (left + across.first * p.dilation_w) * p.in_stride;
      visit(window, to, oy, ox);
    }
  }
}

// body(vectors, c, lanes) over the channels: several whole vectors at a time, then single ones, the last
// partial. `vectors` is a constant: an object of type Count<n>.
template <int kCount>
struct Count {
  static constexpr int value = kCount;
};
template <class Body>
EC_INLINE void for_channels(int64_t channels, Body body) {
  int64_t c = 0;
  for (; c + 4 * kLanes <= channels; c += 4 * kLanes) body(Count<4>{}, c, kLanes);
  for (; c + kLanes <= channels; c += kLanes) body(Count<1>{}, c, kLanes);
  if (c < channels) body(Count<1>{}, c, static_cast<int>(channels - c));
}

EC_INLINE Vec load_lanes(const float* x, int lanes) {
  return lanes == kLanes ? load(x) : load_partial(x, lanes);
}
EC_INLINE void store_lanes(float* y, Vec v, int lanes) {
  if (lanes == kLanes) {
    store(y, v);
  } else {
    store_partial(y, v, lanes);
  }
}

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_WINDOW_INL_H_

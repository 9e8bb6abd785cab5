// One row times many panels: a fully connected layer. Each weight is used once, so that memory sets the pace:
// several panels are read side by side, which gives it streams to run ahead in, and the sums enough
// independent chains to hide the latency of fma.
//
//             b: panel 0        panel 1
//               +-------+
//    x[k] --->  | 2 vec |       +-------+
//               +-------+       | 2 vec |  <--- x[k - kRowSkew]     k goes down both together
//                               +-------+
//
// Each panel is some k behind the one before: at distances of a power of two they would push each other out
// of the small caches of boards.
//
// The chains are those of compute_tile, and so are the results, bit for bit.
#ifndef EDGECNN_GEMM_ROW_INL_H_
#define EDGECNN_GEMM_ROW_INL_H_

#include "gemm/igemm-inl.h"
#include "gemm/packed-inl.h"

namespace edgecnn {
namespace EC_ISA {

constexpr int kRowPanels = kLanes >= 8 ? 2 : 3;

// More lines than the hardware runs ahead, and too few to reach the place of another panel: most layers have
// a multiple of 64 inputs.
constexpr int kRowSkew = 16;

// How far ahead of its use a panel is asked for.
constexpr int kRowAhead = 4096 / sizeof(float);

constexpr int kRowVecs = kRowPanels * kPanelVecs;

// `count` steps of panels [kFirst, kLast); `x` and `b` are where panel 0 is, the others are `next` further.
template <int kFirst, int kLast>
EC_INLINE void go_down(const float* x, const float* b, ptrdiff_t next, ptrdiff_t count,
                       Vec (&sums)[kRowVecs]) {
#pragma GCC unroll 1
  for (; count > 0; --count, ++x, b += kPanelWidth) {
#pragma GCC unroll 4
    for (int n = kFirst; n < kLast; ++n) {
      const Vec av = broadcast(x[-n * kRowSkew]);
      const float* row = b + n * next;
#pragma GCC unroll 4
      for (int j = 0; j < kPanelWidth; j += kLineFloats) __builtin_prefetch(row + kRowAhead + j);
#pragma GCC unroll 2
      for (int j = 0; j < kPanelVecs; ++j) {
        Vec& sum = sums[n * kPanelVecs + j];
        sum = fma(av, load(row + j * kLanes), sum);
      }
    }
  }
}

// kRowPanels whole panels, of which the tile describes the first.
__attribute__((noinline)) inline void compute_row(Tile* t) {
  static_assert(kRowPanels == 2 || kRowPanels == 3,
                "the beginning and the end have a part for each panel but one");
  constexpr int kLast = kRowPanels - 1;
  constexpr ptrdiff_t kSkewed = ptrdiff_t{kRowSkew} * kPanelWidth;
  const ptrdiff_t k = t->run_length, next = k * kPanelWidth - kSkewed;
  Vec sums[kRowVecs];
#pragma GCC unroll 8
  for (int j = 0; j < kRowVecs; ++j) sums[j] = load(t->start + j * kLanes);
  const float* x = t->a[0];
  const float* b = t->b;
  go_down<0, 1>(x, b, next, kRowSkew, sums);
  if constexpr (kLast > 1) go_down<0, kLast>(x + kRowSkew, b + kSkewed, next, kRowSkew, sums);
  go_down<0, kRowPanels>(x + kLast * kRowSkew, b + kLast * kSkewed, next, k - kLast * kRowSkew, sums);
  x += k;
  b += k * kPanelWidth;
  if constexpr (kLast > 1) go_down<1, kRowPanels>(x, b, next, kRowSkew, sums);
  go_down<kLast, kRowPanels>(x + (kLast - 1) * kRowSkew, b + (kLast - 1) * kSkewed, next, kRowSkew, sums);
  float finished[kRowVecs * kLanes];
#pragma GCC unroll 8
  for (int j = 0; j < kRowVecs; ++j) store(finished + j * kLanes, sums[j]);
  t->columns = kPanelWidth;
  for (int n = 0; n < kRowPanels; ++n, advance_panels(k, 1, t)) {
    Vec acc[1][kPanelVecs];
#pragma GCC unroll 2
    for (int j = 0; j < kPanelVecs; ++j) acc[0][j] = load(finished + n * kPanelWidth + j * kLanes);
    finish(acc, *t);
  }
}

// The product of one row of pixels, a single run, with `columns` output channels, at most those of kRowPanels
// panels, from the panel on that the tile describes.
inline void multiply_row(int columns, Tile* t) {
  if (columns == kRowPanels * kPanelWidth && t->run_length >= kRowPanels * kRowSkew) {
    compute_row(t);
  } else {
    multiply_panels(1, columns, nullptr, t);
  }
}

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_GEMM_ROW_INL_H_

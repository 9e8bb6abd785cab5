// One row times many panels: a fully connected layer. Each weight is used once, so that memory sets the pace:
// two panels are read side by side, which gives it two streams to run ahead in, and the sums enough
// independent chains to hide the latency of fma. Four streams measured a quarter slower where the panels lie
// at distances of a power of two (4,096 inputs).
//
//             b: panel 0        panel 1
//               +-------+       +-------+
//    x[k] --->  | 2 vec |       | 2 vec |     k goes down both together
//               +-------+       +-------+
//
// The chains are those of compute_tile, and so are the results, bit for bit.
#ifndef EDGECNN_GEMM_ROW_INL_H_
#define EDGECNN_GEMM_ROW_INL_H_

#include "gemm/igemm-inl.h"

namespace edgecnn {
namespace EC_ISA {

// Panels at distances of a power of two push each other out of the small caches of boards, which take them
// one by one, as tiles.
constexpr int kRowPanels = kLanes >= 8 ? 2 : 1;

// How far ahead of its use a panel is asked for.
constexpr int kRowAhead = 4096 / sizeof(float);

// N whole panels, of which `t` describes the first; t.columns are those of all.
template <int N>
__attribute__((noinline)) void compute_row(const Tile& t) {
  constexpr int kVecs = N * kPanelVecs;
  const ptrdiff_t panel = ptrdiff_t{t.run_length} * kPanelWidth;
  Vec acc[1][kVecs];
#pragma GCC unroll 8
  for (int j = 0; j < kVecs; ++j) acc[0][j] = load(t.start + j * kLanes);
  const float* x = t.a[0];
  const float* b = t.b;
#pragma GCC unroll 1
  for (ptrdiff_t k = 0; k < t.run_length; ++k, b += kPanelWidth) {
    const Vec av = broadcast(x[k]);
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
      const float* row = b + n * panel;
#pragma GCC unroll 4
      for (int j = 0; j < kPanelWidth; j += kLineFloats) __builtin_prefetch(row + kRowAhead + j);
#pragma GCC unroll 2
      for (int j = 0; j < kPanelVecs; ++j) {
        Vec& sum = acc[0][n * kPanelVecs + j];
        sum = fma(av, load(row + j * kLanes), sum);
      }
    }
  }
  finish(acc, t);
}

// The kernel for 1 to kRowPanels whole panels.
inline TileFunction row_function(int panels) {
  static_assert(kRowPanels <= 2, "a case for each number of panels");
  return panels == 1 ? compute_row<1> : compute_row<2>;
}

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_GEMM_ROW_INL_H_

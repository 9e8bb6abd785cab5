// Maximum over windows of an NHWC picture, vectorised over channels. Cells outside of the picture do not take
// part; a window without any cell gives minus infinity. A NaN in a window is its maximum.
#ifndef EDGECNN_ALGO_MAX_POOL_INL_H_
#define EDGECNN_ALGO_MAX_POOL_INL_H_

#include "algo/step.h"
#include "algo/window-inl.h"

namespace edgecnn {
namespace EC_ISA {

struct MaxPoolStep {
  static int64_t row_elements(const MaxPoolParams& p) { return int64_t{p.out_w} * p.channels; }
  static int64_t rows(const MaxPoolParams& p) { return int64_t{p.batch} * p.out_h; }

  static int64_t items(const MaxPoolParams& p) { return row_items(rows(p), row_elements(p)); }

  static uint64_t scratch_bytes(const MaxPoolParams&) { return 0; }

  // A window of kRows x kColumns cells, or where these are 0 of as many as it has.
  template <int kRows, int kColumns>
  EC_INLINE static void window(const Window& w, float* y, int64_t channels) {
    const int64_t rows = kRows > 0 ? kRows : w.rows, columns = kColumns > 0 ? kColumns : w.columns;
    for_channels(channels, [&](auto vectors, int64_t c, int lanes) {
      constexpr int kVectors = decltype(vectors)::value;
      Vec best[kVectors];
      for (int v = 0; v < kVectors; ++v) best[v] = broadcast(-__builtin_inff());
#pragma GCC unroll 3
      for (int64_t ky = 0; ky < rows; ++ky) {
#pragma GCC unroll 3
        for (int64_t kx = 0; kx < columns; ++kx) {
          const float* x = w.x + ky * w.row_step + kx * w.column_step + c;
#pragma GCC unroll 4
          for (int v = 0; v < kVectors; ++v) {
            const Vec cell = load_lanes(x + v * kLanes, lanes);
            // Where the loops are unrolled, the first maximum, with minus infinity, is none.
            best[v] = kRows > 0 && ky == 0 && kx == 0 ? cell : max_nan(best[v], cell);
          }
        }
      }
      for (int v = 0; v < kVectors; ++v) store_lanes(y + c + v * kLanes, best[v], lanes);
    });
  }

  static void run(const MaxPoolParams& p, const StepArgs& args, int64_t begin, int64_t end) {
    const RowRange range(rows(p), row_elements(p), begin, end);
    for_windows(p, static_cast<const float*>(args.in[0]), static_cast<float*>(args.out[0]), range.first,
                range.last, [&](const Window& w, float* y, int64_t, int64_t) {
                  if (w.rows == 2 && w.columns == 2) {
                    window<2, 2>(w, y, p.channels);
                  } else if (w.rows == 3 && w.columns == 3) {
                    window<3, 3>(w, y, p.channels);
                  } else {
                    window<0, 0>(w, y, p.channels);
                  }
                });
  }
};

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_MAX_POOL_INL_H_

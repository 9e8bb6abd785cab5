// Mean over windows of an NHWC picture, vectorised over channels.
#ifndef EDGECNN_ALGO_AVG_POOL_INL_H_
#define EDGECNN_ALGO_AVG_POOL_INL_H_

#include "algo/step.h"
#include "algo/window-inl.h"

namespace edgecnn {
namespace EC_ISA {

struct AvgPoolStep {
  static int64_t row_elements(const AvgPoolParams& p) { return int64_t{p.out_w} * p.channels; }
  static int64_t rows(const AvgPoolParams& p) { return int64_t{p.batch} * p.out_h; }

  static int64_t items(const AvgPoolParams& p) { return row_items(rows(p), row_elements(p)); }

  static uint64_t scratch_bytes(const AvgPoolParams&) { return 0; }

  // Each row of the window is summed by itself, which keeps the rounding error of a global mean small.
  EC_INLINE static void window(const Window& w, float* y, int64_t channels, float cells) {
    for_channels(channels, [&](auto vectors, int64_t c, int lanes) {
      constexpr int kVectors = decltype(vectors)::value;
      Vec total[kVectors];
      for (int v = 0; v < kVectors; ++v) total[v] = broadcast(0.0f);
      for (int64_t ky = 0; ky < w.rows; ++ky) {
        Vec sum[kVectors];
        for (int v = 0; v < kVectors; ++v) sum[v] = broadcast(0.0f);
        for (int64_t kx = 0; kx < w.columns; ++kx) {
          const float* x = w.x + ky * w.row_step + kx * w.column_step + c;
          for (int v = 0; v < kVectors; ++v) sum[v] = add(sum[v], load_lanes(x + v * kLanes, lanes));
        }
        for (int v = 0; v < kVectors; ++v) total[v] = add(total[v], sum[v]);
      }
      for (int v = 0; v < kVectors; ++v)
        store_lanes(y + c + v * kLanes, div(total[v], broadcast(cells)), lanes);
    });
  }

  static void run(const AvgPoolParams& p, const StepArgs& args, int64_t begin, int64_t end) {
    const RowRange range(rows(p), row_elements(p), begin, end);
    for_windows(p, static_cast<const float*>(args.in[0]), static_cast<float*>(args.out[0]), range.first,
                range.last, [&](const Window& w, float* y, int64_t oy, int64_t ox) {
                  int64_t cells = w.rows * w.columns;
                  if (p.count_include_pad != 0) {
                    const TapRange down(oy * p.stride_h - p.pad_top, p.kernel_h, p.dilation_h,
                                        -int64_t{p.pad_top}, int64_t{p.in_h} + p.pad_bottom);
                    const TapRange across(ox * p.stride_w - p.pad_left, p.kernel_w, p.dilation_w,
                                          -int64_t{p.pad_left}, int64_t{p.in_w} + p.pad_right);
                    cells = down.size() * across.size();
                  }
                  window(w, y, p.channels, static_cast<float>(cells));
                });
  }
};

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_AVG_POOL_INL_H_

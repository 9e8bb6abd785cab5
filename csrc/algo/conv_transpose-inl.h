// Transposed convolution as a matrix product per phase.
//
// Tap h reaches output row y where (y + pad_top - h * dilation_h) is a multiple of the stride, so the output
// pixels of one row whose columns agree modulo stride_w (a phase) take the same few taps, and form a
// convolution with those.
#ifndef EDGECNN_ALGO_CONV_TRANSPOSE_INL_H_
#define EDGECNN_ALGO_CONV_TRANSPOSE_INL_H_

#include "gemm/igemm-inl.h"

namespace edgecnn {
namespace EC_ISA {

struct ConvTransposeStep {
  struct Scratch {
    float* zeros;
    Run* runs;            // taps of the phase
    const float** table;  // [taps][kTileRows]
    uint64_t bytes;
  };

  static Scratch layout(const ConvTransposeParams& p, void* scratch) {
    const uint64_t taps = static_cast<uint64_t>(p.kernel_h) * p.kernel_w;
    const uint64_t zeros = round_up((int64_t{p.in_c} + kLanes) * sizeof(float), kAlignment);
    const uint64_t runs = round_up(taps * sizeof(Run), kAlignment);
    char* base = static_cast<char*>(scratch);
    return {reinterpret_cast<float*>(base), reinterpret_cast<Run*>(base + zeros),
            reinterpret_cast<const float**>(base + zeros + runs),
            zeros + runs + taps * kTileRows * sizeof(float*)};
  }

  // Panels of the weights by rows of the output.
  static int64_t items(const ConvTransposeParams& p) {
    return int64_t{p.batch} * p.out_h * Panels::groups_to_count(p.out_c / p.groups, p.groups);
  }
  static uint64_t scratch_bytes(const ConvTransposeParams& p) { return layout(p, nullptr).bytes; }

  static void run(const ConvTransposeParams& p, const StepArgs& args, int64_t begin, int64_t end) {
    const Scratch s = layout(p, args.scratch);
    for (int i = 0; i < p.in_c + kLanes; ++i) s.zeros[i] = 0.0f;
    Epilogue epilogue;
    make_epilogue(static_cast<UnaryKind>(p.act), p.alpha, p.beta, /*residual=*/0, /*pool=*/0, &epilogue);
    const int channels = p.in_c / p.groups;
    const Panels panels = Panels::make(int64_t{p.kernel_h} * p.kernel_w * channels, p.out_c / p.groups,
                                       p.groups, args.in[1], args.in[2]);
    const int64_t rows = int64_t{p.batch} * p.out_h;
    for (int64_t i = begin; i < end; ++i) {
      const Panel panel = panels.get(static_cast<int>(i / rows));
      const int64_t row = i % rows;
      const int64_t channel = int64_t{panel.group} * panels.group_columns + panel.first_column;
      const float* in =
          static_cast<const float*>(args.in[0]) + (row / p.out_h) * p.in_h * p.in_w * p.in_stride;
      float* out = static_cast<float*>(args.out[0]) + row * p.out_w * p.out_stride + channel;
      Tile t;
      t.run_length = channels;
      t.runs = s.runs;
      t.a = s.table;
      t.a_step = kTileRows;
      t.a_offset = int64_t{panel.group} * channels;
      t.b = panel.b;
      t.prefetch = panel.b;
      t.start = panel.bias;
      t.start_step = 0;
      t.partial = nullptr;
      t.residual = nullptr;
      t.residual_offset = 0;
      t.out_stride = int64_t{p.stride_w} * p.out_stride;
      t.columns = panel.columns;
      t.epilogue = &epilogue;
      t.core = args.core;
      for (int phase = 0; phase < p.stride_w && phase < p.out_w; ++phase) {
        const int count = static_cast<int>(ceil_div(p.out_w - phase, p.stride_w));
        const TileCut cut = TileCut::make_tiles(count, kTileRows);
        for (int64_t tile = 0; tile < cut.tiles; ++tile) {
          const int first = static_cast<int>(cut.start(tile)),
                    n = static_cast<int>(cut.start(tile + 1)) - first;
          const int x = phase + first * p.stride_w;
          t.run_count = point(p, s, in, static_cast<int>(row % p.out_h), x, n);
          t.out = out + int64_t{x} * p.out_stride;
          tile_function(n, panel.vecs)(t);
        }
      }
    }
  }

 private:
  // The taps that reach the pixels x, x + stride_w, ... (n of them) of row y, and their pointers; returns how
  // many.
  static int point(const ConvTransposeParams& p, const Scratch& s, const float* in, int y, int x, int n) {
    const int channels = p.in_c / p.groups;
    int taps = 0;
    for (int h = 0; h < p.kernel_h; ++h) {
      const int up = y + p.pad_top - h * p.dilation_h;
      if (up < 0 || up % p.stride_h != 0 || up / p.stride_h >= p.in_h) continue;
      const float* in_row = in + int64_t{up / p.stride_h} * p.in_w * p.in_stride;
      for (int w = 0; w < p.kernel_w; ++w) {
        // C++ rounds towards zero: the remainder of a negative number is 0 exactly when it divides.
        const int left = x + p.pad_left - w * p.dilation_w;
        if (left % p.stride_w != 0) continue;
        const int first = left / p.stride_w;
        for (int i = 0; i < n; ++i) {
          const int ix = first + i;
          s.table[taps * kTileRows + i] =
              ix >= 0 && ix < p.in_w ? in_row + int64_t{ix} * p.in_stride : s.zeros;
        }
        s.runs[taps++] = {0, (int64_t{h} * p.kernel_w + w) * channels};
      }
    }
    return taps;
  }
};

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_CONV_TRANSPOSE_INL_H_

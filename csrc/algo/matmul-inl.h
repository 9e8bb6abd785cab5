// Products of two computed matrices. A task packs the part of B that it needs, kDepth rows of one panel at a
// time, and partial sums wait in scratch.
#ifndef EDGECNN_ALGO_MATMUL_INL_H_
#define EDGECNN_ALGO_MATMUL_INL_H_

#include "gemm/igemm-inl.h"

namespace edgecnn {
namespace EC_ISA {

struct MatMulStep {
  static constexpr int kDepth = 512;
  // Rows of A that share one packing of B.
  static constexpr int kRows = 16 * kTileRows;

  static int64_t items(const MatMulParams& p) {
    return int64_t{p.batch} * ceil_div(p.n, kPanelWidth) * ceil_div(p.m, kRows);
  }
  static uint64_t scratch_bytes(const MatMulParams& p) {
    return (static_cast<uint64_t>(smaller(p.k, kDepth)) + 1 + kRows) * kPanelWidth * sizeof(float);
  }

  static void run(const MatMulParams& p, const StepArgs& args, int64_t begin, int64_t end) {
    const int64_t row_blocks = ceil_div(p.m, kRows), panels = ceil_div(p.n, kPanelWidth);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t batch = i / (row_blocks * panels);
      const float* a = static_cast<const float*>(args.in[0]) + batch * p.a_batch_stride;
      const float* b = static_cast<const float*>(args.in[1]) + batch * p.b_batch_stride;
      float* c = static_cast<float*>(args.out[0]) + batch * p.m * p.n;
      const int column = static_cast<int>(i / row_blocks % panels) * kPanelWidth;
      const int row = static_cast<int>(i % row_blocks) * kRows;
      block(p, a, b, c, row, smaller(p.m, row + kRows), column, args);
    }
  }

 private:
  static void block(const MatMulParams& p, const float* a, const float* b, float* c, int row, int last_row,
                    int column, const StepArgs& args) {
    Epilogue epilogue;
    make_epilogue(UnaryKind::k_identity, 0.0f, 0.0f, /*residual=*/0, /*pool=*/0, &epilogue);
    float* zeros = static_cast<float*>(args.scratch);
    float* sums = zeros + kPanelWidth;
    float* packed = sums + kRows * kPanelWidth;
    for (int j = 0; j < kPanelWidth; ++j) zeros[j] = 0.0f;
    const int columns = smaller(kPanelWidth, p.n - column);
    const int vecs = static_cast<int>(ceil_div(columns, kLanes));
    const float* rows[kTileRows];
    Run run = {0, 0};
    Tile t;
    t.run_count = 1;
    t.runs = &run;
    t.a = rows;
    t.a_step = 0;
    t.b = packed;
    t.prefetch = packed;
    t.residual = nullptr;
    t.residual_offset = 0;
    t.out_stride = p.n;
    t.columns = columns;
    t.epilogue = &epilogue;
    t.core = args.core;
    for (int k = 0; k == 0 || k < p.k; k += kDepth) {
      t.run_length = smaller(kDepth, p.k - k);
      t.a_offset = k;
      pack(b + int64_t{k} * p.n + column, p.n, t.run_length, columns, vecs, packed);
      for (int m = row; m < last_row; m += kTileRows) {
        const int n = smaller(kTileRows, last_row - m);
        for (int r = 0; r < n; ++r) rows[r] = a + int64_t{m + r} * p.k;
        float* partial = sums + (m - row) * kPanelWidth;
        t.start = k == 0 ? zeros : partial;
        t.start_step = k == 0 ? 0 : vecs * kLanes;
        t.partial = k + kDepth < p.k ? partial : nullptr;
        t.out = c + int64_t{m} * p.n + column;
        tile_function(n, vecs)(t);
      }
    }
  }

  static void pack(const float* b, int64_t stride, int depth, int columns, int vecs, float* packed) {
    const int width = vecs * kLanes;
    for (int k = 0; k < depth; ++k, b += stride, packed += width) {
      for (int j = 0; j < vecs; ++j) {
        const int n = smaller(kLanes, columns - j * kLanes);
        store(packed + j * kLanes, n == kLanes ? load(b + j * kLanes) : load_partial(b + j * kLanes, n));
      }
    }
  }
};

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_MATMUL_INL_H_

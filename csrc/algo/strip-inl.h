// The product of neighbouring pixels with all panels of a pointwise convolution: what steps that fuse several
// layers run on pixels in a buffer of their own.
#ifndef EDGECNN_ALGO_STRIP_INL_H_
#define EDGECNN_ALGO_STRIP_INL_H_

#include "algo/conv-inl.h"
#include "gemm/packed-inl.h"

namespace edgecnn {
namespace EC_ISA {

struct Strip {
  Panels panels;
  CoreClass core;
  Epilogue epilogue;

  float* packed;  // packed_floats(panels.k, panels.group_columns) of scratch

  Strip(const Panels& weights, CoreClass core_class, float* scratch)
      : panels(weights), core(core_class), packed(scratch) {}

  // Pixels `stride` floats apart, from the first one on.
  struct Pixels {
    const float* first;
    int64_t stride;
  };
  struct Results {
    float* first;
    int64_t stride;
  };

  // On ARM a tile of pixels meets panel after panel, elsewhere a panel tile after tile, as in ConvStep.
  // `residual` is read when the epilogue has one.
  void run(Pixels from, int length, Results to, Pixels residual) {
    const TileCut cut = TileCut::make_tiles(length, kTileRows);
    if constexpr (ConvStep::kPanelsPerTile) {
      for (int64_t i = 0; i < cut.tiles; ++i) {
        const int first = static_cast<int>(cut.start(i)), count = static_cast<int>(cut.start(i + 1)) - first;
        Tile t = tile(first, count, to, residual);
        read_rows(from, first, count);
        multiply_panels(count, panels.group_columns, packed, &t);
      }
    } else {
      for (int n = 0; n < panels.count; ++n) {
        const Panel panel = panels.get(n);
        for (int64_t i = 0; i < cut.tiles; ++i) {
          const int first = static_cast<int>(cut.start(i)),
                    count = static_cast<int>(cut.start(i + 1)) - first;
          Tile t = tile(first, count, to, residual);
          read_rows(from, first, count);
          multiply(panel, count, to.first + first * to.stride, i * prefetched(panels.k), &t);
        }
      }
    }
  }

  // The same with pixels that are packed, [k / 4][pixel][4], `turn` floats from four k to the next four; the
  // columns are whole panels. Whole tiles can be read.
  void run_packed(float* from, int64_t turn, int length, Results to, Pixels residual) {
#ifdef EC_HAS_FMA_LANE
    const TileCut cut = TileCut::make_tiles(length, kTileRows);
    for (int64_t i = 0; i < cut.tiles; ++i) {
      const int first = static_cast<int>(cut.start(i)), count = static_cast<int>(cut.start(i + 1)) - first;
      Tile t = tile(first, count, to, residual);
      multiply_packed(count, panels.k, panels.count, {from + first * kLanes, turn, true, packed}, &t);
    }
#else
    (void)from, (void)turn, (void)length, (void)to, (void)residual;
#endif
  }

 private:
  static constexpr Run kWhole = {0, 0};
  const float* rows[kTileRows];
  const float* residuals[kTileRows];

  void read_rows(Pixels from, int first, int count) {
    for (int j = 0; j < count; ++j) rows[j] = from.first + (first + j) * from.stride;
  }

  // The tile of pixels [first, first + count), for the first panel.
  Tile tile(int first, int count, Results to, Pixels residual) {
    if (epilogue.residual) {
      for (int j = 0; j < count; ++j) residuals[j] = residual.first + (first + j) * residual.stride;
    }
    Tile t;
    t.run_count = 1;
    t.run_length = static_cast<int>(panels.k);
    t.runs = &kWhole;
    t.a = rows;
    t.a_step = t.a_offset = 0;
    t.b = panels.weights;
    t.start = panels.bias;
    t.start_step = 0;
    t.partial = nullptr;
    t.residual = residuals;
    t.residual_offset = 0;
    t.out = to.first + first * to.stride;
    t.out_stride = to.stride;
    t.epilogue = &epilogue;
    t.core = core;
    return t;
  }

  // `ahead`: floats of the next panel that other tiles of this one have asked for.
  void multiply(const Panel& panel, int count, float* to, int64_t ahead, Tile* t) const {
    const int64_t floats = int64_t{panel.vecs} * kLanes * panels.k;
    t->b = panel.b;
    t->prefetch = panel.b + smaller(floats + ahead, 2 * floats);
    t->start = panel.bias;
    t->residual_offset = panel.first_column;
    t->out = to + panel.first_column;
    t->columns = panel.columns;
    tile_function(count, panel.vecs)(*t);
  }
};

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_STRIP_INL_H_

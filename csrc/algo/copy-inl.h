// Copies a box of elements between two strided tensors.
//
// Dimensions are put into the order of the output, so that it is written front to back, and neighbouring ones
// merged. If then some other dimension than the innermost is contiguous in the input, these two are
// transposed, in tiles that fit into the L1 cache. Otherwise the box is copied run by run, short ones in a
// loop over many of them. An 8-byte element is two 4-byte ones.
#ifndef EDGECNN_ALGO_COPY_INL_H_
#define EDGECNN_ALGO_COPY_INL_H_

#include "algo/box-inl.h"
#include "algo/rows-inl.h"
#include "algo/step.h"
#include "algo/transpose-inl.h"

namespace edgecnn {
namespace EC_ISA {

struct CopyStep {
  enum class Kind { kRuns, kShortRuns, kTranspose };

  struct Plan {
    Kind kind;
    Box box;  // a: input, b: output; outer dimensions, then (except for kRuns) the one across, then the row
    int64_t in_offset, out_offset;
    int64_t outer;                  // elements of the outer dimensions
    int64_t tile_row, tile_across;  // elements of a tile; for kRuns the latter is 1
    int64_t row_tiles, across_tiles;

    int64_t units() const { return outer * across_tiles * row_tiles; }
  };

  static Plan plan(const CopyParams& p) {
    Plan plan;
    const int64_t parts = p.element_bytes / 4;
    int order[kMaxDims];
    for (int i = 0; i < kMaxDims; ++i) {
      int at = i;
      for (; at > 0 && p.out_strides[order[at - 1]] < p.out_strides[i]; --at) order[at] = order[at - 1];
      order[at] = i;
    }
    Box& box = plan.box;
    for (int i : order) box.push(p.dims[i], p.in_strides[i] * parts, p.out_strides[i] * parts);
    box.push(parts, 1, 1);
    box.finish();
    plan.in_offset = p.in_offset * parts;
    plan.out_offset = p.out_offset * parts;

    const int last = box.rank - 1;
    int across = -1;
    for (int i = 0; i < last; ++i) {
      if (box.a_strides[i] == 1) across = i;
    }
    if (across >= 0 && box.a_strides[last] != 1 && box.a_strides[last] != 0) {
      plan.kind = Kind::kTranspose;
      for (; across + 1 < last; ++across) swap_dims(&box, across, across + 1);
      // Square where both dimensions allow it, else as long as the other is short.
      plan.tile_row = smaller<int64_t>(box.dims[last], kTile);
      plan.tile_across = smaller(box.dims[last - 1], kItemElements / plan.tile_row);
      plan.tile_row = smaller(box.dims[last], kItemElements / plan.tile_across);
    } else if (last > 0 && box.dims[last] < kShortRun) {
      plan.kind = Kind::kShortRuns;
      swap_dims(&box, last - 1, last);
      plan.tile_across = box.dims[last - 1];
      plan.tile_row = smaller(box.dims[last], kItemElements / plan.tile_across);
    } else {
      plan.kind = Kind::kRuns;
      plan.tile_across = 1;
      plan.tile_row = smaller(box.dims[last], kItemElements);
    }
    const bool runs = plan.kind == Kind::kRuns;
    plan.outer = box.count(0, runs ? last : last - 1);
    plan.across_tiles = runs ? 1 : ceil_div(box.dims[last - 1], plan.tile_across);
    plan.row_tiles = ceil_div(box.dims[last], plan.tile_row);
    return plan;
  }

  static int64_t items(const CopyParams& p) {
    for (int i = 0; i < kMaxDims; ++i) {
      if (p.dims[i] == 0) return 0;
    }
    const Plan l = plan(p);
    return row_items(l.units(), l.tile_row * l.tile_across);
  }

  static uint64_t scratch_bytes(const CopyParams&) { return 0; }

  static void run(const CopyParams& p, const StepArgs& args, int64_t begin, int64_t end) {
    const Plan l = plan(p);
    const float* x = static_cast<const float*>(args.in[0]) + l.in_offset;
    float* y = static_cast<float*>(args.out[0]) + l.out_offset;
    const Box& box = l.box;
    const int last = box.rank - 1, across = last - 1;
    const int outer_rank = l.kind == Kind::kRuns ? last : across;
    const RowRange units(l.units(), l.tile_row * l.tile_across, begin, end);
    const int64_t tiles = l.across_tiles * l.row_tiles;
    BoxCursor cursor(box, outer_rank, units.first / tiles);
    int64_t tile = units.first % tiles;
    for (int64_t u = units.first; u < units.last; ++u) {
      const int64_t i = tile % l.row_tiles * l.tile_row, j = tile / l.row_tiles * l.tile_across;
      const int64_t n = smaller(l.tile_row, box.dims[last] - i);
      const float* from = x + cursor.a + i * box.a_strides[last];
      float* to = y + cursor.b + i * box.b_strides[last];
      switch (l.kind) {
        case Kind::kTranspose:
          transpose(n, smaller(l.tile_across, box.dims[across] - j), from + j, box.a_strides[last],
                    to + j * box.b_strides[across], box.b_strides[last], box.b_strides[across]);
          break;
        case Kind::kShortRuns:
          copy_short_runs(n, l.tile_across, from, box.a_strides[last], box.a_strides[across], to,
                          box.b_strides[last], box.b_strides[across]);
          break;
        case Kind::kRuns:
          copy_run(n, from, box.a_strides[last], to, box.b_strides[last]);
          break;
      }
      if (++tile == tiles) {
        tile = 0;
        cursor.advance(box, outer_rank);
      }
    }
  }

 private:
  static constexpr int64_t kTile = 64;
  static constexpr int64_t kShortRun = 8;
  // Above this many elements the C library's copy is at least as fast.
  static constexpr int64_t kLongRun = 256;

  EC_INLINE static void swap_values(int64_t* values, int i, int j) {
    const int64_t value = values[i];
    values[i] = values[j];
    values[j] = value;
  }

  static void swap_dims(Box* box, int i, int j) {
    swap_values(box->dims, i, j);
    swap_values(box->a_strides, i, j);
    swap_values(box->b_strides, i, j);
  }

  EC_INLINE static void copy_run(int64_t n, const float* x, int64_t x_stride, float* y, int64_t y_stride) {
    if (x_stride == 1 && y_stride == 1) {
      if (n < kLongRun) {
        copy_floats(y, x, n);
      } else {
        __builtin_memcpy(y, x, static_cast<size_t>(n) * sizeof(float));
      }
    } else if (x_stride == 0 && y_stride == 1) {
      fill_floats(y, n, *x);
    } else if (x_stride == 2 && y_stride == 1) {
      // A constant, for which compilers know shuffles: the channel shuffle of ShuffleNet.
      for (int64_t i = 0; i < n; ++i) y[i] = x[2 * i];
    } else {
      for (int64_t i = 0; i < n; ++i) y[i * y_stride] = x[i * x_stride];
    }
  }

  // n runs of `count` elements.
  static void copy_short_runs(int64_t n, int64_t count, const float* x, int64_t x_run, int64_t x_stride,
                              float* y, int64_t y_run, int64_t y_stride) {
    switch (count) {
      case 2:
        return copy_runs_of<2>(n, x, x_run, x_stride, y, y_run, y_stride);
      case 3:
        return copy_runs_of<3>(n, x, x_run, x_stride, y, y_run, y_stride);
      case 4:
        return copy_runs_of<4>(n, x, x_run, x_stride, y, y_run, y_stride);
      default:
        for (int64_t i = 0; i < n; ++i, x += x_run, y += y_run) {
          for (int64_t k = 0; k < count; ++k) y[k * y_stride] = x[k * x_stride];
        }
    }
  }

  template <int kCount>
  EC_INLINE static void copy_runs_of(int64_t n, const float* x, int64_t x_run, int64_t x_stride, float* y,
                                     int64_t y_run, int64_t y_stride) {
    for (int64_t i = 0; i < n; ++i, x += x_run, y += y_run) {
      for (int k = 0; k < kCount; ++k) y[k * y_stride] = x[k * x_stride];
    }
  }
};

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_COPY_INL_H_

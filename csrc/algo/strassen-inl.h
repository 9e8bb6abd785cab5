// Pointwise convolution by one level of Strassen's algorithm (Gaussian Elimination is not Optimal, 1969) in
// Winograd's variant of 15 additions: 7 products of half the size in each dimension instead of 8.
//
//   A: pixels x channels, B: the weights       S1 = A21 + A22   S2 = S1 - A11   S3 = A11 - A21   S4 = A12 -
//   S2 T1 = B12 - B11   T2 = B22 - T1   T3 = B22 - B12   T4 = T2 - B21 (edgecnn/plan/pack.py)
//
//   X = A11 B11                 C11 = X + A12 B21
//   Z = S1 T1                   X += S2 T2     Y = X + S3 T3
//   X += Z    Z += Y            C12 = X + S4 B22      C21 = Y - A22 T4      C22 = Z
//
// The additions to products are free, since a register tile begins with what is there, but for the two in the
// last line. The bias goes into X, and into Z the difference of the two halves'.
//
// Pixels are taken in blocks: its first rows and as many below them are a pair; those that are left over are
// first rows without a partner, which is zero: four products are left of the seven, as many as without the
// algorithm. Columns that do not fill two whole panels more follow as an ordinary product.
//
// One operand at a time is packed (see gemm/packed-inl.h), and meets its quarter of the weights panel by
// panel. A block is so large that the weights are read from memory seldom, and so small that the operand and
// the sums stay in the second-level cache. An item is a block and a slice of its panels; neither depends on
// the caches or on the number of threads.
#ifndef EDGECNN_ALGO_STRASSEN_INL_H_
#define EDGECNN_ALGO_STRASSEN_INL_H_

#include "algo/rows-inl.h"
#include "gemm/packed-inl.h"

namespace edgecnn {
namespace EC_ISA {

struct StrassenStep {
  // What an operand, or the sums of a quarter, may take.
  static constexpr int64_t kBlockFloats = int64_t{28} * 1024;
  // Items that are made where there are panels enough.
  static constexpr int64_t kItems = 8;
  static constexpr int64_t kTileFloats = int64_t{kTileRows} * kPanelWidth;

  struct Shape {
    int64_t rows;      // pixels
    int64_t depth;     // half the input channels
    int64_t row_step;  // from row to row of an operand that is not packed
    int panels;        // of half the output channels
    int rest_columns;
    int64_t pairs;  // of tiles
    int64_t blocks, slices;
    int64_t most_tiles;  // first ones of a block, the one that is not whole included

    explicit Shape(const StrassenParams& p) {
      rows = p.rows;
      depth = p.in_c / 2;
      row_step = kPacksRows ? depth : round_up(depth, kLanes) + kLineFloats;
      panels = p.out_c / (2 * kPanelWidth);
      rest_columns = p.out_c - 2 * panels * kPanelWidth;
      pairs = rows / (2 * kTileRows);
      const int64_t widest = larger(depth, int64_t{panels} * kPanelWidth);
      const int64_t most = larger<int64_t>(1, kBlockFloats / (kTileRows * widest));
      blocks = larger<int64_t>(1, ceil_div(pairs, most));
      slices = smaller<int64_t>(panels, ceil_div(kItems, blocks));
      most_tiles = ceil_div(pairs, blocks) + 2;
    }
    int64_t first_pair(int64_t block) const { return pairs * block / blocks; }
    int64_t first_row(int64_t block) const {
      return block == blocks ? rows : first_pair(block) * 2 * kTileRows;
    }
    int first_panel(int64_t slice) const { return static_cast<int>(panels * slice / slices); }
  };

  struct Scratch {
    float* zeros;    // in place of rows without a partner
    float* operand;  // [tile][kTileRows][depth], each tile packed where that can be
    float* x;        // [panel][tile][kTileRows][kPanelWidth]
    float* y;
    float* z;
    const float** table;  // rows of the operand
    uint64_t bytes;
  };

  static Scratch layout(const Shape& shape, void* scratch) {
    char* base = static_cast<char*>(scratch);
    uint64_t at = 0;
    const auto take = [&](int64_t bytes) {
      char* block = base + at;
      at += static_cast<uint64_t>(round_up(bytes, kAlignment));
      return block;
    };
    const auto take_floats = [&](int64_t count) {
      return reinterpret_cast<float*>(take(count * static_cast<int64_t>(sizeof(float))));
    };
    const int64_t sums = shape.most_tiles * shape.panels * kTileFloats;
    Scratch s;
    s.zeros = take_floats(2 * shape.depth + kLanes);
    s.operand = take_floats(shape.most_tiles * kTileRows * shape.row_step);
    s.x = take_floats(sums);
    s.y = take_floats(sums);
    s.z = take_floats(sums);
    s.table = reinterpret_cast<const float**>(
        take(shape.most_tiles * kTileRows * static_cast<int64_t>(sizeof(float*))));
    s.bytes = at;
    return s;
  }

  static int64_t items(const StrassenParams& p) {
    const Shape shape(p);
    return shape.blocks * shape.slices;
  }

  static uint64_t scratch_bytes(const StrassenParams& p) { return layout(Shape(p), nullptr).bytes; }

  static void run(const StrassenParams& p, const StepArgs& args, int64_t begin, int64_t end) {
    Worker w(p, args);
    const int64_t slices = w.shape.slices;
    for (int64_t i = begin; i < end;) {
      const int64_t slice = i % slices, count = smaller(slices - slice, end - i);
      w.compute(i / slices, w.shape.first_panel(slice), w.shape.first_panel(slice + count));
      i += count;
    }
  }

 private:
  enum Operand { kA11, kA12, kA22, kS1, kS2, kS3, kS4 };
  enum Half { kLow, kHigh, kKept };
  static constexpr int kNoProduct = -1;  // in place of a quarter

  struct Worker {
    const StrassenParams& p;
    const Shape shape;
    const Scratch scratch;
    const float* in;
    const float* weights;
    const float* bias;
    const float* residual;
    float* out;
    const CoreClass core;
    Epilogue epilogue;
    const float* residuals[kTileRows];
    // The block at hand.
    int64_t first_row;
    int64_t tops, bottoms;  // rows
    int64_t tiles;          // of the tops
    int first_panel, last_panel;

    Worker(const StrassenParams& params, const StepArgs& args)
        : p(params),
          shape(params),
          scratch(layout(shape, args.scratch)),
          in(static_cast<const float*>(args.in[0])),
          weights(static_cast<const float*>(args.in[1])),
          bias(static_cast<const float*>(args.in[2])),
          residual(static_cast<const float*>(args.in[3])),
          out(static_cast<float*>(args.out[0])),
          core(args.core) {
      make_epilogue(static_cast<UnaryKind>(p.act), p.alpha, p.beta, p.residual, 0, &epilogue);
      fill_floats(scratch.zeros, 2 * shape.depth + kLanes, 0.0f);
      for (int64_t r = 0; r < shape.most_tiles * kTileRows; ++r) {
        scratch.table[r] = scratch.operand + r * shape.row_step;
      }
    }

    void compute(int64_t block, int first, int last) {
      first_row = shape.first_row(block);
      bottoms = (shape.first_pair(block + 1) - shape.first_pair(block)) * kTileRows;
      tops = shape.first_row(block + 1) - first_row - bottoms;
      tiles = ceil_div(tops, kTileRows);
      first_panel = first;
      last_panel = last;
      const Scratch& s = scratch;
      const float* low = bias;
      const float* high = bias + shape.panels * kPanelWidth;
      // In the order of the quarters in the weights.
      pack<kA11>(tops);
      multiply(tops, 0, {low, false}, {s.x});
      pack<kA12>(tops);
      multiply(tops, 1, {s.x, true}, {s.y, kLow, 0});
      pack<kS1>(bottoms);
      multiply(bottoms, 2, {high, false}, {s.z});
      pack<kS2>(tops);
      multiply(tops, 3, {s.x, true}, {s.x});
      pack<kS3>(bottoms);
      multiply(bottoms, 4, {s.x, true}, {s.y});
      add_products(high);
      pack<kS4>(tops);
      multiply(tops, 5, {s.x, true}, {s.x, kHigh, 0});
      pack<kA22>(bottoms);
      multiply(bottoms, 6, {s.y, true}, {s.y, kLow, tops});
      multiply(bottoms, kNoProduct, {s.z, true}, {s.z, kHigh, tops});
      if (last_panel == shape.panels && shape.rest_columns > 0) multiply_rest();
    }

    EC_INLINE static bool packs(int64_t rows) {
#ifdef EC_HAS_FMA_LANE
      return can_pack(static_cast<int>(rows));
#else
      (void)rows;
      return false;
#endif
    }

    struct Whole {
      EC_INLINE Vec operator()(const float* from) const { return load(from); }
    };
    struct Part {
      int count;
      EC_INLINE Vec operator()(const float* from) const { return load_partial(from, count); }
    };

    template <int kOperand, class Load>
    static EC_INLINE Vec combine(const float* top, const float* bottom, int64_t depth, Load get) {
      if constexpr (kOperand == kA11) return get(top);
      if constexpr (kOperand == kA12) return get(top + depth);
      if constexpr (kOperand == kA22) return get(bottom + depth);
      if constexpr (kOperand == kS3) return sub(get(top), get(bottom));
      const Vec s1 = add(get(bottom), get(bottom + depth));
      if constexpr (kOperand == kS1) return s1;
      const Vec s2 = sub(s1, get(top));
      if constexpr (kOperand == kS2) return s2;
      return sub(get(top + depth), s2);
    }

    template <int kOperand>
    __attribute__((noinline)) void pack(int64_t rows) const {
      const int64_t depth = shape.depth, stride = p.in_stride;
      const float* top = in + first_row * stride;
      const float* bottom = in + (first_row + tops) * stride;
      for (int64_t r = 0; r < rows; r += kTileRows) {
        const int64_t count = smaller<int64_t>(kTileRows, rows - r);
        const bool paired = r < bottoms;
        const float* t = top + r * stride;
        const float* b = paired ? bottom + r * stride : scratch.zeros;
        const int64_t b_stride = paired ? stride : 0;
        float* to = scratch.operand + r * shape.row_step;
#ifdef EC_HAS_FMA_LANE
        if (packs(count)) {
          for (int64_t i = 0; i < count; i += 4) {
            float* at = to + i * kLanes;
            for (int64_t k = 0; k < depth; k += kLanes, at += kPackedStep) {
              Vec v[4];
#pragma GCC unroll 4
              for (int j = 0; j < 4; ++j) {
                v[j] =
                    combine<kOperand>(t + (i + j) * stride + k, b + (i + j) * b_stride + k, depth, Whole{});
              }
              store4(at, v[0], v[1], v[2], v[3]);
            }
          }
          continue;
        }
#endif
        for (int64_t i = 0; i < count; ++i, t += stride, b += b_stride, to += shape.row_step) {
          int64_t k = 0;
          for (; k + kLanes <= depth; k += kLanes) {
            store(to + k, combine<kOperand>(t + k, b + k, depth, Whole{}));
          }
          // Halves are multiples of four channels, and nothing behind the last pixel may be read.
          const int rest = kLanes > 4 ? static_cast<int>(depth - k) : 0;
          if (rest > 0) store(to + k, combine<kOperand>(t + k, b + k, depth, Part{rest}));
        }
      }
    }

    // What sums begin with: other sums, or the same for all rows.
    struct From {
      const float* start;
      bool sums;
    };
    // Where the sums go, of which the results of one half of the channels are made, from a row of the block
    // on, unless they are kept.
    struct To {
      float* sums;
      Half half = kKept;
      int64_t row = 0;
    };

    __attribute__((noinline)) void multiply(int64_t rows, int quarter, From from, To to) {
      const int64_t whole = rows / kTileRows, rest = rows % kTileRows;
      for (int n = first_panel; n < last_panel; ++n) {
        if (whole > 0) multiply_tiles(kTileRows, 0, whole, quarter, n, from, to);
        if (rest > 0) multiply_tiles(static_cast<int>(rest), whole, 1, quarter, n, from, to);
      }
    }

    // `count` tiles of so many rows, from one on.
    void multiply_tiles(int rows, int64_t first, int64_t count, int quarter, int panel, From from, To to) {
      const bool multiplies = quarter != kNoProduct, kept = to.half == kKept;
      const int64_t depth = multiplies ? shape.depth : 0;
      const float* b = weights + (multiplies ? quarter * shape.panels + panel : 0) * depth * kPanelWidth;
      const int64_t place = (panel * tiles + first) * kTileFloats;
      const float* start = from.start + (from.sums ? place : panel * kPanelWidth);
      float* sums = to.sums + place;
      const int64_t row = first_row + to.row + first * kTileRows;
      const int64_t column = ((to.half == kHigh ? shape.panels : 0) + panel) * kPanelWidth;
      Tile t = {};
      t.residual = residuals;
      t.residual_offset = column;
      t.out = out + row * p.out_stride + column;
      t.out_stride = p.out_stride;
      t.columns = kPanelWidth;
      t.epilogue = &epilogue;
      t.core = core;
#ifdef EC_HAS_FMA_LANE
      if (packs(rows)) {
        constexpr ptrdiff_t kFloatBytes = sizeof(float);
        const bool simple = tiles_finish(epilogue);
        const bool direct = !kept && simple;
        const float bounds[2] = {epilogue.alpha, epilogue.beta};
        PackedTiles packed;
        packed.a = scratch.operand + first * kTileRows * shape.row_step;
        packed.a_step = kTileRows * shape.row_step * kFloatBytes;
        packed.a_turn = kPackedStep * kFloatBytes;
        packed.b = b;
        packed.b_step = 0;
        packed.prefetch = depth * kPanelWidth * kFloatBytes;
        packed.start = start;
        packed.start_step = from.sums ? kTileFloats * kFloatBytes : 0;
        packed.start_row = from.sums ? kPanelWidth * kFloatBytes : 0;
        packed.out = direct ? t.out : sums;
        packed.out_step = direct ? kTileRows * p.out_stride * kFloatBytes : kTileFloats * kFloatBytes;
        packed.out_row = direct ? p.out_stride * kFloatBytes : kPanelWidth * kFloatBytes;
        packed.k = depth;
        packed.count = count;
        packed.bounds = direct && clamps(epilogue) ? bounds : nullptr;
        packed.residual = direct && p.residual ? residual + row * p.residual_stride + column : nullptr;
        packed.residual_step = kTileRows * p.residual_stride * kFloatBytes;
        packed.residual_row = p.residual_stride * kFloatBytes;
        packed_function(rows, core)(&packed);
        if (!kept && !simple) {
          for (int64_t i = 0; i < count; ++i, sums += kTileFloats, t.out += kTileRows * p.out_stride) {
            set_residuals(row + i * kTileRows, rows);
            (rows == 8 ? finish_sums<8> : finish_sums<4>)(sums, t);
          }
        }
        return;
      }
#endif
      const Run run{0, 0};
      t.run_count = 1;
      t.run_length = static_cast<int>(depth);
      t.runs = &run;
      t.a = scratch.table + first * kTileRows;
      t.b = b;
      t.prefetch = b + depth * kPanelWidth;
      t.start = start;
      t.start_step = from.sums ? kPanelWidth : 0;
      const TileFunction compute = tile_function(rows, kPanelVecs);
      for (int64_t i = 0; i < count; ++i, t.a += kTileRows, t.out += kTileRows * p.out_stride) {
        t.partial = kept ? sums + i * kTileFloats : nullptr;
        if (!kept) set_residuals(row + i * kTileRows, rows);
        compute(t);
        if (from.sums) t.start += kTileFloats;
      }
    }

    void set_residuals(int64_t row, int count) {
      if (!p.residual) return;
      for (int i = 0; i < count; ++i) residuals[i] = residual + (row + i) * p.residual_stride;
    }

    // X += Z, Z += Y; rows without a partner have the start of Z only.
    void add_products(const float* start) const {
      for (int n = first_panel; n < last_panel; ++n) {
        for (int64_t r = 0; r < tops; ++r) {
          const int64_t at = n * tiles * kTileFloats + r * kPanelWidth;
          const bool paired = r < bottoms;
          const float* z = paired ? scratch.z + at : start + n * kPanelWidth;
#pragma GCC unroll 2
          for (int j = 0; j < kPanelWidth; j += kLanes) {
            const Vec product = load(z + j);
            store(scratch.x + at + j, add(load(scratch.x + at + j), product));
            if (paired) store(scratch.z + at + j, add(load(scratch.y + at + j), product));
          }
        }
      }
    }

    // The ordinary product with the columns behind those of the two halves.
    void multiply_rest() {
      const int64_t k = 2 * shape.depth, column = 2 * shape.panels * kPanelWidth;
      const Run run{0, 0};
      for (int64_t r = 0; r < tops + bottoms; r += kTileRows) {
        const int count = static_cast<int>(smaller<int64_t>(kTileRows, tops + bottoms - r));
        const int64_t row = first_row + r;
        const float* rows[kTileRows];
        for (int i = 0; i < count; ++i) rows[i] = in + (row + i) * p.in_stride;
        set_residuals(row, count);
        Tile t = {};
        t.run_count = 1;
        t.run_length = static_cast<int>(k);
        t.runs = &run;
        t.a = rows;
        t.b = weights + 7 * shape.depth * shape.panels * kPanelWidth;
        t.start = bias + column;
        t.residual = residuals;
        t.residual_offset = column;
        t.out = out + row * p.out_stride + column;
        t.out_stride = p.out_stride;
        t.epilogue = &epilogue;
        t.core = core;
        multiply_panels(count, shape.rest_columns, scratch.operand, &t);
      }
    }
  };
};

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_STRASSEN_INL_H_

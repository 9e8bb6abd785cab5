// Winograd convolution F(4x4, 3x3) (Lavin and Gray, arXiv 1509.09308): 36 multiplications for the 16 results
// of a 4x4 output tile instead of 144.
//
//   Y = At [ (G g Gt) * (Bt d B) ] A      d: 6x6 inputs, g: 3x3 weights, Y: 4x4 outputs, * element by element
//
// The weights arrive transformed (edgecnn/plan/pack.py). A block of tiles passes through three stages in
// scratch: inputs are transformed, vectors along the channels, into [36][tiles][C]; each of the 36
// frequencies is a matrix product with its panels of weights, giving [36][tiles][O]; those are transformed
// back and leave through bias, residual, activation and pool. One frequency at a time touches all three
// operands once.
//
// Few tiles are shared among threads by output channels, too: an item is a block of tiles and a slice of the
// panels. Neither depends on the caches or on the number of threads.
#ifndef EDGECNN_ALGO_WINOGRAD_INL_H_
#define EDGECNN_ALGO_WINOGRAD_INL_H_

#include "gemm/igemm-inl.h"

namespace edgecnn {
namespace EC_ISA {

struct WinogradStep {
  static constexpr int kOut = 4;  // side of an output tile
  static constexpr int kIn = 6;   // of its input
  static constexpr int kFrequencies = kIn * kIn;
  // What the transformed inputs and products of a block may take, unless that is less than kFewest tiles.
  static constexpr int64_t kBlockFloats = int64_t{256} * 1024;
  static constexpr int64_t kFewest = int64_t{4} * kTileRows;
  // Items that are made where there are channels enough.
  static constexpr int64_t kItems = 8;

  struct Shape {
    int tiles_h, tiles_w;
    TileCut blocks;
    int64_t most_tiles;  // of a block
    int panels, slice_panels, slices;
    int64_t depth, width;  // of a row of transformed inputs and of products: whole vectors

    explicit Shape(const WinogradParams& p) {
      // Rows and columns that the pool drops are not computed.
      tiles_h = static_cast<int>(ceil_div(p.pool ? p.out_h / 2 * 2 : p.out_h, kOut));
      tiles_w = static_cast<int>(ceil_div(p.pool ? p.out_w / 2 * 2 : p.out_w, kOut));
      depth = round_up(p.in_c, kLanes);
      const int64_t columns = round_up(p.out_c, kLanes);
      const int64_t fit = kBlockFloats / (kFrequencies * (depth + columns)) / kTileRows * kTileRows;
      blocks = TileCut::make(int64_t{p.batch} * tiles_h * tiles_w, static_cast<int>(larger(fit, kFewest)));
      most_tiles = blocks.base + (blocks.longer > 0);
      panels = Panels::groups_to_count(p.out_c, 1);
      const int64_t wanted = smaller(ceil_div(kItems, larger(blocks.tiles, int64_t{1})), int64_t{panels});
      slice_panels = static_cast<int>(ceil_div(panels, wanted));
      slices = static_cast<int>(ceil_div(panels, slice_panels));
      width = smaller(columns, int64_t{slice_panels} * kPanelWidth);
    }
  };

  struct Scratch {
    float* zeros;     // a pixel outside the picture, and what sums begin with
    float* inputs;    // [36][tiles of the block][depth]
    float* products;  // [36][tiles of the block][width]
    const float** rows;
    size_t bytes;
  };

  static Scratch layout(const Shape& shape, void* scratch) {
    char* base = static_cast<char*>(scratch);
    size_t at = 0;
    const auto take = [&](int64_t bytes) {
      char* block = base + at;
      at += static_cast<size_t>(round_up(bytes, kAlignment));
      return block;
    };
    const auto take_floats = [&](int64_t count) {
      return reinterpret_cast<float*>(take(count * static_cast<int64_t>(sizeof(float))));
    };
    Scratch s;
    s.zeros = take_floats(larger(shape.depth, int64_t{kPanelWidth}));
    s.inputs = take_floats(kFrequencies * shape.most_tiles * shape.depth);
    s.products = take_floats(kFrequencies * shape.most_tiles * shape.width);
    s.rows = reinterpret_cast<const float**>(take(shape.most_tiles * static_cast<int64_t>(sizeof(float*))));
    s.bytes = at;
    return s;
  }

  static int64_t items(const WinogradParams& p) {
    const Shape shape(p);
    return shape.blocks.tiles * shape.slices;
  }

  static size_t scratch_bytes(const WinogradParams& p) { return layout(Shape(p), nullptr).bytes; }

  static void run(const WinogradParams& p, const StepArgs& args, int64_t begin, int64_t end) {
    Worker w(p, args);
    int64_t block = -1;
    for (int64_t i = begin; i < end; ++i) {
      if (i / w.shape.slices != block) {
        block = i / w.shape.slices;
        w.transform_inputs(block);
      }
      const int first = static_cast<int>(i % w.shape.slices) * w.shape.slice_panels;
      const int last = smaller(first + w.shape.slice_panels, w.shape.panels);
      for (int f = 0; f < kFrequencies; ++f) w.multiply(f, first, last);
      w.transform_outputs(first, last);
    }
  }

 private:
  struct Place {
    int n, y, x;  // picture, and the tile's first output pixel
  };

  // Bt: the polynomial through the points 0, 1, -1, 2, -2 and infinity.
  static EC_INLINE void transform_input(const Vec (&d)[kIn], Vec* t, int step) {
    const Vec two = broadcast(2.0f), four = broadcast(4.0f), minus_four = broadcast(-4.0f);
    const Vec minus_five = broadcast(-5.0f);
    const Vec even = fma(minus_four, d[2], d[4]), odd = fma(minus_four, d[1], d[3]);
    const Vec near = sub(d[4], d[2]), far = mul(two, sub(d[3], d[1]));
    t[0] = fma(four, d[0], fma(minus_five, d[2], d[4]));
    t[1 * step] = add(even, odd);
    t[2 * step] = sub(even, odd);
    t[3 * step] = add(near, far);
    t[4 * step] = sub(near, far);
    t[5 * step] = fma(four, d[1], fma(minus_five, d[3], d[5]));
  }

  // At.
  static EC_INLINE void transform_output(const Vec (&m)[kIn], Vec* y, int step) {
    const Vec sum1 = add(m[1], m[2]), sum2 = add(m[3], m[4]);
    const Vec difference1 = sub(m[1], m[2]), difference2 = sub(m[3], m[4]);
    y[0] = add(m[0], add(sum1, sum2));
    y[1 * step] = fma(broadcast(2.0f), difference2, difference1);
    y[2 * step] = fma(broadcast(4.0f), sum2, sum1);
    y[3 * step] = add(fma(broadcast(8.0f), difference2, difference1), m[5]);
  }

  struct Worker {
    const WinogradParams& p;
    const Shape shape;
    const Scratch scratch;
    const float* in;
    const float* weights;
    const float* bias;
    const float* residual;
    float* out;
    Epilogue epilogue;
    int64_t first_tile, tiles;  // of the block at hand

    Worker(const WinogradParams& params, const StepArgs& args)
        : p(params),
          shape(params),
          scratch(layout(shape, args.scratch)),
          in(static_cast<const float*>(args.in[0])),
          weights(static_cast<const float*>(args.in[1])),
          bias(static_cast<const float*>(args.in[2])),
          residual(static_cast<const float*>(args.in[3])),
          out(static_cast<float*>(args.out[0])) {
      make_epilogue(static_cast<UnaryKind>(p.act), p.alpha, p.beta, p.residual, p.pool, &epilogue);
      for (int64_t i = 0; i < larger(shape.depth, int64_t{kPanelWidth}); ++i) scratch.zeros[i] = 0.0f;
    }

    EC_INLINE Place place(int64_t tile) const {
      const int64_t row = tile / shape.tiles_w;
      return {static_cast<int>(row / shape.tiles_h), static_cast<int>(row % shape.tiles_h) * kOut,
              static_cast<int>(tile % shape.tiles_w) * kOut};
    }

    void transform_inputs(int64_t block) {
      first_tile = shape.blocks.start(block);
      tiles = shape.blocks.start(block + 1) - first_tile;
      for (int64_t t = 0; t < tiles; ++t) {
        scratch.rows[t] = scratch.inputs + t * shape.depth;
        const Place at = place(first_tile + t);
        const float* pixels[kFrequencies];
        for (int i = 0; i < kIn; ++i) {
          const int y = at.y - p.pad_top + i;
          for (int j = 0; j < kIn; ++j) {
            const int x = at.x - p.pad_left + j;
            const bool inside = y >= 0 && y < p.in_h && x >= 0 && x < p.in_w;
            pixels[i * kIn + j] =
                inside ? in + ((int64_t{at.n} * p.in_h + y) * p.in_w + x) * p.in_stride : scratch.zeros;
          }
        }
        float* to = scratch.inputs + t * shape.depth;
        int c = 0;
        for (; c + kLanes <= p.in_c; c += kLanes) {
          transform_pixels(to + c, [&](int i) { return load(pixels[i] + c); });
        }
        if (c < p.in_c) {
          transform_pixels(to + c, [&](int i) { return load_partial(pixels[i] + c, p.in_c - c); });
        }
      }
    }

    template <class Load>
    EC_INLINE void transform_pixels(float* to, Load pixel) const {
      Vec columns[kFrequencies];
#pragma GCC unroll 6
      for (int j = 0; j < kIn; ++j) {
        Vec d[kIn];
#pragma GCC unroll 6
        for (int i = 0; i < kIn; ++i) d[i] = pixel(i * kIn + j);
        transform_input(d, columns + j, kIn);
      }
      const int64_t step = tiles * shape.depth;
#pragma GCC unroll 6
      for (int i = 0; i < kIn; ++i) {
        Vec d[kIn], t[kIn];
#pragma GCC unroll 6
        for (int j = 0; j < kIn; ++j) d[j] = columns[i * kIn + j];
        transform_input(d, t, 1);
#pragma GCC unroll 6
        for (int j = 0; j < kIn; ++j) store(to + (i * kIn + j) * step, t[j]);
      }
    }

    // One frequency: rows are tiles.
    void multiply(int frequency, int first_panel, int last_panel) {
      const int64_t k = p.in_c;
      const Panels panels =
          Panels::make(k, p.out_c, 1, weights + frequency * round_up(p.out_c, kLanes) * k, scratch.zeros);
      const Run run{0, 0};
      const TileCut cut = TileCut::make(tiles, kTileRows);
      // Sums only: identity, no residual, no pool.
      Epilogue plain;
      make_epilogue(UnaryKind::k_identity, 0, 0, 0, 0, &plain);
      float* products = scratch.products + frequency * tiles * shape.width;
      for (int n = first_panel; n < last_panel; ++n) {
        const Panel panel = panels.get(n);
        Tile t;
        t.run_count = 1;
        t.run_length = p.in_c;
        t.runs = &run;
        t.a_step = 0;
        t.a_offset = frequency * tiles * shape.depth;
        t.b = panel.b;
        t.start = scratch.zeros;
        t.start_step = 0;
        t.partial = nullptr;
        t.residual = nullptr;
        t.residual_offset = 0;
        t.out_stride = shape.width;
        t.columns = panel.vecs * kLanes;
        t.epilogue = &plain;
        const int64_t panel_floats = k * panel.vecs * kLanes;
        for (int64_t i = 0; i < cut.tiles; ++i) {
          const int64_t row = cut.start(i);
          t.a = scratch.rows + row;
          t.prefetch = panel.b + panel_floats + smaller(i * prefetched(k), panel_floats);
          t.out = products + row * shape.width + int64_t{n - first_panel} * kPanelWidth;
          tile_function(static_cast<int>(cut.start(i + 1) - row), panel.vecs)(t);
        }
      }
    }

    void transform_outputs(int first_panel, int last_panel) {
      const int first = first_panel * kPanelWidth, last = smaller(last_panel * kPanelWidth, p.out_c);
      for (int64_t t = 0; t < tiles; ++t) {
        const Place at = place(first_tile + t);
        const float* products = scratch.products + t * shape.width;
        for (int o = first; o < last; o += kLanes) {
          write_tile(products + (o - first), at, o, smaller(last - o, kLanes));
        }
      }
    }

    // Output channels [o, o + count) of one tile.
    EC_INLINE void write_tile(const float* products, const Place& at, int o, int count) {
      Vec columns[kOut * kIn];
      const int64_t step = tiles * shape.width;
#pragma GCC unroll 6
      for (int j = 0; j < kIn; ++j) {
        Vec m[kIn];
#pragma GCC unroll 6
        for (int i = 0; i < kIn; ++i) m[i] = load(products + (i * kIn + j) * step);
        transform_output(m, columns + j, kIn);
      }
      const Vec b = load(bias + o);
      const int columns_left = smaller(p.out_w - at.x, kOut);
      Vec above[kOut / 2] = {};
#pragma GCC unroll 4
      for (int i = 0; i < kOut; ++i) {
        const int y = at.y + i;
        if (y >= p.out_h) return;
        Vec m[kIn], line[kOut];
#pragma GCC unroll 6
        for (int j = 0; j < kIn; ++j) m[j] = columns[i * kIn + j];
        transform_output(m, line, 1);
        Vec row[kOut][1];
#pragma GCC unroll 4
        for (int j = 0; j < kOut; ++j) row[j][0] = add(line[j], b);
        const int64_t pixel = (int64_t{at.n} * p.out_h + y) * p.out_w + at.x;
        if (p.residual == 1) add_line(row, pixel, columns_left, o, count);
        activate(row, epilogue);
        if (p.residual == 2) add_line(row, pixel, columns_left, o, count);
        if (!p.pool) {
          for (int j = 0; j < columns_left; ++j) put(out + (pixel + j) * p.out_stride + o, row[j][0], count);
          continue;
        }
        for (int j = 0; j < kOut / 2; ++j) {
          const Vec top = max_nan(row[2 * j][0], row[2 * j + 1][0]);
          if (i % 2 == 0) {
            above[j] = top;
          } else if (2 * j + 1 < columns_left) {
            const int64_t pooled = (int64_t{at.n} * (p.out_h / 2) + y / 2) * (p.out_w / 2) + at.x / 2 + j;
            put(out + pooled * p.out_stride + o, max_nan(above[j], top), count);
          }
        }
      }
    }

    EC_INLINE void add_line(Vec (&row)[kOut][1], int64_t pixel, int pixels, int o, int count) const {
      for (int j = 0; j < pixels; ++j) {
        const float* r = residual + (pixel + j) * p.residual_stride + o;
        row[j][0] = add(row[j][0], count == kLanes ? load(r) : load_partial(r, count));
      }
    }

    static EC_INLINE void put(float* to, Vec v, int count) {
      if (count == kLanes) {
        store(to, v);
      } else {
        store_partial(to, v, count);
      }
    }
  };
};

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_WINOGRAD_INL_H_

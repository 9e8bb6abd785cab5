// Convolution as a matrix product over an indirection of pixel pointers.
//
// Rows of the product are output pixels in NHWC order, or, with the fused 2x2 pool, the four pixels under
// each pooled one, so that their maximum is taken in registers. A register tile takes up to kTileRows of
// them. Its pixel pointers are made on the fly: where all windows lie inside the picture they are just the
// windows' corners and the kernel rows are fixed offsets from them; at the border every run has its own
// pointers, and those outside point to zeros.
#ifndef EDGECNN_ALGO_CONV_INL_H_
#define EDGECNN_ALGO_CONV_INL_H_

#include "gemm/igemm-inl.h"
#include "gemm/packed-inl.h"
#include "gemm/row-inl.h"

namespace edgecnn {
namespace EC_ISA {

struct ConvStep {
  // Where there are so many tiles of pixels that threads share those only.
  static constexpr int64_t kManyTiles = 64;
  // Tiles whose sums may wait while a panel is taken in pieces.
  static constexpr int64_t kMostPartial = kManyTiles;
  // Tiles that a panel serves before the next one at least.
  static constexpr int64_t kFewestTiles = 4;
  // Whether a tile of pixels meets several panels in turn, rather than a panel several tiles: where one
  // stream of loads from the second-level cache is foreseen better than one for each row.
#ifdef EC_HAS_FMA_LANE
  static constexpr bool kPanelsPerTile = true;
#else
  static constexpr bool kPanelsPerTile = false;
#endif
  static constexpr int64_t kTileFloats = int64_t{kTileRows} * kPanelWidth;
  static EC_INLINE int64_t tiles_per_item(int64_t tiles) { return ceil_div(tiles, 128); }

  struct Scratch {
    Run* inside_runs;     // for tiles whose windows lie inside the picture
    Run* row_runs;        // pointers per kernel row
    Run* tap_runs;        // pointers per tap
    const float** table;  // [runs][kTileRows]
    const float* zeros;
    float* partial;  // sums of kMostPartial tiles, where the product is cut along K
    float* packed;   // the rows of a tile, for multiply_panels
    uint64_t bytes;
  };

  static EC_INLINE bool merges_taps(const ConvParams& p) {
    return p.dilation_w == 1 && p.groups == 1 && p.in_stride == p.in_c;
  }
  static EC_INLINE int64_t units(const ConvParams& p) {
    return p.pool ? int64_t{p.batch} * (p.out_h / 2) * (p.out_w / 2) : int64_t{p.batch} * p.out_h * p.out_w;
  }
  static EC_INLINE TileCut tile_cut(const ConvParams& p) {
    return TileCut::make_tiles(units(p), p.pool ? kTileRows / 4 : kTileRows);
  }
  static EC_INLINE int panel_count(const ConvParams& p) {
    return Panels::groups_to_count(p.out_c / p.groups, p.groups);
  }

  static Scratch layout(const ConvParams& p, void* scratch) {
    const uint64_t taps = static_cast<uint64_t>(p.kernel_h) * p.kernel_w;
    const uint64_t zeros = static_cast<uint64_t>(p.in_c) * (merges_taps(p) ? p.kernel_w : 1) + kLanes;
    char* base = static_cast<char*>(scratch);
    uint64_t at = 0;
    const auto take = [&](uint64_t bytes) {
      char* block = base + at;
      at += static_cast<uint64_t>(round_up(static_cast<int64_t>(bytes), kAlignment));
      return block;
    };
    Scratch s;
    s.zeros = reinterpret_cast<const float*>(take(zeros * sizeof(float)));
    s.inside_runs = reinterpret_cast<Run*>(take(taps * sizeof(Run)));
    s.row_runs = reinterpret_cast<Run*>(take(uint64_t{sizeof(Run)} * p.kernel_h));
    s.tap_runs = reinterpret_cast<Run*>(take(taps * sizeof(Run)));
    s.table = reinterpret_cast<const float**>(take(taps * kTileRows * sizeof(float*)));
    s.partial =
        reinterpret_cast<float*>(take(p.kernel_h > 1 ? kMostPartial * kTileFloats * sizeof(float) : 0));
    s.packed = reinterpret_cast<float*>(
        take(p.groups == 1 && !is_row(p)
                 ? packed_floats(static_cast<int64_t>(taps) * p.in_c, p.out_c) * sizeof(float)
                 : 0));
    s.bytes = at;
    return s;
  }

  // A single pixel, a fully connected layer, of which several panels are taken together.
  static EC_INLINE bool is_row(const ConvParams& p) {
    return int64_t{p.batch} * p.out_h * p.out_w == 1 && p.kernel_h * p.kernel_w == 1 && p.pad_top == 0 &&
           p.pad_left == 0 && p.groups == 1;
  }

  static int64_t items(const ConvParams& p) {
    if (is_row(p)) return ceil_div(panel_count(p), kRowPanels);
    const int64_t tiles = tile_cut(p).tiles;
    return tiles >= kManyTiles ? ceil_div(tiles, tiles_per_item(tiles)) : tiles * panel_count(p);
  }

  static uint64_t scratch_bytes(const ConvParams& p) { return layout(p, nullptr).bytes; }

  static void run(const ConvParams& p, const StepArgs& args, int64_t begin, int64_t end) {
    Worker w(p, args);
    if (is_row(p)) {
      for (int64_t i = begin; i < end; ++i) w.panels_of_row(static_cast<int>(i) * kRowPanels);
      return;
    }
    const int64_t tiles = w.cut.tiles;
    if (tiles >= kManyTiles) {
      // Panel by panel over as many tiles as keep what they read and write in the second-level cache.
      const int64_t last = smaller(tiles, end * tiles_per_item(tiles));
      const bool whole = w.panels.count <= w.panels_at_once && w.rows_at_once == p.kernel_h;
      const int64_t most = w.rows_at_once == p.kernel_h ? tiles : kMostPartial;
      const int64_t block = whole ? tiles : smaller(most, w.tiles_in(args.caches.l2_bytes / 8));
      for (int64_t t = begin * tiles_per_item(tiles); t < last; t += block) {
        w.tiles_of_panels(0, w.panels.count, t, smaller(t + block, last));
      }
    } else {
      for (int64_t i = begin; i < end;) {
        const int64_t t = i % tiles, whole = t == 0 ? (end - i) / tiles : 0;
        const int64_t n = whole > 0 ? tiles : smaller(tiles - t, end - i);
        const int panel = static_cast<int>(i / tiles), count = static_cast<int>(larger<int64_t>(1, whole));
        w.tiles_of_panels(panel, panel + count, t, t + n);
        i += n * count;
      }
    }
  }

 private:
  struct Pixel {
    int n, y, x;  // of the output, or of the pooled output
  };

  static EC_INLINE bool is_dense(const ConvParams& p) {
    return p.kernel_h == 1 && p.kernel_w == 1 && p.stride_h == 1 && p.stride_w == 1 && p.pad_top == 0 &&
           p.pad_left == 0 && p.out_h == p.in_h && p.out_w == p.in_w && !p.pool;
  }

  // A 1x1 layer over whole pictures is one over a single long row: no tile is cut by the end of one.
  static ConvParams flattened(const ConvParams& params) {
    ConvParams p = params;
    if (is_dense(p)) {
      p.in_w = p.out_w = p.batch * p.in_h * p.in_w;
      p.batch = p.in_h = p.out_h = 1;
    }
    return p;
  }

  struct Worker {
    const ConvParams p;
    const float* in;
    const float* residual;
    float* out;
    Scratch scratch;
    CoreClass core;
    Epilogue epilogue;
    Panels panels;
    TileCut cut;
    bool merged;
    bool dense;              // rows of the product are pixels of the input, one after another
    int unit_h, unit_w;      // output size in units
    int pixels;              // of a unit: 1, or the 4 of a quad
    int extent_h, extent_w;  // of a window in the input
    int64_t in_row;          // elements of an input row
    int rows_at_once;        // kernel rows whose part of a panel stays in the cache
    int panels_at_once;      // panels that each tile meets before the next one
    const float* residuals[kTileRows];
    int first_h, last_h;  // kernel rows of the piece at hand

    Worker(const ConvParams& params, const StepArgs& args)
        : p(flattened(params)),
          in(static_cast<const float*>(args.in[0])),
          residual(static_cast<const float*>(args.in[3])),
          out(static_cast<float*>(args.out[0])),
          scratch(layout(params, args.scratch)),
          core(args.core),
          panels(Panels::make(int64_t{params.kernel_h} * params.kernel_w * (params.in_c / params.groups),
                              params.out_c / params.groups, params.groups, args.in[1], args.in[2])),
          cut(tile_cut(params)),
          merged(merges_taps(params)),
          dense(is_dense(params)),
          unit_h(p.pool ? p.out_h / 2 : p.out_h),
          unit_w(p.pool ? p.out_w / 2 : p.out_w),
          pixels(p.pool ? 4 : 1),
          extent_h((p.kernel_h - 1) * p.dilation_h + 1),
          extent_w((p.kernel_w - 1) * p.dilation_w + 1),
          in_row(int64_t{p.in_w} * p.in_stride) {
      make_epilogue(static_cast<UnaryKind>(p.act), p.alpha, p.beta, p.residual, p.pool, &epilogue);
      const int channels = p.in_c / p.groups;
      const int64_t row_bytes = int64_t{p.kernel_w} * channels * kPanelWidth * sizeof(float);
      const int64_t near = static_cast<int64_t>(args.caches.l2_bytes / 8);
      rows_at_once = static_cast<int>(smaller<int64_t>(p.kernel_h, larger<int64_t>(1, near / row_bytes)));
      const int64_t panel_bytes = row_bytes * p.kernel_h;
      const bool pixels_stay = panel_bytes <= static_cast<int64_t>(args.caches.l1d_bytes / 2);
      panels_at_once = 1;
      if (kPanelsPerTile && p.groups == 1 && rows_at_once == p.kernel_h) {
        const int64_t fit = static_cast<int64_t>(args.caches.l2_bytes / 2) / panel_bytes;
        // Deep rows are packed in cuts, which is worth it for as many panels as shallow ones are packed for.
        if (pixels_stay || fit >= least_panels(core)) {
          const int64_t most = smaller<int64_t>(larger<int64_t>(1, fit), panels.count);
          panels_at_once = static_cast<int>(ceil_div(panels.count, ceil_div(panels.count, most)));
        }
      }
      float* zeros = const_cast<float*>(scratch.zeros);
      const int64_t zero_count = int64_t{p.in_c} * (merged ? p.kernel_w : 1) + kLanes;
      for (int64_t i = 0; i < zero_count; ++i) zeros[i] = 0.0f;
      for (int h = 0; h < p.kernel_h; ++h) {
        const int64_t row = h * p.dilation_h * in_row;
        scratch.row_runs[h] = {0, int64_t{h} * p.kernel_w * channels};
        if (merged) scratch.inside_runs[h] = {row, int64_t{h} * p.kernel_w * channels};
        for (int w = 0; w < p.kernel_w; ++w) {
          const int tap = h * p.kernel_w + w;
          scratch.tap_runs[tap] = {0, int64_t{tap} * channels};
          if (!merged)
            scratch.inside_runs[tap] = {row + int64_t{w} * p.dilation_w * p.in_stride,
                                        int64_t{tap} * channels};
        }
      }
    }

    // How many tiles have inputs and results of about `bytes`.
    int64_t tiles_in(size_t bytes) const {
      const int64_t inputs = int64_t{p.stride_h} * p.stride_w * p.in_stride;
      const int64_t results = int64_t{p.out_c} * (p.residual ? 2 : 1) / pixels;
      const int64_t of_tile = kTileRows * (inputs + results) * static_cast<int64_t>(sizeof(float));
      return larger<int64_t>(kFewestTiles, static_cast<int64_t>(bytes) / of_tile);
    }

    Pixel pixel_of(int64_t unit) const {
      const int64_t row = unit / unit_w;
      return {static_cast<int>(row / unit_h), static_cast<int>(row % unit_h),
              static_cast<int>(unit % unit_w)};
    }

    // Computes tiles [first, last) of panels [first_panel, last_panel).
    void tiles_of_panels(int first_panel, int last_panel, int64_t first, int64_t last) {
      if (panels_at_once == 1) {
        for (int n = first_panel; n < last_panel; ++n) tiles_of_panel(n, first, last);
        return;
      }
      for (int n = first_panel; n < last_panel; n += panels_at_once) {
        panels_of_tiles(n, smaller(last_panel, n + panels_at_once), first, last);
      }
    }

    // Computes tile by tile all of these panels, which stay in the second-level cache: the pixels of a tile
    // stay in the first-level one, and its pointers are made once.
    void panels_of_tiles(int first_panel, int last_panel, int64_t first, int64_t last) {
      first_h = 0;
      last_h = p.kernel_h;
      const int first_channel = first_panel * kPanelWidth;
      const int last_channel = smaller(p.out_c, last_panel * kPanelWidth);
      Tile t;
      t.a = scratch.table;
      t.a_offset = 0;
      t.start_step = 0;
      t.partial = nullptr;
      t.residual = residuals;
      t.out_stride = p.out_stride;
      t.epilogue = &epilogue;
      t.core = core;
      Pixel at = pixel_of(cut.start(first));
      for (int64_t i = first; i < last; ++i) {
        const int64_t unit = cut.start(i);
        const int count = static_cast<int>(cut.start(i + 1) - unit);
        at = point(at, count, &t);
        t.b = panels.weights + panels.k * first_channel;
        t.start = panels.bias + first_channel;
        t.residual_offset = first_channel;
        t.out = out + unit * p.out_stride + first_channel;
        multiply_panels(count * pixels, last_channel - first_channel, scratch.packed, &t);
      }
    }

    // Computes tiles [first, last) of a panel, in pieces of rows_at_once kernel rows: the part of the panel
    // that they use serves all tiles before the next one, which is brought near meanwhile.
    void tiles_of_panel(int index, int64_t first, int64_t last) {
      const Panel panel = panels.get(index);
      const int64_t channel = int64_t{panel.group} * panels.group_columns + panel.first_column;
      const int64_t width = int64_t{panel.vecs} * kLanes, row_depth = panels.k / p.kernel_h;
      Tile t;
      t.a = scratch.table;
      t.a_offset = int64_t{panel.group} * (p.in_c / p.groups);
      t.b = panel.b;
      t.residual = residuals;
      t.residual_offset = channel;
      t.out_stride = p.out_stride;
      t.columns = panel.columns;
      t.epilogue = &epilogue;
      t.core = core;
      const TileFunction compute = tile_function(static_cast<int>(cut.base) * pixels, panel.vecs);
      const TileFunction compute_other = tile_function(static_cast<int>(cut.other()) * pixels, panel.vecs);
      for (int h = 0; h < p.kernel_h; h += rows_at_once) {
        first_h = h;
        last_h = smaller(p.kernel_h, h + rows_at_once);
        const float* next = panel.b + last_h * row_depth * width;
        const int64_t next_floats = last - first > 1 ? (last_h - h) * row_depth * width : 0;
        const int64_t ahead = prefetched((last_h - h) * row_depth);
        Pixel at = pixel_of(cut.start(first));
        for (int64_t i = first; i < last; ++i) {
          const int64_t unit = cut.start(i);
          const int count = static_cast<int>(cut.start(i + 1) - unit);
          float* partial = scratch.partial + (i - first) * kTileFloats;
          at = point(at, count, &t);
          t.prefetch = (i - first) * ahead < next_floats ? next + (i - first) * ahead : panel.b;
          t.start = h == 0 ? panel.bias : partial;
          t.start_step = h == 0 ? 0 : width;
          t.partial = last_h < p.kernel_h ? partial : nullptr;
          t.out = out + unit * p.out_stride + channel;
          (count == cut.base ? compute : compute_other)(t);
        }
      }
    }

    // Computes up to kRowPanels panels from `first` on of the only pixel.
    void panels_of_row(int first) {
      const Panel panel = panels.get(first);
      const int columns = smaller(kRowPanels * kPanelWidth, p.out_c - panel.first_column);
      Tile t;
      t.run_count = 1;
      t.run_length = p.in_c;
      t.runs = scratch.tap_runs;
      t.a = &in;
      t.a_step = 0;
      t.a_offset = 0;
      t.b = panel.b;
      t.start = panel.bias;
      t.start_step = 0;
      t.partial = nullptr;
      t.residual = &residual;
      t.residual_offset = panel.first_column;
      t.out = out + panel.first_column;
      t.out_stride = p.out_stride;
      t.epilogue = &epilogue;
      t.core = core;
      multiply_row(columns, &t);
    }

    // Pointers from `first` on for the rows of n units: `right` apart, the lower ones of a quad `down` below.
    void spread(const float* first, int64_t right, int64_t down, int n, const float** slot) const {
      if (p.pool) {
        for (int u = 0; u < n; ++u, first += 2 * right, slot += 4) {
          slot[0] = first;
          slot[1] = first + right;
          slot[2] = first + down;
          slot[3] = first + down + right;
        }
      } else {
        for (int u = 0; u < n; ++u, first += right) slot[u] = first;
      }
    }

    Pixel after(Pixel at, int n) const {
      at.x += n;
      if (at.x == unit_w) at = {at.n + (at.y + 1 == unit_h), at.y + 1 == unit_h ? 0 : at.y + 1, 0};
      return at;
    }

    // Sets the pixel pointers of a tile of `count` units beginning at `start`; returns the unit behind them.
    Pixel point(Pixel start, int count, Tile* t) {
      if (dense) {
        spread(in + int64_t{start.x} * p.in_stride, p.in_stride, 0, count, scratch.table);
        if (p.residual) {
          spread(residual + int64_t{start.x} * p.residual_stride, p.residual_stride, 0, count, residuals);
        }
        t->a_step = 0;
        set_runs(scratch.inside_runs, merged, t);
        return {0, 0, start.x + count};
      }
      const int scale = p.pool ? 2 : 1;
      bool inside_x = true, inside_y = true;
      Pixel at = start;
      for (int done = 0; done < count;) {
        const int n = smaller(count - done, unit_w - at.x);
        const int oy = at.y * scale, ox = at.x * scale;
        const int y = oy * p.stride_h - p.pad_top, x = ox * p.stride_w - p.pad_left;
        inside_y &= y >= 0 && y + (scale - 1) * p.stride_h + extent_h <= p.in_h;
        inside_x &= x >= 0 && x + (n * scale - 1) * p.stride_w + extent_w <= p.in_w;
        if (inside_x && inside_y) {
          spread(in + (int64_t{at.n} * p.in_h + y) * in_row + int64_t{x} * p.in_stride,
                 int64_t{p.stride_w} * p.in_stride, p.stride_h * in_row, n, scratch.table + done * pixels);
        }
        if (p.residual) {
          const int64_t stride = p.residual_stride;
          spread(residual + ((int64_t{at.n} * p.out_h + oy) * p.out_w + ox) * stride, stride,
                 p.out_w * stride, n, residuals + done * pixels);
        }
        done += n;
        at = after(at, n);
      }
      if (inside_x && inside_y) {
        t->a_step = 0;
        set_runs(scratch.inside_runs, merged, t);
      } else {
        const bool by_row = merged && inside_x;
        t->a_step = kTileRows;
        set_runs(by_row ? scratch.row_runs : scratch.tap_runs, by_row, t);
        point_across(by_row, start, count);
      }
      return at;
    }

    // The same where some window crosses the border: a pointer for each run of each row.
    void point_across(bool by_row, Pixel at, int count) const {
      const float** slot = scratch.table;
      for (int u = 0; u < count; ++u, at = after(at, 1)) {
        for (int q = 0; q < pixels; ++q, ++slot) {
          const int oy = p.pool ? 2 * at.y + (q >> 1) : at.y, ox = p.pool ? 2 * at.x + (q & 1) : at.x;
          point_runs(by_row, at.n, oy * p.stride_h - p.pad_top, ox * p.stride_w - p.pad_left, slot);
        }
      }
    }

    void set_runs(const Run* runs, bool by_row, Tile* t) const {
      const int per_row = by_row ? 1 : p.kernel_w;
      t->runs = runs + first_h * per_row;
      t->run_count = (last_h - first_h) * per_row;
      t->run_length = by_row ? p.kernel_w * p.in_c : p.in_c / p.groups;
    }

    // The pointers of one pixel whose window begins at (y, x), one for each kernel row or each tap.
    void point_runs(bool by_row, int n, int y, int x, const float** slot) const {
      y += first_h * p.dilation_h;
      for (int h = first_h; h < last_h; ++h, y += p.dilation_h) {
        const bool row_inside = y >= 0 && y < p.in_h;
        const float* row = in + (int64_t{n} * p.in_h + (row_inside ? y : 0)) * in_row;
        if (by_row) {
          *slot = row_inside ? row + int64_t{x} * p.in_stride : scratch.zeros;
          slot += kTileRows;
          continue;
        }
        for (int w = 0, ix = x; w < p.kernel_w; ++w, ix += p.dilation_w, slot += kTileRows) {
          *slot = row_inside && ix >= 0 && ix < p.in_w ? row + int64_t{ix} * p.in_stride : scratch.zeros;
        }
      }
    }
  };
};

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_CONV_INL_H_

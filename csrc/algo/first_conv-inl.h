// Convolution of pictures of few channels, the first layer of a network, with a maximum over windows behind
// it.
//
// Such a layer is shallow: as a matrix product over pixels it would spend its time on pointers and on runs of
// three floats. Here the input rows of a band are first laid out in scratch as strips: per channel a row of
// floats, padded with zeros, and cut by the stride, so that what one tap of the kernel needs for
// neighbouring output pixels lies side by side:
//
//   strip of input row y, channel c, stride 2:  x0 x2 x4 ... | x1 x3 x5 ...
//
// From there on borders, strides and layouts of the input are gone: a tap is an offset, a tile of pixels
// reads its floats at `strip + offset`, and every product is one loop over the taps.
//
//                         NV vectors of output channels, loaded once per tap
//                        +--------+--------+
//    neighbouring        |        |        |   NEON     12 x 2 accumulators, 2 of weights, 3 of pixels
//    pixels x[0..P) ---> |  acc   |  acc   |   AVX-512  12 x 2, AVX2 6 x 2, portable 4 x 2: pixels broadcast
//                        +--------+--------+
//
// Each sum is one chain of fma from the bias on, over the taps in ascending order, whatever the tiles, so
// results do not depend on the number of threads. A row that tiles do not divide ends with one that
// overlaps the one before it. Cores with NEON that reorder go through rows in assembly, where the end of a
// tile meets the start of the next one (algo/first_conv_neon.S).
#ifndef EDGECNN_ALGO_FIRST_CONV_INL_H_
#define EDGECNN_ALGO_FIRST_CONV_INL_H_

#include "algo/first_rows-inl.h"
#include "algo/window-inl.h"
#include "gemm/igemm-inl.h"
#ifdef EC_HAS_FMA_LANE
#include "algo/first_conv_neon-inl.h"
#endif

namespace edgecnn {
namespace EC_ISA {

#ifdef EC_HAS_FMA_LANE
extern "C" void edgecnn_first_conv_row(const void* row);
#endif

struct FirstConvStep {
#ifdef EC_HAS_FMA_LANE
  static constexpr int kWide = 12, kNarrow = 8;  // pixels of a tile
  static constexpr int kRowTile = 8;             // of one in algo/first_conv_neon.S
#else
  static constexpr int kWide = kTileRows, kNarrow = kTileRows == 12 ? 8 : 4;
#endif
  static constexpr int kMostPoolRows = 16;  // as validated
  // Rows of the convolution whose strips are made together; even, for pairs of rows.
  static constexpr int kBandRows = 8;
  // Items to be made where rows suffice. Fewer where windows of the pool overlap: rows at the border of two
  // items are computed for both.
  static constexpr int64_t kItems = 32, kOverlappingItems = 10;

  // kPairs: 2x2 at stride 2, taken in registers before the function is applied, which must never fall. Behind
  // other windows it is applied where it never falls, too: there are fewer of them than sums.
  enum class Pool { kNone, kPairs, kWindows };

  // Sizes in floats.
  struct Shape {
    Pool pool;
    int64_t width;    // columns of the convolution that are needed
    int64_t phase;    // of a strip's part for one remainder of the stride
    int64_t channel;  // of a channel's strip
    int64_t row;      // of an input row's strips
    int64_t rows;     // input rows of a band
    int64_t taps;
    int64_t channels;  // output channels, in whole vectors
    int64_t item_rows;

    explicit Shape(const FirstConvParams& p) {
      const bool one =
          p.pool_kernel_h == 1 && p.pool_kernel_w == 1 && p.pool_stride_h == 1 && p.pool_stride_w == 1;
      const bool two = p.pool_kernel_h == 2 && p.pool_kernel_w == 2 && p.pool_stride_h == 2 &&
                       p.pool_stride_w == 2 && p.pool_pad_top == 0 && p.pool_pad_left == 0 &&
                       p.pooled_h <= p.out_h / 2 && p.pooled_w <= p.out_w / 2 && function_rises(p);
      pool = one ? Pool::kNone : two ? Pool::kPairs : Pool::kWindows;
      width = pool == Pool::kPairs ? int64_t{2} * p.pooled_w : p.out_w;
      phase = round_up(larger<int64_t>(width, kWide) + (p.kernel_w - 1) / p.stride_w, kLanes);
      channel = phase * p.stride_w;
      row = channel * p.in_c;
      rows = int64_t{kBandRows - 1} * p.stride_h + p.kernel_h;
      taps = int64_t{p.kernel_h} * p.kernel_w * p.in_c;
      channels = round_up(p.out_c, kLanes);
      const int64_t all = int64_t{p.batch} * p.pooled_h;
      item_rows = ceil_div(all, pool == Pool::kWindows ? kOverlappingItems : kItems);
    }
  };

  static bool function_rises(const FirstConvParams& p) {
    Epilogue e;
    make_epilogue(static_cast<UnaryKind>(p.act), p.alpha, p.beta, 0, 0, &e);
    return rises(e);
  }

  struct Scratch {
    int32_t* offsets;  // of the taps, and one more, 0
    float* padded;     // an input row, its channels apart, before it is cut by the stride
    float* strips;     // [rows][in_c][stride_w][phase]
    float* tile;       // what a tile puts aside
    float* ring;       // kWindows: the last pool_kernel_h rows of the convolution
    uint64_t bytes;
  };

  static Scratch layout(const FirstConvParams& p, const Shape& shape, void* scratch) {
    char* base = static_cast<char*>(scratch);
    uint64_t at = 0;
    const auto take = [&](int64_t floats) {
      char* block = base + at;
      at += static_cast<uint64_t>(round_up(floats * 4, kAlignment));
      return block;
    };
    Scratch s;
    s.offsets = reinterpret_cast<int32_t*>(take(shape.taps + 1));
    s.padded = reinterpret_cast<float*>(take(shape.row));
    s.strips = reinterpret_cast<float*>(take(shape.rows * shape.row));
    s.tile = reinterpret_cast<float*>(take(kWide * kPanelWidth));
    s.ring = reinterpret_cast<float*>(
        take(shape.pool == Pool::kWindows
                 ? Panels::groups_to_count(p.out_c, 1) * p.pool_kernel_h * shape.width * kPanelWidth
                 : 0));
    s.bytes = at;
    return s;
  }

  static int64_t items(const FirstConvParams& p) {
    return ceil_div(int64_t{p.batch} * p.pooled_h, Shape(p).item_rows);
  }

  static uint64_t scratch_bytes(const FirstConvParams& p) { return layout(p, Shape(p), nullptr).bytes; }

  static void run(const FirstConvParams& p, const StepArgs& args, int64_t begin, int64_t end) {
    Worker w(p, args);
    const int64_t last = smaller(int64_t{p.batch} * p.pooled_h, end * w.shape.item_rows);
    for (int64_t row = begin * w.shape.item_rows; row < last; ++row) w.output_row(row);
  }

 private:
  struct Activation {
    ActMode mode;
    UnaryKind kind;
    Vec alpha, beta;  // kFloor, kClamp: the bounds
    float plain_alpha, plain_beta;

    Activation(UnaryKind function, float first, float second) {
      Epilogue e;
      make_epilogue(function, first, second, 0, 0, &e);
      mode = e.mode;
      kind = e.act;
      alpha = broadcast(e.alpha);
      beta = broadcast(e.beta);
      plain_alpha = e.alpha;
      plain_beta = e.beta;
    }
  };

  struct Tile {
    const float* strip;  // of the tile's first pixel, top row of the windows
    int64_t below;       // kPairs: to the strip of the next row of the convolution; 0 elsewhere
    const int32_t* offsets;
    int64_t taps;
    const float* weights;
    const float* bias;
    const Activation* activation;
    bool in_order;  // how the core at hand issues instructions
    float* aside;
    float* out;
    int64_t out_stride;
    int pixels;   // to write; fewer than the tile's only where a row is that short
    int columns;  // channels to write: more than (NV - 1) * kLanes
  };

  template <int N>
  static EC_INLINE void activate(Vec (&v)[N], const Activation& f, float* aside) {
    switch (f.mode) {
      case ActMode::kNone:
        break;
      case ActMode::kFloor:
#pragma GCC unroll 24
        for (int i = 0; i < N; ++i) v[i] = max(f.alpha, v[i]);
        break;
      case ActMode::kClamp:
#pragma GCC unroll 24
        for (int i = 0; i < N; ++i) v[i] = clamp(v[i], f.alpha, f.beta);
        break;
      case ActMode::kShallowLeaky: {
        const ShallowLeakyFunctor leaky{f.alpha};
#pragma GCC unroll 24
        for (int i = 0; i < N; ++i) v[i] = leaky(v[i]);
        break;
      }
      case ActMode::kOther:
#pragma GCC unroll 24
        for (int i = 0; i < N; ++i) store(aside + i * kLanes, v[i]);
        apply_unary(f.kind, f.plain_alpha, f.plain_beta, aside, N);
#pragma GCC unroll 24
        for (int i = 0; i < N; ++i) v[i] = load(aside + i * kLanes);
        break;
    }
  }

  // sums[i * NV + j] of pixel i and vector j.
  template <int P, int NV>
  static EC_INLINE void convolve(const Tile& t, const float* strip, Vec (&sums)[P * NV]) {
#ifdef EC_HAS_FMA_LANE
    if constexpr (P * NV == 24) {
      return first_conv_taps(t.in_order, strip, t.offsets, t.taps, t.weights, t.bias, sums);
    }
#endif
#pragma GCC unroll 24
    for (int i = 0; i < P * NV; ++i) sums[i] = load(t.bias + i % NV * kLanes);
    const float* b = t.weights;
    const int32_t* const end = t.offsets + t.taps;
#pragma GCC unroll 1
    for (const int32_t* offset = t.offsets; offset != end; ++offset, b += NV * kLanes) {
      const float* x = strip + *offset;
#ifdef EC_HAS_FMA_LANE
      Vec w[NV], pixels[P / kLanes];
      w[0] = load_in_order<0>(b);
      if constexpr (NV > 1) w[1] = load_in_order<kLanes>(b);
      pixels[0] = load_in_order<0>(x);
      pixels[1] = load_in_order<kLanes>(x);
      if constexpr (P > 2 * kLanes) pixels[2] = load_in_order<2 * kLanes>(x);
#pragma GCC unroll 4
      for (int q = 0; q < P / kLanes; ++q) {
        Vec* const sum = sums + q * kLanes * NV;
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) fma_lane_in_order<0>(pixels[q], w[j], &sum[j]);
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) fma_lane_in_order<1>(pixels[q], w[j], &sum[NV + j]);
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) fma_lane_in_order<2>(pixels[q], w[j], &sum[2 * NV + j]);
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) fma_lane_in_order<3>(pixels[q], w[j], &sum[3 * NV + j]);
      }
#else
      Vec w[NV];
#pragma GCC unroll 4
      for (int j = 0; j < NV; ++j) w[j] = load(b + j * kLanes);
#pragma GCC unroll 12
      for (int i = 0; i < P; ++i) {
        const Vec pixel = broadcast(x[i]);
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) sums[i * NV + j] = fma(pixel, w[j], sums[i * NV + j]);
      }
#endif
    }
  }

  template <int P, int NV>
  static __attribute__((noinline)) void row_tile(const Tile& t) {
    Vec sums[P * NV];
    convolve<P, NV>(t, t.strip, sums);
    activate(sums, *t.activation, t.aside);
    put<P, NV>(t, sums, t.aside);
  }

  // A tile's results. What is not whole goes by way of `aside`, unless stores of part of a vector are cheap:
  // sums indexed by a variable would all be kept in memory.
  template <int P, int NV>
  static EC_INLINE void put(const Tile& t, const Vec (&v)[P * NV], float* aside) {
    constexpr bool kMaskedStores = kLanes > 4;
    float* out = t.out;
    const int64_t stride = t.out_stride;
    const int columns = t.columns;
    if (t.pixels >= P && columns == NV * kLanes) {
#pragma GCC unroll 12
      for (int i = 0; i < P; ++i, out += stride) store_columns<NV>(out, v + i * NV, NV * kLanes);
    } else if (t.pixels >= P && kMaskedStores) {
#pragma GCC unroll 12
      for (int i = 0; i < P; ++i, out += stride) store_columns<NV>(out, v + i * NV, columns);
    } else {
#pragma GCC unroll 24
      for (int i = 0; i < P * NV; ++i) store(aside + i * kLanes, v[i]);
      const int pixels = smaller(t.pixels, P);
      for (int i = 0; i < pixels; ++i, out += stride) copy_floats(out, aside + i * NV * kLanes, columns);
    }
  }

  // The maximum of neighbouring pixels.
  template <int P, int NV>
  static EC_INLINE void across(const Vec (&sums)[P * NV], Vec (&best)[P / 2 * NV]) {
#pragma GCC unroll 12
    for (int i = 0; i < P / 2 * NV; ++i) {
      const int left = i / NV * 2 * NV + i % NV;
      best[i] = max_nan(sums[left], sums[left + NV]);
    }
  }

  template <int P, int NV>
  static __attribute__((noinline)) void pair_tile(const Tile& t) {
    constexpr int kBest = P / 2 * NV;
    // Behind what `activate` puts aside.
    float* const top = t.aside + kBest * kLanes;
    Vec sums[P * NV], best[kBest];
    convolve<P, NV>(t, t.strip, sums);
    across<P, NV>(sums, best);
#pragma GCC unroll 12
    for (int i = 0; i < kBest; ++i) store(top + i * kLanes, best[i]);
    convolve<P, NV>(t, t.strip + t.below, sums);
    across<P, NV>(sums, best);
#pragma GCC unroll 12
    for (int i = 0; i < kBest; ++i) best[i] = max_nan(load(top + i * kLanes), best[i]);
    activate(best, *t.activation, t.aside);
    put<P / 2, NV>(t, best, top);
  }

#ifdef EC_HAS_FMA_LANE
  // Whole tiles of a row by 8 channels, one behind the other, see algo/first_conv_neon.S.
  struct RowTiles {
    const float *strip,
        *last_strip;  // of the first tile and of the last one, which may overlap the one before
    float *out, *last_out;
    int64_t tiles;
    int64_t out_step;  // bytes from pixel to pixel
    const int32_t* offsets;
    int64_t taps;
    const float* weights;
    const float* bias;
    float low, high;
    int64_t bounds;  // how many of them matter, from `low` on
  };
  static_assert(offsetof(RowTiles, strip) == 0 && offsetof(RowTiles, last_strip) == 8 &&
                    offsetof(RowTiles, out) == 16 && offsetof(RowTiles, last_out) == 24 &&
                    offsetof(RowTiles, tiles) == 32 && offsetof(RowTiles, out_step) == 40 &&
                    offsetof(RowTiles, offsets) == 48 && offsetof(RowTiles, taps) == 56 &&
                    offsetof(RowTiles, weights) == 64 && offsetof(RowTiles, bias) == 72 &&
                    offsetof(RowTiles, low) == 80 && offsetof(RowTiles, bounds) == 88,
                "first_conv_neon.S");

  // Whether it could: a row from tile `t` on, `width` pixels.
  static bool row_tiles(const Tile& t, int64_t width) {
    const ActMode mode = t.activation->mode;
    if (t.in_order || t.columns != 2 * kLanes || width < kRowTile || t.taps < 2 || mode > ActMode::kClamp)
      return false;
    RowTiles row;
    row.tiles = ceil_div(width, kRowTile);
    row.strip = t.strip;
    row.out = t.out;
    row.last_strip = t.strip + width - kRowTile;
    row.last_out = t.out + (width - kRowTile) * t.out_stride;
    row.out_step = t.out_stride * static_cast<int64_t>(sizeof(float));
    row.offsets = t.offsets;
    row.taps = t.taps;
    row.weights = t.weights;
    row.bias = t.bias;
    row.low = t.activation->plain_alpha;
    row.high = t.activation->plain_beta;
    row.bounds = mode == ActMode::kNone ? 0 : mode == ActMode::kFloor ? 1 : 2;
    edgecnn_first_conv_row(&row);
    return true;
  }
#endif

  using TileFunction = void (*)(const Tile&);
  template <int P>
  static TileFunction tile_function(Pool pool, int vecs) {
    if (pool == Pool::kPairs) return vecs == 1 ? pair_tile<P, 1> : pair_tile<P, 2>;
    return vecs == 1 ? row_tile<P, 1> : row_tile<P, 2>;
  }

  // Wide tiles and up to two narrow ones that together reach over a row with the least to spare.
  struct ColumnCut {
    int64_t wide, narrow;
    explicit ColumnCut(int64_t width) : wide(0), narrow(0) {
      int64_t least = 0;
      for (int64_t n = 0; n <= 2; ++n) {
        const int64_t rest = larger<int64_t>(0, width - n * kNarrow), fit = ceil_div(rest, kWide);
        const int64_t reach = fit * kWide + n * kNarrow;
        if (n > 0 && reach >= least) continue;
        least = reach;
        wide = fit;
        narrow = n;
      }
    }
  };

 public:
  struct Worker {
    const FirstConvParams& p;
    const Shape shape;
    const Scratch scratch;
    const Activation of_sums, of_maxima;  // one of them does nothing
    const ColumnCut cut;
    const Panels panels;
    const float* in;
    float* out;
    const bool in_order;
    // Rows of the convolution, counted over the batch, whose strips are at hand, and the end of those in the
    // ring.
    int64_t band_first = 0, band_last = 0, ring_last = -1;

    Worker(const FirstConvParams& params, const StepArgs& args)
        : p(params),
          shape(params),
          scratch(layout(params, shape, args.scratch)),
          of_sums(activates_maxima() ? UnaryKind::k_identity : UnaryKind(p.act), p.alpha, p.beta),
          of_maxima(activates_maxima() ? UnaryKind(p.act) : UnaryKind::k_identity, p.alpha, p.beta),
          cut(shape.width),
          panels(Panels::make(shape.taps, params.out_c, 1, args.in[1], args.in[2])),
          in(static_cast<const float*>(args.in[0])),
          out(static_cast<float*>(args.out[0])),
          in_order(args.core == CoreClass::kInOrder) {
      int32_t* offset = scratch.offsets;
      for (int h = 0; h < p.kernel_h; ++h) {
        for (int w = 0; w < p.kernel_w; ++w) {
          for (int c = 0; c < p.in_c; ++c) {
            *offset++ = static_cast<int32_t>(h * shape.row + c * shape.channel +
                                             w % p.stride_w * shape.phase + w / p.stride_w);
          }
        }
      }
      *offset = 0;
    }

    bool activates_maxima() const { return shape.pool != Pool::kNone && function_rises(p); }

    // Row `row` of the output, counted over the batch.
    void output_row(int64_t row) {
      row_to(row / p.pooled_h, row % p.pooled_h, out + row * p.pooled_w * p.out_stride);
    }

    // Row y of picture n.
    void row_to(int64_t n, int64_t y, float* to) {
      switch (shape.pool) {
        case Pool::kNone:
          need_strips(n, y, 1);
          for (int i = 0; i < panels.count; ++i)
            convolve_row(panels.get(i), n * p.out_h + y, to, p.out_stride, p.out_c);
          return;
        case Pool::kPairs:
          need_strips(n, 2 * y, 2);
          for (int i = 0; i < panels.count; ++i) {
            convolve_row(panels.get(i), n * p.out_h + 2 * y, to, p.out_stride, p.out_c);
          }
          return;
        case Pool::kWindows:
          return window_row(n, y, to);
      }
    }

    // A row of maxima over windows. Panel by panel, so that rows of the convolution are still near when the
    // maxima are taken.
    void window_row(int64_t n, int64_t y, float* to) {
      const TapRange down(y * p.pool_stride_h - p.pool_pad_top, p.pool_kernel_h, 1, 0, p.out_h);
      const int64_t top = n * p.out_h + y * p.pool_stride_h - p.pool_pad_top;
      const int64_t first = top + down.first, last = top + down.last;
      int64_t row = smaller(larger(first, ring_last), last);
      if (first < last) ring_last = last;
      do {
        const int64_t next = smaller(last, row + kBandRows);
        if (row < next) need_strips(n, row - n * p.out_h, next - row);
        for (int i = 0; i < panels.count; ++i) {
          const Panel panel = panels.get(i);
          for (int64_t r = row; r < next; ++r)
            convolve_row(panel, r, ring_row(i, r), kPanelWidth, shape.channels);
          if (next < last) continue;
          const auto pool = last - first == 3
                                ? (panel.vecs == 1 ? &Worker::pool_row<1, 3> : &Worker::pool_row<2, 3>)
                                : (panel.vecs == 1 ? &Worker::pool_row<1, 0> : &Worker::pool_row<2, 0>);
          (this->*pool)(i, panel, first, last, to + panel.first_column);
        }
        row = next;
      } while (row < last);
    }

    float* ring_row(int panel, int64_t row) const {
      return scratch.ring + (panel * p.pool_kernel_h + row % p.pool_kernel_h) * shape.width * kPanelWidth;
    }

    // A panel's part of a row of the convolution, counted over the batch, or of the maxima over pairs in it
    // and the next one; `channels` of all panels are written.
    void convolve_row(const Panel& panel, int64_t row, float* to, int64_t stride, int64_t channels) const {
      const float* strip = scratch.strips + (row - band_first) * p.stride_h * shape.row;
      const int shrink = shape.pool == Pool::kPairs ? 2 : 1;
      Tile t;
      t.below = p.stride_h * shape.row;
      t.offsets = scratch.offsets;
      t.taps = shape.taps;
      t.weights = panel.b;
      t.bias = panel.bias;
      t.activation = shape.pool == Pool::kPairs ? &of_maxima : &of_sums;
      t.in_order = in_order;
      t.aside = scratch.tile;
      t.out_stride = stride;
      t.columns = static_cast<int>(smaller<int64_t>(panel.vecs * kLanes, channels - panel.first_column));
      if (shape.pool != Pool::kWindows) to += panel.first_column;
#ifdef EC_HAS_FMA_LANE
      t.strip = strip;
      t.out = to;
      if (shape.pool != Pool::kPairs && row_tiles(t, shape.width)) return;
#endif
      const TileFunction wide = tile_function<kWide>(shape.pool, panel.vecs);
      const TileFunction narrow = tile_function<kNarrow>(shape.pool, panel.vecs);
      for (int64_t k = 0, at = 0; k < cut.wide + cut.narrow; ++k) {
        const bool is_wide = k < cut.wide;
        const int64_t pixels = is_wide ? kWide : kNarrow;
        const int64_t x = larger<int64_t>(0, smaller(at, shape.width - pixels));
        t.strip = strip + x;
        t.out = to + x / shrink * stride;
        t.pixels = static_cast<int>(smaller(pixels, shape.width) / shrink);
        (is_wide ? wide : narrow)(t);
        at += pixels;
      }
    }

    // Has the strips for `count` rows of picture n from y on at hand.
    void need_strips(int64_t n, int64_t y, int64_t count) {
      const int64_t row = n * p.out_h + y;
      if (row < band_first || row + count > band_last) make_strips(n, y);
    }

    void make_strips(int64_t n, int64_t y) {
      band_first = n * p.out_h + y;
      const int64_t count = smaller<int64_t>(kBandRows, p.out_h - y);
      band_last = band_first + count;
      const int64_t top = y * p.stride_h - p.pad_top, rows = (count - 1) * p.stride_h + p.kernel_h;
      for (int64_t i = 0; i < rows; ++i) {
        float* strip = scratch.strips + i * shape.row;
        if (top + i < 0 || top + i >= p.in_h) {
          fill_floats(strip, shape.row, 0.0f);
          continue;
        }
        cut_row(p, in, n, top + i, shape.phase, shape.width + (p.kernel_w - 1) / p.stride_w, scratch.padded,
                strip);
      }
    }

    // The maxima of NV vectors of column x.
    template <int NV, int kRows>
    static EC_INLINE void column_maxima(const float* const* rows, int64_t count, int64_t x, Vec (&v)[NV]) {
      if constexpr (kRows == 0) {
        for (int j = 0; j < NV; ++j) v[j] = broadcast(-__builtin_inff());
      }
#pragma GCC unroll 3
      for (int64_t i = 0; i < count; ++i) {
#pragma GCC unroll 2
        for (int j = 0; j < NV; ++j) {
          const Vec cell = load(rows[i] + x * kPanelWidth + j * kLanes);
          v[j] = kRows > 0 && i == 0 ? cell : max_nan(v[j], cell);
        }
      }
    }

    // Pixels of the output from px on whose windows, of three columns at stride 2, lie wholly inside.
    int64_t inside_from(int64_t px) const {
      const int64_t left = px * p.pool_stride_w - p.pool_pad_left;
      if (p.pool_kernel_w != 3 || p.pool_stride_w != 2 || left < 0) return 0;
      return smaller((p.out_w - 1 - left) / 2, p.pooled_w - px);
    }

    // The maxima over windows of rows [first, last) of a panel's ring: kRows of them, where that is not 0.
    // Neighbouring windows often share a column, whose maximum is kept.
    template <int NV, int kRows>
    void pool_row(int index, const Panel& panel, int64_t first, int64_t last, float* to) const {
      const float* rows[kRows > 0 ? kRows : kMostPoolRows];
      const int64_t count = kRows > 0 ? kRows : last - first;
      for (int64_t i = 0; i < count; ++i) rows[i] = ring_row(index, first + i);
      const int columns = panel.columns;
      const int64_t step = p.out_stride;
      Vec held[NV] = {};
      int64_t held_at = -1;
      for (int64_t px = 0; px < p.pooled_w; ++px, to += step) {
        const int64_t left = px * p.pool_stride_w - p.pool_pad_left;
        if constexpr (kRows > 0) {
          const int64_t inside = of_maxima.mode <= ActMode::kClamp ? inside_from(px) : 0;
          if (inside > 1 && columns == NV * kLanes) {
            threes<NV, kRows>(rows, left, inside, to);
            px += inside - 1;
            to += (inside - 1) * step;
            continue;
          }
        }
        const TapRange taps(left, p.pool_kernel_w, 1, 0, p.out_w);
        Vec best[NV];
        for (int v = 0; v < NV; ++v) best[v] = broadcast(-__builtin_inff());
        for (int64_t x = left + taps.first; x < left + taps.last; ++x) {
          if (x != held_at) {
            column_maxima<NV, kRows>(rows, count, x, held);
            held_at = x;
          }
          for (int v = 0; v < NV; ++v) best[v] = max_nan(best[v], held[v]);
        }
        activate(best, of_maxima, scratch.tile);
        store_columns<NV>(to, best, columns);
      }
    }

    // Those of `inside_from`: `count` windows from column x on.
    template <int NV, int kRows>
    EC_INLINE void threes(const float* const* rows, int64_t x, int64_t count, float* to) const {
      const float* at[kRows];
      for (int i = 0; i < kRows; ++i) at[i] = rows[i] + x * kPanelWidth;
      const int64_t step = p.out_stride;
      const ActMode mode = of_maxima.mode;
      const Vec low = mode == ActMode::kNone ? broadcast(-__builtin_inff()) : of_maxima.alpha;
      const Vec high = mode == ActMode::kClamp ? of_maxima.beta : broadcast(__builtin_inff());
      Vec left[NV], middle[NV], right[NV];
      column_maxima<NV, kRows>(at, kRows, 0, left);
#pragma GCC unroll 1
      for (; count > 0; --count, to += step) {
        column_maxima<NV, kRows>(at, kRows, 1, middle);
        column_maxima<NV, kRows>(at, kRows, 2, right);
#pragma GCC unroll 3
        for (int i = 0; i < kRows; ++i) at[i] += 2 * kPanelWidth;
#pragma GCC unroll 2
        for (int v = 0; v < NV; ++v) {
          store(to + v * kLanes, clamp(max_nan(max_nan(left[v], middle[v]), right[v]), low, high));
          left[v] = right[v];
        }
      }
    }
  };
};

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_FIRST_CONV_INL_H_

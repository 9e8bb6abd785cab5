// Convolution of pictures of few channels, 3x3 at stride 1, by Winograd's F(4x4, 3x3); algo/winograd-inl.h
// has its formula and is for many channels. Here the products are so shallow, one to four channels, that
// the transforms decide: vectors go along the tiles on the way in and along the output channels on the way
// out, and nothing between products and output is larger than a few tiles.
//
// A band is a row of tiles. Its six input rows are padded and cut by four (algo/first_rows-inl.h), so that
// what the tiles of a vector need of a column lies side by side, and transformed along themselves first: rows
// that two bands share are transformed once, and kept in a ring.
//
//   ring    [6 rows][C][6][tiles]         transformed along the rows
//   inputs  [vector of tiles][6][C][6][kLanes]   and down the columns; the column's number first
//   half    [6][tile][4]                  products, transformed down the columns
//
// kTiles tiles at a time, one vector of output channels: for each of the six columns the products of its six
// frequencies are registers, and so are the four sums they become.
#ifndef EDGECNN_ALGO_FIRST_WINOGRAD_INL_H_
#define EDGECNN_ALGO_FIRST_WINOGRAD_INL_H_

#include "algo/first_rows-inl.h"
#include "algo/winograd_transforms-inl.h"
#include "gemm/igemm-inl.h"

namespace edgecnn {
namespace EC_ISA {

struct FirstWinogradStep {
  static constexpr int kOut = 4, kIn = 6;
  // Products of so many tiles fit into the registers.
  static constexpr int kTiles = kTileRows > 6 ? 4 : 2;
  static_assert(kLanes % kTiles == 0, "a vector of tiles is whole groups");
  // Loads that come together, before their products: in-order cores pay for a change from one to the other.
  static constexpr int kBatch = 3;
  // Weights that are kept near for all tiles of a band.
  static constexpr int64_t kNearFloats = 3072;
  // Items to be made where bands suffice: rows at the border of two are transformed for both.
  static constexpr int64_t kItems = 32;

  // Sizes in floats.
  struct Shape {
    int64_t rows, columns;  // of the convolution that are needed
    int64_t tiles;          // of a band, in whole vectors
    int64_t phase;          // of a padded row's part for one remainder of four
    int64_t bands;          // of the batch
    int64_t item_bands;
    int64_t vecs;    // of output channels
    int64_t vector;  // transformed inputs of a vector of tiles; weights of a vector of channels

    explicit Shape(const FirstWinogradParams& p) {
      rows = p.pool ? p.out_h / 2 * 2 : p.out_h;
      columns = p.pool ? p.out_w / 2 * 2 : p.out_w;
      tiles = round_up(ceil_div(columns, kOut), kLanes);
      phase = round_up(tiles + 1, kLanes);
      bands = p.batch * ceil_div(rows, kOut);
      item_bands = larger<int64_t>(1, ceil_div(bands, kItems));
      vecs = ceil_div(p.out_c, kLanes);
      vector = int64_t{kIn} * kIn * p.in_c * kLanes;
    }
  };

  struct Scratch {
    float* padded;  // an input row, before it is cut
    float* phases;  // and then
    float* ring;
    float* inputs;
    float* half;
    uint64_t bytes;
  };

  static Scratch layout(const FirstWinogradParams& p, const Shape& shape, void* scratch) {
    char* base = static_cast<char*>(scratch);
    uint64_t at = 0;
    const auto take = [&](int64_t floats) {
      char* block = base + at;
      at += static_cast<uint64_t>(round_up(floats * 4, kAlignment));
      return reinterpret_cast<float*>(block);
    };
    Scratch s;
    s.padded = take(kOut * shape.phase * p.in_c);
    s.phases = take(kOut * shape.phase);
    s.ring = take(int64_t{kIn} * p.in_c * kIn * shape.tiles);
    s.inputs = take(shape.tiles / kLanes * shape.vector);
    s.half = take(kTiles * kOut * kIn * kLanes);
    s.bytes = at;
    return s;
  }

  static int64_t items(const FirstWinogradParams& p) {
    const Shape shape(p);
    return ceil_div(shape.bands, shape.item_bands);
  }

  static uint64_t scratch_bytes(const FirstWinogradParams& p) { return layout(p, Shape(p), nullptr).bytes; }

  static void run(const FirstWinogradParams& p, const StepArgs& args, int64_t begin, int64_t end) {
    Worker w(p, args);
    const int64_t last = smaller(w.shape.bands, end * w.shape.item_bands);
    for (int64_t band = begin * w.shape.item_bands; band < last; ++band) w.output_band(band);
  }

 private:
  static EC_INLINE void transform_input(const Vec (&d)[kIn], Vec* t) {
    t[0] = transform_end(d[0], d[2], d[4]);
    transform_middle(d[1], d[2], d[3], d[4], t, 1);
    t[5] = transform_end(d[1], d[3], d[5]);
  }

  struct Worker {
    const FirstWinogradParams& p;
    const Shape shape;
    const Scratch scratch;
    const float* in;
    const float* weights;
    const float* bias;
    float* out;
    void (*multiply_tiles)(const float* x, const float* w, float* half);
    Epilogue epilogue;
    int64_t ring_picture = -1;  // whose rows are in the ring, and their end
    int64_t ring_end = 0;

    Worker(const FirstWinogradParams& params, const StepArgs& args)
        : p(params),
          shape(params),
          scratch(layout(params, shape, args.scratch)),
          in(static_cast<const float*>(args.in[0])),
          weights(static_cast<const float*>(args.in[1])),
          bias(static_cast<const float*>(args.in[2])),
          out(static_cast<float*>(args.out[0])),
          multiply_tiles(p.in_c == 1   ? multiply<1>
                         : p.in_c == 2 ? multiply<2>
                         : p.in_c == 3 ? multiply<3>
                                       : multiply<4>) {
      make_epilogue(static_cast<UnaryKind>(p.act), p.alpha, p.beta, 0, 0, &epilogue);
    }

    // Counted over the batch.
    void output_band(int64_t band) {
      const int64_t bands = ceil_div(shape.rows, kOut), n = band / bands, y = band % bands * kOut;
      if (n != ring_picture || y > ring_end) ring_end = y;
      ring_picture = n;
      for (; ring_end < y + kIn; ++ring_end) transform_row(n, ring_end);
      transform_columns(y);
      const int64_t tiles = ceil_div(shape.columns, kOut), shrink = p.pool ? 2 : 1;
      const int rows = static_cast<int>(smaller<int64_t>(kOut, shape.rows - y));
      const int64_t line = p.out_w / shrink * p.out_stride, tile = kOut / shrink * p.out_stride;
      float* const row = out + (n * (p.out_h / shrink) + y / shrink) * line;
      const int64_t near = larger<int64_t>(1, kNearFloats / shape.vector);
      for (int64_t first = 0; first < shape.vecs; first += near) {
        for (int64_t t = 0; t < tiles; t += kTiles) {
          Target to;
          to.pixel = p.out_stride;
          to.line = line;
          to.tile = tile;
          to.tiles = static_cast<int>(smaller<int64_t>(kTiles, tiles - t));
          to.rows = rows;
          to.columns = static_cast<int>(smaller<int64_t>(kTiles * kOut, shape.columns - t * kOut));
          for (int64_t v = first; v < smaller(first + near, shape.vecs); ++v) {
            multiply_tiles(scratch.inputs + t / kLanes * shape.vector + t % kLanes,
                           weights + v * shape.vector, scratch.half);
            to.out = row + t * tile + v * kLanes;
            to.channels = static_cast<int>(smaller<int64_t>(p.out_c - v * kLanes, kLanes));
            (p.pool ? output_tiles<true> : output_tiles<false>)(scratch.half, bias + v * kLanes, to,
                                                                &epilogue);
          }
        }
      }
    }

    // Row y of the padded picture n, into its place of the ring.
    void transform_row(int64_t n, int64_t y) const {
      const int64_t channel = kOut * shape.phase, step = shape.tiles;
      float* to = scratch.ring + y % kIn * p.in_c * kIn * step;
      if (y < p.pad_top || y >= p.in_h + p.pad_top) {
        fill_floats(to, p.in_c * kIn * step, 0.0f);
        return;
      }
      pad_row(p, in, n, y - p.pad_top, channel, scratch.padded);
      for (int c = 0; c < p.in_c; ++c, to += kIn * step) {
        const float* x = scratch.phases;
        deal(kOut, scratch.padded + c * channel, shape.phase, scratch.phases, shape.phase);
        for (int64_t t = 0; t < shape.tiles; t += kLanes) {
          Vec d[kIn], r[kIn];
#pragma GCC unroll 6
          for (int j = 0; j < kIn; ++j) d[j] = load(x + j % kOut * shape.phase + t + j / kOut);
          transform_input(d, r);
#pragma GCC unroll 6
          for (int j = 0; j < kIn; ++j) store(to + j * step + t, r[j]);
        }
      }
    }

    // The six rows of the ring from y on.
    void transform_columns(int64_t y) const {
      const float* rows[kIn];
      for (int i = 0; i < kIn; ++i) rows[i] = scratch.ring + (y + i) % kIn * p.in_c * kIn * shape.tiles;
      for (int c = 0; c < p.in_c; ++c) {
        for (int j = 0; j < kIn; ++j) {
          const int64_t from = (int64_t{c} * kIn + j) * shape.tiles;
          float* to = scratch.inputs + (int64_t{j} * p.in_c + c) * kIn * kLanes;
          for (int64_t t = 0; t < shape.tiles; t += kLanes, to += shape.vector) {
            Vec d[kIn], r[kIn];
#pragma GCC unroll 6
            for (int i = 0; i < kIn; ++i) d[i] = load(rows[i] + from + t);
            transform_input(d, r);
#pragma GCC unroll 6
            for (int i = 0; i < kIn; ++i) store(to + i * kLanes, r[i]);
          }
        }
      }
    }

    // The products of kTiles tiles and a vector of output channels, transformed down the columns.
    template <int C>
    static void multiply(const float* x, const float* w, float* half) {
#pragma GCC unroll 1
      for (int j = 0; j < kIn; ++j, half += kTiles * kOut * kLanes) {
        Vec sums[kIn][kTiles];
#pragma GCC unroll 8
        for (int n = 0; n < C * kIn; n += kBatch) {
          Vec inputs[kBatch], taps[kBatch];
          (void)inputs;
          load_batch(&w, taps);
#ifdef EC_HAS_FMA_LANE
          load_batch(&x, inputs);
          keep_order();
#endif
#pragma GCC unroll 3
          for (int i = 0; i < kBatch; ++i) {
            Vec(&sum)[kTiles] = sums[(n + i) % kIn];
#ifdef EC_HAS_FMA_LANE
            if (n < kIn) {
              mul_lane_in_order<0>(inputs[i], taps[i], &sum[0]);
              mul_lane_in_order<1>(inputs[i], taps[i], &sum[1]);
              mul_lane_in_order<2>(inputs[i], taps[i], &sum[2]);
              mul_lane_in_order<3>(inputs[i], taps[i], &sum[3]);
            } else {
              fma_lane_in_order<0>(inputs[i], taps[i], &sum[0]);
              fma_lane_in_order<1>(inputs[i], taps[i], &sum[1]);
              fma_lane_in_order<2>(inputs[i], taps[i], &sum[2]);
              fma_lane_in_order<3>(inputs[i], taps[i], &sum[3]);
            }
#else
#pragma GCC unroll 4
            for (int t = 0; t < kTiles; ++t) {
              const Vec input = broadcast(x[i * kLanes + t]);
              sum[t] = n < kIn ? mul(input, taps[i]) : fma(input, taps[i], sum[t]);
            }
#endif
          }
#ifndef EC_HAS_FMA_LANE
          x += kBatch * kLanes;
#endif
        }
        transform_sums(sums);
#pragma GCC unroll 4
        for (int t = 0; t < kTiles; ++t) {
#pragma GCC unroll 4
          for (int i = 0; i < kOut; ++i) store(half + (t * kOut + i) * kLanes, sums[i][t]);
        }
      }
    }

    // At of N columns side by side, so that none waits for its own results: 4 of 6 rows in place.
    template <int N>
    static EC_INLINE void transform_sums(Vec (&m)[kIn][N]) {
      const Vec two = broadcast(2.0f), four = broadcast(4.0f), eight = broadcast(8.0f);
      const auto each = [](auto f) {
#pragma GCC unroll 4
        for (int t = 0; t < N; ++t) f(t);
      };
      Vec sum[N];
      each([&](int t) { sum[t] = add(m[1][t], m[2][t]); });
      each([&](int t) { m[1][t] = sub(m[1][t], m[2][t]); });
      each([&](int t) { m[2][t] = add(m[3][t], m[4][t]); });
      each([&](int t) { m[3][t] = sub(m[3][t], m[4][t]); });
      each([&](int t) { m[0][t] = add(m[0][t], sum[t]); });
      each([&](int t) { m[5][t] = add(m[5][t], m[1][t]); });
      each([&](int t) { m[0][t] = add(m[0][t], m[2][t]); });
      each([&](int t) { m[1][t] = fma(two, m[3][t], m[1][t]); });
      each([&](int t) { m[2][t] = fma(four, m[2][t], sum[t]); });
      each([&](int t) { m[3][t] = fma(eight, m[3][t], m[5][t]); });
    }

    // Goes on to the next.
    static EC_INLINE void load_batch(const float** p, Vec (&v)[kBatch]) {
#ifdef EC_HAS_FMA_LANE
      load_side_by_side(*p, v);
#else
#pragma GCC unroll 3
      for (int i = 0; i < kBatch; ++i) v[i] = load(*p + i * kLanes);
#endif
      *p += kBatch * kLanes;
      keep_in_register(*p);
    }

    // Where the results of kTiles tiles go: floats from pixel to pixel, row to row and tile to tile, and what
    // there is of them.
    struct Target {
      float* out;
      int64_t pixel, line, tile;
      int tiles, rows, columns, channels;  // rows and columns of the convolution, of all tiles
    };

    template <bool kPool>
    static __attribute__((noinline)) void output_tiles(const float* half, const float* bias, Target to,
                                                       Epilogue* epilogue) {
      constexpr int kSide = kPool ? kOut / 2 : kOut;
      const Vec start = load(bias);
      const bool pool_first = rises(*epilogue);
      const bool whole = to.rows == kOut && to.columns == kTiles * kOut && to.channels == kLanes;
      for (int t = 0; t < to.tiles; ++t, half += kOut * kLanes, to.out += to.tile) {
        Vec m[kIn][kOut], results[kSide * kSide][1];
#pragma GCC unroll 6
        for (int j = 0; j < kIn; ++j) {
#pragma GCC unroll 4
          for (int i = 0; i < kOut; ++i) m[j][i] = load(half + (j * kTiles * kOut + i) * kLanes);
        }
#pragma GCC unroll 4
        for (int i = 0; i < kOut; ++i) m[1][i] = add(m[1][i], start);  // which all four outputs contain once
        transform_sums(m);
        if constexpr (kPool) {
          if (!pool_first) activate_sums(m, epilogue);
#pragma GCC unroll 4
          for (int q = 0; q < kSide * kSide; ++q) {
            const int i = q / 2 * 2, j = q % 2 * 2;
            results[q][0] = max_nan(max_nan(m[j][i], m[j + 1][i]), max_nan(m[j][i + 1], m[j + 1][i + 1]));
          }
          if (pool_first) activate(results, *epilogue);
        } else {
#pragma GCC unroll 16
          for (int i = 0; i < kOut * kOut; ++i) results[i][0] = m[i % kOut][i / kOut];
          activate(results, *epilogue);
        }
        if (whole) {
          write<kSide>(results, to, kSide, kSide, kLanes);
        } else {
          const int columns = smaller(kOut, to.columns - t * kOut);
          write<kSide>(results, to, to.rows * kSide / kOut, columns * kSide / kOut, to.channels);
        }
      }
    }

    static EC_INLINE void activate_sums(Vec (&m)[kIn][kOut], Epilogue* epilogue) {
      Vec sums[kOut * kOut][1];
#pragma GCC unroll 16
      for (int i = 0; i < kOut * kOut; ++i) sums[i][0] = m[i % kOut][i / kOut];
      activate(sums, *epilogue);
#pragma GCC unroll 16
      for (int i = 0; i < kOut * kOut; ++i) m[i % kOut][i / kOut] = sums[i][0];
    }

    // The first rows x columns of a square of kSide * kSide pixels.
    template <int kSide>
    static EC_INLINE void write(const Vec (&pixels)[kSide * kSide][1], const Target& to, int rows,
                                int columns, int channels) {
      float* line = to.out;
#pragma GCC unroll 4
      for (int i = 0; i < kSide; ++i, line += to.line) {
#pragma GCC unroll 4
        for (int j = 0; j < kSide; ++j) {
          if (i >= rows || j >= columns) continue;
          if (channels == kLanes) {
            store(line + j * to.pixel, pixels[i * kSide + j][0]);
          } else {
            store_partial(line + j * to.pixel, pixels[i * kSide + j][0], channels);
          }
        }
      }
    }
  };
};

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_FIRST_WINOGRAD_INL_H_

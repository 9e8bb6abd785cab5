// Depthwise convolution, vectorised over channels.
//
// Most layers are 3x3 and go by bands of rows (dwband-inl.h); an item is a band, or a part of its channels.
//
// Of the others an item is an output row, or a part of its channels. Inside of the picture it goes by groups
// of kColumns neighbouring output pixels, so that an input column (and for 3x3 and 5x5 the weights of a
// kernel row) is loaded once for all of the windows it lies in; the pixels whose windows cross the left or
// right border are done singly, over the taps that hit. Every output is one chain of fma over its taps in
// (h, w) order on both ways.
#ifndef EDGECNN_ALGO_DWCONV_INL_H_
#define EDGECNN_ALGO_DWCONV_INL_H_

#include "algo/dwband-inl.h"
#include "gemm/igemm-inl.h"

namespace edgecnn {
namespace EC_ISA {

struct DwConvStep {
  // Bands or rows of the output by parts of the channels.
  static int64_t items(const DwConvParams& p) { return heights(p) * parts(p); }
  static uint64_t scratch_bytes(const DwConvParams&) { return 0; }

  static void run(const DwConvParams& p, const StepArgs& args, int64_t begin, int64_t end) {
    if (DwBand::can(p)) {
      run_bands(p, args, begin, end);
    } else {
      run_rows(p, args, begin, end);
    }
  }

 private:
  static constexpr int kColumns = 4;

  // Bands or rows of all pictures.
  static int64_t heights(const DwConvParams& p) {
    return p.batch * (DwBand::can(p) ? ceil_div(p.out_h, DwBand::kRows) : p.out_h);
  }

  // Small pictures have too few of them to share out evenly.
  static int parts(const DwConvParams& p) {
    return heights(p) >= 32 ? 1 : smaller(4, static_cast<int>(ceil_div(p.channels, kLanes)));
  }

  struct Channels {
    int first, last;
  };
  static Channels channels_of(const DwConvParams& p, int64_t part) {
    const int64_t vecs = ceil_div(p.channels, kLanes), count = parts(p);
    return {static_cast<int>(part * vecs / count) * kLanes,
            smaller(p.channels, static_cast<int>((part + 1) * vecs / count) * kLanes)};
  }

  static void run_bands(const DwConvParams& p, const StepArgs& args, int64_t begin, int64_t end) {
    DwBand band(p, static_cast<const float*>(args.in[1]), static_cast<const float*>(args.in[2]));
    const int64_t bands = heights(p) / p.batch;
    for (int64_t item = begin; item < end; ++item) {
      const Channels c = channels_of(p, item % parts(p));
      const int64_t index = item / parts(p), picture = index / bands;
      const int y = static_cast<int>(index % bands) * DwBand::kRows;
      float* out = static_cast<float*>(args.out[0]) + (picture * p.out_h + y) * p.out_w * p.out_stride;
      band.in = static_cast<const float*>(args.in[0]) + picture * p.in_h * p.in_w * p.in_stride;
      band.run(y, smaller(DwBand::kRows, p.out_h - y), 0, p.out_w, c.first, c.last,
               {out, int64_t{p.out_w} * p.out_stride, p.out_stride});
    }
  }

  static void run_rows(const DwConvParams& p, const StepArgs& args, int64_t begin, int64_t end) {
    Epilogue epilogue;
    make_epilogue(static_cast<UnaryKind>(p.act), p.alpha, p.beta, p.residual, /*pool=*/0, &epilogue);
    // Columns [first, last) have windows inside the picture.
    const int extent = (p.kernel_w - 1) * p.dilation_w + 1;
    const int first = smaller(p.out_w, static_cast<int>(ceil_div(p.pad_left, p.stride_w)));
    const int fit = p.in_w + p.pad_left - extent;
    const int last = larger(first, smaller(p.out_w, fit < 0 ? 0 : fit / p.stride_w + 1));
    for (int64_t item = begin; item < end; ++item) {
      const int64_t i = item / parts(p);
      const Channels channels = channels_of(p, item % parts(p));
      Row r;
      r.first_c = channels.first;
      r.last_c = channels.last;
      r.p = &p;
      r.epilogue = &epilogue;
      r.in = static_cast<const float*>(args.in[0]) + (i / p.out_h) * p.in_h * p.in_w * p.in_stride;
      r.weights = static_cast<const float*>(args.in[1]);
      r.bias = static_cast<const float*>(args.in[2]);
      r.residual =
          p.residual ? static_cast<const float*>(args.in[3]) + i * p.out_w * p.residual_stride : nullptr;
      r.out = static_cast<float*>(args.out[0]) + i * p.out_w * p.out_stride;
      r.y = static_cast<int>(i % p.out_h) * p.stride_h - p.pad_top;
      r.first_h = r.y >= 0 ? 0 : static_cast<int>(ceil_div(-r.y, p.dilation_h));
      r.last_h =
          smaller(p.kernel_h, static_cast<int>(r.y >= p.in_h ? 0 : ceil_div(p.in_h - r.y, p.dilation_h)));
      for (int x = 0; x < first; ++x) border_pixel(r, x);
      // The last group begins earlier where it would reach too far, and repeats some results; not with a
      // residual, whose tensor the output may overwrite.
      const bool repeat = last - first >= kColumns && !p.residual;
      for (int x = first; x < last; x += kColumns) inside(r, repeat ? smaller(x, last - kColumns) : x, last);
      for (int x = last; x < p.out_w; ++x) border_pixel(r, x);
    }
  }

  struct Row {
    const DwConvParams* p;
    Epilogue* epilogue;
    const float* in;  // of the picture
    const float* weights;
    const float* bias;
    const float* residual;  // of the row, as `out`
    float* out;
    int y;                // of the first kernel row in the input
    int first_h, last_h;  // kernel rows that hit the picture
    int first_c, last_c;
  };

  // How the channels of one vector are read: all, or the first `count` at the end of a pixel.
  struct ReadAll {
    EC_INLINE Vec operator()(const float* p) const { return load(p); }
  };
  struct ReadPart {
    int count;
    EC_INLINE Vec operator()(const float* p) const { return load_partial(p, count); }
  };

  // Calls body(c, read) for each vector of channels.
  template <class Body>
  static EC_INLINE void for_channels(const Row& r, Body body) {
    int c = r.first_c;
    for (; c + kLanes <= r.last_c; c += kLanes) body(c, ReadAll{});
    if (c < r.last_c) body(c, ReadPart{r.last_c - c});
  }

  // Outputs from x on whose windows lie inside: kColumns of them, or what there is before `last`.
  static void inside(const Row& r, int x, int last) {
    const DwConvParams& p = *r.p;
    if (x + kColumns > last) {
      for (; x < last; ++x) columns<1>(r, x);
    } else if (p.kernel_w == 3 && p.dilation_w == 1 && p.stride_w <= 2) {
      p.stride_w == 1 ? columns_of<3, 1>(r, x) : columns_of<3, 2>(r, x);
    } else if (p.kernel_w == 5 && p.dilation_w == 1 && p.stride_w <= 2) {
      p.stride_w == 1 ? columns_of<5, 1>(r, x) : columns_of<5, 2>(r, x);
    } else {
      columns<kColumns>(r, x);
    }
  }

  template <int N>
  static EC_INLINE void finish(const Row& r, int x, int c, Vec (&acc)[N][1]) {
    const DwConvParams& p = *r.p;
    const float* rows[N] = {};
    Tile t;
    t.residual = rows;
    t.residual_offset = c;
    t.out = r.out + int64_t{x} * p.out_stride + c;
    t.out_stride = p.out_stride;
    t.columns = smaller(kLanes, p.channels - c);
    t.epilogue = r.epilogue;
    if (r.residual != nullptr) {
      for (int j = 0; j < N; ++j) rows[j] = r.residual + int64_t{x + j} * p.residual_stride;
    }
    finish_depthwise(acc, t);
  }

  template <int N>
  static EC_INLINE void finish_depthwise(Vec (&acc)[N][1], const Tile& t) {
    Epilogue& e = *t.epilogue;
    if (e.residual == 1) add_residual(acc, t);
    activate(acc, e);
    if (e.residual == 2) add_residual(acc, t);
#pragma GCC unroll 4
    for (int j = 0; j < N; ++j) store_columns<1>(t.out + j * t.out_stride, acc[j], t.columns);
  }

  // kColumns outputs from x on, all channels. Input columns are shared: output j takes column j * kStride + w
  // for tap w.
  template <int kTaps, int kStride>
  static __attribute__((noinline)) void columns_of(const Row& r, int x) {
    constexpr int kInputs = (kColumns - 1) * kStride + kTaps;
    const DwConvParams& p = *r.p;
    const int64_t padded = round_up(p.channels, kLanes), in_row = int64_t{p.in_w} * p.in_stride;
    const float* corner = r.in + int64_t{r.y} * in_row + int64_t{x * kStride - p.pad_left} * p.in_stride;
    for_channels(
        r, [&](int c, auto read) __attribute__((always_inline)) {
          Vec acc[kColumns][1];
          const Vec bias = load(r.bias + c);
#pragma GCC unroll 4
          for (int j = 0; j < kColumns; ++j) acc[j][0] = bias;
          for (int h = r.first_h; h < r.last_h; ++h) {
            const float* row = corner + h * p.dilation_h * in_row + c;
            const float* weights = r.weights + h * kTaps * padded + c;
            Vec k[kTaps];
#pragma GCC unroll 5
            for (int w = 0; w < kTaps; ++w) k[w] = load(weights + w * padded);
#pragma GCC unroll 16
            for (int i = 0; i < kInputs; ++i) {
              const Vec v = read(row + i * int64_t{p.in_stride});
#pragma GCC unroll 4
              for (int j = 0; j < kColumns; ++j) {
                const int w = i - j * kStride;
                if (w >= 0 && w < kTaps) acc[j][0] = fma(v, k[w], acc[j][0]);
              }
            }
          }
          finish(r, x, c, acc);
        });
  }

  // N outputs from x on for any kernel.
  template <int N>
  static __attribute__((noinline)) void columns(const Row& r, int x) {
    const DwConvParams& p = *r.p;
    const int64_t padded = round_up(p.channels, kLanes), in_row = int64_t{p.in_w} * p.in_stride;
    const int64_t step = int64_t{p.stride_w} * p.in_stride, tap = int64_t{p.dilation_w} * p.in_stride;
    const float* corner = r.in + int64_t{r.y} * in_row + (int64_t{x} * p.stride_w - p.pad_left) * p.in_stride;
    for_channels(
        r, [&](int c, auto read) __attribute__((always_inline)) {
          Vec acc[N][1];
          const Vec bias = load(r.bias + c);
#pragma GCC unroll 4
          for (int j = 0; j < N; ++j) acc[j][0] = bias;
          for (int h = r.first_h; h < r.last_h; ++h) {
            const float* row = corner + h * p.dilation_h * in_row + c;
            const float* weights = r.weights + int64_t{h} * p.kernel_w * padded + c;
            for (int w = 0; w < p.kernel_w; ++w, row += tap, weights += padded) {
              const Vec wv = load(weights);
#pragma GCC unroll 4
              for (int j = 0; j < N; ++j) acc[j][0] = fma(read(row + j * step), wv, acc[j][0]);
            }
          }
          finish(r, x, c, acc);
        });
  }

  // One output whose window crosses the left or right border.
  static __attribute__((noinline)) void border_pixel(const Row& r, int x) {
    const DwConvParams& p = *r.p;
    const int64_t padded = round_up(p.channels, kLanes), in_row = int64_t{p.in_w} * p.in_stride;
    const int64_t tap = int64_t{p.dilation_w} * p.in_stride;
    const int left = x * p.stride_w - p.pad_left;
    const int first_w = left >= 0 ? 0 : static_cast<int>(ceil_div(-left, p.dilation_w));
    const int last_w =
        left >= p.in_w ? 0 : smaller(p.kernel_w, static_cast<int>(ceil_div(p.in_w - left, p.dilation_w)));
    const float* corner = r.in + int64_t{r.y} * in_row + left * int64_t{p.in_stride} + first_w * tap;
    for_channels(
        r, [&](int c, auto read) __attribute__((always_inline)) {
          Vec acc[1][1];
          acc[0][0] = load(r.bias + c);
          for (int h = r.first_h; h < r.last_h; ++h) {
            const float* pixel = corner + h * p.dilation_h * in_row + c;
            const float* weights = r.weights + (int64_t{h} * p.kernel_w + first_w) * padded + c;
            for (int w = first_w; w < last_w; ++w, pixel += tap, weights += padded) {
              acc[0][0] = fma(read(pixel), load(weights), acc[0][0]);
            }
          }
          finish(r, x, c, acc);
        });
  }
};

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_DWCONV_INL_H_

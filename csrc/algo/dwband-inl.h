// Depthwise convolution 3x3 at stride 1 or 2: a band of one or two output rows, one vector of channels at a
// time, walked from left to right.
//
// The nine weight vectors and the sums of the windows that are open stay in registers; every step loads one
// input column, of the 3 to 5 rows that the band's windows reach, for all windows it lies in:
//
//   stride 1            column:  w[.][2] of the oldest sum, which is then done,     2 rows: 4 loads, 18 fma
//                                w[.][1] of the middle one, w[.][0] of a new one            for 2 results
//   stride 2            odd:     w[.][1];  even: w[.][2], and w[.][0] of a new one  2 rows: 10 loads, 18 fma
//
// The border costs nothing more: rows outside of the picture are a vector of zeros that is not moved along,
// and columns outside can only be the first or the last of a walk, which are tested. A walk is cut to
// kMostColumns results, so that all lines it touches are still in the first-level cache for the next vector
// of channels. Every result is one chain of fma over its taps, column by column. On ARM two rows are walked
// in assembly (algo/dwband_neon.S).
#ifndef EDGECNN_ALGO_DWBAND_INL_H_
#define EDGECNN_ALGO_DWBAND_INL_H_

#include "gemm/igemm-inl.h"

namespace edgecnn {
namespace EC_ISA {

#ifdef EC_HAS_FMA_LANE
extern "C" {
void edgecnn_dwband_2x1(const void* lines);
void edgecnn_dwband_2x2(const void* lines);
}
#endif

struct DwBand {
  static constexpr int kRows = 2;

  // Whether bands can do a layer: no more columns may lie outside than a walk tests.
  static bool can(const DwConvParams& p) {
    return p.kernel_h == 3 && p.kernel_w == 3 && p.dilation_h == 1 && p.dilation_w == 1 &&
           p.stride_h == p.stride_w && p.stride_w <= 2 && p.residual == 0 && p.pad_left <= 3 - p.stride_w &&
           (p.out_w - 1) * p.stride_w - p.pad_left < p.in_w;
  }

  DwBand(const DwConvParams& params, const float* w, const float* b)
      : p(params), weights(w), bias(b), padded(round_up(params.channels, kLanes)) {
    make_epilogue(static_cast<UnaryKind>(p.act), p.alpha, p.beta, /*residual=*/0, /*pool=*/0, &epilogue);
    low = clamps(epilogue) ? epilogue.alpha : -__builtin_inff();
    high = clamps(epilogue) ? epilogue.beta : __builtin_inff();
  }

  // Where the results of a band go: rows `row` apart, columns `column` apart, vectors of channels `vector`.
  struct Place {
    float* out;
    int64_t row;
    int column;
    int64_t vector = kLanes;
  };

  // Outputs [x, x + columns) of rows [y, y + rows), rows <= kRows, channels [first_c, last_c).
  void run(int y, int rows, int x, int columns, int first_c, int last_c, Place to) {
    const int pieces = static_cast<int>(ceil_div(columns, kMostColumns));
    for (int i = 0; i < pieces; ++i) {
      const int begin = columns * i / pieces, end = columns * (i + 1) / pieces;
      Walk w;
      w.count = end - begin;
      w.out = to.out + int64_t{begin} * to.column;
      w.out_row = to.row;
      w.out_column = to.column;
      w.out_vector = to.vector;
      w.first_c = first_c;
      w.last_c = last_c;
      walk_rows(y, rows, x + begin, &w);
      w.first_c = first_c;
      if (epilogue.mode == ActMode::kShallowLeaky || epilogue.mode == ActMode::kOther)
        activate_after(w, rows);
    }
  }

  const float* in = nullptr;  // the picture at hand
  // Unless 0: `in` is a ring of so many rows, in which row 0 of the picture lies pad_top rows behind the
  // first.
  int slots = 0;

 private:
  static constexpr int kMostColumns = 32;
  static constexpr int kMostReach = (kRows - 1) * 2 + 3;

  struct Walk {
    const float* row[kMostReach];  // channel 0 of the first column, even where that lies outside
    int row_step[kMostReach];      // from column to column; 0: the row lies outside, and is zeros
    int column;                    // the first one in the input
    int count;                     // results in a row
    float* out;
    int64_t out_row;
    int out_column;
    int64_t out_vector;
    int first_c, last_c;
  };

  const DwConvParams p;
  const float* weights;
  const float* bias;
  const int64_t padded;  // channels in the weights
  Epilogue epilogue;
  float low, high;  // of the activation, if it is a clamp; others follow in a pass of their own

  static const float* zeros() {
    alignas(64) static constexpr float kZeros[kLanes] = {};
    return kZeros;
  }

  void set_rows(int y, int rows, int x, Walk* w) const {
    w->column = x * p.stride_w - p.pad_left;
    const int top = y * p.stride_h - p.pad_top, reach = (rows - 1) * p.stride_h + 3;
    for (int r = 0; r < reach; ++r) {
      const bool inside = top + r >= 0 && top + r < p.in_h;
      w->row_step[r] = inside ? p.in_stride : 0;
      const int64_t row = slots == 0 ? top + r : (y * p.stride_h + r) % slots;
      w->row[r] = inside ? in + (row * p.in_w + w->column) * p.in_stride : zeros();
    }
  }

#ifdef EC_HAS_FMA_LANE
  // Whole vectors of channels of two rows are for assembly, the rest goes row by row.
  void walk_rows(int y, int rows, int x, Walk* w) const {
    if (rows == kRows && w->count >= kFewestColumns) {
      set_rows(y, rows, x, w);
      walk_vectors(w);
    }
    if (w->first_c == w->last_c) return;
    float* const out = w->out;
    for (int r = 0; r < rows; ++r, w->out += w->out_row) {
      set_rows(y + r, 1, x, w);
      p.stride_w == 1 ? walk<1, 1>(*w) : walk<1, 2>(*w);
    }
    w->out = out;
  }

  static constexpr int kFewestColumns = 2;

  // See algo/dwband_neon.S.
  struct Lines {
    const float* row[kMostReach];  // the first column
    int64_t inside[kMostReach];    // -1; 0: the row lies outside, and is a vector of zeros
    int64_t step[kMostReach];      // bytes from column to column
    const float* weights;
    int64_t tap_step;  // bytes from tap to tap
    const float* bias;
    float* out[kRows];
    int64_t out_step;    // bytes from result to result
    int64_t steps;       // columns, or pairs of them, that surely lie inside
    int64_t first, end;  // bytes from channel 0
    int64_t outside;     // bits 0 and 1: the first columns; 2 and 3: the last ones
    float low, high;
    int64_t out_vector;  // bytes from vector to vector
  };
  static_assert(offsetof(Lines, inside) == 40 && offsetof(Lines, step) == 80 &&
                    offsetof(Lines, weights) == 120 && offsetof(Lines, bias) == 136 &&
                    offsetof(Lines, out) == 144 && offsetof(Lines, steps) == 168 &&
                    offsetof(Lines, first) == 176 && offsetof(Lines, outside) == 192 &&
                    offsetof(Lines, low) == 200 && offsetof(Lines, out_vector) == 208,
                "dwband_neon.S");

  // Takes w->first_c on to what is left.
  void walk_vectors(Walk* w) const {
    constexpr int64_t kFloatBytes = sizeof(float);
    const int end = w->last_c / kLanes * kLanes;
    if (w->first_c >= end) return;
    Lines lines;
    for (int r = 0; r < (kRows - 1) * p.stride_h + 3; ++r) {
      lines.row[r] = w->row[r];
      lines.inside[r] = w->row_step[r] != 0 ? -1 : 0;
      lines.step[r] = w->row_step[r] * kFloatBytes;
    }
    lines.weights = weights;
    lines.tap_step = padded * kFloatBytes;
    lines.bias = bias;
    lines.out[0] = w->out;
    lines.out[1] = w->out + w->out_row;
    lines.out_step = w->out_column * kFloatBytes;
    lines.out_vector = w->out_vector * kFloatBytes;
    lines.first = w->first_c * kFloatBytes;
    lines.end = end * kFloatBytes;
    lines.low = low;
    lines.high = high;
    const auto outside = [&](int column, int bit) {
      return int64_t{static_cast<unsigned>(w->column + column) >= static_cast<unsigned>(p.in_w)} << bit;
    };
    if (p.stride_w == 1) {
      lines.steps = w->count - 2;
      lines.outside = outside(0, 0) | outside(1, 1) | outside(w->count, 2) | outside(w->count + 1, 3);
      edgecnn_dwband_2x1(&lines);
    } else {
      lines.steps = w->count - 1;
      lines.outside = outside(0, 0) | outside(2 * w->count - 1, 2) | outside(2 * w->count, 3);
      edgecnn_dwband_2x2(&lines);
    }
    w->first_c = end;
  }
#else
  void walk_rows(int y, int rows, int x, Walk* w) const {
    set_rows(y, rows, x, w);
    if (p.stride_w == 1) {
      rows == 1 ? walk<1, 1>(*w) : walk<2, 1>(*w);
    } else {
      rows == 1 ? walk<1, 2>(*w) : walk<2, 2>(*w);
    }
  }
#endif

  template <int R, int S>
  __attribute__((noinline)) void walk(const Walk& w) const {
    int c = w.first_c;
    for (; c + kLanes <= w.last_c; c += kLanes) line<R, S>(w, c, Whole{});
    if (c < w.last_c) line<R, S>(w, c, Part{w.last_c - c});
  }

  // How a vector of channels is read and written: whole, or the first `count` at the end of a pixel.
  struct Whole {
    EC_INLINE Vec get(const float* from) const { return load(from); }
    EC_INLINE void put(float* to, Vec v) const { store(to, v); }
  };
  struct Part {
    int count;
    EC_INLINE Vec get(const float* from) const { return load_partial(from, count); }
    EC_INLINE void put(float* to, Vec v) const { store_partial(to, v, count); }
  };

  // Adds a column to the sums of the R windows of which it is column `tap`.
  template <int S, int kReach, int R>
  static EC_INLINE void add_row(const Vec (&v)[kReach], const Vec (&k)[3][3], int h, int tap, Vec (&sum)[R]) {
#pragma GCC unroll 2
    for (int y = 0; y < R; ++y) sum[y] = fma(v[y * S + h], k[h][tap], sum[y]);
  }

  template <int R, int S, class Access>
  EC_INLINE void line(const Walk& w, int c, Access access) const {
    constexpr int kReach = (R - 1) * S + 3;
    const float* q[kReach];
    ptrdiff_t step[kReach];
#pragma GCC unroll 8
    for (int r = 0; r < kReach; ++r) {
      step[r] = w.row_step[r];
      q[r] = w.row[r] + (w.row_step[r] != 0 ? c : 0);
    }
    Vec k[3][3];
#pragma GCC unroll 3
    for (int h = 0; h < 3; ++h) {
#pragma GCC unroll 3
      for (int i = 0; i < 3; ++i) k[h][i] = load(weights + (h * 3 + i) * padded + c);
    }
    const Vec start = load(bias + c), least = broadcast(low), most = broadcast(high);
    float* out = w.out + c / kLanes * w.out_vector;

    const auto fetch = [&](Vec(&v)[kReach]) __attribute__((always_inline)) {
#pragma GCC unroll 8
      for (int r = 0; r < kReach; ++r) {
        v[r] = access.get(q[r]);
        q[r] += step[r];
      }
    };
    // The same where column `i` of the walk may lie outside.
    const auto fetch_if_inside = [&](int i, Vec(&v)[kReach]) __attribute__((always_inline)) {
      if (static_cast<unsigned>(w.column + i) < static_cast<unsigned>(p.in_w)) {
        fetch(v);
      } else {
#pragma GCC unroll 8
        for (int r = 0; r < kReach; ++r) {
          v[r] = broadcast(0.0f);
          q[r] += step[r];
        }
      }
    };
    const auto begin = [&](Vec(&sum)[R]) __attribute__((always_inline)) {
#pragma GCC unroll 2
      for (int y = 0; y < R; ++y) sum[y] = start;
    };
    const auto finish = [&](const Vec(&sum)[R]) __attribute__((always_inline)) {
#pragma GCC unroll 2
      for (int y = 0; y < R; ++y) access.put(out + y * w.out_row, clamp(sum[y], least, most));
      out += w.out_column;
    };
    // Adds a column, of tap 2, 1 and 0, to three windows side by side; products of one sum lie apart.
    const auto add3 = [&](const Vec(&v)[kReach], Vec(&a)[R], Vec(&b)[R], Vec(&n)[R])
        __attribute__((always_inline)) {
#pragma GCC unroll 3
      for (int h = 0; h < 3; ++h) {
        add_row<S>(v, k, h, 2, a);
        add_row<S>(v, k, h, 1, b);
        add_row<S>(v, k, h, 0, n);
      }
    };
    const auto add2 = [&](const Vec(&v)[kReach], int i, Vec(&a)[R], Vec(&b)[R])
        __attribute__((always_inline)) {
#pragma GCC unroll 3
      for (int h = 0; h < 3; ++h) {
        add_row<S>(v, k, h, i, a);
        add_row<S>(v, k, h, i - S, b);
      }
    };
    const auto add1 = [&](const Vec(&v)[kReach], int i, Vec(&a)[R]) __attribute__((always_inline)) {
#pragma GCC unroll 3
      for (int h = 0; h < 3; ++h) add_row<S>(v, k, h, i, a);
    };

    Vec v[kReach], a[R], b[R];
    begin(a);
    fetch_if_inside(0, v);
    add1(v, 0, a);
    int n = w.count;
    if constexpr (S == 1) {
      begin(b);
      fetch_if_inside(1, v);
      add2(v, 1, a, b);
      Vec d[R];
      const auto next = [&](Vec(&oldest)[R], Vec(&middle)[R], Vec(&newest)[R])
          __attribute__((always_inline)) {
        begin(newest);
        fetch(v);
        add3(v, oldest, middle, newest);
        finish(oldest);
      };
      const auto move = [](Vec(&to)[R], const Vec(&from)[R]) __attribute__((always_inline)) {
#pragma GCC unroll 2
        for (int y = 0; y < R; ++y) to[y] = from[y];
      };
      while (n > 2) {
        next(a, b, d);
        if (--n == 2) {
          move(a, b);
          move(b, d);
          break;
        }
        next(b, d, a);
        if (--n == 2) {
          move(b, a);
          move(a, d);
          break;
        }
        next(d, a, b);
        --n;
      }
      fetch_if_inside(w.count - n + 2, v);
      if (n == 2) {
        add2(v, 2, a, b);
        finish(a);
        fetch_if_inside(w.count + 1, v);
        move(a, b);
      }
      add1(v, 2, a);
      finish(a);
    } else {
      const auto next = [&](Vec(&oldest)[R], Vec(&newest)[R]) __attribute__((always_inline)) {
        fetch(v);
        add1(v, 1, oldest);
        begin(newest);
        fetch(v);
        add2(v, 2, oldest, newest);
        finish(oldest);
      };
      bool swapped = false;
      while (n > 1) {
        next(a, b);
        if (--n == 1) {
          swapped = true;
          break;
        }
        next(b, a);
        --n;
      }
      if (swapped) {
#pragma GCC unroll 2
        for (int y = 0; y < R; ++y) a[y] = b[y];
      }
      fetch_if_inside(2 * w.count - 1, v);
      add1(v, 1, a);
      fetch_if_inside(2 * w.count, v);
      add1(v, 2, a);
      finish(a);
    }
  }

  void activate_after(const Walk& w, int rows) {
    for (int y = 0; y < rows; ++y) {
      for (int x = 0; x < w.count; ++x) {
        float* pixel = w.out + y * w.out_row + x * int64_t{w.out_column};
        for (int c = w.first_c; c < w.last_c; c += kLanes) {
          const int n = smaller(kLanes, w.last_c - c);
          float* at = pixel + c / kLanes * w.out_vector;
          Vec v[1][1] = {{load_partial(at, n)}};
          activate(v, epilogue);
          store_partial(at, v[0][0], n);
        }
      }
    }
  }
};

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_DWBAND_INL_H_

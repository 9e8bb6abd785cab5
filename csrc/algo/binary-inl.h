// y = act(f(a, b)) with numpy's broadcasting.
//
// The box is walked along its innermost rows. An operand that is contiguous along the row, or one number for
// all of it, is read in place; any other is first copied into a small buffer. Only the loops along a row
// exist once for every f: the walk calls them. The activation is a second pass over an item's results while
// they are in the L1 cache.
#ifndef EDGECNN_ALGO_BINARY_INL_H_
#define EDGECNN_ALGO_BINARY_INL_H_

#include "algo/box-inl.h"
#include "algo/rows-inl.h"
#include "algo/unary-inl.h"
#include "simd/math-inl.h"

namespace edgecnn {
namespace EC_ISA {

struct AddFunctor {
  EC_INLINE Vec operator()(Vec a, Vec b) const { return add(a, b); }
};
struct SubFunctor {
  EC_INLINE Vec operator()(Vec a, Vec b) const { return sub(a, b); }
};
struct MulFunctor {
  EC_INLINE Vec operator()(Vec a, Vec b) const { return mul(a, b); }
};
struct DivFunctor {
  EC_INLINE Vec operator()(Vec a, Vec b) const { return div(a, b); }
};
struct MaxFunctor {
  EC_INLINE Vec operator()(Vec a, Vec b) const { return max_nan(a, b); }
};
struct MinFunctor {
  EC_INLINE Vec operator()(Vec a, Vec b) const { return min_nan(a, b); }
};
struct PowFunctor {
  EC_INLINE Vec operator()(Vec a, Vec b) const { return pow(a, b); }
};
struct PreluFunctor {
  EC_INLINE Vec operator()(Vec a, Vec b) const { return select(lt(broadcast(0.0f), a), a, mul(a, b)); }
};

// y = f(a, b) along a row, where each operand is contiguous, or one number for all of the row.
struct BinaryRow {
  using Function = void (*)(int64_t n, const float* a, const float* b, float* y);
  Function contiguous, repeated_b, repeated_a;
};

struct Contiguous {
  const float* x;
  EC_INLINE Vec at(int64_t i) const { return load(x + i); }
  EC_INLINE Vec at(int64_t i, int n) const { return load_partial(x + i, n); }
};
struct Repeated {
  Vec x;
  EC_INLINE explicit Repeated(const float* number) : x(broadcast(*number)) {}
  EC_INLINE Vec at(int64_t) const { return x; }
  EC_INLINE Vec at(int64_t, int) const { return x; }
};

template <class F, class A, class B>
void binary_row(int64_t n, const float* a_row, const float* b_row, float* y) {
  const F f;
  const A a{a_row};
  const B b{b_row};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, f(a.at(i), b.at(i)));
  const int rest = static_cast<int>(n - i);
  if (rest > 0) store_partial(y + i, f(a.at(i, rest), b.at(i, rest)), rest);
}

template <class F>
EC_INLINE BinaryRow row_of() {
  return {binary_row<F, Contiguous, Contiguous>, binary_row<F, Contiguous, Repeated>,
          binary_row<F, Repeated, Contiguous>};
}

EC_INLINE BinaryRow row_of(BinaryKind kind) {
  switch (kind) {
    case BinaryKind::k_add:
      return row_of<AddFunctor>();
    case BinaryKind::k_sub:
      return row_of<SubFunctor>();
    case BinaryKind::k_mul:
      return row_of<MulFunctor>();
    case BinaryKind::k_div:
      return row_of<DivFunctor>();
    case BinaryKind::k_max:
      return row_of<MaxFunctor>();
    case BinaryKind::k_min:
      return row_of<MinFunctor>();
    case BinaryKind::k_pow:
      return row_of<PowFunctor>();
    case BinaryKind::k_prelu:
      break;
  }
  return row_of<PreluFunctor>();
}

struct BinaryStep {
  static constexpr int64_t kBlock = 256;
  // Rows shorter than this are worked on several at a time.
  static constexpr int64_t kShortRow = 32;

  static Box box_of(const BinaryParams& p) {
    Box box;
    for (int i = 0; i < kMaxDims; ++i) box.push(p.dims[i], p.a_strides[i], p.b_strides[i]);
    box.finish();
    return box;
  }

  static bool has_short_rows(const Box& box) { return box.rank > 1 && box.dims[box.rank - 1] < kShortRow; }

  // Short rows are not cut.
  static int64_t item_elements(const Box& box) {
    const int64_t row = box.dims[box.rank - 1];
    return has_short_rows(box) ? rows_per_item(row) * row : kItemElements;
  }

  static int64_t items(const BinaryParams& p) {
    const Box box = box_of(p);
    const int64_t elements = box.count(0, box.rank);
    return elements == 0 ? 0 : ceil_div(elements, item_elements(box));
  }

  static uint64_t scratch_bytes(const BinaryParams&) { return 0; }

  static void run(const BinaryParams& p, const StepArgs& args, int64_t begin, int64_t end) {
    const float* a = static_cast<const float*>(args.in[0]);
    const float* b = static_cast<const float*>(args.in[1]);
    float* y = static_cast<float*>(args.out[0]);
    const Box box = box_of(p);
    const int64_t total = box.count(0, box.rank), each = item_elements(box);
    const UnaryKind act = static_cast<UnaryKind>(p.act);
    const BinaryRow f = row_of(static_cast<BinaryKind>(p.kind));
    for (int64_t item = begin; item < end; ++item) {
      const int64_t first = item * each, last = smaller(total, first + each);
      if (has_short_rows(box)) {
        short_rows(f, box, a, b, y, first, last);
      } else {
        long_rows(f, box, a, b, y, first, last);
      }
      if (act != UnaryKind::k_identity) {
        unary_rows(act, p.alpha, p.beta, 1, last - first, y + first, 0, y + first, 0);
      }
    }
  }

 private:
  // Results [first, last), which may start and end within a row.
  static void long_rows(const BinaryRow& f, const Box& box, const float* a, const float* b, float* y,
                        int64_t first, int64_t last) {
    const int outer = box.rank - 1;
    const int64_t row = box.dims[outer], a_stride = box.a_strides[outer], b_stride = box.b_strides[outer];
    alignas(kAlignment) float a_buffer[kBlock];
    alignas(kAlignment) float b_buffer[kBlock];
    BoxCursor cursor(box, outer, first / row);
    int64_t column = first % row;
    while (first < last) {
      const float* from_a = a + cursor.a + column * a_stride;
      const float* from_b = b + cursor.b + column * b_stride;
      int64_t n = smaller(row - column, last - first);
      if (a_stride == 1 && b_stride == 1) {
        f.contiguous(n, from_a, from_b, y + first);
      } else if (a_stride == 1 && b_stride == 0) {
        f.repeated_b(n, from_a, from_b, y + first);
      } else if (a_stride == 0 && b_stride == 1) {
        f.repeated_a(n, from_a, from_b, y + first);
      } else {
        n = smaller(n, kBlock);
        for (int64_t i = 0; i < n; ++i) {
          a_buffer[i] = from_a[i * a_stride];
          b_buffer[i] = from_b[i * b_stride];
        }
        f.contiguous(n, a_buffer, b_buffer, y + first);
      }
      first += n;
      column += n;
      if (column == row) {
        column = 0;
        cursor.advance(box, outer);
      }
    }
  }

  // One operand of rows that are worked on together: in place where they follow each other, else copied
  // together. Rows that are all the same are copied once, and serve until the operand moves on.
  struct ShortRows {
    const float* held = nullptr;
    int64_t held_rows = 0;
    alignas(kAlignment) float buffer[kBlock];

    EC_INLINE const float* together(const float* x, int64_t rows, int64_t row_stride, int64_t columns,
                                    int64_t stride) {
      if (stride == 1 && row_stride == columns) return x;
      if (row_stride == 0 && held == x && held_rows >= rows) return buffer;
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t c = 0; c < columns; ++c) buffer[r * columns + c] = x[r * row_stride + c * stride];
      }
      held = x;
      held_rows = rows;
      return buffer;
    }
  };

  // Results [first, last) in whole rows of the last dimension; the one before it counts these rows.
  static void short_rows(const BinaryRow& f, const Box& box, const float* a, const float* b, float* y,
                         int64_t first, int64_t last) {
    const int inner = box.rank - 1, middle = inner - 1;
    const int64_t columns = box.dims[inner], rows = box.dims[middle];
    ShortRows a_rows, b_rows;
    BoxCursor cursor(box, middle, first / columns / rows);
    int64_t row = first / columns % rows;
    while (first < last) {
      const int64_t n = smaller(smaller(rows - row, (last - first) / columns), kBlock / columns);
      const float* from_a = a + cursor.a + row * box.a_strides[middle];
      const float* from_b = b + cursor.b + row * box.b_strides[middle];
      from_a = a_rows.together(from_a, n, box.a_strides[middle], columns, box.a_strides[inner]);
      from_b = b_rows.together(from_b, n, box.b_strides[middle], columns, box.b_strides[inner]);
      f.contiguous(n * columns, from_a, from_b, y + first);
      first += n * columns;
      row += n;
      if (row == rows) {
        row = 0;
        cursor.advance(box, middle);
      }
    }
  }
};

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_BINARY_INL_H_

// y = act(f(a, b)) with numpy's broadcasting.
//
// The box is cut into its innermost rows, and these into blocks. An operand that is contiguous along the row
// is read in place; any other (a repeated number, a strided column) is first spread into a small buffer, so
// that there is one loop per function. The activation is a second pass over an item's results while they are
// in the L1 cache.
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

template <class Body>
EC_INLINE void with_binary(BinaryKind kind, Body&& body) {
  switch (kind) {
    case BinaryKind::k_add:
      return body(AddFunctor{});
    case BinaryKind::k_sub:
      return body(SubFunctor{});
    case BinaryKind::k_mul:
      return body(MulFunctor{});
    case BinaryKind::k_div:
      return body(DivFunctor{});
    case BinaryKind::k_max:
      return body(MaxFunctor{});
    case BinaryKind::k_min:
      return body(MinFunctor{});
    case BinaryKind::k_pow:
      return body(PowFunctor{});
    case BinaryKind::k_prelu:
      return body(PreluFunctor{});
  }
}

struct BinaryStep {
  static constexpr int64_t kBlock = 256;

  static Box box_of(const BinaryParams& p) {
    Box box;
    for (int i = 0; i < kMaxDims; ++i) box.push(p.dims[i], p.a_strides[i], p.b_strides[i]);
    box.finish();
    return box;
  }

  static int64_t items(const BinaryParams& p) {
    const Box box = box_of(p);
    return ceil_div(box.count(0, box.rank), kItemElements);
  }

  static size_t scratch_bytes(const BinaryParams&) { return 0; }

  // n elements of an operand side by side: where they are, or copied into the buffer.
  static const float* side_by_side(const float* x, int64_t stride, int64_t n, float* buffer) {
    if (stride == 1) return x;
    for (int64_t i = 0; i < n; ++i) buffer[i] = x[i * stride];
    return buffer;
  }

  template <class F>
  static void run_block(F f, int64_t n, const float* a, const float* b, float* y) {
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) store(y + i, f(load(a + i), load(b + i)));
    const int rest = static_cast<int>(n - i);
    if (rest > 0) store_partial(y + i, f(load_partial(a + i, rest), load_partial(b + i, rest)), rest);
  }

  static void run(const BinaryParams& p, const StepArgs& args, int64_t begin, int64_t end) {
    const float* a = static_cast<const float*>(args.in[0]);
    const float* b = static_cast<const float*>(args.in[1]);
    float* y = static_cast<float*>(args.out[0]);
    const Box box = box_of(p);
    const int outer = box.rank - 1;
    const int64_t row = box.dims[outer], a_stride = box.a_strides[outer], b_stride = box.b_strides[outer];
    const int64_t total = box.count(0, box.rank);
    const UnaryKind act = static_cast<UnaryKind>(p.act);
    alignas(kAlignment) float a_buffer[kBlock];
    alignas(kAlignment) float b_buffer[kBlock];
    with_binary(static_cast<BinaryKind>(p.kind), [&](auto f) {
      for (int64_t item = begin; item < end; ++item) {
        const int64_t first = item * kItemElements;
        const int64_t last = smaller(total, first + kItemElements);
        BoxCursor cursor(box, outer, first / row);
        int64_t column = first % row;
        for (int64_t i = first; i < last;) {
          const int64_t n = smaller(smaller(row - column, last - i), kBlock);
          run_block(f, n, side_by_side(a + cursor.a + column * a_stride, a_stride, n, a_buffer),
                    side_by_side(b + cursor.b + column * b_stride, b_stride, n, b_buffer), y + i);
          i += n;
          column += n;
          if (column == row) {
            column = 0;
            cursor.advance(box, outer);
          }
        }
        if (act != UnaryKind::k_identity) {
          unary_rows(act, p.alpha, p.beta, 1, last - first, y + first, 0, y + first, 0);
        }
      }
    });
  }
};

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_BINARY_INL_H_

// Padding as numpy.pad has it. Trailing dimensions without padding form one block of `inner` elements that is
// copied whole; the innermost padded dimension is a row of such blocks, and an item some rows.
#ifndef EDGECNN_ALGO_PAD_INL_H_
#define EDGECNN_ALGO_PAD_INL_H_

#include "algo/rows-inl.h"
#include "algo/step.h"

namespace edgecnn {
namespace EC_ISA {

struct PadStep {
  struct Layout {
    int axis;       // the innermost padded one
    int64_t inner;  // elements of a block
    int64_t row;    // blocks of an output row
    int64_t rows;   // output rows
  };

  static int64_t padded(const PadParams& p, int axis) {
    return int64_t{p.dims[axis]} + p.before[axis] + p.after[axis];
  }

  static Layout layout(const PadParams& p) {
    Layout l = {kMaxDims - 1, 1, 0, 1};
    while (l.axis > 0 && p.before[l.axis] == 0 && p.after[l.axis] == 0) l.inner *= p.dims[l.axis--];
    l.row = padded(p, l.axis);
    for (int i = 0; i < l.axis; ++i) l.rows *= padded(p, i);
    return l;
  }

  static int64_t items(const PadParams& p) {
    const Layout l = layout(p);
    return l.row * l.inner == 0 ? 0 : row_items(l.rows, l.row * l.inner);
  }

  static uint64_t scratch_bytes(const PadParams&) { return 0; }

  // Which of n elements stands at position i (negative: before the first), or -1 for the constant.
  EC_INLINE static int64_t source(PadMode mode, int64_t i, int64_t n) {
    if (0 <= i && i < n) return i;
    switch (mode) {
      case PadMode::kReflect:
        return i < 0 ? -i : 2 * (n - 1) - i;
      case PadMode::kEdge:
        return i < 0 ? 0 : n - 1;
      case PadMode::kWrap:
        return i < 0 ? n - 1 - (-1 - i) % n : i % n;
      case PadMode::kConstant:
        break;
    }
    return -1;
  }

  static void run(const PadParams& p, const StepArgs& args, int64_t begin, int64_t end) {
    const float* x = static_cast<const float*>(args.in[0]);
    float* y = static_cast<float*>(args.out[0]);
    const Layout l = layout(p);
    const PadMode mode = static_cast<PadMode>(p.mode);
    const int64_t row_elements = l.row * l.inner;
    const int64_t n = p.dims[l.axis], before = p.before[l.axis];
    const RowRange range(l.rows, row_elements, begin, end);
    for (int64_t r = range.first; r < range.last; ++r) {
      float* to = y + r * row_elements;
      // The row of the input that this row of the output shows.
      int64_t rest = r, row = 0, scale = 1;
      for (int i = l.axis - 1; i >= 0 && row >= 0; --i) {
        const int64_t cell = source(mode, rest % padded(p, i) - p.before[i], p.dims[i]);
        row = cell < 0 ? -1 : row + cell * scale;
        scale *= p.dims[i];
        rest /= padded(p, i);
      }
      if (row < 0) {
        fill_floats(to, row_elements, p.value);
        continue;
      }
      const float* from = x + row * n * l.inner;
      copy_floats(to + before * l.inner, from, n * l.inner);
      if (mode == PadMode::kConstant) {
        fill_floats(to, before * l.inner, p.value);
        fill_floats(to + (before + n) * l.inner, p.after[l.axis] * l.inner, p.value);
        continue;
      }
      for (int64_t i = 0; i < before; ++i) {
        copy_floats(to + i * l.inner, from + source(mode, i - before, n) * l.inner, l.inner);
      }
      for (int64_t i = before + n; i < l.row; ++i) {
        copy_floats(to + i * l.inner, from + source(mode, i - before, n) * l.inner, l.inner);
      }
    }
  }
};

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_PAD_INL_H_

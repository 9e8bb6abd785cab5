// How elementwise and row-wise steps cut their work into items, and two helpers for the ends of rows.
#ifndef EDGECNN_ALGO_ROWS_INL_H_
#define EDGECNN_ALGO_ROWS_INL_H_

#include "simd/vec.h"

namespace edgecnn {
namespace EC_ISA {

// Elements that make an item worth handing to a thread: with less, waking it costs more than it saves.
constexpr int64_t kItemElements = 4096;

// An item is this many whole rows, at least one.
EC_INLINE int64_t rows_per_item(int64_t row_elements) {
  return larger<int64_t>(1, kItemElements / larger<int64_t>(1, row_elements));
}
EC_INLINE int64_t row_items(int64_t rows, int64_t row_elements) {
  return ceil_div(rows, rows_per_item(row_elements));
}

// Rows [first, last) of items [begin, end).
struct RowRange {
  int64_t first, last;
  EC_INLINE RowRange(int64_t rows, int64_t row_elements, int64_t begin, int64_t end)
      : first(begin * rows_per_item(row_elements)), last(smaller(rows, end * rows_per_item(row_elements))) {}
};

// The first n lanes of a, the others `fill`.
EC_INLINE Vec keep_first(Vec a, int n, Vec fill) {
  static constexpr float kLaneNumber[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  static_assert(kLanes <= 16, "kLaneNumber is too short");
  return select(lt(load(kLaneNumber), broadcast(static_cast<float>(n))), a, fill);
}

// y = f(x) along a row; x == y is allowed. In the last vector f sees `fill` beyond the end of the row.
template <class F>
EC_INLINE void map_row(int64_t n, const float* x, float* y, Vec fill, F f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, f(load(x + i)));
  const int rest = static_cast<int>(n - i);
  if (rest > 0) store_partial(y + i, f(keep_first(load_partial(x + i, rest), rest, fill)), rest);
}

EC_INLINE void copy_floats(float* y, const float* x, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, load(x + i));
  const int rest = static_cast<int>(n - i);
  if (rest > 0) store_partial(y + i, load_partial(x + i, rest), rest);
}

EC_INLINE void fill_floats(float* y, int64_t n, float value) {
  const Vec v = broadcast(value);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, v);
  const int rest = static_cast<int>(n - i);
  if (rest > 0) store_partial(y + i, v, rest);
}

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_ROWS_INL_H_

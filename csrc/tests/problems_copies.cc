// Copies, transposes and padding.
#include "tests/problem_parts.h"

namespace edgecnn {
namespace testing {

Problem copy(Random& random, int lanes) {
  CopyParams p = {};
  p.element_bytes = pick(random, 0, 4) == 0 ? 8 : 4;
  random_dims(random, lanes, 6, p.dims);
  // The output is dense in some order of the dimensions, with gaps now and then.
  int order[kMaxDims] = {0, 1, 2, 3, 4, 5};
  const auto shuffle = [&] { std::shuffle(order, order + kMaxDims, random); };
  if (pick(random, 0, 3) == 0) shuffle();
  int32_t step = 1;
  for (int i = kMaxDims - 1; i >= 0; --i) {
    p.out_strides[order[i]] = step;
    step = step * p.dims[order[i]] + (pick(random, 0, 3) == 0 ? pick(random, 1, 3) : 0);
  }
  p.out_offset = pick(random, 0, 5);
  if (pick(random, 0, 1) == 0) shuffle();
  // The input likewise, but some dimensions run backwards and some stand still.
  step = pick(random, 0, 3) == 0 ? 2 : 1;
  int64_t low = 0, high = 0;
  for (int i = kMaxDims - 1; i >= 0; --i) {
    const int axis = order[i], style = pick(random, 0, 7);
    const int32_t stride = style == 0 ? 0 : style == 1 ? -step : step;
    if (style != 0) step *= p.dims[axis];
    p.in_strides[axis] = stride;
    (stride < 0 ? low : high) += int64_t{stride} * (p.dims[axis] - 1);
  }
  p.in_offset = static_cast<int32_t>(-low + pick(random, 0, 5));
  int64_t last = p.out_offset;
  for (int i = 0; i < kMaxDims; ++i) last += int64_t{p.out_strides[i]} * (p.dims[i] - 1);

  Problem result = problem({}, last + 1);
  result.exact = true;
  result.element_bytes = p.element_bytes;
  result.output_bytes = static_cast<size_t>(last + 1) * p.element_bytes;
  std::fill(result.written.begin(), result.written.end(), false);
  std::vector<int64_t> x(static_cast<size_t>(p.in_offset + high + 1));
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = static_cast<int64_t>(i + 1) * (p.element_bytes == 8 ? 4294967311 : 7);
  if (p.element_bytes == 8) {
    result.inputs.push_back(bytes_of(x));
  } else {
    result.inputs.push_back(bytes_of(std::vector<int32_t>(x.begin(), x.end())));
  }
  result.set(StepKind::kCopy, p);
  for_box(p.dims, [&](const int* index) {
    const int64_t to = p.out_offset + dot(index, p.out_strides);
    result.want[to] = static_cast<double>(x[p.in_offset + dot(index, p.in_strides)]);
    result.written[to] = true;
  });
  return result;
}

// Planes to pixels and back, large enough for several tiles.
Problem large_transpose(Random& random, int) {
  CopyParams p = {};
  p.element_bytes = 4;
  const int pixels = pick(random, 700, 3000), channels = pick(random, 1, 3) == 1 ? 3 : pick(random, 2, 130);
  const bool to_pixels = pick(random, 0, 1) == 0;
  const int rows = to_pixels ? pixels : channels, columns = to_pixels ? channels : pixels;
  const int32_t dims[] = {1, 1, 1, 1, rows, columns};
  std::copy(dims, dims + kMaxDims, p.dims);
  dense_strides(p.dims, p.out_strides);
  p.in_strides[4] = 1;
  p.in_strides[5] = rows;
  const auto x = floats(random, int64_t{rows} * columns);
  Problem result = problem({x}, int64_t{rows} * columns);
  result.relative = result.absolute = 0;
  result.set(StepKind::kCopy, p);
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) result.want[int64_t{r} * columns + c] = x[int64_t{c} * rows + r];
  }
  return result;
}

Problem pad(Random& random, int lanes) {
  PadParams p = {};
  p.mode = pick(random, 0, 3);
  const PadMode mode = static_cast<PadMode>(p.mode);
  random_dims(random, lanes, 4, p.dims);
  int32_t padded[kMaxDims], in_strides[kMaxDims];
  for (int i = 0; i < kMaxDims; ++i) {
    if (pick(random, 0, 1) == 0 && i >= 2) {
      const int most = mode == PadMode::kReflect ? p.dims[i] - 1 : 5;
      p.before[i] = std::min(pick(random, 0, 5), most);
      p.after[i] = std::min(pick(random, 0, 5), most);
    }
    padded[i] = p.dims[i] + p.before[i] + p.after[i];
  }
  p.value = 2.5f;
  dense_strides(p.dims, in_strides);
  const auto x = floats(random, elements_of(p.dims));
  Problem result = problem({x}, elements_of(padded));
  result.relative = result.absolute = 0;
  result.set(StepKind::kPad, p);
  size_t to = 0;
  for_box(padded, [&](const int* index) {
    int from[kMaxDims];
    bool outside = false;
    for (int i = 0; i < kMaxDims; ++i) {
      const int n = p.dims[i];
      int k = index[i] - p.before[i];
      outside = outside || k < 0 || k >= n;
      if (mode == PadMode::kReflect) k = k < 0 ? -k : k >= n ? 2 * (n - 1) - k : k;
      if (mode == PadMode::kEdge) k = std::min(std::max(k, 0), n - 1);
      if (mode == PadMode::kWrap) k = ((k % n) + n) % n;
      from[i] = k;
    }
    result.want[to++] = outside && mode == PadMode::kConstant ? p.value : x[dot(from, in_strides)];
  });
  return result;
}

}  // namespace testing
}  // namespace edgecnn

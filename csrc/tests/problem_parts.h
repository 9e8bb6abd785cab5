// What the makers of problems share, and the makers themselves.
#ifndef EDGECNN_TESTS_PROBLEM_PARTS_H_
#define EDGECNN_TESTS_PROBLEM_PARTS_H_

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/problems.h"

namespace edgecnn {
namespace testing {

constexpr double kInf = std::numeric_limits<double>::infinity();

// Sizes that matter to a kernel: 1 to 10, and around one to five vectors.
inline int size(Random& random, int lanes) {
  if (pick(random, 0, 1) == 0) return pick(random, 1, 10);
  return std::max(1, lanes * pick(random, 1, 5) + pick(random, -1, 1));
}

// Now and then NaN and infinities.
inline std::vector<float> floats(Random& random, int64_t count, double low = -3, double high = 3) {
  const bool special = pick(random, 0, 3) == 0;
  std::vector<float> v(static_cast<size_t>(count));
  for (float& f : v) {
    f = static_cast<float>(low + (high - low) * (random() % 1000003) / 1000003.0);
    if (special && pick(random, 0, 15) == 0) {
      const float values[] = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f};
      f = values[pick(random, 0, 4)];
    }
  }
  return v;
}

template <class T>
std::vector<char> bytes_of(const std::vector<T>& values) {
  std::vector<char> bytes(values.size() * sizeof(T));
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

inline Problem problem(const std::vector<std::vector<float>>& inputs, int64_t outputs) {
  Problem p;
  for (const auto& x : inputs) p.inputs.push_back(bytes_of(x));
  p.want.assign(static_cast<size_t>(outputs), 0);
  p.written.assign(static_cast<size_t>(outputs), true);
  p.output_bytes = static_cast<size_t>(outputs) * 4;
  p.relative = p.absolute = 2e-5;
  return p;
}

inline int64_t extent(int64_t pixels, int channels, int stride) { return (pixels - 1) * stride + channels; }

// What lies between the channels of neighbouring pixels is not written.
inline void mark_pixels(Problem* p, int channels, int stride) {
  for (size_t i = 0; i < p->written.size(); ++i) p->written[i] = static_cast<int>(i % stride) < channels;
}

inline double max_nan(double a, double b) { return std::isnan(a) || std::isnan(b) ? NAN : std::max(a, b); }

inline int stride_for(Random& random, int channels) {
  return channels + (pick(random, 0, 1) == 0 ? 0 : pick(random, 1, 9));
}

constexpr int kUnaryKinds = static_cast<int>(UnaryKind::k_erf) + 1;

// body(index of each dimension) over a box, last one fastest.
template <class Body>
inline void for_box(const int32_t* dims, Body body) {
  int i[kMaxDims] = {};
  for (i[0] = 0; i[0] < dims[0]; ++i[0])
    for (i[1] = 0; i[1] < dims[1]; ++i[1])
      for (i[2] = 0; i[2] < dims[2]; ++i[2])
        for (i[3] = 0; i[3] < dims[3]; ++i[3])
          for (i[4] = 0; i[4] < dims[4]; ++i[4])
            for (i[5] = 0; i[5] < dims[5]; ++i[5]) body(i);
}

// A shape of 1 to `most` dimensions and not many elements, leading ones 1.
inline void random_dims(Random& random, int lanes, int most, int32_t* dims) {
  std::fill(dims, dims + kMaxDims, 1);
  const int rank = pick(random, 1, most);
  int64_t elements = 1;
  for (int i = kMaxDims - rank; i < kMaxDims; ++i) {
    dims[i] = pick(random, 0, 1) == 0 ? size(random, lanes) : pick(random, 1, 4);
    if (elements * dims[i] > 20000) dims[i] = 1;
    elements *= dims[i];
  }
}

inline int64_t dot(const int* index, const int32_t* strides) {
  int64_t sum = 0;
  for (int i = 0; i < kMaxDims; ++i) sum += int64_t{index[i]} * strides[i];
  return sum;
}

inline int64_t elements_of(const int32_t* dims) {
  int64_t n = 1;
  for (int i = 0; i < kMaxDims; ++i) n *= dims[i];
  return n;
}

inline void dense_strides(const int32_t* dims, int32_t* strides) {
  int32_t step = 1;
  for (int i = kMaxDims - 1; i >= 0; --i) {
    strides[i] = step;
    step *= dims[i];
  }
}

Problem max_pool(Random& random, int lanes);
Problem avg_pool(Random& random, int lanes);
Problem unary(Random& random, int lanes);
Problem binary(Random& random, int lanes);
Problem softmax(Random& random, int lanes);
Problem reduce(Random& random, int lanes);
Problem arg_max(Random& random, int lanes);
Problem lrn(Random& random, int lanes);
Problem copy(Random& random, int lanes);
Problem large_transpose(Random& random, int lanes);
Problem pad(Random& random, int lanes);
Problem resize(Random& random, int lanes);
Problem cast(Random& random, int lanes);
Problem conv(Random& random, int lanes);
Problem first_conv(Random& random, int lanes);
Problem first_winograd(Random& random, int lanes);
Problem dwconv(Random& random, int lanes);
Problem dwpw(Random& random, int lanes);
Problem pwdwpw(Random& random, int lanes);
Problem firstdwpw(Random& random, int lanes);
Problem conv_transpose(Random& random, int lanes);
Problem matmul(Random& random, int lanes);
Problem winograd(Random& random, int lanes);
Problem strassen(Random& random, int lanes);

}  // namespace testing
}  // namespace edgecnn

#endif  // EDGECNN_TESTS_PROBLEM_PARTS_H_

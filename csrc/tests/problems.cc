#include "tests/problems.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace edgecnn {
namespace testing {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

// Sizes that matter to a kernel: 1 to 10, and around one to five vectors.
int size(Random& random, int lanes) {
  if (pick(random, 0, 1) == 0) return pick(random, 1, 10);
  return std::max(1, lanes * pick(random, 1, 5) + pick(random, -1, 1));
}

// Now and then NaN and infinities.
std::vector<float> floats(Random& random, int64_t count, double low = -3, double high = 3) {
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

Problem problem(const std::vector<std::vector<float>>& inputs, int64_t outputs) {
  Problem p;
  for (const auto& x : inputs) p.inputs.push_back(bytes_of(x));
  p.want.assign(static_cast<size_t>(outputs), 0);
  p.written.assign(static_cast<size_t>(outputs), true);
  p.output_bytes = static_cast<size_t>(outputs) * 4;
  p.relative = p.absolute = 2e-5;
  return p;
}

int64_t extent(int64_t pixels, int channels, int stride) { return (pixels - 1) * stride + channels; }

// What lies between the channels of neighbouring pixels is not written.
void mark_pixels(Problem* p, int channels, int stride) {
  for (size_t i = 0; i < p->written.size(); ++i) p->written[i] = static_cast<int>(i % stride) < channels;
}

double max_nan(double a, double b) { return std::isnan(a) || std::isnan(b) ? NAN : std::max(a, b); }

int stride_for(Random& random, int channels) {
  return channels + (pick(random, 0, 1) == 0 ? 0 : pick(random, 1, 9));
}

template <class P>
P random_pool(Random& random, int lanes) {
  P p = {};
  p.batch = pick(random, 1, 2);
  p.in_h = pick(random, 1, 9);
  p.in_w = pick(random, 1, 9);
  p.channels = size(random, lanes);
  p.in_stride = stride_for(random, p.channels);
  p.out_stride = stride_for(random, p.channels);
  p.kernel_h = pick(random, 1, 4);
  p.kernel_w = pick(random, 0, 2) == 0 ? pick(random, 1, 4) : p.kernel_h;
  p.stride_h = pick(random, 1, 3);
  p.stride_w = pick(random, 1, 3);
  p.dilation_h = pick(random, 0, 2) == 0 ? 2 : 1;
  p.dilation_w = pick(random, 0, 2) == 0 ? pick(random, 1, 3) : 1;
  p.pad_top = pick(random, 0, (p.kernel_h - 1) * p.dilation_h);
  p.pad_left = pick(random, 0, (p.kernel_w - 1) * p.dilation_w);
  p.out_h = (p.in_h - 1 + p.pad_top) / p.stride_h + 1;
  p.out_w = pick(random, 1, (p.in_w - 1 + p.pad_left) / p.stride_w + 1);
  return p;
}

// Whether a cell counts when its position is outside of the picture, and what it contributes.
template <class P, class Cell>
void for_cells(const P& p, int oy, int ox, Cell cell) {
  for (int ky = 0; ky < p.kernel_h; ++ky) {
    for (int kx = 0; kx < p.kernel_w; ++kx) {
      cell(oy * p.stride_h - p.pad_top + ky * p.dilation_h, ox * p.stride_w - p.pad_left + kx * p.dilation_w);
    }
  }
}

template <class P, class Value>
void for_outputs(const P& p, Problem* problem, Value value) {
  for (int n = 0; n < p.batch; ++n) {
    for (int oy = 0; oy < p.out_h; ++oy) {
      for (int ox = 0; ox < p.out_w; ++ox) {
        for (int c = 0; c < p.channels; ++c) {
          problem->want[((n * p.out_h + oy) * p.out_w + ox) * p.out_stride + c] = value(n, oy, ox, c);
        }
      }
    }
  }
  mark_pixels(problem, p.channels, p.out_stride);
}

template <class P>
bool inside(const P& p, int y, int x) {
  return 0 <= y && y < p.in_h && 0 <= x && x < p.in_w;
}

template <class P>
double at(const P& p, const std::vector<float>& x, int n, int iy, int ix, int c) {
  return x[((n * p.in_h + iy) * p.in_w + ix) * p.in_stride + c];
}

Problem max_pool(Random& random, int lanes) {
  const MaxPoolParams p = random_pool<MaxPoolParams>(random, lanes);
  const auto x = floats(random, extent(p.batch * p.in_h * p.in_w, p.channels, p.in_stride));
  Problem result = problem({x}, extent(p.batch * p.out_h * p.out_w, p.channels, p.out_stride));
  result.set(StepKind::kMaxPool, p);
  result.relative = result.absolute = 0;
  for_outputs(p, &result, [&](int n, int oy, int ox, int c) {
    double best = -kInf;
    for_cells(p, oy, ox, [&](int iy, int ix) {
      if (inside(p, iy, ix)) best = max_nan(best, at(p, x, n, iy, ix, c));
    });
    return best;
  });
  return result;
}

Problem avg_pool(Random& random, int lanes) {
  AvgPoolParams p = random_pool<AvgPoolParams>(random, lanes);
  p.count_include_pad = pick(random, 0, 1);
  p.pad_bottom = pick(random, 0, 2);
  p.pad_right = pick(random, 0, 2);
  const auto x = floats(random, extent(p.batch * p.in_h * p.in_w, p.channels, p.in_stride));
  Problem result = problem({x}, extent(p.batch * p.out_h * p.out_w, p.channels, p.out_stride));
  result.set(StepKind::kAvgPool, p);
  for_outputs(p, &result, [&](int n, int oy, int ox, int c) {
    double sum = 0;
    int cells = 0;
    for_cells(p, oy, ox, [&](int iy, int ix) {
      if (inside(p, iy, ix)) sum += at(p, x, n, iy, ix, c);
      const bool padded = iy < p.in_h + p.pad_bottom && ix < p.in_w + p.pad_right;
      if (p.count_include_pad != 0 ? padded : inside(p, iy, ix)) ++cells;
    });
    return sum / cells;
  });
  return result;
}

double unary_value(UnaryKind kind, double alpha, double beta, double x) {
  const auto clip = [](double v, double low, double high) { return v < low ? low : v > high ? high : v; };
  switch (kind) {
    case UnaryKind::k_identity:
      return x;
    case UnaryKind::k_relu:
      return x < 0 ? 0 : x;
    case UnaryKind::k_relu6:
      return clip(x, 0, 6);
    case UnaryKind::k_leaky:
      return x > 0 ? x : alpha * x;
    case UnaryKind::k_clip:
      return clip(x, alpha, beta);
    case UnaryKind::k_elu:
      return x > 0 ? x : alpha * std::expm1(x);
    case UnaryKind::k_selu:
      return beta * (x > 0 ? x : alpha * std::expm1(x));
    case UnaryKind::k_sigmoid:
      return 1 / (1 + std::exp(-x));
    case UnaryKind::k_tanh:
      return std::tanh(x);
    case UnaryKind::k_hardsigmoid:
      return clip(alpha * x + beta, 0, 1);
    case UnaryKind::k_hardswish:
      return x * clip(x / 6 + 0.5, 0, 1);
    case UnaryKind::k_hardtan:
      return clip(x, -1, 1);
    case UnaryKind::k_softplus:
      return std::max(x, 0.0) + (std::isnan(x) ? x : std::log1p(std::exp(-std::fabs(x))));
    case UnaryKind::k_softsign:
      return x / (1 + std::fabs(x));
    case UnaryKind::k_mish:
      return x * std::tanh(x > 30 ? x : std::log1p(std::exp(x)));
    case UnaryKind::k_swish:
      return x / (1 + std::exp(-x));
    case UnaryKind::k_gelu:
      return x / 2 * (1 + std::erf(x / std::sqrt(2.0)));
    case UnaryKind::k_step:
      return x > 0 ? 1 : 0;
    case UnaryKind::k_exp:
      return std::exp(x);
    case UnaryKind::k_log:
      return std::log(x);
    case UnaryKind::k_sqrt:
      return std::sqrt(x);
    case UnaryKind::k_abs:
      return std::fabs(x);
    case UnaryKind::k_neg:
      return -x;
    case UnaryKind::k_reciprocal:
      return 1 / x;
    case UnaryKind::k_floor:
      return std::floor(x);
    case UnaryKind::k_ceil:
      return std::ceil(x);
    case UnaryKind::k_erf:
      return std::erf(x);
  }
  return NAN;
}

constexpr int kUnaryKinds = static_cast<int>(UnaryKind::k_erf) + 1;

Problem unary(Random& random, int lanes) {
  UnaryParams p = {};
  const bool big = pick(random, 0, 9) == 0;
  p.rows = pick(random, 0, 2) == 0 ? 1 : pick(random, 1, big ? 300 : 7);
  p.columns = size(random, lanes) + (big ? pick(random, 0, 9000 / p.rows) : 0);
  p.in_stride = stride_for(random, p.columns);
  p.out_stride = stride_for(random, p.columns);
  p.act = pick(random, 0, kUnaryKinds - 1);
  p.alpha = static_cast<float>(pick(random, 1, 20)) / 16;
  p.beta = p.alpha + static_cast<float>(pick(random, 1, 20)) / 16;
  const auto x = floats(random, extent(p.rows, p.columns, p.in_stride), -8, 8);
  Problem result = problem({x}, extent(p.rows, p.columns, p.out_stride));
  result.set(StepKind::kUnary, p);
  for (int r = 0; r < p.rows; ++r) {
    for (int c = 0; c < p.columns; ++c) {
      result.want[r * p.out_stride + c] =
          unary_value(static_cast<UnaryKind>(p.act), p.alpha, p.beta, x[r * p.in_stride + c]);
    }
  }
  mark_pixels(&result, p.columns, p.out_stride);
  return result;
}

// body(index of each dimension) over a box, last one fastest.
template <class Body>
void for_box(const int32_t* dims, Body body) {
  int i[kMaxDims] = {};
  for (i[0] = 0; i[0] < dims[0]; ++i[0])
    for (i[1] = 0; i[1] < dims[1]; ++i[1])
      for (i[2] = 0; i[2] < dims[2]; ++i[2])
        for (i[3] = 0; i[3] < dims[3]; ++i[3])
          for (i[4] = 0; i[4] < dims[4]; ++i[4])
            for (i[5] = 0; i[5] < dims[5]; ++i[5]) body(i);
}

// A shape of 1 to `most` dimensions and not many elements, leading ones 1.
void random_dims(Random& random, int lanes, int most, int32_t* dims) {
  std::fill(dims, dims + kMaxDims, 1);
  const int rank = pick(random, 1, most);
  int64_t elements = 1;
  for (int i = kMaxDims - rank; i < kMaxDims; ++i) {
    dims[i] = pick(random, 0, 1) == 0 ? size(random, lanes) : pick(random, 1, 4);
    if (elements * dims[i] > 20000) dims[i] = 1;
    elements *= dims[i];
  }
}

int64_t dot(const int* index, const int32_t* strides) {
  int64_t sum = 0;
  for (int i = 0; i < kMaxDims; ++i) sum += int64_t{index[i]} * strides[i];
  return sum;
}

int64_t elements_of(const int32_t* dims) {
  int64_t n = 1;
  for (int i = 0; i < kMaxDims; ++i) n *= dims[i];
  return n;
}

void dense_strides(const int32_t* dims, int32_t* strides) {
  int32_t step = 1;
  for (int i = kMaxDims - 1; i >= 0; --i) {
    strides[i] = step;
    step *= dims[i];
  }
}

// Strides of an operand broadcast along some of the dimensions; returns its elements.
int64_t broadcast_strides(Random& random, const int32_t* dims, int32_t* strides) {
  const int style = pick(random, 0, 3);
  int32_t step = 1;
  for (int i = kMaxDims - 1; i >= 0; --i) {
    const bool repeated = style == 0   ? false
                          : style == 1 ? true
                          : style == 2 ? i != kMaxDims - 1
                                       : pick(random, 0, 1) == 0;
    strides[i] = repeated ? 0 : step;
    if (!repeated) step *= dims[i];
  }
  return step;
}

Problem binary(Random& random, int lanes) {
  BinaryParams p = {};
  p.kind = pick(random, 0, static_cast<int>(BinaryKind::k_prelu));
  random_dims(random, lanes, 5, p.dims);
  const auto a = floats(random, broadcast_strides(random, p.dims, p.a_strides));
  auto b = floats(random, broadcast_strides(random, p.dims, p.b_strides));
  const BinaryKind kind = static_cast<BinaryKind>(p.kind);
  if (kind == BinaryKind::k_pow && pick(random, 0, 1) == 0) {
    for (float& f : b) f = std::round(f);
  }
  const UnaryKind acts[] = {UnaryKind::k_identity, UnaryKind::k_relu, UnaryKind::k_leaky,
                            UnaryKind::k_sigmoid};
  p.act = static_cast<int32_t>(acts[pick(random, 0, 3)]);
  p.alpha = 0.1f;
  Problem result = problem({a, b}, elements_of(p.dims));
  result.set(StepKind::kBinary, p);
  size_t i = 0;
  for_box(p.dims, [&](const int* index) {
    const float x = a[dot(index, p.a_strides)], y = b[dot(index, p.b_strides)];
    double v = 0;
    switch (kind) {
      case BinaryKind::k_add:
        v = x + y;
        break;
      case BinaryKind::k_sub:
        v = x - y;
        break;
      case BinaryKind::k_mul:
        v = x * y;
        break;
      case BinaryKind::k_div:
        v = x / y;
        break;
      case BinaryKind::k_max:
        v = max_nan(x, y);
        break;
      case BinaryKind::k_min:
        v = -max_nan(-x, -y);
        break;
      case BinaryKind::k_pow:
        v = std::pow(x, y);
        break;
      case BinaryKind::k_prelu:
        v = x > 0 ? x : x * y;
        break;
    }
    result.want[i++] = unary_value(static_cast<UnaryKind>(p.act), p.alpha, 0, v);
  });
  return result;
}

// [outer][n][inner] of a few thousand elements at most.
template <class P>
void random_axis(Random& random, int lanes, P* p) {
  p->outer = pick(random, 1, 6);
  p->n = pick(random, 0, 7) == 0 ? pick(random, 1, 3000) : size(random, lanes);
  p->inner = pick(random, 0, 1) == 0 ? 1 : size(random, lanes) + (p->n < 20 ? pick(random, 0, 150) : 0);
  if (p->n > 300) p->outer = 1;
}

// value(slice) for each slice along the middle axis.
template <class P, class Value>
void for_slices(const P& p, const std::vector<float>& x, Value value) {
  std::vector<double> slice(p.n);
  for (int o = 0; o < p.outer; ++o) {
    for (int i = 0; i < p.inner; ++i) {
      for (int k = 0; k < p.n; ++k) slice[k] = x[(int64_t{o} * p.n + k) * p.inner + i];
      value(o, i, slice);
    }
  }
}

Problem softmax(Random& random, int lanes) {
  SoftmaxParams p = {};
  random_axis(random, lanes, &p);
  p.log = pick(random, 0, 1);
  const auto x = floats(random, int64_t{p.outer} * p.n * p.inner, -20, 20);
  Problem result = problem({x}, static_cast<int64_t>(x.size()));
  result.set(StepKind::kSoftmax, p);
  for_slices(p, x, [&](int o, int i, const std::vector<double>& slice) {
    double top = -kInf, total = 0;
    for (double v : slice) top = max_nan(top, v);
    for (double v : slice) total += std::exp(v - top);
    for (int k = 0; k < p.n; ++k) {
      result.want[(int64_t{o} * p.n + k) * p.inner + i] =
          p.log != 0 ? slice[k] - top - std::log(total) : std::exp(slice[k] - top) / total;
    }
  });
  return result;
}

Problem reduce(Random& random, int lanes) {
  ReduceParams p = {};
  random_axis(random, lanes, &p);
  p.kind = pick(random, 0, static_cast<int>(ReduceKind::k_l2));
  const ReduceKind kind = static_cast<ReduceKind>(p.kind);
  const bool product = kind == ReduceKind::k_prod;
  const auto x = floats(random, int64_t{p.outer} * p.n * p.inner, product ? 0.9 : -3, product ? 1.1 : 3);
  Problem result = problem({x}, int64_t{p.outer} * p.inner);
  result.set(StepKind::kReduce, p);
  for_slices(p, x, [&](int o, int i, const std::vector<double>& slice) {
    double v = product ? 1 : kind == ReduceKind::k_max ? -kInf : kind == ReduceKind::k_min ? kInf : 0;
    for (double e : slice) {
      v = kind == ReduceKind::k_max   ? max_nan(v, e)
          : kind == ReduceKind::k_min ? -max_nan(-v, -e)
          : kind == ReduceKind::k_l2  ? v + e * e
          : product                   ? v * e
                                      : v + e;
    }
    if (kind == ReduceKind::k_mean) v /= p.n;
    if (kind == ReduceKind::k_l2) v = std::sqrt(v);
    result.want[o * p.inner + i] = v;
  });
  result.absolute = 1e-6 * (kind == ReduceKind::k_sum ? p.n + 10 : 10);
  return result;
}

Problem arg_max(Random& random, int lanes) {
  ArgMaxParams p = {};
  random_axis(random, lanes, &p);
  p.select_last = pick(random, 0, 1);
  auto x = floats(random, int64_t{p.outer} * p.n * p.inner);
  for (float& f : x) f = std::round(f);  // many equal ones
  Problem result = problem({x}, int64_t{p.outer} * p.inner);
  result.set(StepKind::kArgMax, p);
  result.exact = true;
  result.element_bytes = 8;
  result.output_bytes *= 2;
  for_slices(p, x, [&](int o, int i, const std::vector<double>& slice) {
    const auto rank = [](double v) {
      return std::isnan(v) ? std::pair<int, double>{1, 0} : std::pair<int, double>{0, v};
    };
    int best = 0;
    for (int k = 1; k < p.n; ++k) {
      const bool better =
          p.select_last != 0 ? rank(slice[k]) >= rank(slice[best]) : rank(slice[k]) > rank(slice[best]);
      if (better) best = k;
    }
    result.want[o * p.inner + i] = best;
  });
  return result;
}

Problem lrn(Random& random, int lanes) {
  LrnParams p = {};
  p.pixels = pick(random, 1, 20);
  p.channels = size(random, lanes);
  p.in_stride = stride_for(random, p.channels);
  p.out_stride = stride_for(random, p.channels);
  p.size = pick(random, 1, 12);
  p.alpha = 0.3f;
  p.beta = pick(random, 0, 1) == 0 ? 0.75f : 0.6f;
  p.bias = 1.5f;
  const auto x = floats(random, extent(p.pixels, p.channels, p.in_stride));
  Problem result = problem({x}, extent(p.pixels, p.channels, p.out_stride));
  result.set(StepKind::kLrn, p);
  for (int i = 0; i < p.pixels; ++i) {
    for (int c = 0; c < p.channels; ++c) {
      double sum = 0;
      for (int k = std::max(0, c - (p.size - 1) / 2); k <= std::min(p.channels - 1, c + p.size / 2); ++k) {
        const double v = x[i * p.in_stride + k];
        sum += v * v;
      }
      result.want[i * p.out_stride + c] =
          x[i * p.in_stride + c] / std::pow(double{p.bias} + double{p.alpha} / p.size * sum, double{p.beta});
    }
  }
  mark_pixels(&result, p.channels, p.out_stride);
  return result;
}

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

double source_position(const ResizeParams& p, int m, int n, float scale, int i) {
  const bool exact = scale == static_cast<float>(double{1} * n / m);
  const auto unscaled = [&](double v) { return exact ? v * m / n : v / scale; };
  switch (static_cast<ResizeCoordinates>(p.coordinates)) {
    case ResizeCoordinates::kAsymmetric:
      return unscaled(i);
    case ResizeCoordinates::kAlignCorners:
      return n == 1 ? 0 : double{1} * i * (m - 1) / (n - 1);
    case ResizeCoordinates::kPytorchHalfPixel:
      if (n == 1) return 0;
      break;
    case ResizeCoordinates::kHalfPixel:
      break;
  }
  return unscaled(i + 0.5) - 0.5;
}

Problem resize(Random& random, int lanes) {
  ResizeParams p = {};
  p.batch = pick(random, 1, 2);
  p.in_h = pick(random, 1, 7);
  p.in_w = pick(random, 1, 7);
  p.channels = size(random, lanes);
  p.in_stride = stride_for(random, p.channels);
  p.out_stride = stride_for(random, p.channels);
  p.out_h = pick(random, 0, 1) == 0 ? 2 * p.in_h : pick(random, 1, 12);
  p.out_w = pick(random, 0, 1) == 0 ? 2 * p.in_w : pick(random, 1, 12);
  p.mode = pick(random, 0, 1);
  p.coordinates = pick(random, 0, 3);
  p.nearest = pick(random, 0, 3);
  const bool stated = pick(random, 0, 3) == 0;
  p.scale_h = stated ? 1.7f : static_cast<float>(double{1} * p.out_h / p.in_h);
  p.scale_w = stated ? 0.6f : static_cast<float>(double{1} * p.out_w / p.in_w);
  const auto x = floats(random, extent(p.batch * p.in_h * p.in_w, p.channels, p.in_stride));
  Problem result = problem({x}, extent(p.batch * p.out_h * p.out_w, p.channels, p.out_stride));
  result.set(StepKind::kResize, p);
  const auto clamp = [](double v, int m) { return std::min(std::max(v, 0.0), m - 1.0); };
  for_outputs(p, &result, [&](int n, int oy, int ox, int c) {
    double y = source_position(p, p.in_h, p.out_h, p.scale_h, oy);
    double z = source_position(p, p.in_w, p.out_w, p.scale_w, ox);
    if (static_cast<ResizeMode>(p.mode) == ResizeMode::kNearest) {
      const auto rounded = [&](double v) {
        switch (static_cast<NearestRounding>(p.nearest)) {
          case NearestRounding::kFloor:
            return std::floor(v);
          case NearestRounding::kCeil:
            return std::ceil(v);
          case NearestRounding::kRoundPreferFloor:
            return std::ceil(v - 0.5);
          case NearestRounding::kRoundPreferCeil:
            return std::floor(v + 0.5);
        }
        return v;
      };
      return at(p, x, n, static_cast<int>(clamp(rounded(y), p.in_h)),
                static_cast<int>(clamp(rounded(z), p.in_w)), c);
    }
    y = clamp(y, p.in_h);
    z = clamp(z, p.in_w);
    const int y0 = static_cast<int>(y), y1 = std::min(y0 + 1, p.in_h - 1);
    const int z0 = static_cast<int>(z), z1 = std::min(z0 + 1, p.in_w - 1);
    const double ty = y - y0, tz = z - z0;
    const double left = at(p, x, n, y0, z0, c) * (1 - ty) + at(p, x, n, y1, z0, c) * ty;
    const double right = at(p, x, n, y0, z1, c) * (1 - ty) + at(p, x, n, y1, z1, c) * ty;
    return left * (1 - tz) + right * tz;
  });
  return result;
}

Problem cast(Random& random, int) {
  CastParams p = {};
  p.count = pick(random, 0, 1) == 0 ? pick(random, 1, 40) : pick(random, 1, 9000);
  p.from = pick(random, 0, 2);
  p.to = pick(random, 0, 2);
  Problem result = problem({}, p.count);
  result.set(StepKind::kCast, p);
  const ElementType from = static_cast<ElementType>(p.from), to = static_cast<ElementType>(p.to);
  result.element_bytes = to == ElementType::kInt64 ? 8 : 4;
  result.output_bytes = static_cast<size_t>(p.count) * result.element_bytes;
  result.exact = to != ElementType::kFloat32;
  result.relative = result.absolute = 0;
  std::vector<float> reals = floats(random, p.count, -1000, 1000);
  std::vector<int32_t> ints(p.count);
  std::vector<int64_t> longs(p.count);
  for (int i = 0; i < p.count; ++i) {
    ints[i] = pick(random, -100000, 100000);
    longs[i] = ints[i];
    double v = ints[i];
    if (from == ElementType::kFloat32) {
      v = reals[i];
      if (to != ElementType::kFloat32) {
        if (std::isinf(v)) reals[i] = static_cast<float>(v = std::copysign(1048576.0, v));
        v = std::isnan(v) ? 0 : std::trunc(v);
      }
    }
    result.want[i] = v;
  }
  result.inputs.push_back(from == ElementType::kFloat32 ? bytes_of(reals)
                          : from == ElementType::kInt32 ? bytes_of(ints)
                                                        : bytes_of(longs));
  return result;
}

// Convolutions and matrix products: valid parameters and operands of just the right size.

int64_t whole_vectors(int64_t n, int lanes) { return (n + lanes - 1) / lanes * lanes; }

template <class P>
void random_conv(Random& random, P* p) {
  p->batch = pick(random, 1, 2);
  p->in_h = pick(random, 1, 9);
  p->in_w = pick(random, 1, 9);
  p->kernel_h = pick(random, 1, 4);
  p->kernel_w = pick(random, 0, 1) == 0 ? p->kernel_h : pick(random, 1, 4);
  p->stride_h = pick(random, 1, 3);
  p->stride_w = pick(random, 1, 3);
  p->dilation_h = pick(random, 0, 3) == 0 ? 2 : 1;
  p->dilation_w = pick(random, 0, 3) == 0 ? 2 : 1;
  p->pad_top = pick(random, 0, 3);
  p->pad_left = pick(random, 0, 3);
  p->act = pick(random, 0, kUnaryKinds - 1);
  p->alpha = 0.1f;
  p->beta = 1;
}

Problem unanswered(const std::vector<std::vector<float>>& inputs, int64_t outputs) {
  Problem result = problem(inputs, outputs);
  result.want.clear();
  result.slack = kTailBytes;
  return result;
}

Problem conv(Random& random, int lanes) {
  ConvParams p = {};
  random_conv(random, &p);
  p.groups = pick(random, 0, 2) == 0 ? pick(random, 2, 3) : 1;
  p.in_c = p.groups * pick(random, 1, 9);
  p.out_c = p.groups * size(random, lanes);
  p.in_stride = stride_for(random, p.in_c);
  p.out_stride = stride_for(random, p.out_c);
  if (pick(random, 0, 2) == 0) p.kernel_h = p.kernel_w = p.stride_h = p.stride_w = 1;
  p.pool = pick(random, 0, 2) == 0 ? 1 : 0;
  p.residual = pick(random, 0, 2);
  p.residual_stride = stride_for(random, p.out_c);
  p.out_h = pick(random, 1 + p.pool, 9);
  p.out_w = pick(random, 1 + p.pool, 9);
  const int64_t width = whole_vectors(p.out_c / p.groups, lanes);
  const int64_t depth = int64_t{p.kernel_h} * p.kernel_w * (p.in_c / p.groups);
  const int shrink = 1 + p.pool;
  std::vector<std::vector<float>> inputs = {
      floats(random, extent(p.batch * p.in_h * p.in_w, p.in_c, p.in_stride)),
      floats(random, p.groups * width * depth), floats(random, p.groups * width)};
  if (p.residual != 0) {
    inputs.push_back(floats(random, extent(p.batch * p.out_h * p.out_w, p.out_c, p.residual_stride)));
  }
  Problem result =
      unanswered(inputs, extent(p.batch * (p.out_h / shrink) * (p.out_w / shrink), p.out_c, p.out_stride));
  mark_pixels(&result, p.out_c, p.out_stride);
  result.set(StepKind::kConv, p);
  return result;
}

Problem dwconv(Random& random, int lanes) {
  DwConvParams p = {};
  random_conv(random, &p);
  p.channels = size(random, lanes);
  p.in_stride = stride_for(random, p.channels);
  p.out_stride = stride_for(random, p.channels);
  p.residual = pick(random, 0, 2);
  p.residual_stride = stride_for(random, p.channels);
  p.out_h = pick(random, 1, 9);
  p.out_w = pick(random, 1, 9);
  const int64_t width = whole_vectors(p.channels, lanes);
  std::vector<std::vector<float>> inputs = {
      floats(random, extent(p.batch * p.in_h * p.in_w, p.channels, p.in_stride)),
      floats(random, p.kernel_h * p.kernel_w * width), floats(random, width)};
  if (p.residual != 0) {
    inputs.push_back(floats(random, extent(p.batch * p.out_h * p.out_w, p.channels, p.residual_stride)));
  }
  Problem result = unanswered(inputs, extent(p.batch * p.out_h * p.out_w, p.channels, p.out_stride));
  mark_pixels(&result, p.channels, p.out_stride);
  result.set(StepKind::kDwConv, p);
  return result;
}

Problem conv_transpose(Random& random, int lanes) {
  ConvTransposeParams p = {};
  random_conv(random, &p);
  p.groups = pick(random, 0, 2) == 0 ? pick(random, 2, 3) : 1;
  p.in_c = p.groups * pick(random, 1, 9);
  p.out_c = p.groups * size(random, lanes);
  p.in_stride = stride_for(random, p.in_c);
  p.out_stride = stride_for(random, p.out_c);
  p.out_h = pick(random, 1, 12);
  p.out_w = pick(random, 1, 12);
  const int64_t width = whole_vectors(p.out_c / p.groups, lanes);
  const int64_t depth = int64_t{p.kernel_h} * p.kernel_w * (p.in_c / p.groups);
  Problem result = unanswered({floats(random, extent(p.batch * p.in_h * p.in_w, p.in_c, p.in_stride)),
                               floats(random, p.groups * width * depth), floats(random, p.groups * width)},
                              extent(p.batch * p.out_h * p.out_w, p.out_c, p.out_stride));
  mark_pixels(&result, p.out_c, p.out_stride);
  result.set(StepKind::kConvTranspose, p);
  return result;
}

Problem matmul(Random& random, int lanes) {
  MatMulParams p = {};
  p.batch = pick(random, 1, 3);
  p.m = pick(random, 1, 20);
  p.k = size(random, lanes);
  p.n = size(random, lanes);
  p.a_batch_stride = pick(random, 0, 1) * p.m * p.k;
  p.b_batch_stride = pick(random, 0, 1) * p.k * p.n;
  Problem result = unanswered({floats(random, (p.batch - 1) * p.a_batch_stride + p.m * p.k),
                               floats(random, (p.batch - 1) * p.b_batch_stride + p.k * p.n)},
                              int64_t{p.batch} * p.m * p.n);
  result.set(StepKind::kMatMul, p);
  return result;
}

}  // namespace

const std::vector<ProblemKind>& answered_problems() {
  static const std::vector<ProblemKind> kinds = {
      {"MaxPool", max_pool}, {"AvgPool", avg_pool},     {"Unary", unary},    {"Binary", binary},
      {"Softmax", softmax},  {"Reduce", reduce},        {"ArgMax", arg_max}, {"Lrn", lrn},
      {"Copy", copy},        {"Copy", large_transpose}, {"Pad", pad},        {"Resize", resize},
      {"Cast", cast},
  };
  return kinds;
}

const std::vector<ProblemKind>& unanswered_problems() {
  static const std::vector<ProblemKind> kinds = {
      {"Conv", conv}, {"DwConv", dwconv}, {"ConvTranspose", conv_transpose}, {"MatMul", matmul}};
  return kinds;
}

}  // namespace testing
}  // namespace edgecnn

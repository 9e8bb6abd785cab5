// Functions of elements.
#include "tests/problem_parts.h"

namespace edgecnn {
namespace testing {
namespace {

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

}  // namespace

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

}  // namespace testing
}  // namespace edgecnn

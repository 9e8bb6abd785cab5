// Steps along an axis.
#include "tests/problem_parts.h"

namespace edgecnn {
namespace testing {
namespace {

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

}  // namespace

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

}  // namespace testing
}  // namespace edgecnn

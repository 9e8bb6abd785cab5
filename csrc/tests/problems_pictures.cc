// Pooling, local response normalisation and resampling.
#include "tests/problem_parts.h"

namespace edgecnn {
namespace testing {
namespace {

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

}  // namespace

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

}  // namespace testing
}  // namespace edgecnn

// The plain meaning of the convolution steps, and the packing of their weights: what kernel_test and the
// kernel benchmark compare with.
#ifndef EDGECNN_TESTS_REFERENCE_H_
#define EDGECNN_TESTS_REFERENCE_H_

#include <cmath>
#include <cstdint>
#include <vector>

#include "algo/step.h"

namespace edgecnn {
namespace testing {

inline int64_t round_up(int64_t a, int64_t b) { return (a + b - 1) / b * b; }

// [groups][k][columns of a group] to panels of `nr` columns, the last one rounded up to whole vectors
// (steps.inc).
inline std::vector<float> pack_panels(const std::vector<float>& w, int groups, int64_t k, int columns,
                                      int lanes, int nr) {
  std::vector<float> packed;
  for (int g = 0; g < groups; ++g) {
    for (int first = 0; first < columns; first += nr) {
      const int width = static_cast<int>(round_up(columns - first < nr ? columns - first : nr, lanes));
      for (int64_t i = 0; i < k; ++i) {
        for (int j = first; j < first + width; ++j) {
          packed.push_back(j < columns ? w[(g * k + i) * columns + j] : 0.0f);
        }
      }
    }
  }
  return packed;
}

// G g Gt of F(4x4, 3x3) for weights [9][C][O]: [36][C][O].
inline std::vector<float> winograd_weights(const std::vector<float>& w, int64_t k, int64_t columns) {
  static const double g[6][3] = {{1 / 4.0, 0, 0},
                                 {-1 / 6.0, -1 / 6.0, -1 / 6.0},
                                 {-1 / 6.0, 1 / 6.0, -1 / 6.0},
                                 {1 / 24.0, 1 / 12.0, 1 / 6.0},
                                 {1 / 24.0, -1 / 12.0, 1 / 6.0},
                                 {0, 0, 1}};
  const int64_t each = k * columns;
  std::vector<float> result;
  for (int f = 0; f < 36; ++f) {
    for (int64_t i = 0; i < each; ++i) {
      double sum = 0;
      for (int t = 0; t < 9; ++t) sum += g[f / 6][t / 3] * g[f % 6][t % 3] * w[t * each + i];
      result.push_back(static_cast<float>(sum));
    }
  }
  return result;
}

// These as the kernel of first layers takes them: [vector of O][column 6][C][row 6][lanes].
inline std::vector<float> first_winograd_weights(const std::vector<float>& u, int64_t k, int64_t columns,
                                                 int lanes) {
  std::vector<float> result;
  for (int64_t o = 0; o < columns; o += lanes) {
    for (int64_t i = 0; i < 6 * k * 6; ++i) {
      const int64_t column = i / 6 / k, c = i / 6 % k, row = i % 6;
      const float* from = u.data() + ((row * 6 + column) * k + c) * columns;
      for (int64_t j = o; j < o + lanes; ++j) result.push_back(j < columns ? from[j] : 0.0f);
    }
  }
  return result;
}

// Weights [C][O] of a pointwise convolution for Strassen's algorithm (steps.inc).
inline std::vector<float> strassen_weights(const std::vector<float>& w, int64_t k, int columns, int lanes,
                                           int nr) {
  const int half = columns / (2 * nr) * nr, rest = columns - 2 * half;
  const int64_t depth = k / 2;
  std::vector<float> result;
  const auto append = [&result](const std::vector<float>& panels) {
    result.insert(result.end(), panels.begin(), panels.end());
  };
  for (int quarter = 0; quarter < 7; ++quarter) {
    std::vector<float> b;
    for (int64_t i = 0; i < depth * half; ++i) {
      const float* at = w.data() + i / half * columns + i % half;
      const double b11 = at[0], b12 = at[half], b21 = at[depth * columns], b22 = at[depth * columns + half];
      const double t2 = b22 - b12 + b11;
      const double values[] = {b11, b21, b12 - b11, t2, b22 - b12, b22, b21 - t2};
      b.push_back(static_cast<float>(values[quarter]));
    }
    append(pack_panels(b, 1, depth, half, lanes, nr));
  }
  std::vector<float> behind;
  for (int64_t i = 0; i < k * rest; ++i) behind.push_back(w[i / rest * columns + 2 * half + i % rest]);
  append(pack_panels(behind, 1, k, rest, lanes, nr));
  return result;
}

inline std::vector<float> strassen_bias(const std::vector<float>& b, int columns, int lanes, int nr) {
  const int half = columns / (2 * nr) * nr;
  std::vector<float> result(b.begin(), b.begin() + 2 * half);
  for (int j = 0; j < half; ++j) result[half + j] -= result[j];
  const std::vector<float> behind(b.begin() + 2 * half, b.begin() + columns);
  const std::vector<float> padded = pack_panels(behind, 1, 1, columns - 2 * half, lanes, nr);
  result.insert(result.end(), padded.begin(), padded.end());
  return result;
}

// Rows of `columns` floats padded with zeros to whole vectors.
inline std::vector<float> pad_rows(const std::vector<float>& w, int columns, int lanes) {
  std::vector<float> padded;
  for (size_t i = 0; i < w.size(); i += columns) {
    for (int j = 0; j < round_up(columns, lanes); ++j) padded.push_back(j < columns ? w[i + j] : 0.0f);
  }
  return padded;
}

inline double apply(UnaryKind kind, double alpha, double beta, double x) {
  switch (kind) {
    case UnaryKind::k_identity:
      return x;
    case UnaryKind::k_relu:
      return x > 0 ? x : 0;
    case UnaryKind::k_relu6:
      return std::fmin(std::fmax(x, 0), 6);
    case UnaryKind::k_leaky:
      return x > 0 ? x : alpha * x;
    case UnaryKind::k_clip:
      return std::fmin(std::fmax(x, alpha), beta);
    case UnaryKind::k_hardtan:
      return std::fmin(std::fmax(x, -1), 1);
    case UnaryKind::k_elu:
      return x > 0 ? x : alpha * std::expm1(x);
    case UnaryKind::k_sigmoid:
      return 1 / (1 + std::exp(-x));
    case UnaryKind::k_swish:
      return x / (1 + std::exp(-x));
    case UnaryKind::k_mish:
      return x * std::tanh(std::log1p(std::exp(x)));
    case UnaryKind::k_hardswish:
      return x * std::fmin(std::fmax(x / 6 + 0.5, 0), 1);
    default:
      return std::nan("");
  }
}

// A result and the sum of the absolute values it was added from, which bounds its rounding error.
struct Value {
  double value, magnitude;
};

// Output (n, y, x, o) of a convolution before residual and activation. Weights [groups][k][O / groups].
inline Value conv_at(const ConvParams& p, const float* x, const float* w, const float* b, int n, int oy,
                     int ox, int o) {
  const int ci = p.in_c / p.groups, co = p.out_c / p.groups, g = o / co;
  const int64_t k = int64_t{p.kernel_h} * p.kernel_w * ci;
  Value v = {b[o], std::fabs(b[o])};
  for (int h = 0; h < p.kernel_h; ++h) {
    const int iy = oy * p.stride_h - p.pad_top + h * p.dilation_h;
    if (iy < 0 || iy >= p.in_h) continue;
    for (int q = 0; q < p.kernel_w; ++q) {
      const int ix = ox * p.stride_w - p.pad_left + q * p.dilation_w;
      if (ix < 0 || ix >= p.in_w) continue;
      const float* pixel = x + ((int64_t{n} * p.in_h + iy) * p.in_w + ix) * p.in_stride + g * ci;
      const float* tap = w + (g * k + (int64_t{h} * p.kernel_w + q) * ci) * co + o % co;
      for (int c = 0; c < ci; ++c) {
        const double t = static_cast<double>(pixel[c]) * tap[int64_t{c} * co];
        v.value += t;
        v.magnitude += std::fabs(t);
      }
    }
  }
  return v;
}

// All of a convolution step, dense [N][OH][OW][O] (pooled if p.pool); residual at its stride or nullptr.
inline std::vector<Value> conv(const ConvParams& p, const float* x, const float* w, const float* b,
                               const float* r) {
  std::vector<Value> full(int64_t{p.batch} * p.out_h * p.out_w * p.out_c);
  for (int64_t i = 0; i < static_cast<int64_t>(full.size()); ++i) {
    const int64_t pixel = i / p.out_c;
    const int o = static_cast<int>(i % p.out_c), ox = static_cast<int>(pixel % p.out_w);
    const int oy = static_cast<int>(pixel / p.out_w % p.out_h);
    Value v = conv_at(p, x, w, b, static_cast<int>(pixel / p.out_w / p.out_h), oy, ox, o);
    const double extra = p.residual ? r[pixel * p.residual_stride + o] : 0.0;
    if (p.residual == 1) v.value += extra;
    v.value = apply(static_cast<UnaryKind>(p.act), p.alpha, p.beta, v.value);
    if (p.residual == 2) v.value += extra;
    v.magnitude += std::fabs(extra);
    full[i] = v;
  }
  if (!p.pool) return full;
  const int ph = p.out_h / 2, pw = p.out_w / 2;
  std::vector<Value> pooled;
  for (int n = 0; n < p.batch; ++n) {
    for (int y = 0; y < ph; ++y) {
      for (int q = 0; q < pw; ++q) {
        for (int o = 0; o < p.out_c; ++o) {
          Value best = {-INFINITY, 0.0};
          for (int d = 0; d < 4; ++d) {
            const int64_t pixel = (int64_t{n} * p.out_h + 2 * y + d / 2) * p.out_w + 2 * q + d % 2;
            const Value v = full[pixel * p.out_c + o];
            best.value = std::fmax(best.value, v.value);
            best.magnitude = std::fmax(best.magnitude, v.magnitude);
          }
          pooled.push_back(best);
        }
      }
    }
  }
  return pooled;
}

// A transposed convolution, by scattering every input pixel. Weights [groups][KH][KW][C / groups][O /
// groups].
inline std::vector<Value> conv_transpose(const ConvTransposeParams& p, const float* x, const float* w,
                                         const float* b) {
  const int ci = p.in_c / p.groups, co = p.out_c / p.groups;
  std::vector<Value> out(int64_t{p.batch} * p.out_h * p.out_w * p.out_c);
  for (size_t i = 0; i < out.size(); ++i) out[i] = {b[i % p.out_c], std::fabs(b[i % p.out_c])};
  for (int64_t pixel = 0; pixel < int64_t{p.batch} * p.in_h * p.in_w; ++pixel) {
    const int ix = static_cast<int>(pixel % p.in_w), iy = static_cast<int>(pixel / p.in_w % p.in_h);
    const int64_t n = pixel / p.in_w / p.in_h;
    for (int h = 0; h < p.kernel_h; ++h) {
      for (int q = 0; q < p.kernel_w; ++q) {
        const int oy = iy * p.stride_h - p.pad_top + h * p.dilation_h;
        const int ox = ix * p.stride_w - p.pad_left + q * p.dilation_w;
        if (oy < 0 || oy >= p.out_h || ox < 0 || ox >= p.out_w) continue;
        Value* at = &out[((n * p.out_h + oy) * p.out_w + ox) * p.out_c];
        for (int c = 0; c < p.in_c; ++c) {
          const int g = c / ci;
          const float* tap = w + (((int64_t{g} * p.kernel_h + h) * p.kernel_w + q) * ci + c % ci) * co;
          for (int o = 0; o < co; ++o) {
            const double t = static_cast<double>(x[pixel * p.in_stride + c]) * tap[o];
            at[g * co + o].value += t;
            at[g * co + o].magnitude += std::fabs(t);
          }
        }
      }
    }
  }
  for (Value& v : out) v.value = apply(static_cast<UnaryKind>(p.act), p.alpha, p.beta, v.value);
  return out;
}

}  // namespace testing
}  // namespace edgecnn

#endif  // EDGECNN_TESTS_REFERENCE_H_

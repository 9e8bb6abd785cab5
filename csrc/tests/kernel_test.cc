// Tests of the convolution and matrix product kernels of every instruction set that this CPU runs.
//
//   kernel_test [target...]
//
// Each case is compared with a plain loop in double precision, to a tolerance from the depth and the
// magnitude of the sum. Inputs and outputs end right before a page that must not be touched (these kernels
// make no use of kTailBytes, so that a caller's own array can be their input); there is NaN between the
// pixels of inputs, and what lies between those of outputs must stay as it was. Cutting the work into pieces
// must not change a bit.

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>

#include "cpu/features.h"
#include "targets/target.h"
#include "tests/guarded.h"
#include "tests/reference.h"

namespace edgecnn {
namespace testing {
namespace {

constexpr float kUntouched = -12345.5f;

std::mt19937 rng(20240517);
int failures = 0;

int pick(int low, int high) { return low + static_cast<int>(rng() % static_cast<unsigned>(high - low + 1)); }

// Floats that end right before a page that must not be touched, with NaN before them.
class GuardedFloats {
 public:
  explicit GuardedFloats(size_t count)
      : memory_(count * sizeof(float)),
        data_(reinterpret_cast<float*>(memory_.at_end(count * sizeof(float), /*slack=*/0, 0xff))) {}
  explicit GuardedFloats(const std::vector<float>& values) : GuardedFloats(values.size()) {
    std::memcpy(data_, values.data(), values.size() * sizeof(float));
  }
  float* data() { return data_; }

 private:
  GuardedMemory memory_;
  float* data_;
};

std::vector<float> random_floats(int64_t count) {
  std::vector<float> v(static_cast<size_t>(count));
  for (float& f : v) f = static_cast<float>(static_cast<int>(rng() % 20001) - 10000) / 5000.0f;
  return v;
}

// Pixels of `channels` random floats at `stride`; what lies between is NaN.
std::vector<float> random_pixels(int64_t pixels, int channels, int stride) {
  std::vector<float> v = random_floats(pixels * stride);
  for (size_t i = 0; i < v.size(); ++i) {
    if (static_cast<int>(i % stride) >= channels) v[i] = NAN;
  }
  v.resize(static_cast<size_t>((pixels - 1) * stride + channels));
  return v;
}

struct Case {
  const StepKernel* kernel;
  const void* params;
  std::vector<std::vector<float>> inputs;
  int64_t pixels;
  int channels;
  int stride;
};

// Runs items [0, n) in `pieces` calls, last piece first, each with scratch full of NaN. Several pieces run on
// a core with hardly any cache, which makes other blocks.
std::vector<float> run(const Case& c, int pieces) {
  std::vector<std::unique_ptr<GuardedFloats>> inputs;
  StepArgs args{};
  if (pieces > 1) args.caches = {1024, 8192};
  // The other schedule of the same arithmetic.
  if (pieces % 2 == 0) args.core = CoreClass::kInOrder;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    inputs.push_back(std::make_unique<GuardedFloats>(c.inputs[i]));
    args.in[i] = inputs.back()->data();
  }
  const size_t size = static_cast<size_t>((c.pixels - 1) * c.stride + c.channels);
  GuardedFloats out(size);
  for (size_t i = 0; i < size; ++i) out.data()[i] = kUntouched;
  args.out[0] = out.data();
  const size_t scratch_bytes =
      static_cast<size_t>(round_up(static_cast<int64_t>(c.kernel->scratch_bytes(c.params)), 64));
  GuardedFloats scratch(scratch_bytes / sizeof(float));
  args.scratch = scratch.data();
  const int64_t items = c.kernel->items(c.params);
  for (int i = pieces - 1; i >= 0; --i) {
    for (size_t j = 0; j < scratch_bytes / sizeof(float); ++j) scratch.data()[j] = NAN;
    const int64_t begin = items * i / pieces, end = items * (i + 1) / pieces;
    if (begin < end) c.kernel->run(c.params, args, begin, end);
  }
  return std::vector<float>(out.data(), out.data() + size);
}

void fail(const char* what, const std::string& name) {
  ++failures;
  std::printf("FAILED %s: %s\n", name.c_str(), what);
}

// Runs a case whole and in pieces and compares with `want` (dense pixels); returns the values, dense.
std::vector<float> check(const Case& c, const std::vector<Value>& want, int64_t depth,
                         const std::string& name) {
  const std::vector<float> got = run(c, 1);
  std::vector<float> dense;
  const double unit = 6e-8 * (static_cast<double>(depth) + 16);
  for (size_t i = 0; i < got.size(); ++i) {
    const int64_t pixel = static_cast<int64_t>(i) / c.stride;
    const int channel = static_cast<int>(static_cast<int64_t>(i) % c.stride);
    if (channel >= c.channels) {
      if (got[i] != kUntouched) {
        fail("wrote between the pixels", name);
        return got;
      }
      continue;
    }
    const Value& v = want[static_cast<size_t>(pixel * c.channels + channel)];
    dense.push_back(got[i]);
    if (!(std::fabs(got[i] - v.value) <= unit * (v.magnitude + 1))) {
      std::printf("  pixel %" PRId64 " channel %d: %.9g, not %.9g\n", pixel, channel, got[i], v.value);
      fail("wrong value", name);
      return dense;
    }
  }
  for (const int pieces : {2, 3, 7}) {
    const std::vector<float> split = run(c, pieces);
    if (std::memcmp(split.data(), got.data(), got.size() * sizeof(float)) != 0)
      fail("depends on the split", name);
  }
  return dense;
}

void choose_activation(int32_t* act, float* alpha, float* beta) {
  static const UnaryKind kinds[] = {UnaryKind::k_identity, UnaryKind::k_relu,    UnaryKind::k_relu6,
                                    UnaryKind::k_leaky,    UnaryKind::k_leaky,   UnaryKind::k_clip,
                                    UnaryKind::k_hardtan,  UnaryKind::k_sigmoid, UnaryKind::k_swish,
                                    UnaryKind::k_mish,     UnaryKind::k_elu,     UnaryKind::k_hardswish};
  *act = static_cast<int32_t>(kinds[pick(0, 11)]);
  *alpha = *act == static_cast<int32_t>(UnaryKind::k_clip) ? -0.5f : 0.1f;
  *beta = 0.75f;
}

const StepKernel* kernel_of(const Target& target, StepKind kind) {
  for (int i = 0; i < target.kernel_count; ++i) {
    if (target.kernels[i].kind == kind) return &target.kernels[i];
  }
  std::printf("no kernel %d in %s\n", static_cast<int>(kind), target.name);
  std::exit(1);
}

// Sets a window (kernel, stride, padding, dilation) and the sizes of input and output; false where they do
// not fit.
template <class P>
bool choose_window(P* p, int size_limit) {
  p->batch = pick(0, 3) == 0 ? 2 : 1;
  p->in_h = pick(1, size_limit);
  p->in_w = pick(1, size_limit);
  const bool square = pick(0, 2) != 0;
  p->kernel_h = square ? pick(0, 1) * 2 + 1 : pick(1, 5);
  p->kernel_w = square ? p->kernel_h : pick(1, 5);
  p->stride_h = pick(1, 2);
  p->stride_w = square ? p->stride_h : pick(1, 3);
  p->dilation_h = pick(0, 3) == 0 ? 2 : 1;
  p->dilation_w = pick(0, 3) == 0 ? pick(2, 3) : 1;
  p->pad_top = pick(0, p->kernel_h - 1);
  p->pad_left = pick(0, p->kernel_w - 1);
  const int bottom = pick(0, p->kernel_h - 1), right = pick(0, p->kernel_w - 1);
  const int span_h = p->in_h + p->pad_top + bottom - (p->kernel_h - 1) * p->dilation_h - 1;
  const int span_w = p->in_w + p->pad_left + right - (p->kernel_w - 1) * p->dilation_w - 1;
  if (span_h < 0 || span_w < 0) return false;
  p->out_h = span_h / p->stride_h + 1;
  p->out_w = span_w / p->stride_w + 1;
  return true;
}

// A channel count near a multiple of the vector or the panel.
int awkward_channels(const Target& t) {
  const int around = pick(0, 1) ? t.lanes * pick(1, 2) : t.nr * pick(1, 3);
  return pick(0, 1) ? pick(1, 10) : around + pick(-1, 1);
}

std::string describe(const Target& t, const char* step, int index) {
  return std::string(t.name) + " " + step + " #" + std::to_string(index);
}

std::string describe(const ConvParams& p) {
  char text[300];
  std::snprintf(text, sizeof(text),
                " n%d in %dx%dx%d/%d out %dx%dx%d/%d k%dx%d s%d,%d p%d,%d d%d,%d g%d res%d pool%d act%d",
                p.batch, p.in_h, p.in_w, p.in_c, p.in_stride, p.out_h, p.out_w, p.out_c, p.out_stride,
                p.kernel_h, p.kernel_w, p.stride_h, p.stride_w, p.pad_top, p.pad_left, p.dilation_h,
                p.dilation_w, p.groups, p.residual, p.pool, p.act);
  return text;
}

struct ConvData {
  std::vector<float> x, w, b, r;
  ConvData(const ConvParams& p, int64_t k)
      : x(random_pixels(int64_t{p.batch} * p.in_h * p.in_w, p.in_c, p.in_stride)),
        w(random_floats(k * p.out_c)),
        b(random_floats(p.out_c)) {
    if (p.residual) r = random_pixels(int64_t{p.batch} * p.out_h * p.out_w, p.out_c, p.residual_stride);
  }
};

std::vector<float> check_conv(const Target& t, const ConvParams& p, const ConvData& data,
                              const std::string& name) {
  const int64_t k = int64_t{p.kernel_h} * p.kernel_w * (p.in_c / p.groups);
  const int columns = p.out_c / p.groups;
  Case c{kernel_of(t, StepKind::kConv), &p, {}, 0, p.out_c, p.out_stride};
  c.inputs = {data.x, pack_panels(data.w, p.groups, k, columns, t.lanes, t.nr),
              pack_panels(data.b, p.groups, 1, columns, t.lanes, t.nr)};
  if (p.residual) c.inputs.push_back(data.r);
  const int shrink = p.pool ? 2 : 1;
  c.pixels = int64_t{p.batch} * (p.out_h / shrink) * (p.out_w / shrink);
  return check(c, conv(p, data.x.data(), data.w.data(), data.b.data(), data.r.data()), k, name);
}

void test_conv(const Target& t, ConvParams p, int index) {
  const int64_t k = int64_t{p.kernel_h} * p.kernel_w * (p.in_c / p.groups);
  const std::string name = describe(t, "Conv", index) + describe(p);
  ConvData data(p, k);
  const std::vector<float> got = check_conv(t, p, data, name);
  // The same picture with gaps between the pixels: taps are no longer merged, and no bit may change.
  ConvParams wide = p;
  wide.in_stride = p.in_stride + 5;
  ConvData spread = data;
  spread.x = random_pixels(int64_t{p.batch} * p.in_h * p.in_w, p.in_c, wide.in_stride);
  for (size_t i = 0; i < spread.x.size(); ++i) {
    const size_t channel = i % wide.in_stride;
    if (channel < static_cast<size_t>(p.in_c))
      spread.x[i] = data.x[i / wide.in_stride * p.in_stride + channel];
  }
  const std::vector<float> apart = check_conv(t, wide, spread, name + " (gaps)");
  if (got.size() != apart.size() || std::memcmp(got.data(), apart.data(), got.size() * sizeof(float)) != 0) {
    fail("depends on the pixel stride", name);
  }
}

// One row as the only one, and as the first of two: no bit may change.
void test_row_among_rows(const Target& t, const ConvParams& row, int index) {
  const std::string name = describe(t, "Conv", index) + describe(row);
  ConvParams rows = row;
  rows.in_w = rows.out_w = 2;
  const ConvData two(rows, row.in_c);
  ConvData one = two;
  one.x.resize(row.in_c);
  const std::vector<float> alone = check_conv(t, row, one, name);
  const std::vector<float> first = check_conv(t, rows, two, name + " (of two)");
  if (alone.empty() || first.size() < alone.size() ||
      std::memcmp(alone.data(), first.data(), row.out_c * sizeof(float)) != 0) {
    fail("depends on the number of rows", name);
  }
}

int test_convs(const Target& t) {
  int count = 0;
  while (count < 250) {
    ConvParams p{};
    if (!choose_window(&p, count % 25 == 0 ? 45 : count % 5 == 0 ? 24 : 10)) continue;
    p.groups = pick(0, 3) == 0 ? pick(2, 3) : 1;
    p.in_c = pick(1, p.groups > 1 ? 6 : 20) * p.groups;
    p.out_c = (p.groups > 1 ? pick(1, t.nr + 2) : awkward_channels(t)) * p.groups;
    p.in_stride = p.in_c + (pick(0, 2) == 0 ? pick(1, 5) : 0);
    p.out_stride = p.out_c + (pick(0, 1) == 0 ? pick(1, 5) : 0);
    p.residual = pick(0, 2) == 0 ? pick(1, 2) : 0;
    p.residual_stride = p.out_c + pick(0, 3);
    p.pool = p.out_h > 1 && p.out_w > 1 && pick(0, 1);
    choose_activation(&p.act, &p.alpha, &p.beta);
    test_conv(t, p, count++);
  }
  // Fully connected layers (one row) and 1x1 layers of every number of rows around the tile.
  for (int m = 1; m <= 3 * t.mr + 1; ++m) {
    for (const int columns : {1, t.lanes, t.nr - 1, 2 * t.nr + 1}) {
      ConvParams p{};
      p.batch = p.in_h = p.out_h = p.kernel_h = p.kernel_w = p.stride_h = p.stride_w = 1;
      p.dilation_h = p.dilation_w = p.groups = 1;
      p.in_w = p.out_w = m;
      p.in_c = p.in_stride = m == 1 ? 1000 : pick(1, 70);
      p.out_c = p.out_stride = columns;
      test_conv(t, p, count++);
    }
  }
  // One row of so many panels that several are taken together, whole and not.
  for (int panels = 1; panels <= 9; ++panels) {
    for (const int rest : {0, 1, t.lanes, t.nr - 1}) {
      ConvParams p{};
      p.batch = p.in_h = p.out_h = p.in_w = p.out_w = 1;
      p.kernel_h = p.kernel_w = p.stride_h = p.stride_w = p.dilation_h = p.dilation_w = p.groups = 1;
      p.in_c = p.in_stride = pick(0, 1) ? pick(1, 70) : 16 * pick(1, 5) + pick(-1, 1);
      p.out_c = p.out_stride = p.residual_stride = panels * t.nr + rest;
      p.residual = panels % 3;
      choose_activation(&p.act, &p.alpha, &p.beta);
      test_conv(t, p, count++);
      if (p.residual == 0) test_row_among_rows(t, p, count++);
    }
  }
  return count;
}

int test_winograd(const Target& t) {
  int count = 0;
  while (count < 200) {
    ConvParams p{};
    p.batch = pick(1, 2);
    p.kernel_h = p.kernel_w = 3;
    p.stride_h = p.stride_w = p.dilation_h = p.dilation_w = p.groups = 1;
    const int limit = count % 20 == 0 ? 45 : 14;
    p.in_h = pick(1, limit);
    p.in_w = pick(1, limit);
    p.pad_top = pick(0, 2);
    p.pad_left = pick(0, 2);
    p.out_h = p.in_h + p.pad_top + pick(0, 2) - 2;
    p.out_w = p.in_w + p.pad_left + pick(0, 2) - 2;
    if (p.out_h < 1 || p.out_w < 1) continue;
    // Every tenth case has blocks and slices in number, some have more channels than are multiplied at once.
    p.in_c = count % 50 == 1 ? pick(257, 600) : count % 10 == 0 ? pick(60, 90) : awkward_channels(t);
    p.out_c = count % 10 == 0 ? 4 * t.nr + pick(-1, 1) : awkward_channels(t);
    p.in_stride = p.in_c + (pick(0, 1) ? pick(1, 5) : 0);
    p.out_stride = p.out_c + (pick(0, 1) ? pick(1, 5) : 0);
    p.residual = pick(0, 2) == 0 ? pick(1, 2) : 0;
    p.residual_stride = p.out_c + pick(0, 3);
    p.pool = p.out_h > 1 && p.out_w > 1 && pick(0, 1);
    choose_activation(&p.act, &p.alpha, &p.beta);
    const WinogradParams q{p.batch,           p.in_h,  p.in_w,       p.in_c,    p.in_stride, p.out_h,
                           p.out_w,           p.out_c, p.out_stride, p.pad_top, p.pad_left,  p.residual,
                           p.residual_stride, p.pool,  p.act,        p.alpha,   p.beta};
    const int64_t k = int64_t{9} * p.in_c;
    const ConvData data(p, k);
    const int shrink = p.pool ? 2 : 1;
    Case c{kernel_of(t, StepKind::kWinograd), &q, {}, 0, p.out_c, p.out_stride};
    c.pixels = int64_t{p.batch} * (p.out_h / shrink) * (p.out_w / shrink);
    const std::vector<float> u = winograd_weights(data.w, p.in_c, p.out_c);
    c.inputs = {data.x, pack_panels(u, 36, p.in_c, p.out_c, t.lanes, t.nr),
                pack_panels(data.b, 1, 1, p.out_c, t.lanes, t.nr)};
    if (p.residual) c.inputs.push_back(data.r);
    // The transforms add terms of other pixels, hundreds of times as large as the result at worst.
    check(c, conv(p, data.x.data(), data.w.data(), data.b.data(), data.r.data()), k + 400,
          describe(t, "Winograd", count) + describe(p));
    ++count;
  }
  return count;
}

int test_strassen(const Target& t) {
  int count = 0;
  for (; count < 150; ++count) {
    ConvParams p{};
    p.batch = p.in_h = p.out_h = 1;
    p.kernel_h = p.kernel_w = p.stride_h = p.stride_w = p.dilation_h = p.dilation_w = p.groups = 1;
    // Every tenth case has several blocks.
    p.in_w = p.out_w = count % 10 == 0 ? pick(200, 500) : pick(1, 7 * t.mr);
    p.in_c = 8 * (count % 10 == 0 ? pick(60, 90) : pick(1, 12));
    p.out_c = 2 * t.nr * pick(1, 3) + pick(0, 2 * t.nr - 1) * pick(0, 1);
    p.in_stride = p.in_c + (pick(0, 1) ? pick(1, 5) : 0);
    p.out_stride = p.out_c + (pick(0, 1) ? pick(1, 5) : 0);
    p.residual = pick(0, 2) == 0 ? pick(1, 2) : 0;
    p.residual_stride = p.out_c + pick(0, 3);
    choose_activation(&p.act, &p.alpha, &p.beta);
    const StrassenParams q{p.out_w,           p.in_c, p.in_stride, p.out_c, p.out_stride, p.residual,
                           p.residual_stride, p.act,  p.alpha,     p.beta};
    const ConvData data(p, p.in_c);
    Case c{kernel_of(t, StepKind::kStrassen), &q, {}, p.out_w, p.out_c, p.out_stride};
    c.inputs = {data.x, strassen_weights(data.w, p.in_c, p.out_c, t.lanes, t.nr),
                strassen_bias(data.b, p.out_c, t.lanes, t.nr)};
    if (p.residual) c.inputs.push_back(data.r);
    // Sums of other pixels and channels pass through.
    check(c, conv(p, data.x.data(), data.w.data(), data.b.data(), data.r.data()), 4 * p.in_c + 100,
          describe(t, "Strassen", count) + describe(p));
  }
  return count;
}

// The maxima over the windows of `q` of a convolution's results.
std::vector<Value> windows_of(const FirstConvParams& q, const std::vector<Value>& conv) {
  std::vector<Value> out;
  for (int row = 0; row < q.batch * q.pooled_h; ++row) {
    const int n = row / q.pooled_h, top = row % q.pooled_h * q.pool_stride_h - q.pool_pad_top;
    for (int i = 0; i < q.pooled_w * q.out_c; ++i) {
      const int left = i / q.out_c * q.pool_stride_w - q.pool_pad_left;
      Value best{-INFINITY, 0};
      for (int y = std::max(top, 0); y < std::min(top + q.pool_kernel_h, q.out_h); ++y) {
        for (int x = std::max(left, 0); x < std::min(left + q.pool_kernel_w, q.out_w); ++x) {
          const Value& v =
              conv[((static_cast<size_t>(n) * q.out_h + y) * q.out_w + x) * q.out_c + i % q.out_c];
          best = {std::max(best.value, v.value), std::max(best.magnitude, v.magnitude)};
        }
      }
      out.push_back(best);
    }
  }
  return out;
}

// The input of a convolution as NCHW.
std::vector<float> planes(const ConvParams& p, const std::vector<float>& x) {
  const int pixels = p.in_h * p.in_w;
  std::vector<float> result(static_cast<size_t>(p.batch) * pixels * p.in_c);
  for (size_t i = 0; i < result.size(); ++i) {
    const size_t n = i / (pixels * p.in_c), c = i / pixels % p.in_c;
    result[i] = x[(n * pixels + i % pixels) * p.in_stride + c];
  }
  return result;
}

int test_first(const Target& t) {
  int count = 0;
  while (count < 250) {
    ConvParams p{};
    p.batch = pick(0, 3) == 0 ? 2 : 1;
    p.in_c = pick(1, 4);
    p.in_stride = p.in_c + (pick(0, 2) == 0 ? pick(1, 3) : 0);
    const int limit = count % 20 == 0 ? 60 : 20;
    p.in_h = pick(1, limit);
    p.in_w = pick(1, limit);
    p.kernel_h = pick(0, 1) ? 3 : pick(1, 11);
    p.kernel_w = pick(0, 2) ? p.kernel_h : pick(1, 11);
    p.stride_h = pick(0, 1) ? 1 : pick(1, 4);
    p.stride_w = pick(0, 2) ? p.stride_h : pick(1, 4);
    p.pad_top = pick(0, p.kernel_h - 1);
    p.pad_left = pick(0, p.kernel_w - 1);
    p.dilation_h = p.dilation_w = p.groups = 1;
    const int span_h = p.in_h + p.pad_top + pick(0, p.kernel_h - 1) - p.kernel_h;
    const int span_w = p.in_w + p.pad_left + pick(0, p.kernel_w - 1) - p.kernel_w;
    if (span_h < 0 || span_w < 0) continue;
    p.out_h = span_h / p.stride_h + 1;
    p.out_w = span_w / p.stride_w + 1;
    p.out_c = awkward_channels(t);
    choose_activation(&p.act, &p.alpha, &p.beta);
    FirstConvParams q{};
    q.pool_kernel_h = q.pool_kernel_w = q.pool_stride_h = q.pool_stride_w = 1;
    q.pooled_h = p.out_h;
    q.pooled_w = p.out_w;
    const int pool = pick(0, 2);
    if (pool == 1 && p.out_h > 1 && p.out_w > 1) {
      q.pool_kernel_h = q.pool_kernel_w = q.pool_stride_h = q.pool_stride_w = 2;
      q.pooled_h /= 2;
      q.pooled_w /= 2;
    } else if (pool == 2) {
      q.pool_kernel_h = pick(1, 4);
      q.pool_kernel_w = pick(1, 4);
      q.pool_stride_h = pick(1, 5);
      q.pool_stride_w = pick(q.pool_kernel_w == 1 && q.pool_kernel_h == 1 ? 2 : 1, 5);
      q.pool_pad_top = pick(0, q.pool_kernel_h - 1);
      q.pool_pad_left = pick(0, q.pool_kernel_w - 1);
      q.pooled_h = (p.out_h - 1 + q.pool_pad_top) / q.pool_stride_h + 1;
      q.pooled_w = pick(1, (p.out_w - 1 + q.pool_pad_left) / q.pool_stride_w + 1);
    }
    q.batch = p.batch;
    q.in_h = p.in_h;
    q.in_w = p.in_w;
    q.in_c = p.in_c;
    q.in_stride = p.in_stride;
    q.planar = pick(0, 1);
    q.out_h = p.out_h;
    q.out_w = p.out_w;
    q.out_c = p.out_c;
    q.out_stride = p.out_c + (pick(0, 1) ? pick(1, 5) : 0);
    q.kernel_h = p.kernel_h;
    q.kernel_w = p.kernel_w;
    q.stride_h = p.stride_h;
    q.stride_w = p.stride_w;
    q.pad_top = p.pad_top;
    q.pad_left = p.pad_left;
    q.act = p.act;
    q.alpha = p.alpha;
    q.beta = p.beta;
    const int64_t k = int64_t{p.kernel_h} * p.kernel_w * p.in_c;
    const ConvData data(p, k);
    const std::vector<float> x = q.planar ? planes(p, data.x) : data.x;
    Case c{kernel_of(t, StepKind::kFirstConv),         &q,      {},
           int64_t{q.batch} * q.pooled_h * q.pooled_w, q.out_c, q.out_stride};
    std::vector<float> panels = pack_panels(data.w, 1, k, p.out_c, t.lanes, t.nr);
    panels.insert(panels.end(), kTailBytes / sizeof(float), NAN);  // of weights this kernel may read the tail
    c.inputs = {x, panels, pack_panels(data.b, 1, 1, p.out_c, t.lanes, t.nr)};
    const std::vector<Value> conv_values = conv(p, data.x.data(), data.w.data(), data.b.data(), nullptr);
    check(c, windows_of(q, conv_values), k, describe(t, "FirstConv", count) + describe(p));
    ++count;
    const bool pairs = pool == 1 && q.pool_kernel_h == 2;
    if (p.kernel_h != 3 || p.kernel_w != 3 || p.stride_h != 1 || p.stride_w != 1 || (pool != 0 && !pairs)) {
      continue;
    }
    const FirstWinogradParams w{q.batch, q.in_h,  q.in_w,  q.in_c,       q.in_stride, q.planar,
                                q.out_h, q.out_w, q.out_c, q.out_stride, q.pad_top,   q.pad_left,
                                pairs,   q.act,   q.alpha, q.beta};
    c.kernel = kernel_of(t, StepKind::kFirstWinograd);
    c.params = &w;
    const std::vector<float> u = winograd_weights(data.w, p.in_c, p.out_c);
    c.inputs[1] = first_winograd_weights(u, p.in_c, p.out_c, t.lanes);
    c.inputs[2].resize(round_up(p.out_c, t.lanes));
    check(c, windows_of(q, conv_values), k + 400, describe(t, "FirstWinograd", count) + describe(p));
  }
  return count;
}

// A 3x3 window of stride 1 or 2, with which DwConv goes by bands; false where it does not fit.
bool choose_band(DwConvParams* p, int most_h, int most_w) {
  p->batch = pick(1, 2);
  p->in_h = pick(1, most_h);
  p->in_w = pick(1, most_w);
  p->kernel_h = p->kernel_w = 3;
  p->stride_h = p->stride_w = pick(1, 2);
  p->dilation_h = p->dilation_w = 1;
  p->pad_top = pick(0, 2);
  p->pad_left = pick(0, 3 - p->stride_w);
  const int span_h = p->in_h + p->pad_top + pick(0, 2) - 3, span_w = p->in_w + p->pad_left + pick(0, 2) - 3;
  p->out_h = span_h / p->stride_h + 1;
  p->out_w = span_w / p->stride_w + 1;
  return span_h >= 0 && span_w >= 0 && (p->out_w - 1) * p->stride_w - p->pad_left < p->in_w;
}

// As a convolution of one channel per group.
ConvParams grouped(const DwConvParams& p) {
  return {p.batch,    p.in_h,       p.in_w,       p.channels, p.in_stride, p.out_h,           p.out_w,
          p.channels, p.out_stride, p.kernel_h,   p.kernel_w, p.stride_h,  p.stride_w,        p.pad_top,
          p.pad_left, p.dilation_h, p.dilation_w, p.channels, p.residual,  p.residual_stride, 0,
          p.act,      p.alpha,      p.beta};
}

// Weights [C][taps] as [taps][C rounded up to vectors].
std::vector<float> pack_taps(const std::vector<float>& w, int channels, int lanes) {
  const size_t taps = w.size() / static_cast<size_t>(channels);
  std::vector<float> by_tap(w.size());
  for (size_t i = 0; i < w.size(); ++i) by_tap[i % taps * static_cast<size_t>(channels) + i / taps] = w[i];
  return pad_rows(by_tap, channels, lanes);
}

int test_depthwise(const Target& t) {
  int count = 0;
  while (count < 400) {
    DwConvParams p{};
    const int limit = count % 3 == 0 ? 20 : 9;
    const bool band = count % 2 == 0;
    if (!(band ? choose_band(&p, limit, limit) : choose_window(&p, limit))) continue;
    p.channels = awkward_channels(t);
    p.in_stride = p.channels + (pick(0, 1) ? pick(1, 5) : 0);
    p.out_stride = p.channels + (pick(0, 1) ? pick(1, 5) : 0);
    p.residual = !band && pick(0, 1) == 0 ? pick(1, 2) : 0;
    p.residual_stride = p.channels + pick(0, 3);
    choose_activation(&p.act, &p.alpha, &p.beta);
    const ConvParams q = grouped(p);
    const int taps = p.kernel_h * p.kernel_w;
    const ConvData data(q, taps);
    Case c{kernel_of(t, StepKind::kDwConv),      &p,         {},
           int64_t{p.batch} * p.out_h * p.out_w, p.channels, p.out_stride};
    c.inputs = {data.x, pack_taps(data.w, p.channels, t.lanes), pad_rows(data.b, p.channels, t.lanes)};
    if (p.residual) c.inputs.push_back(data.r);
    check(c, conv(q, data.x.data(), data.w.data(), data.b.data(), data.r.data()), taps,
          describe(t, "DwConv", count) + describe(q));
    ++count;
  }
  return count;
}

std::vector<float> joined(std::vector<float> a, const std::vector<float>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// A pointwise convolution of pictures like those of `d`, to `out_c` channels.
ConvParams pointwise(int batch, int h, int w, int in_c, int out_c) {
  ConvParams q{};
  q.batch = batch;
  q.in_h = q.out_h = h;
  q.in_w = q.out_w = w;
  q.in_c = in_c;
  q.out_c = out_c;
  q.kernel_h = q.kernel_w = q.stride_h = q.stride_w = q.dilation_h = q.dilation_w = q.groups = 1;
  choose_activation(&q.act, &q.alpha, &q.beta);
  return q;
}

std::vector<float> rounded(const std::vector<Value>& values) {
  std::vector<float> result;
  for (const Value& v : values) result.push_back(static_cast<float>(v.value));
  return result;
}

std::vector<float> panels_and_bias(const Target& t, const ConvParams& q, const ConvData& data) {
  const int64_t k = int64_t{q.kernel_h} * q.kernel_w * q.in_c;
  return joined(pack_panels(data.w, 1, k, q.out_c, t.lanes, t.nr),
                pack_panels(data.b, 1, 1, q.out_c, t.lanes, t.nr));
}

// A first layer with h x w results.
bool choose_first(int batch, int h, int w, int channels, ConvParams* e) {
  *e = pointwise(batch, h, w, pick(1, 4), channels);
  e->kernel_h = pick(0, 1) ? 3 : pick(1, 7);
  e->kernel_w = pick(0, 2) ? e->kernel_h : pick(1, 7);
  e->stride_h = pick(1, 4);
  e->stride_w = pick(0, 2) ? e->stride_h : pick(1, 4);
  e->pad_top = pick(0, e->kernel_h - 1);
  e->pad_left = pick(0, e->kernel_w - 1);
  e->in_h = (h - 1) * e->stride_h + e->kernel_h - e->pad_top - pick(0, e->kernel_h - 1);
  e->in_w = (w - 1) * e->stride_w + e->kernel_w - e->pad_left - pick(0, e->kernel_w - 1);
  return e->in_h > 0 && e->in_w > 0;
}

// DwPw, or with what makes its input: PwDwPw, FirstDwPw.
int test_depthwise_pointwise(const Target& t, StepKind kind) {
  const bool expands = kind == StepKind::kPwDwPw, alone = kind == StepKind::kDwPw;
  int count = 0;
  while (count < 150) {
    DwConvParams d{};
    // Some have several blocks in a row.
    if (!choose_band(&d, 9, count % 3 == 0 ? 80 : 12)) continue;
    d.channels = count % 12 == 0 ? pick(130, 200) : awkward_channels(t);
    d.in_stride = d.channels + (alone && pick(0, 1) ? pick(1, 5) : 0);
    d.out_stride = d.channels;
    choose_activation(&d.act, &d.alpha, &d.beta);
    ConvParams e = pointwise(d.batch, d.in_h, d.in_w, awkward_channels(t), d.channels);
    if (!alone && !expands && !choose_first(d.batch, d.in_h, d.in_w, d.channels, &e)) continue;
    e.out_stride = e.out_c;
    e.in_stride = e.in_c + (pick(0, 1) ? pick(1, 5) : 0);
    ConvParams q = pointwise(d.batch, d.out_h, d.out_w, d.channels, awkward_channels(t));
    q.in_stride = d.channels;
    q.out_stride = q.out_c + (pick(0, 1) ? pick(1, 5) : 0);
    q.residual = pick(0, 1) ? pick(1, 2) : 0;
    q.residual_stride = q.out_c + pick(0, 3);
    const ConvParams g = grouped(d);
    const ConvData zeroth(e, int64_t{e.kernel_h} * e.kernel_w * e.in_c), first(g, 9), second(q, q.in_c);
    const std::vector<float> x =
        alone ? first.x : rounded(conv(e, zeroth.x.data(), zeroth.w.data(), zeroth.b.data(), nullptr));
    const std::vector<float> between = rounded(conv(g, x.data(), first.w.data(), first.b.data(), nullptr));
    std::vector<float> weights =
        joined(pack_taps(first.w, d.channels, t.lanes), pad_rows(first.b, d.channels, t.lanes));
    if (!alone) weights = joined(panels_and_bias(t, e, zeroth), weights);
    const int planar = expands || alone ? 0 : pick(0, 1);
    const DwPwParams p{d.batch, d.in_h,  d.in_w,       d.channels, d.in_stride,       d.out_h,
                       d.out_w, q.out_c, q.out_stride, d.stride_h, d.pad_top,         d.pad_left,
                       d.act,   d.alpha, d.beta,       q.residual, q.residual_stride, q.act,
                       q.alpha, q.beta};
    const PwDwPwParams wide{
        d.batch, d.in_h,       d.in_w,     e.in_c,     e.in_stride,       d.channels, d.out_h, d.out_w,
        q.out_c, q.out_stride, d.stride_h, d.pad_top,  d.pad_left,        e.act,      e.alpha, e.beta,
        d.act,   d.alpha,      d.beta,     q.residual, q.residual_stride, q.act,      q.alpha, q.beta};
    const FirstDwPwParams whole{d.batch,    e.in_h,       e.in_w,     e.in_c,     e.in_stride,
                                planar,     d.in_h,       d.in_w,     d.channels, e.kernel_h,
                                e.kernel_w, e.stride_h,   e.stride_w, e.pad_top,  e.pad_left,
                                e.act,      e.alpha,      e.beta,     d.out_h,    d.out_w,
                                q.out_c,    q.out_stride, d.stride_h, d.pad_top,  d.pad_left,
                                d.act,      d.alpha,      d.beta,     q.residual, q.residual_stride,
                                q.act,      q.alpha,      q.beta};
    const void* const params = alone     ? static_cast<const void*>(&p)
                               : expands ? static_cast<const void*>(&wide)
                                         : &whole;
    Case c{kernel_of(t, kind), params, {}, int64_t{q.batch} * q.out_h * q.out_w, q.out_c, q.out_stride};
    c.inputs = {alone    ? first.x
                : planar ? planes(e, zeroth.x)
                         : zeroth.x,
                weights, panels_and_bias(t, q, second)};
    if (q.residual) c.inputs.push_back(second.r);
    // The sums of the layers before may be much smaller than their terms.
    check(c, conv(q, between.data(), second.w.data(), second.b.data(), second.r.data()),
          q.in_c + (alone ? 200 : 400), describe(t, c.kernel->name, count) + describe(g) + describe(q));
    ++count;
  }
  return count;
}

int test_transposed(const Target& t) {
  int count = 0;
  while (count < 150) {
    ConvTransposeParams p{};
    if (!choose_window(&p, count % 5 == 0 ? 20 : 7)) continue;
    p.groups = pick(0, 2) == 0 ? 2 : 1;
    p.in_c = pick(1, 9) * p.groups;
    p.out_c = (p.groups > 1 ? pick(1, t.nr + 2) : awkward_channels(t)) * p.groups;
    p.in_stride = p.in_c + (pick(0, 1) ? pick(1, 5) : 0);
    p.out_stride = p.out_c + (pick(0, 1) ? pick(1, 5) : 0);
    p.out_h =
        (p.in_h - 1) * p.stride_h + (p.kernel_h - 1) * p.dilation_h + 1 - p.pad_top - pick(0, 1) + pick(0, 1);
    p.out_w = (p.in_w - 1) * p.stride_w + (p.kernel_w - 1) * p.dilation_w + 1 - p.pad_left - pick(0, 1) +
              pick(0, 1);
    if (p.out_h < 1 || p.out_w < 1) continue;
    choose_activation(&p.act, &p.alpha, &p.beta);
    const int64_t k = int64_t{p.kernel_h} * p.kernel_w * (p.in_c / p.groups);
    const std::vector<float> x = random_pixels(int64_t{p.batch} * p.in_h * p.in_w, p.in_c, p.in_stride);
    const std::vector<float> w = random_floats(k * p.out_c), b = random_floats(p.out_c);
    const int columns = p.out_c / p.groups;
    Case c{kernel_of(t, StepKind::kConvTranspose), &p,      {},
           int64_t{p.batch} * p.out_h * p.out_w,   p.out_c, p.out_stride};
    c.inputs = {x, pack_panels(w, p.groups, k, columns, t.lanes, t.nr),
                pack_panels(b, p.groups, 1, columns, t.lanes, t.nr)};
    check(c, conv_transpose(p, x.data(), w.data(), b.data()), k, describe(t, "ConvTranspose", count));
    ++count;
  }
  return count;
}

int test_matmul(const Target& t) {
  int count = 0;
  for (; count < 150; ++count) {
    MatMulParams p{};
    p.batch = pick(1, 3);
    p.m = count % 10 == 0 ? pick(1, 300) : pick(1, 3 * t.mr);
    p.k = count % 10 == 1 ? pick(500, 1100) : pick(1, 40);
    p.n = pick(0, 1) ? pick(1, 10) : t.nr * pick(1, 3) + pick(-1, 1);
    p.a_batch_stride = pick(0, 1) * p.m * p.k;
    p.b_batch_stride = pick(0, 1) * p.k * p.n;
    const std::vector<float> a = random_floats(int64_t{p.batch} * p.m * p.k);
    const std::vector<float> b = random_floats(int64_t{p.batch} * p.k * p.n);
    std::vector<Value> want;
    for (int64_t i = 0; i < int64_t{p.batch} * p.m * p.n; ++i) {
      const int64_t row = i / p.n, batch = row / p.m;
      Value v{0, 0};
      for (int64_t k = 0; k < p.k; ++k) {
        const double term = static_cast<double>(a[batch * p.a_batch_stride + row % p.m * p.k + k]) *
                            b[batch * p.b_batch_stride + k * p.n + i % p.n];
        v = {v.value + term, v.magnitude + std::fabs(term)};
      }
      want.push_back(v);
    }
    const int64_t a_size = p.a_batch_stride ? static_cast<int64_t>(a.size()) : int64_t{p.m} * p.k;
    const int64_t b_size = p.b_batch_stride ? static_cast<int64_t>(b.size()) : int64_t{p.k} * p.n;
    Case c{kernel_of(t, StepKind::kMatMul), &p, {}, int64_t{p.batch} * p.m, p.n, p.n};
    c.inputs = {std::vector<float>(a.begin(), a.begin() + a_size),
                std::vector<float>(b.begin(), b.begin() + b_size)};
    check(c, want, p.k, describe(t, "MatMul", count));
  }
  return count;
}

bool named(const Target& t, int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], t.name) == 0) return true;
  }
  return argc == 1;
}

int test_all(int argc, char** argv) {
  int count = 0, tested = 0;
  const Target* const* targets = compiled_targets(&count);
  for (int i = 0; i < count; ++i) {
    const Target& t = *targets[i];
    if (!named(t, argc, argv)) continue;
    if (!cpu_supports(t)) {
      std::printf("%-12s not run: this CPU lacks it\n", t.name);
      continue;
    }
    const int convs = test_convs(t), depthwise = test_depthwise(t), transposed = test_transposed(t);
    const int products = test_matmul(t), winograd = test_winograd(t), first = test_first(t);
    const int strassen = test_strassen(t);
    const int fused = test_depthwise_pointwise(t, StepKind::kDwPw);
    const int inverted = test_depthwise_pointwise(t, StepKind::kPwDwPw);
    const int started = test_depthwise_pointwise(t, StepKind::kFirstDwPw);
    std::printf(
        "%-12s %d Conv, %d DwConv, %d ConvTranspose, %d MatMul, %d Winograd, %d Strassen, %d FirstConv, "
        "%d DwPw, %d PwDwPw, %d FirstDwPw cases\n",
        t.name, convs, depthwise, transposed, products, winograd, strassen, first, fused, inverted, started);
    ++tested;
  }
  std::printf("%d targets tested, %d failures\n", tested, failures);
  return failures == 0 && tested > 0 ? 0 : 1;
}

}  // namespace
}  // namespace testing
}  // namespace edgecnn

int main(int argc, char** argv) { return edgecnn::testing::test_all(argc, argv); }

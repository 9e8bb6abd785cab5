// Times the convolution kernels on shapes from text files, after checking some of their results.
//
//   kernels TARGET SHAPES...       e.g. kernels x86-avx2 bench/shapes/yolo_lite.txt
//
// One line for each layer: fastest and median time of a run in one thread, and the rate of the fastest,
// counting useful operations only (2 for each multiply-add).

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>
#include <string>

#include "cpu/caches.h"
#include "targets/target.h"
#include "tests/reference.h"

namespace edgecnn {
namespace testing {
namespace {

struct Layer {
  std::string name;
  int in_h, in_w, in_c, out_c, kernel, stride, groups, pool;
};

struct AlignedFloats {
  explicit AlignedFloats(const std::vector<float>& v) : AlignedFloats(v.size()) {
    std::copy(v.begin(), v.end(), data);
  }
  explicit AlignedFloats(size_t count)
      : data(static_cast<float*>(std::aligned_alloc(
            kAlignment,
            static_cast<size_t>(round_up(static_cast<int64_t>(count * 4 + kTailBytes), kAlignment))))) {
    std::fill(data, data + count, 0.0f);
  }
  AlignedFloats(const AlignedFloats&) = delete;
  AlignedFloats& operator=(const AlignedFloats&) = delete;
  ~AlignedFloats() { std::free(data); }
  float* data;
};

std::vector<float> random_floats(int64_t count) {
  static std::mt19937 rng(7);
  std::vector<float> v(static_cast<size_t>(count));
  for (float& f : v) f = static_cast<float>(rng() % 20001) / 10000.0f - 1.0f;
  return v;
}

ConvParams params_of(const Layer& l) {
  ConvParams p{};
  p.batch = p.dilation_h = p.dilation_w = 1;
  p.in_h = l.in_h;
  p.in_w = l.in_w;
  p.in_c = p.in_stride = l.in_c;
  p.out_c = p.out_stride = l.out_c;
  p.kernel_h = p.kernel_w = l.kernel;
  p.stride_h = p.stride_w = l.stride;
  p.out_h = (l.in_h + l.stride - 1) / l.stride;
  p.out_w = (l.in_w + l.stride - 1) / l.stride;
  p.pad_top = std::max(0, (p.out_h - 1) * l.stride + l.kernel - l.in_h) / 2;
  p.pad_left = std::max(0, (p.out_w - 1) * l.stride + l.kernel - l.in_w) / 2;
  p.groups = l.groups;
  p.pool = l.pool;
  p.act = static_cast<int32_t>(UnaryKind::k_leaky);
  p.alpha = 0.1f;
  return p;
}

DwConvParams depthwise_of(const ConvParams& p) {
  return {p.batch,      p.in_h,       p.in_w,     p.in_c,     p.in_stride, p.out_h,   p.out_w,
          p.out_stride, p.kernel_h,   p.kernel_w, p.stride_h, p.stride_w,  p.pad_top, p.pad_left,
          p.dilation_h, p.dilation_w, 0,          0,          p.act,       p.alpha,   p.beta};
}

// Largest error of some outputs, in units of the rounding error that their sums may have.
double check_some(const ConvParams& p, const float* x, const float* w, const float* b, const float* y) {
  const int shrink = p.pool ? 2 : 1;
  const int64_t pixels = int64_t{p.out_h / shrink} * (p.out_w / shrink);
  const int64_t k = int64_t{p.kernel_h} * p.kernel_w * (p.in_c / p.groups);
  double worst = 0;
  for (int64_t s = 0; s < 500; ++s) {
    const int64_t i = s * (pixels * p.out_c - 1) / 499, pixel = i / p.out_c;
    const int o = static_cast<int>(i % p.out_c), py = static_cast<int>(pixel / (p.out_w / shrink));
    const int px = static_cast<int>(pixel % (p.out_w / shrink));
    double best = -INFINITY, magnitude = 0;
    for (int d = 0; d < shrink * shrink; ++d) {
      const Value v = conv_at(p, x, w, b, 0, py * shrink + d / 2, px * shrink + d % 2, o);
      best = std::fmax(best, apply(static_cast<UnaryKind>(p.act), p.alpha, p.beta, v.value));
      magnitude = std::fmax(magnitude, v.magnitude);
    }
    worst = std::fmax(worst, std::fabs(y[i] - best) / (6e-8 * static_cast<double>(k + 16) * (magnitude + 1)));
  }
  return worst;
}

// Milliseconds of the fastest layer, or a negative number where the answer is wrong.
double time_layer(const Target& t, const Layer& l) {
  const ConvParams p = params_of(l);
  const DwConvParams dw = depthwise_of(p);
  const bool depthwise = l.groups == l.in_c && l.in_c > 1;
  const int64_t k = int64_t{l.kernel} * l.kernel * (l.in_c / l.groups);
  const std::vector<float> w = random_floats(k * l.out_c), b = random_floats(l.out_c);
  std::vector<float> by_tap(w.size());
  for (size_t i = 0; depthwise && i < w.size(); ++i) by_tap[i % k * l.out_c + i / k] = w[i];
  const AlignedFloats x(random_floats(int64_t{l.in_h} * l.in_w * l.in_c));
  const AlignedFloats packed(depthwise ? pad_rows(by_tap, l.out_c, t.lanes)
                                       : pack_panels(w, l.groups, k, l.out_c / l.groups, t.lanes, t.nr));
  const AlignedFloats bias(pack_panels(b, l.groups, 1, l.out_c / l.groups, t.lanes, t.nr));
  AlignedFloats bias_dw(pad_rows(b, l.out_c, t.lanes));
  AlignedFloats y(static_cast<size_t>(p.out_h) * p.out_w * p.out_c);
  const StepKind kind = depthwise ? StepKind::kDwConv : StepKind::kConv;
  const StepKernel* kernel = std::find_if(t.kernels, t.kernels + t.kernel_count,
                                          [=](const StepKernel& s) { return s.kind == kind; });
  const void* params = depthwise ? static_cast<const void*>(&dw) : &p;
  AlignedFloats scratch(kernel->scratch_bytes(params) / sizeof(float) + 1);
  StepArgs args{};
  args.in[0] = x.data;
  args.in[1] = packed.data;
  args.in[2] = depthwise ? bias_dw.data : bias.data;
  args.out[0] = y.data;
  args.scratch = scratch.data;
  args.caches = host_cache_sizes();
  const int64_t items = kernel->items(params);
  std::vector<double> times;
  double total = 0;
  while (times.size() < 5 || (total < 300 && times.size() < 1000)) {
    const auto start = std::chrono::steady_clock::now();
    kernel->run(params, args, 0, items);
    times.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    total += times.back();
  }
  if (check_some(p, x.data, w.data(), b.data(), y.data) > 1) return -1;
  std::sort(times.begin(), times.end());
  const double flops = 2.0 * static_cast<double>(k) * p.out_c * p.out_h * p.out_w;
  std::printf(
      "%-8s %4dx%-4d %4d -> %-4d k%d s%d g%-4d %s  min %8.3f ms  median %8.3f ms  %7.1f GFLOP/s  %5lld "
      "items\n",
      l.name.c_str(), l.in_h, l.in_w, l.in_c, l.out_c, l.kernel, l.stride, l.groups, l.pool ? "pool" : "    ",
      times.front(), times[times.size() / 2], flops / times.front() / 1e6, static_cast<long long>(items));
  return times.front();
}

int time_file(const Target& t, const char* path) {
  std::ifstream file(path);
  if (!file) {
    std::fprintf(stderr, "cannot read %s\n", path);
    return 1;
  }
  std::string line;
  double total = 0;
  while (std::getline(file, line)) {
    Layer l;
    std::istringstream fields(line);
    if (line.empty() || line[0] == '#') continue;
    if (!(fields >> l.name >> l.in_h >> l.in_w >> l.in_c >> l.out_c >> l.kernel >> l.stride >> l.groups >>
          l.pool)) {
      std::fprintf(stderr, "%s: not a shape: %s\n", path, line.c_str());
      return 1;
    }
    const double ms = time_layer(t, l);
    if (ms < 0) {
      std::fprintf(stderr, "%s: %s computes a wrong result\n", path, l.name.c_str());
      return 1;
    }
    total += ms;
  }
  std::printf("%s: %.3f ms in all (sum of the fastest)\n", path, total);
  return 0;
}

}  // namespace
}  // namespace testing
}  // namespace edgecnn

int main(int argc, char** argv) {
  const edgecnn::Target* target = argc > 2 ? edgecnn::find_target(argv[1]) : nullptr;
  if (target == nullptr) {
    std::fprintf(stderr, "usage: kernels TARGET SHAPES...; targets:");
    int count = 0;
    const edgecnn::Target* const* targets = edgecnn::compiled_targets(&count);
    for (int i = 0; i < count; ++i) std::fprintf(stderr, " %s", targets[i]->name);
    std::fprintf(stderr, "\n");
    return 2;
  }
  for (int i = 2; i < argc; ++i) {
    if (edgecnn::testing::time_file(*target, argv[i]) != 0) return 1;
  }
  return 0;
}

#include "cpu/peak.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

namespace edgecnn {
#if defined(__x86_64__)
namespace avx512 {
double fma_chains(int64_t rounds, float* result);
}
namespace avx2 {
double fma_chains(int64_t rounds, float* result);
}
#elif defined(__aarch64__)
namespace neon {
double fma_chains(int64_t rounds, float* result);
}
#elif defined(__arm__)
namespace neon32 {
double fma_chains(int64_t rounds, float* result);
}
#endif
namespace portable {
double fma_chains(int64_t rounds, float* result);
}

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kWindows = 8;
constexpr double kWindowSeconds = 0.01;
constexpr int64_t kRounds = 2000;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The sum of what `rate(thread)` returns in each of the threads, which work at the same time.
template <class Rate>
double add_rates(int threads, Rate rate) {
  std::vector<double> rates(static_cast<size_t>(threads));
  std::vector<std::thread> others;
  for (int t = 1; t < threads; ++t) others.emplace_back([&rates, rate, t] { rates[t] = rate(t); });
  rates[0] = rate(0);
  for (std::thread& other : others) other.join();
  double sum = 0;
  for (const double r : rates) sum += r;
  return sum;
}

}  // namespace

FmaChains fma_chains_of(const char* target) {
  static const struct {
    const char* target;
    FmaChains chains;
  } all[] = {
#if defined(__x86_64__)
    {"x86-avx512", avx512::fma_chains},
    {"x86-avx2", avx2::fma_chains},
#elif defined(__aarch64__)
    {"armv8", neon::fma_chains},
#elif defined(__arm__)
    {"armv7", neon32::fma_chains},
#endif
    {"portable", portable::fma_chains},
  };
  for (const auto& row : all) {
    if (std::strcmp(row.target, target) == 0) return row.chains;
  }
  return nullptr;
}

double measure_fma_peak(FmaChains chains, int threads) {
  return add_rates(threads, [chains](int) {
    double best = 0;
    for (int window = 0; window < kWindows; ++window) {
      double operations = 0, seconds = 0;
      const Clock::time_point start = Clock::now();
      while ((seconds = seconds_since(start)) < kWindowSeconds) {
        float result = 0;
        operations += chains(kRounds, &result);
        volatile float kept = result;
        static_cast<void>(kept);
      }
      best = std::max(best, operations / seconds);
    }
    return best / 1e9;
  });
}

double measure_bandwidth(int threads, size_t bytes) {
  const size_t floats = std::max(bytes / (3 * sizeof(float)), static_cast<size_t>(threads));
  std::vector<float> a(floats), b(floats, 1.0f), c(floats, 2.0f);
  return add_rates(threads, [&](int thread) {
    const size_t begin = floats * static_cast<size_t>(thread) / static_cast<size_t>(threads);
    const size_t end = floats * static_cast<size_t>(thread + 1) / static_cast<size_t>(threads);
    float* to = a.data();
    const float *x = b.data(), *y = c.data();
    double best = 0;
    for (int window = 0; window < kWindows; ++window) {
      const Clock::time_point start = Clock::now();
      for (size_t i = begin; i < end; ++i) to[i] = x[i] + 3.0f * y[i];
      best = std::max(best, static_cast<double>(end - begin) * 3 * sizeof(float) / seconds_since(start));
    }
    return best / 1e9;
  });
}

}  // namespace edgecnn

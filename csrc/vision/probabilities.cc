#include "vision/probabilities.h"

#include <algorithm>
#include <cmath>

namespace edgecnn::vision {

void to_probabilities(const float* scores, size_t count, float* probabilities) {
  constexpr double kRounding = 1e-3;
  double sum = 0;
  bool in_range = true;
  float largest = -INFINITY;
  for (size_t i = 0; i < count; ++i) {
    in_range = in_range && scores[i] >= 0 && scores[i] <= 1;
    sum += scores[i];
    largest = std::max(largest, scores[i]);
  }
  if (in_range && std::fabs(sum - 1) <= kRounding) {
    std::copy(scores, scores + count, probabilities);
    return;
  }
  double total = 0;
  for (size_t i = 0; i < count; ++i) {
    probabilities[i] = std::exp(scores[i] - largest);
    total += probabilities[i];
  }
  for (size_t i = 0; i < count; ++i) {
    const auto p = static_cast<float>(probabilities[i] / total);
    probabilities[i] = std::isnan(p) ? 0.f : p;
  }
}

}  // namespace edgecnn::vision

#include "vision/collector.h"

namespace edgecnn::vision {

void decode_fastestdet(const YoloHead& head, const YoloMap& map, Collector* found) {
  const ptrdiff_t plane = static_cast<ptrdiff_t>(map.grid_w) * map.grid_h;
  const auto grid_w = static_cast<float>(map.grid_w), grid_h = static_cast<float>(map.grid_h);
  for (ptrdiff_t cell = 0; cell < plane; ++cell) {
    const float* t = map.data + cell;
    const ClassScores scores{t + 5 * plane, plane, head.classes};
    int best = 0;
    for (int i = 1; i < head.classes; ++i) {
      if (scores[i] > scores[best] || std::isnan(scores[best])) best = i;
    }
    const auto column = static_cast<float>(cell % map.grid_w), row = static_cast<float>(cell / map.grid_w);
    const float x = (column + std::tanh(t[plane])) / grid_w, y = (row + std::tanh(t[2 * plane])) / grid_h;
    found->add_one(x, y, logistic(t[3 * plane]), logistic(t[4 * plane]),
                   std::pow(t[0], 0.6f) * std::pow(scores[best], 0.4f), best);
  }
}

}  // namespace edgecnn::vision

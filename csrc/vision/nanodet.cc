#include "vision/collector.h"

namespace edgecnn::vision {

namespace {

constexpr int kStrides[] = {8, 16, 32, 64};

int64_t cells(int pixels, int stride) { return (int64_t{pixels} + stride - 1) / stride; }

// The mean of the distribution that the softmax of `count` scores is, over 0, 1, 2, ...
float mean_of(const float* scores, int count) {
  const Softmax probability(ClassScores{scores, 1, count});
  float mean = 0.f;
  for (int i = 1; i < count; ++i) mean += static_cast<float>(i) * probability(scores[i]);
  return mean;
}

}  // namespace

int64_t nanodet_rows(int input_w, int input_h) {
  int64_t rows = 0;
  for (const int stride : kStrides) rows += cells(input_w, stride) * cells(input_h, stride);
  return rows;
}

void decode_nanodet(const YoloHead& head, const YoloMap& map, int input_w, int input_h, Collector* found) {
  const auto w = static_cast<float>(input_w), h = static_cast<float>(input_h);
  const float* t = map.data;
  for (const int stride : kStrides) {
    const auto step = static_cast<float>(stride);
    for (int64_t row = 0; row < cells(input_h, stride); ++row) {
      for (int64_t column = 0; column < cells(input_w, stride);
           ++column, t += head.classes + 4 * head.boxes) {
        const ClassScores scores{t, 1, head.classes};
        bool any = false;
        for (int i = 0; i < head.classes; ++i) any |= scores[i] > found->threshold();
        if (!any) continue;  // most cells: what follows takes exponentials
        const float* sides = t + head.classes;
        const float x = static_cast<float>(column) * step, y = static_cast<float>(row) * step;
        found->add_corners((x - step * mean_of(sides, head.boxes)) / w,
                           (y - step * mean_of(sides + head.boxes, head.boxes)) / h,
                           (x + step * mean_of(sides + 2 * head.boxes, head.boxes)) / w,
                           (y + step * mean_of(sides + 3 * head.boxes, head.boxes)) / h, 1.f, scores,
                           identity);
      }
    }
  }
}

}  // namespace edgecnn::vision

#include "vision/collector.h"

namespace edgecnn::vision {

void decode_ultralytics(const YoloHead& head, const YoloMap& map, int input_w, int input_h,
                        Collector* found) {
  const bool v5 = head.kind == YoloKind::kV5;
  const int values = v5 ? 5 + head.classes : 4 + head.classes;
  const ptrdiff_t rows = map.grid_w;
  const ptrdiff_t row_step = v5 ? values : 1, value_step = v5 ? 1 : rows;
  const auto w = static_cast<float>(input_w), h = static_cast<float>(input_h);
  for (ptrdiff_t row = 0; row < rows; ++row) {
    const float* t = map.data + row * row_step;
    const float objectness = v5 ? t[4] : 1.f;
    if (!(objectness > found->threshold())) continue;  // a probability is at most 1
    const ClassScores scores{t + (v5 ? 5 : 4) * value_step, value_step, head.classes};
    found->add(t[0] / w, t[value_step] / h, t[2 * value_step] / w, t[3 * value_step] / h, objectness, scores,
               identity);
  }
}

}  // namespace edgecnn::vision

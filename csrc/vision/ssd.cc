#include "vision/collector.h"

namespace edgecnn::vision {

void decode_ssd(const YoloHead& head, const YoloMap& map, Collector* found) {
  const float* score = map.data;
  const float* box = map.boxes;
  for (int row = 0; row < map.grid_w; ++row, score += head.classes + 1, box += 4) {
    found->add_corners(box[0], box[1], box[2], box[3], 1.f, ClassScores{score + 1, 1, head.classes},
                       identity);
  }
}

}  // namespace edgecnn::vision

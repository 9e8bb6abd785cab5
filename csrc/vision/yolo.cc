#include "vision/yolo.h"

#include "vision/collector.h"

namespace edgecnn::vision {
namespace {

void decode_detection(const YoloHead& head, const YoloMap& map, Collector* found) {
  const int64_t cells = static_cast<int64_t>(map.grid_w) * map.grid_h;
  const auto grid_w = static_cast<float>(map.grid_w);
  const auto grid_h = static_cast<float>(map.grid_h);
  const float* objectness = map.data + cells * head.classes;
  const float* boxes = objectness + cells * head.boxes;
  for (int64_t cell = 0; cell < cells; ++cell) {
    const ClassScores scores{map.data + cell * head.classes, 1, head.classes};
    const auto column = static_cast<float>(cell % map.grid_w);
    const auto row = static_cast<float>(cell / map.grid_w);
    for (int b = 0; b < head.boxes; ++b) {
      const int64_t i = cell * head.boxes + b;
      const float* t = boxes + i * 4;
      const float x = (t[0] + column) / grid_w;
      const float y = (t[1] + row) / grid_h;
      const float w = head.sqrt ? t[2] * t[2] : t[2];
      const float h = head.sqrt ? t[3] * t[3] : t[3];
      if (head.softmax) {
        found->add(x, y, w, h, objectness[i], scores, Softmax(scores));
      } else {
        found->add(x, y, w, h, objectness[i], scores, identity);
      }
    }
  }
}

// Region and yolo maps: per anchor the planes tx, ty, tw, th, to and one per class.
void decode_anchors(const YoloHead& head, const YoloMap& map, float anchor_unit_w, float anchor_unit_h,
                    Collector* found) {
  const ptrdiff_t plane = static_cast<ptrdiff_t>(map.grid_w) * map.grid_h;
  const auto grid_w = static_cast<float>(map.grid_w);
  const auto grid_h = static_cast<float>(map.grid_h);
  const bool raw = !(head.kind == YoloKind::kYolo && head.new_coords);
  const float scale_xy = head.kind == YoloKind::kYolo ? head.scale_xy : 1.f;
  for (int b = 0; b < head.boxes; ++b) {
    const float* t = map.data + static_cast<ptrdiff_t>(b) * (5 + head.classes) * plane;
    const float anchor_w = head.anchors[2 * b] / anchor_unit_w;
    const float anchor_h = head.anchors[2 * b + 1] / anchor_unit_h;
    for (ptrdiff_t cell = 0; cell < plane; ++cell, ++t) {
      const float objectness = raw ? logistic(t[4 * plane]) : t[4 * plane];
      if (!(objectness > found->threshold())) continue;  // a probability is at most 1
      const float dx = raw ? logistic(t[0]) : t[0];
      const float dy = raw ? logistic(t[plane]) : t[plane];
      const auto column = static_cast<float>(cell % map.grid_w);
      const auto row = static_cast<float>(cell / map.grid_w);
      const float x = (column + dx * scale_xy - (scale_xy - 1) / 2) / grid_w;
      const float y = (row + dy * scale_xy - (scale_xy - 1) / 2) / grid_h;
      const float tw = t[2 * plane];
      const float th = t[3 * plane];
      const float w = anchor_w * (raw ? std::exp(tw) : 4 * tw * tw);
      const float h = anchor_h * (raw ? std::exp(th) : 4 * th * th);
      const ClassScores scores{t + 5 * plane, plane, head.classes};
      if (!raw) {
        found->add(x, y, w, h, objectness, scores, identity);
      } else if (head.kind == YoloKind::kRegion && head.softmax) {
        found->add(x, y, w, h, objectness, scores, Softmax(scores));
      } else {
        found->add(x, y, w, h, objectness, scores, logistic);
      }
    }
  }
}

}  // namespace

int64_t map_size(const YoloHead& head, int grid_w, int grid_h) {
  const int64_t cells = static_cast<int64_t>(grid_w) * grid_h, classes = head.classes;
  switch (head.kind) {
    case YoloKind::kDetection:
      return cells * (classes + int64_t{head.boxes} * 5);
    case YoloKind::kRegion:
    case YoloKind::kYolo:
      return cells * head.boxes * (5 + classes);
    case YoloKind::kV5:
    case YoloKind::kFastestDet:
      return cells * (5 + classes);
    case YoloKind::kV8:
      return cells * (4 + classes);
    case YoloKind::kNanoDet:
      return cells * (classes + int64_t{head.boxes} * 4);
    case YoloKind::kSsd:
      return cells * (classes + 1);
  }
  return 0;
}

size_t decode(const YoloHead& head, const YoloMap& map, int input_w, int input_h, float threshold,
              Candidate* out, size_t capacity) {
  Collector found(threshold, out, capacity);
  switch (head.kind) {
    case YoloKind::kDetection:
      decode_detection(head, map, &found);
      break;
    case YoloKind::kRegion:
      decode_anchors(head, map, static_cast<float>(map.grid_w), static_cast<float>(map.grid_h), &found);
      break;
    case YoloKind::kYolo:
      decode_anchors(head, map, static_cast<float>(input_w), static_cast<float>(input_h), &found);
      break;
    case YoloKind::kV5:
    case YoloKind::kV8:
      decode_ultralytics(head, map, input_w, input_h, &found);
      break;
    case YoloKind::kFastestDet:
      decode_fastestdet(head, map, &found);
      break;
    case YoloKind::kNanoDet:
      decode_nanodet(head, map, input_w, input_h, &found);
      break;
    case YoloKind::kSsd:
      decode_ssd(head, map, &found);
      break;
  }
  return found.count();
}

}  // namespace edgecnn::vision

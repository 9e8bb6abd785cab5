// From the raw output maps of a YOLO network to candidate boxes.
//
// With s(x) = 1 / (1 + exp(-x)), cell (column, row) of a grid_w x grid_h map, and per anchor the raw values
// tx ty tw th to and the class scores:
//
//   kDetection  YOLOv1 (arXiv 1506.02640): x = (tx + column) / grid, w = tw (or tw^2), objectness = to,
//               class scores as they are or by softmax; blocks of class scores, objectness, boxes
//   kRegion     YOLOv2 (arXiv 1612.08242): x = (column + s(tx)) / grid_w, w = anchor_w * exp(tw) / grid_w,
//               objectness = s(to), classes by softmax or s()
//   kYolo       YOLOv3 (arXiv 1804.02767): the same with anchors in pixels of the network's input and classes
//               by s(); YOLOv4 (arXiv 2004.10934) stretches s(tx) about its middle by scale_xy; with
//               new_coords (Scaled-YOLOv4, arXiv 2011.08036) the map is already logistic and
//               w = anchor_w * (2 tw)^2 / input_w
//
// A box is a candidate for every class whose objectness * probability exceeds the threshold, as in Darknet.
#ifndef EDGECNN_VISION_YOLO_H_
#define EDGECNN_VISION_YOLO_H_

#include <cstddef>
#include <cstdint>

namespace edgecnn::vision {

enum class YoloKind { kDetection, kRegion, kYolo };

struct YoloHead {
  YoloKind kind = YoloKind::kRegion;
  int classes = 0;
  int boxes = 0;                   // per cell: anchors of a region or yolo head
  const float* anchors = nullptr;  // boxes pairs (w, h); region: in grid cells, yolo: in pixels of the input
  bool softmax = true;
  bool sqrt = false;        // detection: w and h are stored as square roots
  float scale_xy = 1.f;     // yolo
  bool new_coords = false;  // yolo
};

// Corners in fractions of the network's input, not clipped.
struct Candidate {
  float box[4];  // x0, y0, x1, y1
  float score;
  int32_t class_id;
};

// A map: region and yolo (boxes * (5 + classes), grid_h, grid_w); detection flat, see above, for square
// grids.
struct YoloMap {
  const float* data;
  int grid_w;
  int grid_h;
};

// Number of values that a map of this head and grid holds.
int64_t map_size(const YoloHead& head, int grid_w, int grid_h);

// Writes the candidates above `threshold` to out[0, capacity) and returns how many there are, which may be
// more than `capacity`. NaN scores are never above it; boxes with a NaN coordinate are left out.
size_t decode(const YoloHead& head, const YoloMap& map, int input_w, int input_h, float threshold,
              Candidate* out, size_t capacity);

}  // namespace edgecnn::vision

#endif  // EDGECNN_VISION_YOLO_H_

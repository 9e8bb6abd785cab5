// From the raw outputs of a detector to candidate boxes: YOLO's of all versions, and those of its relatives.
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
//   kV5         rows of Ultralytics' export: x y w h in pixels of the input, objectness, probabilities
//   kV8         the same transposed and without objectness
//   kFastestDet per cell objectness, tx ty tw th, probabilities: x = (column + tanh(tx)) / grid_w, w = s(tw),
//               score = objectness^0.6 * probability^0.4 of the best class, the only candidate of a cell
//               (github.com/dog-qiuqiu/FastestDet)
//   kNanoDet    rows for the cells of strides 8 16 32 64 (arXiv 2006.04388): probabilities, then for each
//   side
//               `boxes` scores, whose softmax is the distribution of its distance from the cell's corner in
//               strides
//   kSsd        rows of probabilities, the first that of the background; corners in fractions as a second
//   output
//
// A box is a candidate for every class whose objectness * probability exceeds the threshold, as in Darknet.
#ifndef EDGECNN_VISION_YOLO_H_
#define EDGECNN_VISION_YOLO_H_

#include <cstddef>
#include <cstdint>

namespace edgecnn::vision {

enum class YoloKind { kDetection, kRegion, kYolo, kV5, kV8, kFastestDet, kNanoDet, kSsd };

struct YoloHead {
  YoloKind kind = YoloKind::kRegion;
  int classes = 0;
  int boxes = 0;                   // per cell: anchors of a region or yolo head; nanodet: scores per side
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
// grids; fastestdet (5 + classes, grid_h, grid_w); of the others grid_w is the number of rows and grid_h one.
struct YoloMap {
  const float* data;
  int grid_w;
  int grid_h;
  const float* boxes = nullptr;  // ssd: the second output, grid_w rows of x0 y0 x1 y1
};

// Number of values that a map of this head and grid holds.
int64_t map_size(const YoloHead& head, int grid_w, int grid_h);

// Rows of a nanodet head for an input of that size.
int64_t nanodet_rows(int input_w, int input_h);

// Writes the candidates above `threshold` to out[0, capacity) and returns how many there are, which may be
// more than `capacity`. NaN scores are never above it; boxes with a NaN coordinate are left out.
size_t decode(const YoloHead& head, const YoloMap& map, int input_w, int input_h, float threshold,
              Candidate* out, size_t capacity);

}  // namespace edgecnn::vision

#endif  // EDGECNN_VISION_YOLO_H_

// Greedy non-maximum suppression: take boxes from the highest score down, leave out each that overlaps one
// already taken (of its own class, or of any).
#ifndef EDGECNN_VISION_NMS_H_
#define EDGECNN_VISION_NMS_H_

#include <cstddef>
#include <cstdint>

namespace edgecnn::vision {

// Intersection over union of two boxes (x0, y0, x1, y1); 0 when either has no area or a NaN.
double iou(const float* a, const float* b);

struct NmsOptions {
  double iou = .45;  // boxes that overlap more than this are one object
  bool agnostic = false;
  size_t max_det = 300;
};

// Boxes are box_stride floats apart, scores score_stride, classes class_stride; `class_ids` may be null, then
// all boxes are of one class. `order` is scratch for `size` indices. Writes at most max_det indices to
// `keep`, highest score first (equal scores in the order given), and returns how many. Boxes whose score or
// coordinates are NaN are not kept. Time is of the order of size * (log(size) + max_det).
struct BoxList {
  size_t size;
  const float* boxes;
  size_t box_stride;
  const float* scores;
  size_t score_stride;
  const int32_t* class_ids;
  size_t class_stride;
};
size_t nms(const BoxList& list, const NmsOptions& options, uint32_t* order, uint32_t* keep);

}  // namespace edgecnn::vision

#endif  // EDGECNN_VISION_NMS_H_

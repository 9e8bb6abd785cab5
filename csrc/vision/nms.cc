#include "vision/nms.h"

#include <algorithm>
#include <cmath>

namespace edgecnn::vision {
namespace {

double area(const float* box) {
  return std::max(0.0, static_cast<double>(box[2]) - box[0]) *
         std::max(0.0, static_cast<double>(box[3]) - box[1]);
}

bool has_nan(const float* box) {
  return std::isnan(box[0]) || std::isnan(box[1]) || std::isnan(box[2]) || std::isnan(box[3]);
}

}  // namespace

double iou(const float* a, const float* b) {
  if (has_nan(a) || has_nan(b)) return 0;
  const double w = static_cast<double>(std::min(a[2], b[2])) - std::max(a[0], b[0]);
  const double h = static_cast<double>(std::min(a[3], b[3])) - std::max(a[1], b[1]);
  if (!(w > 0 && h > 0)) return 0;
  const double both = w * h;
  const double either = area(a) + area(b) - both;
  return either > 0 ? both / either : 0;
}

size_t nms(const BoxList& list, const NmsOptions& options, uint32_t* order, uint32_t* keep) {
  const auto box = [&](uint32_t i) { return list.boxes + i * list.box_stride; };
  const auto score = [&](uint32_t i) { return list.scores[i * list.score_stride]; };
  const auto same_class = [&](uint32_t i, uint32_t j) {
    return options.agnostic || list.class_ids == nullptr ||
           list.class_ids[i * list.class_stride] == list.class_ids[j * list.class_stride];
  };
  size_t ordered = 0;
  for (size_t i = 0; i < list.size; ++i) {
    const auto index = static_cast<uint32_t>(i);
    if (!std::isnan(score(index)) && !has_nan(box(index))) order[ordered++] = index;
  }
  std::sort(order, order + ordered,
            [&](uint32_t i, uint32_t j) { return score(i) != score(j) ? score(i) > score(j) : i < j; });
  size_t kept = 0;
  for (size_t i = 0; i < ordered && kept < options.max_det; ++i) {
    const bool suppressed = std::any_of(keep, keep + kept, [&](uint32_t k) {
      return same_class(order[i], k) && iou(box(order[i]), box(k)) > options.iou;
    });
    if (!suppressed) keep[kept++] = order[i];
  }
  return kept;
}

}  // namespace edgecnn::vision

// What the files that decode outputs share: probabilities from scores, and the list of candidates.
#ifndef EDGECNN_VISION_COLLECTOR_H_
#define EDGECNN_VISION_COLLECTOR_H_

#include <cmath>

#include "vision/yolo.h"

namespace edgecnn::vision {

inline float logistic(float x) { return 1.f / (1.f + std::exp(-x)); }

// Class scores of one box: classes values, `stride` apart.
struct ClassScores {
  const float* data;
  ptrdiff_t stride;
  int count;

  float operator[](int i) const { return data[i * stride]; }
};

// probability(score) = exp(score - largest) / sum
struct Softmax {
  float largest;
  float sum = 0.f;

  explicit Softmax(const ClassScores& scores) : largest(scores[0]) {
    for (int i = 1; i < scores.count; ++i) largest = scores[i] > largest ? scores[i] : largest;
    for (int i = 0; i < scores.count; ++i) sum += std::exp(scores[i] - largest);
  }
  float operator()(float score) const { return std::exp(score - largest) / sum; }
};

class Collector {
 public:
  Collector(float threshold, Candidate* out, size_t capacity)
      : threshold_(threshold), out_(out), capacity_(capacity) {}

  size_t count() const { return count_; }
  float threshold() const { return threshold_; }

  // Each class of a box, given by its corners, whose objectness * probability(score) exceeds the threshold.
  template <typename Probability>
  void add_corners(float x0, float y0, float x1, float y1, float objectness, const ClassScores& scores,
                   const Probability& probability) {
    if (std::isnan(x0) || std::isnan(y0) || std::isnan(x1) || std::isnan(y1)) return;
    for (int i = 0; i < scores.count; ++i) {
      const float score = objectness * probability(scores[i]);
      if (!(score > threshold_)) continue;
      if (count_ < capacity_) out_[count_] = {{x0, y0, x1, y1}, score, i};
      ++count_;
    }
  }

  // The same, given by centre and size.
  template <typename Probability>
  void add(float x, float y, float w, float h, float objectness, const ClassScores& scores,
           const Probability& probability) {
    add_corners(x - w / 2, y - h / 2, x + w / 2, y + h / 2, objectness, scores, probability);
  }

  // A box of one class.
  void add_one(float x, float y, float w, float h, float score, int class_id) {
    const Candidate found = {{x - w / 2, y - h / 2, x + w / 2, y + h / 2}, score, class_id};
    if (!(score > threshold_)) return;
    for (const float corner : found.box) {
      if (std::isnan(corner)) return;
    }
    if (count_ < capacity_) out_[count_] = found;
    ++count_;
  }

 private:
  float threshold_;
  Candidate* out_;
  size_t capacity_;
  size_t count_ = 0;
};

inline float identity(float x) { return x; }

// One family of heads, in a file of its own each. Their formulas are in yolo.h.
void decode_ultralytics(const YoloHead& head, const YoloMap& map, int input_w, int input_h, Collector* found);
void decode_fastestdet(const YoloHead& head, const YoloMap& map, Collector* found);
void decode_nanodet(const YoloHead& head, const YoloMap& map, int input_w, int input_h, Collector* found);
void decode_ssd(const YoloHead& head, const YoloMap& map, Collector* found);

}  // namespace edgecnn::vision

#endif  // EDGECNN_VISION_COLLECTOR_H_

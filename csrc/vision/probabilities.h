// The output of a classifier as probabilities.
#ifndef EDGECNN_VISION_PROBABILITIES_H_
#define EDGECNN_VISION_PROBABILITIES_H_

#include <cstddef>

namespace edgecnn::vision {

// Copies `scores` where they are probabilities already (0 to 1, summing to 1), else writes their softmax.
// What is not a number counts as 0.
void to_probabilities(const float* scores, size_t count, float* probabilities);

}  // namespace edgecnn::vision

#endif  // EDGECNN_VISION_PROBABILITIES_H_

// Pictures into a model, and boxes or classes out of it: what edgecnn/detector.py and edgecnn/classifier.py
// do in Python, with the same functions of csrc/vision and the same results.
#ifndef EDGECNN_API_PICTURES_H_
#define EDGECNN_API_PICTURES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "edgecnn/edgecnn.h"
#include "runtime/metadata.h"
#include "vision/letterbox.h"
#include "vision/yolo.h"

namespace edgecnn {

// How a model takes pictures, and what its outputs mean. Immutable. Where a part is missing its error says
// why.
struct PictureModel {
  struct Head {
    vision::YoloHead head;
    int output, box_output;  // box_output: -1 where there is none
    int grid_w, grid_h;
  };

  explicit PictureModel(const Metadata& metadata);  // which outlives it

  std::string input_error;
  vision::InputFormat input;
  std::string detector_error;  // beside input_error
  std::vector<Head> heads;
  int classes = 0;               // of the heads
  std::string classifier_error;  // beside input_error
  size_t class_count = 0;        // scores of the classifier's output that belong to the first picture
};

// The part of a context that handles pictures: buffers that are reused from frame to frame.
class PictureWorker {
 public:
  explicit PictureWorker(const PictureModel& model) : model_(model), letterbox_(model.input) {}

  // Fills the input from a checked picture.
  void load(const ecnn_image& image, float* input);

  // The boxes of the last loaded picture, best first; `outputs` are the model's. Returns their number.
  size_t detect(const void* const* outputs, const ecnn_detect_options& options, ecnn_box* boxes,
                size_t capacity);

  // The most probable classes.
  size_t classify(const float* scores, ecnn_class* classes, size_t capacity);

 private:
  const PictureModel& model_;
  vision::Letterbox letterbox_;
  vision::Placement placement_;
  std::vector<uint8_t> rgb_;  // of a picture in a format that Letterbox does not read
  std::vector<vision::Candidate> candidates_;
  std::vector<uint32_t> order_, keep_;
  std::vector<float> probabilities_;
};

// nullptr for a picture that PictureWorker::load can read, else what is wrong with it.
const char* check_image(const ecnn_image& image);

}  // namespace edgecnn

#endif  // EDGECNN_API_PICTURES_H_

// What an .ecnn file tells applications: names and shapes of inputs and outputs, layers, labels, how a
// picture becomes the input, how outputs become boxes. The executor needs none of it. docs/ecnn.md describes
// the text.
#ifndef EDGECNN_RUNTIME_METADATA_H_
#define EDGECNN_RUNTIME_METADATA_H_

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/program.h"

namespace edgecnn {

// The numbers are those of edgecnn.h.
enum class TensorType : int32_t { kFloat32, kInt32, kInt64, kBool, kInt8, kUint8, kFloat64 };
constexpr size_t kMaxRank = 8;

struct TensorInfo {
  std::string name;
  TensorType type = TensorType::kFloat32;
  std::vector<int64_t> shape;
};

struct LayerInfo {
  std::string name, op;
};

struct StepInfo {
  uint32_t layer = 0;
  uint64_t bytes = 0;  // that it moves at least
};

struct HeadInfo {
  std::string output, kind, box_output;
  int64_t classes = 0, side = 0, boxes = 0;
  std::vector<float> anchors;  // pairs (w, h)
  bool softmax = true, sqrt = false, new_coords = false;
  float scale_xy = 1.f;
};

struct Metadata {
  std::string name;
  std::vector<TensorInfo> inputs, outputs;
  std::vector<LayerInfo> layers;
  std::vector<StepInfo> steps;
  std::vector<std::string> labels;
  std::string color = "rgb", resize = "stretch";
  std::vector<float> mean = {0.f}, scale = {1.f / 255};
  std::vector<HeadInfo> heads;
};

// Reads the metadata of a program and compares it with the program. Returns an empty string, or what is
// wrong.
std::string read_metadata(const Program& program, Metadata* metadata);

}  // namespace edgecnn

#endif  // EDGECNN_RUNTIME_METADATA_H_

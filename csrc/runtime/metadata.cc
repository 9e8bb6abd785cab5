#include "runtime/metadata.h"

#include <cmath>

#include "runtime/json.h"

namespace edgecnn {
namespace {

constexpr double kMaxInteger = 9007199254740992;  // 2^53: up to here a double holds every integer
constexpr double kMaxFloat = 3.4028234663852886e38;

struct TypeName {
  const char* name;
  TensorType type;
  uint64_t bytes;
};
constexpr TypeName kTypes[] = {
    {"float32", TensorType::kFloat32, 4}, {"int32", TensorType::kInt32, 4}, {"int64", TensorType::kInt64, 8},
    {"bool", TensorType::kBool, 1},       {"int8", TensorType::kInt8, 1},   {"uint8", TensorType::kUint8, 1},
    {"float64", TensorType::kFloat64, 8},
};

int64_t integer(JsonReader& json) {
  const double value = json.number();
  if (value < 0 || value > kMaxInteger || value != std::floor(value)) {
    json.fail("not an integer in range");
    return 0;
  }
  return static_cast<int64_t>(value);
}

float real(JsonReader& json) {
  const double value = json.number();
  if (std::fabs(value) > kMaxFloat) {
    json.fail("a number that is too large");
    return 0;
  }
  return static_cast<float>(value);
}

std::vector<float> reals(JsonReader& json) {
  std::vector<float> values;
  json.array([&] { values.push_back(real(json)); });
  return values;
}

// The inputs or outputs; wants as many as the program has, of its sizes.
std::vector<TensorInfo> tensors(JsonReader& json, int count, const std::vector<uint64_t>& sizes) {
  std::vector<TensorInfo> found;
  json.array([&] {
    if (found.size() == static_cast<size_t>(count)) return json.fail("more tensors than the program has");
    TensorInfo tensor;
    uint64_t bytes = 0;
    json.object([&](const std::string& key) {
      if (key == "name") {
        tensor.name = json.string();
      } else if (key == "shape") {
        tensor.shape.clear();
        json.array([&] {
          if (tensor.shape.size() == kMaxRank) return json.fail("a tensor of more than 8 dimensions");
          tensor.shape.push_back(integer(json));
        });
      } else if (key == "dtype") {
        const std::string name = json.string();
        bytes = 0;
        for (const TypeName& type : kTypes) {
          if (name != type.name) continue;
          tensor.type = type.type;
          bytes = type.bytes;
        }
        if (bytes == 0) json.fail("an unknown dtype");
      } else {
        json.skip();
      }
    });
    const uint64_t size = sizes[found.size()];
    bool empty = false;
    for (const int64_t d : tensor.shape) empty = empty || d == 0;
    for (const int64_t d : tensor.shape) {
      if (empty || bytes > size) break;
      bytes = static_cast<uint64_t>(d) > size ? size + 1 : bytes * static_cast<uint64_t>(d);
    }
    if ((empty ? 0 : bytes) != size) json.fail("a tensor of another size than the program's");
    found.push_back(std::move(tensor));
  });
  if (found.size() != static_cast<size_t>(count)) json.fail("fewer tensors than the program has");
  return found;
}

LayerInfo layer(JsonReader& json) {
  LayerInfo info;
  json.object([&](const std::string& key) {
    if (key == "name") {
      info.name = json.string();
    } else if (key == "op") {
      info.op = json.string();
    } else {
      json.skip();
    }
  });
  return info;
}

// ["Conv", 3, 51200]: kernel, number of the layer, bytes. The name of the kernel follows from the program.
StepInfo step(JsonReader& json) {
  StepInfo info;
  int place = 0;
  json.array([&] {
    switch (place++) {
      case 1: {
        const int64_t number = integer(json);
        info.layer = number < int64_t{1} << 31 ? static_cast<uint32_t>(number) : ~0u;
        break;
      }
      case 2:
        info.bytes = static_cast<uint64_t>(integer(json));
        break;
      default:
        json.skip();
    }
  });
  if (place != 3) json.fail("a step is three values");
  return info;
}

HeadInfo head(JsonReader& json) {
  HeadInfo info;
  json.object([&](const std::string& key) {
    if (key == "output") {
      info.output = json.string();
    } else if (key == "kind") {
      info.kind = json.string();
    } else if (key == "box_output") {
      info.box_output = json.string();
    } else if (key == "classes") {
      info.classes = integer(json);
    } else if (key == "side") {
      info.side = integer(json);
    } else if (key == "boxes") {
      info.boxes = integer(json);
    } else if (key == "anchors") {
      info.anchors.clear();
      json.array([&] {
        const std::vector<float> pair = reals(json);
        if (pair.size() != 2) return json.fail("an anchor is not a pair");
        info.anchors.insert(info.anchors.end(), pair.begin(), pair.end());
      });
    } else if (key == "softmax") {
      info.softmax = json.boolean();
    } else if (key == "sqrt") {
      info.sqrt = json.boolean();
    } else if (key == "new_coords") {
      info.new_coords = json.boolean();
    } else if (key == "scale_xy") {
      info.scale_xy = real(json);
    } else {
      json.skip();
    }
  });
  return info;
}

// Labels, preprocessing and heads: an object of its own, which exported files of other formats carry as well.
std::string read_model(const std::string& text, Metadata* m) {
  JsonReader json(text.data(), text.size());
  json.object([&](const std::string& key) {
    if (key == "labels") {
      m->labels.clear();
      json.array([&] { m->labels.push_back(json.string()); });
    } else if (key == "heads") {
      m->heads.clear();
      json.array([&] { m->heads.push_back(head(json)); });
    } else if (key == "preprocess") {
      json.object([&](const std::string& name) {
        if (name == "color") {
          m->color = json.string();
        } else if (name == "resize") {
          m->resize = json.string();
        } else if (name == "mean") {
          m->mean = reals(json);
        } else if (name == "scale") {
          m->scale = reals(json);
        } else {
          json.skip();
        }
      });
    } else {
      json.skip();
    }
  });
  json.finish();
  return json.error();
}

}  // namespace

std::string read_metadata(const Program& program, Metadata* metadata) {
  std::vector<uint64_t> input_bytes, output_bytes;
  for (int i = 0; i < program.input_count(); ++i) input_bytes.push_back(program.input_bytes(i));
  for (int i = 0; i < program.output_count(); ++i) output_bytes.push_back(program.output_bytes(i));
  Metadata m;
  std::string model;
  bool has_inputs = false, has_outputs = false;
  const std::string text = program.metadata();
  JsonReader json(text.data(), text.size());
  json.object([&](const std::string& key) {
    if (key == "name") {
      m.name = json.string();
    } else if (key == "inputs") {
      m.inputs = tensors(json, program.input_count(), input_bytes);
      has_inputs = true;
    } else if (key == "outputs") {
      m.outputs = tensors(json, program.output_count(), output_bytes);
      has_outputs = true;
    } else if (key == "layers") {
      m.layers.clear();
      json.array([&] { m.layers.push_back(layer(json)); });
    } else if (key == "steps") {
      m.steps.clear();
      json.array([&] { m.steps.push_back(step(json)); });
    } else if (key == "model") {
      model = json.string();
    } else {
      json.skip();
    }
  });
  json.finish();
  std::string error = json.error();
  if (error.empty() && (!has_inputs || !has_outputs)) error = "inputs or outputs are missing";
  if (error.empty() && m.steps.size() != program.steps().size()) error = "another number of steps";
  for (const StepInfo& info : m.steps) {
    if (error.empty() && info.layer >= m.layers.size()) error = "a step of an unknown layer";
  }
  if (error.empty()) error = read_model(model, &m);
  if (!error.empty()) return "its metadata is damaged: " + error;
  *metadata = std::move(m);
  return "";
}

}  // namespace edgecnn

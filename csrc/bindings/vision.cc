// numpy arrays in and out of csrc/vision. The Python callers (edgecnn/yolo, edgecnn/boxes.py) check their
// arguments first and say what is wrong in the user's words; the checks here only keep a wrong call from
// touching memory.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "vision/letterbox.h"
#include "vision/nms.h"
#include "vision/probabilities.h"
#include "vision/yolo.h"

namespace edgecnn {
namespace {

namespace py = pybind11;
using FloatArray = py::array_t<float, py::array::c_style | py::array::forcecast>;
using IntArray = py::array_t<int32_t, py::array::c_style | py::array::forcecast>;

constexpr int kMaxSide = 1 << 20;

void require(bool condition, const char* message) {
  if (!condition) throw py::value_error(message);
}

template <typename E>
E choose(const std::string& name, const std::vector<std::pair<const char*, E>>& choices) {
  for (const auto& choice : choices) {
    if (name == choice.first) return choice.second;
  }
  throw py::value_error("unknown choice '" + name + "'");
}

bool valid_side(int64_t side) { return side > 0 && side <= kMaxSide; }

vision::InputFormat make_input_format(int width, int height, bool channels_first, const std::string& color,
                                      const std::string& resize, const std::vector<float>& mean,
                                      const std::vector<float>& scale) {
  vision::InputFormat format;
  require(valid_side(width) && valid_side(height), "width and height must be positive");
  format.width = width;
  format.height = height;
  format.channels_first = channels_first;
  format.color = choose<vision::ColorOrder>(color, {{"grey", vision::ColorOrder::kGrey},
                                                    {"rgb", vision::ColorOrder::kRgb},
                                                    {"bgr", vision::ColorOrder::kBgr}});
  format.resize = choose<vision::ResizeKind>(
      resize, {{"stretch", vision::ResizeKind::kStretch}, {"letterbox", vision::ResizeKind::kLetterbox}});
  const size_t channels = static_cast<size_t>(format.channels());
  require((mean.size() == 1 || mean.size() == channels) && (scale.size() == 1 || scale.size() == channels),
          "mean and scale must hold one value, or one per channel");
  for (size_t c = 0; c < channels; ++c) {
    format.mean[c] = mean[mean.size() == 1 ? 0 : c];
    format.scale[c] = scale[scale.size() == 1 ? 0 : c];
  }
  return format;
}

// A Letterbox that several Python threads may call.
class LockedLetterbox {
 public:
  explicit LockedLetterbox(const vision::InputFormat& format) : letterbox_(format) {}

  vision::Placement run(const py::array& pixels, bool bgr, py::array_t<float>& out) {
    py::array_t<uint8_t> picture = packed_pixels(pixels);
    const bool grey = picture.ndim() == 2 || picture.shape(2) == 1;
    const bool alpha = !grey && picture.shape(2) == 4;
    vision::PixelView view;
    view.data = picture.data();
    view.width = static_cast<int>(picture.shape(1));
    view.height = static_cast<int>(picture.shape(0));
    view.stride_bytes = picture.strides(0);
    view.format = grey    ? vision::PixelFormat::kGrey
                  : alpha ? (bgr ? vision::PixelFormat::kBgra : vision::PixelFormat::kRgba)
                          : (bgr ? vision::PixelFormat::kBgr : vision::PixelFormat::kRgb);
    const vision::InputFormat& format = letterbox_.format();
    require((out.flags() & py::array::c_style) != 0, "out must be contiguous");
    require(out.size() == static_cast<py::ssize_t>(format.channels()) * format.height * format.width,
            "out has the wrong size");
    float* data = out.mutable_data();
    py::gil_scoped_release release;
    const std::lock_guard<std::mutex> lock(mutex_);
    return letterbox_.run(view, data);
  }

 private:
  // The picture itself where the bytes of a row lie side by side, else a copy.
  static py::array_t<uint8_t> packed_pixels(const py::array& pixels) {
    require(pixels.dtype().is(py::dtype::of<uint8_t>()) ||
                (pixels.dtype().kind() == 'u' && pixels.itemsize() == 1),
            "pixels must be uint8");
    require(pixels.ndim() == 2 || pixels.ndim() == 3, "pixels must be HxW or HxWxC");
    const py::ssize_t channels = pixels.ndim() == 2 ? 1 : pixels.shape(2);
    require(channels == 1 || channels == 3 || channels == 4, "pixels must have 1, 3 or 4 channels");
    require(valid_side(pixels.shape(0)) && valid_side(pixels.shape(1)), "pixels are empty or too many");
    const bool packed = pixels.strides(1) == channels && (pixels.ndim() == 2 || pixels.strides(2) == 1);
    if (packed) return py::array_t<uint8_t>(pixels);
    return py::array_t<uint8_t, py::array::c_style>(pixels);
  }

  std::mutex mutex_;
  vision::Letterbox letterbox_;
};

// A head that owns its anchors.
struct Head {
  vision::YoloHead head;
  std::vector<float> anchors;
};

Head make_head(const std::string& kind, int classes, int boxes, std::vector<float> anchors, bool softmax,
               bool sqrt, float scale_xy, bool new_coords) {
  Head h;
  h.head.kind = choose<vision::YoloKind>(kind, {{"detection", vision::YoloKind::kDetection},
                                                {"region", vision::YoloKind::kRegion},
                                                {"yolo", vision::YoloKind::kYolo},
                                                {"v5", vision::YoloKind::kV5},
                                                {"v8", vision::YoloKind::kV8},
                                                {"fastestdet", vision::YoloKind::kFastestDet},
                                                {"nanodet", vision::YoloKind::kNanoDet},
                                                {"ssd", vision::YoloKind::kSsd}});
  const bool by_anchors = h.head.kind == vision::YoloKind::kRegion || h.head.kind == vision::YoloKind::kYolo;
  require(classes > 0 && boxes > 0 && valid_side(classes) && valid_side(boxes),
          "classes and boxes must be positive");
  require(!by_anchors || anchors.size() == 2 * static_cast<size_t>(boxes),
          "a head needs one anchor (w, h) per box");
  h.head.classes = classes;
  h.head.boxes = boxes;
  h.head.softmax = softmax;
  h.head.sqrt = sqrt;
  h.head.scale_xy = scale_xy;
  h.head.new_coords = new_coords;
  h.anchors = std::move(anchors);
  return h;
}

struct DecodeJob {
  vision::YoloHead head;
  vision::YoloMap map;
};

size_t decode_all(const std::vector<DecodeJob>& jobs, int input_w, int input_h, float threshold,
                  std::vector<vision::Candidate>* found) {
  size_t count = 0;
  for (const DecodeJob& job : jobs) {
    const size_t room = found->size() - count;
    const size_t n =
        vision::decode(job.head, job.map, input_w, input_h, threshold, found->data() + count, room);
    if (n > room) {
      found->resize(count + n);
      vision::decode(job.head, job.map, input_w, input_h, threshold, found->data() + count, n);
    }
    count += n;
  }
  return count;
}

py::tuple decode_yolo(const std::vector<FloatArray>& maps, const std::vector<FloatArray>& boxes_of_rows,
                      const std::vector<Head>& heads, const std::vector<std::pair<int, int>>& grids,
                      int input_w, int input_h, float conf) {
  require(maps.size() == heads.size() && boxes_of_rows.size() == heads.size() && grids.size() == heads.size(),
          "one map, one array of boxes and one grid per head");
  require(valid_side(input_w) && valid_side(input_h), "the input must have a positive size");
  std::vector<DecodeJob> jobs;
  for (size_t i = 0; i < heads.size(); ++i) {
    require(valid_side(grids[i].first) && valid_side(grids[i].second), "a grid must have a positive size");
    DecodeJob job{heads[i].head, {maps[i].data(), grids[i].first, grids[i].second, boxes_of_rows[i].data()}};
    job.head.anchors = heads[i].anchors.data();
    require(maps[i].size() == vision::map_size(job.head, job.map.grid_w, job.map.grid_h),
            "a map does not have the size of its head");
    require(job.head.kind != vision::YoloKind::kSsd || boxes_of_rows[i].size() == 4 * int64_t{job.map.grid_w},
            "there are not as many boxes as rows");
    require(job.head.kind != vision::YoloKind::kNanoDet ||
                job.map.grid_w == vision::nanodet_rows(input_w, input_h),
            "there are not as many rows as cells");
    jobs.push_back(job);
  }
  std::vector<vision::Candidate> found(256);
  size_t count = 0;
  {
    py::gil_scoped_release release;
    count = decode_all(jobs, input_w, input_h, conf, &found);
  }
  const auto n = static_cast<py::ssize_t>(count);
  py::array_t<float> boxes(std::vector<py::ssize_t>{n, 4});
  py::array_t<float> scores(n);
  py::array_t<int32_t> classes(n);
  for (size_t i = 0; i < count; ++i) {
    std::copy(found[i].box, found[i].box + 4, boxes.mutable_data() + 4 * i);
    scores.mutable_data()[i] = found[i].score;
    classes.mutable_data()[i] = found[i].class_id;
  }
  return py::make_tuple(boxes, scores, classes);
}

py::array_t<int64_t> nms(const FloatArray& boxes, const FloatArray& scores, const py::object& classes,
                         float iou, int64_t max_det, bool agnostic) {
  require(boxes.ndim() == 2 && boxes.shape(1) == 4, "boxes must be (N, 4)");
  require(scores.ndim() == 1 && scores.shape(0) == boxes.shape(0), "scores must be (N,)");
  require(boxes.shape(0) < (int64_t{1} << 31), "too many boxes");
  require(max_det >= 0, "max_det must not be negative");
  IntArray ids;
  vision::BoxList list{static_cast<size_t>(boxes.shape(0)), boxes.data(), 4, scores.data(), 1, nullptr, 1};
  if (!classes.is_none()) {
    ids = classes.cast<IntArray>();
    require(ids.ndim() == 1 && ids.shape(0) == boxes.shape(0), "classes must be (N,)");
    list.class_ids = ids.data();
  }
  vision::NmsOptions options;
  options.iou = iou;
  options.agnostic = agnostic;
  options.max_det = std::min(static_cast<size_t>(max_det), list.size);
  std::vector<uint32_t> order(list.size);
  std::vector<uint32_t> keep(options.max_det);
  size_t kept = 0;
  {
    py::gil_scoped_release release;
    kept = vision::nms(list, options, order.data(), keep.data());
  }
  py::array_t<int64_t> indices(static_cast<py::ssize_t>(kept));
  std::copy(keep.begin(), keep.begin() + static_cast<ptrdiff_t>(kept), indices.mutable_data());
  return indices;
}

py::array_t<float> iou_matrix(const FloatArray& a, const FloatArray& b) {
  require(a.ndim() == 2 && a.shape(1) == 4 && b.ndim() == 2 && b.shape(1) == 4, "boxes must be (N, 4)");
  const py::ssize_t rows = a.shape(0);
  const py::ssize_t columns = b.shape(0);
  py::array_t<float> out(std::vector<py::ssize_t>{rows, columns});
  float* p = out.mutable_data();
  py::gil_scoped_release release;
  for (py::ssize_t i = 0; i < rows; ++i) {
    for (py::ssize_t j = 0; j < columns; ++j) {
      *p++ = static_cast<float>(vision::iou(a.data() + 4 * i, b.data() + 4 * j));
    }
  }
  return out;
}

py::array_t<float> boxes_to_source(const FloatArray& boxes, const vision::Placement& placement) {
  require(boxes.ndim() == 2 && boxes.shape(1) == 4, "boxes must be (N, 4)");
  py::array_t<float> out(std::vector<py::ssize_t>{boxes.shape(0), 4});
  for (py::ssize_t i = 0; i < boxes.shape(0); ++i) {
    vision::box_to_source(placement, boxes.data() + 4 * i, out.mutable_data() + 4 * i);
  }
  return out;
}

FloatArray to_probabilities(const FloatArray& scores) {
  require(scores.ndim() == 1, "scores must be (N,)");
  FloatArray out(scores.shape(0));
  vision::to_probabilities(scores.data(), static_cast<size_t>(scores.size()), out.mutable_data());
  return out;
}

vision::Placement place(const std::string& resize, int source_w, int source_h, int input_w, int input_h) {
  require(valid_side(source_w) && valid_side(source_h) && valid_side(input_w) && valid_side(input_h),
          "sizes must be positive");
  const auto kind = choose<vision::ResizeKind>(
      resize, {{"stretch", vision::ResizeKind::kStretch}, {"letterbox", vision::ResizeKind::kLetterbox}});
  return vision::place(kind, source_w, source_h, input_w, input_h);
}

}  // namespace

void bind_vision(py::module_& m) {
  py::class_<vision::Placement>(m, "Placement",
                                "Where a picture lies inside a network's input, in input pixels.")
      .def_readonly("source_width", &vision::Placement::source_width)
      .def_readonly("source_height", &vision::Placement::source_height)
      .def_readonly("input_width", &vision::Placement::input_width)
      .def_readonly("input_height", &vision::Placement::input_height)
      .def_readonly("left", &vision::Placement::left)
      .def_readonly("top", &vision::Placement::top)
      .def_readonly("width", &vision::Placement::width)
      .def_readonly("height", &vision::Placement::height);
  m.def("place", &place, py::arg("resize"), py::arg("source_width"), py::arg("source_height"),
        py::arg("input_width"), py::arg("input_height"));
  m.def("boxes_to_source", &boxes_to_source, py::arg("boxes"), py::arg("placement"),
        "Boxes (N, 4) in fractions of the input to pixels of the source, clipped to the picture.");

  py::class_<LockedLetterbox>(m, "Letterbox", "Resizes uint8 pictures into one float32 input tensor.")
      .def(py::init([](int width, int height, bool channels_first, const std::string& color,
                       const std::string& resize, const std::vector<float>& mean,
                       const std::vector<float>& scale) {
             return std::make_unique<LockedLetterbox>(
                 make_input_format(width, height, channels_first, color, resize, mean, scale));
           }),
           py::arg("width"), py::arg("height"), py::arg("channels_first"), py::arg("color"),
           py::arg("resize"), py::arg("mean"), py::arg("scale"))
      .def("__call__", &LockedLetterbox::run, py::arg("pixels"), py::arg("bgr"), py::arg("out").noconvert(),
           "Fills out with the picture and returns its Placement.");

  py::class_<Head>(m, "YoloHead", "What decode_yolo needs to know of one output map.")
      .def(py::init(&make_head), py::arg("kind"), py::arg("classes"), py::arg("boxes"), py::arg("anchors"),
           py::arg("softmax"), py::arg("sqrt"), py::arg("scale_xy"), py::arg("new_coords"));
  m.def("decode_yolo", &decode_yolo, py::arg("maps"), py::arg("boxes_of_rows"), py::arg("heads"),
        py::arg("grids"), py::arg("input_width"), py::arg("input_height"), py::arg("conf"),
        "Raw maps to (boxes (N, 4) in fractions of the input, scores (N,), class ids (N,)).");
  m.def("nms", &nms, py::arg("boxes"), py::arg("scores"), py::arg("classes"), py::arg("iou"),
        py::arg("max_det"), py::arg("agnostic"), "Indices of the boxes to keep, highest score first.");
  m.def("to_probabilities", &to_probabilities, py::arg("scores"),
        "Scores (N,) as they are where they are probabilities, else their softmax.");
  m.def("iou_matrix", &iou_matrix, py::arg("a"), py::arg("b"));
}

}  // namespace edgecnn

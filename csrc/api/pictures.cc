#include "api/pictures.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "vision/nms.h"
#include "vision/pixels.h"
#include "vision/probabilities.h"

namespace edgecnn {
namespace {

constexpr int64_t kMaxSide = 1 << 20;
constexpr int64_t kMaxPixels = 1 << 28;  // three bytes of each are less than 2^32
constexpr int64_t kMaxClasses = 1 << 20;

// How the one input takes pictures; an empty string, or why it does not.
std::string read_input(const Metadata& m, vision::InputFormat* format) {
  if (m.inputs.size() != 1) return "a picture goes into one input, this model has another number of them";
  const TensorInfo& input = m.inputs[0];
  if (input.type != TensorType::kFloat32 || input.shape.size() != 4) {
    return "pictures are given to inputs of type float32 and shape (N, C, H, W) or (N, H, W, C)";
  }
  const auto& shape = input.shape;
  const auto color_count = [](int64_t n) { return n == 1 || n == 3; };
  format->channels_first = color_count(shape[1]);
  const int64_t channels = format->channels_first ? shape[1] : shape[3];
  const int64_t height = format->channels_first ? shape[2] : shape[1];
  const int64_t width = format->channels_first ? shape[3] : shape[2];
  if (!color_count(channels)) return "a picture has 1 or 3 channels, the model's input has another number";
  if (shape[0] < 1 || height < 1 || width < 1 || height > kMaxSide || width > kMaxSide) {
    return "the model's input is empty or too large for a picture";
  }
  format->width = static_cast<int>(width);
  format->height = static_cast<int>(height);
  if (m.color != "rgb" && m.color != "bgr" && m.color != "grey")
    return "unknown colour order '" + m.color + "'";
  if (m.resize != "stretch" && m.resize != "letterbox") return "unknown way to resize '" + m.resize + "'";
  format->color = channels == 1      ? vision::ColorOrder::kGrey
                  : m.color == "bgr" ? vision::ColorOrder::kBgr
                                     : vision::ColorOrder::kRgb;
  format->resize = m.resize == "stretch" ? vision::ResizeKind::kStretch : vision::ResizeKind::kLetterbox;
  const auto values = static_cast<size_t>(channels);
  if ((m.mean.size() != 1 && m.mean.size() != values) || (m.scale.size() != 1 && m.scale.size() != values)) {
    return "mean and scale need one value, or one per channel";
  }
  for (size_t c = 0; c < values; ++c) {
    format->mean[c] = m.mean[m.mean.size() == 1 ? 0 : c];
    format->scale[c] = m.scale[m.scale.size() == 1 ? 0 : c];
  }
  return "";
}

// Whether it is a head of one box a row.
bool row_kind(const std::string& name, vision::YoloKind* kind) {
  constexpr struct {
    const char* name;
    vision::YoloKind kind;
  } kKinds[] = {{"v5", vision::YoloKind::kV5},
                {"v8", vision::YoloKind::kV8},
                {"nanodet", vision::YoloKind::kNanoDet},
                {"ssd", vision::YoloKind::kSsd}};
  for (const auto& known : kKinds) {
    if (name == known.name) return *kind = known.kind, true;
  }
  return false;
}

// Heads of one box a row. The kind, the classes and the output are known.
std::string read_rows(const Metadata& m, const HeadInfo& info, const std::vector<int64_t>& shape,
                      const std::string& what, PictureModel::Head* head) {
  vision::YoloHead& yolo = head->head;
  const std::string misfit = what + "does not fit the output's shape";
  if (yolo.kind == vision::YoloKind::kNanoDet) {
    if (info.boxes < 2 || info.boxes > kMaxSide) return what + "has a wrong number of scores for a side";
    yolo.boxes = static_cast<int>(info.boxes);
  }
  const bool transposed = yolo.kind == vision::YoloKind::kV8;
  if (shape.size() != 3 || shape[0] < 1) return misfit;
  const int64_t rows = transposed ? shape[2] : shape[1], values = transposed ? shape[1] : shape[2];
  if (rows < 1 || rows > kMaxClasses || values != vision::map_size(yolo, 1, 1)) return misfit;
  head->grid_w = static_cast<int>(rows);
  head->grid_h = 1;
  if (yolo.kind == vision::YoloKind::kNanoDet) {
    vision::InputFormat input;
    const std::string error = read_input(m, &input);
    if (!error.empty()) return error;
    if (rows != vision::nanodet_rows(input.width, input.height)) return misfit;
  }
  if (yolo.kind == vision::YoloKind::kSsd) {
    const auto boxes = std::find_if(m.outputs.begin(), m.outputs.end(),
                                    [&](const TensorInfo& output) { return output.name == info.box_output; });
    if (boxes == m.outputs.end() || boxes->type != TensorType::kFloat32 || boxes->shape.size() != 3 ||
        boxes->shape[0] < 1 || boxes->shape[1] != rows || boxes->shape[2] != 4) {
      return what + "has no output of as many boxes";
    }
    head->box_output = static_cast<int>(boxes - m.outputs.begin());
  }
  return "";
}

std::string read_head(const Metadata& m, const HeadInfo& info, PictureModel::Head* head) {
  const std::string what = "the head of output '" + info.output + "' ";
  const auto found = std::find_if(m.outputs.begin(), m.outputs.end(),
                                  [&](const TensorInfo& output) { return output.name == info.output; });
  if (found == m.outputs.end()) return what + "has no output";
  if (found->type != TensorType::kFloat32) return what + "reads an output that is not float32";
  if (info.classes < 1 || info.classes > kMaxClasses) return what + "has a wrong number of classes";
  head->output = static_cast<int>(found - m.outputs.begin());
  head->box_output = -1;
  vision::YoloHead& yolo = head->head;
  yolo.classes = static_cast<int>(info.classes);
  yolo.softmax = info.softmax;
  yolo.sqrt = info.sqrt;
  yolo.scale_xy = info.scale_xy;
  yolo.new_coords = info.new_coords;
  const std::vector<int64_t>& shape = found->shape;
  if (info.kind == "detection") {
    yolo.kind = vision::YoloKind::kDetection;
    if (info.side < 1 || info.side > kMaxSide || info.boxes < 1 || info.boxes > kMaxSide || shape.empty()) {
      return what + "has a wrong number of cells or boxes";
    }
    yolo.boxes = static_cast<int>(info.boxes);
    head->grid_w = head->grid_h = static_cast<int>(info.side);
    // Not map_size(): numbers of a hostile file may overflow it.
    const double length = static_cast<double>(info.side) * static_cast<double>(info.side) *
                          static_cast<double>(info.classes + 5 * info.boxes);
    const double values = std::accumulate(shape.begin() + 1, shape.end(), 1.0,
                                          [](double a, int64_t d) { return a * static_cast<double>(d); });
    if (shape[0] < 1 || values != length) return what + "does not fit the output's shape";
    return "";
  }
  if (row_kind(info.kind, &yolo.kind)) return read_rows(m, info, shape, what, head);
  if (info.kind == "fastestdet") {
    yolo.kind = vision::YoloKind::kFastestDet;
    if (shape.size() != 4 || shape[0] < 1 || shape[1] != 5 + info.classes || shape[2] < 1 || shape[3] < 1 ||
        shape[2] > kMaxSide || shape[3] > kMaxSide) {
      return what + "does not fit the output's shape";
    }
    head->grid_w = static_cast<int>(shape[3]);
    head->grid_h = static_cast<int>(shape[2]);
    return "";
  }
  if (info.kind != "region" && info.kind != "yolo")
    return what + "is of the unknown kind '" + info.kind + "'";
  yolo.kind = info.kind == "region" ? vision::YoloKind::kRegion : vision::YoloKind::kYolo;
  const auto boxes = static_cast<int64_t>(info.anchors.size() / 2);
  if (boxes < 1 || boxes > kMaxSide || shape.size() != 4 || shape[0] < 1 ||
      shape[1] != boxes * (5 + info.classes) || shape[2] < 1 || shape[3] < 1 || shape[2] > kMaxSide ||
      shape[3] > kMaxSide) {
    return what + "does not fit the output's shape";
  }
  yolo.boxes = static_cast<int>(boxes);
  yolo.anchors = info.anchors.data();
  head->grid_w = static_cast<int>(shape[3]);
  head->grid_h = static_cast<int>(shape[2]);
  return "";
}

std::string read_classifier(const Metadata& m, size_t* class_count) {
  if (!m.heads.empty() || m.outputs.size() != 1 || m.outputs[0].type != TensorType::kFloat32) {
    return "not a classifier, which has one float32 output with a score per class";
  }
  size_t count = 1;
  for (const int64_t d : m.outputs[0].shape) count *= static_cast<size_t>(d);  // at most the output's bytes
  const auto batch = static_cast<size_t>(m.inputs[0].shape[0]);
  if (count == 0 || count % batch != 0) return "not a classifier: its output has no scores for each picture";
  *class_count = count / batch;
  if (!m.labels.empty() && m.labels.size() != *class_count) return "it has not one label for each class";
  return "";
}

vision::PixelFormat pixel_format(ecnn_pixel_format format) {
  switch (format) {
    case ECNN_GREY:
      return vision::PixelFormat::kGrey;
    case ECNN_BGR:
      return vision::PixelFormat::kBgr;
    case ECNN_BGRA:
      return vision::PixelFormat::kBgra;
    case ECNN_RGBA:
      return vision::PixelFormat::kRgba;
    default:
      return vision::PixelFormat::kRgb;  // ECNN_RGB, and those that become it
  }
}

// Bytes of a row of the first plane, and of the second.
int64_t row_bytes(const ecnn_image& image) {
  switch (image.format) {
    case ECNN_NV12:
      return image.width;
    case ECNN_YUYV:
      return (image.width + int64_t{1}) / 2 * 4;
    default:
      return int64_t{image.width} * vision::bytes_per_pixel(pixel_format(image.format));
  }
}
int64_t chroma_row_bytes(const ecnn_image& image) { return (image.width + int64_t{1}) / 2 * 2; }

ptrdiff_t luma_stride(const ecnn_image& image) {
  return image.stride ? image.stride : static_cast<ptrdiff_t>(row_bytes(image));
}
ptrdiff_t chroma_stride(const ecnn_image& image) {
  if (image.chroma_stride) return image.chroma_stride;
  return image.stride ? image.stride : static_cast<ptrdiff_t>(chroma_row_bytes(image));
}

}  // namespace

PictureModel::PictureModel(const Metadata& metadata) {
  input_error = read_input(metadata, &input);
  if (!input_error.empty()) return;
  if (metadata.heads.empty()) detector_error = "not a detector that edgecnn can decode: it has no head";
  for (const HeadInfo& info : metadata.heads) {
    Head head{};
    detector_error = read_head(metadata, info, &head);
    if (!detector_error.empty()) break;
    heads.push_back(head);
    classes = std::max(classes, head.head.classes);
  }
  if (!detector_error.empty()) classes = 0;
  classifier_error = read_classifier(metadata, &class_count);
}

const char* check_image(const ecnn_image& image) {
  if (!image.data) return "a picture without data";
  if (image.width < 1 || image.height < 1 || image.width > kMaxSide || image.height > kMaxSide) {
    return "a picture has 1 to 1048576 pixels a side";
  }
  if (int64_t{image.width} * image.height > kMaxPixels) return "a picture has at most 2^28 pixels";
  if (image.format < ECNN_GREY || image.format > ECNN_YUYV) return "an unknown pixel format";
  if (std::abs(static_cast<int64_t>(luma_stride(image))) < row_bytes(image)) {
    return "the stride is less than a row of pixels";
  }
  if (image.format == ECNN_NV12) {
    if (std::abs(static_cast<int64_t>(chroma_stride(image))) < chroma_row_bytes(image)) {
      return "the stride of the chroma plane is less than a row of it";
    }
    if (!image.chroma && luma_stride(image) < 0) {
      return "an NV12 picture with its bottom row first needs the address of its chroma plane";
    }
  }
  return nullptr;
}

void PictureWorker::load(const ecnn_image& image, float* input) {
  vision::PixelView view;
  view.data = static_cast<const uint8_t*>(image.data);
  view.width = image.width;
  view.height = image.height;
  view.stride_bytes = luma_stride(image);
  view.format = pixel_format(image.format);
  if (image.format == ECNN_NV12 || image.format == ECNN_YUYV) {
    vision::YuvView yuv;
    yuv.luma = view.data;
    yuv.chroma = image.chroma ? static_cast<const uint8_t*>(image.chroma)
                              : view.data + view.stride_bytes * image.height;
    yuv.luma_stride = view.stride_bytes;
    yuv.chroma_stride = chroma_stride(image);
    yuv.width = image.width;
    yuv.height = image.height;
    const size_t rgb_bytes = size_t{3} * static_cast<size_t>(image.width) * static_cast<size_t>(image.height);
    if (rgb_.size() != rgb_bytes) rgb_.resize(rgb_bytes);
    (image.format == ECNN_NV12 ? vision::nv12_to_rgb : vision::yuyv_to_rgb)(yuv, rgb_.data());
    view.data = rgb_.data();
    view.stride_bytes = ptrdiff_t{3} * image.width;
  }
  placement_ = letterbox_.run(view, input);
}

size_t PictureWorker::detect(const void* const* outputs, const ecnn_detect_options& options, ecnn_box* boxes,
                             size_t capacity) {
  size_t count = 0;
  for (const PictureModel::Head& head : model_.heads) {
    const auto* boxes = head.box_output < 0 ? nullptr : static_cast<const float*>(outputs[head.box_output]);
    const vision::YoloMap map{static_cast<const float*>(outputs[head.output]), head.grid_w, head.grid_h,
                              boxes};
    const auto decode = [&] {
      return vision::decode(head.head, map, model_.input.width, model_.input.height, options.confidence,
                            candidates_.data() + count, candidates_.size() - count);
    };
    const size_t found = decode();
    if (found > candidates_.size() - count) {
      candidates_.resize(count + found);
      decode();
    }
    count += found;
  }
  if (options.classes) {
    const int32_t* const end = options.classes + options.class_count;
    size_t wanted = 0;
    for (size_t i = 0; i < count; ++i) {
      if (std::find(options.classes, end, candidates_[i].class_id) != end)
        candidates_[wanted++] = candidates_[i];
    }
    count = wanted;
  }
  if (count == 0) return 0;
  if (order_.size() < count) order_.resize(count);
  vision::NmsOptions nms;
  nms.iou = static_cast<double>(options.iou);
  nms.agnostic = options.agnostic != 0;
  nms.max_det = std::min(static_cast<size_t>(options.max_boxes), count);
  if (keep_.size() < nms.max_det) keep_.resize(nms.max_det);
  constexpr size_t kStride = sizeof(vision::Candidate) / sizeof(float);
  static_assert(sizeof(vision::Candidate) == 6 * sizeof(float));
  const vision::Candidate* c = candidates_.data();
  const vision::BoxList list{count, c->box, kStride, &c->score, kStride, &c->class_id, kStride};
  const size_t kept = vision::nms(list, nms, order_.data(), keep_.data());
  size_t written = 0;
  for (size_t i = 0; i < kept && written < capacity; ++i) {
    const vision::Candidate& best = candidates_[keep_[i]];
    float xyxy[4];
    vision::box_to_source(placement_, best.box, xyxy);
    if (!(xyxy[2] > xyxy[0] && xyxy[3] > xyxy[1])) continue;  // a letterbox has room outside the picture
    boxes[written++] = {xyxy[0], xyxy[1], xyxy[2], xyxy[3], best.score, best.class_id};
  }
  return written;
}

size_t PictureWorker::classify(const float* scores, ecnn_class* classes, size_t capacity) {
  const size_t count = model_.class_count;
  probabilities_.resize(count);
  order_.resize(count);
  vision::to_probabilities(scores, count, probabilities_.data());
  std::iota(order_.begin(), order_.end(), 0u);
  const size_t written = std::min(capacity, count);
  std::partial_sort(order_.begin(), order_.begin() + static_cast<ptrdiff_t>(written), order_.end(),
                    [&](uint32_t i, uint32_t j) {
                      const float a = probabilities_[i], b = probabilities_[j];
                      return a != b ? a > b : i < j;
                    });
  for (size_t i = 0; i < written; ++i) {
    classes[i] = {static_cast<int32_t>(order_[i]), probabilities_[order_[i]]};
  }
  return written;
}

}  // namespace edgecnn

#include "vision/letterbox.h"

#include <algorithm>
#include <cmath>

namespace edgecnn::vision {
namespace {

constexpr int kRowUnit = 1 << 14;       // 1.0 must fit an int16, and 255 times it an int32
constexpr int kRowPad = 4;              // the column filter reads four channels where a pixel has three
constexpr float kBorderPixel = 127.5f;  // Darknet fills the border with .5

// Integer weights with exactly the sum kRowUnit, so that a flat picture stays flat: round the running sum.
void quantize(const FilterAxis& axis, std::vector<int16_t>* quantized) {
  quantized->assign(axis.weight.size(), 0);
  for (size_t i = 0; i < axis.first.size(); ++i) {
    double sum = 0;
    int before = 0;
    for (int k = 0; k < axis.count[i]; ++k) {
      sum += axis.weight[i * axis.taps + k];
      const int after = k + 1 == axis.count[i] ? kRowUnit : static_cast<int>(std::lround(sum * kRowUnit));
      (*quantized)[i * axis.taps + k] = static_cast<int16_t>(after - before);
      before = after;
    }
  }
}

// out[i] = sum over k of weights[k] * rows[k * stride + i], in blocks that stay in registers.
void combine_rows(const uint8_t* rows, ptrdiff_t stride_bytes, const int16_t* weights, int count, size_t size,
                  float* out) {
  constexpr size_t kBlock = 32;
  size_t i = 0;
  for (; i + kBlock <= size; i += kBlock) {
    int32_t sum[kBlock] = {};
    const uint8_t* source = rows + i;
    for (int k = 0; k < count; ++k, source += stride_bytes) {
      const int16_t weight = weights[k];
      for (size_t j = 0; j < kBlock; ++j) sum[j] += weight * static_cast<int16_t>(source[j]);
    }
    for (size_t j = 0; j < kBlock; ++j) out[i + j] = static_cast<float>(sum[j]);
  }
  for (; i < size; ++i) {
    int32_t sum = 0;
    for (int k = 0; k < count; ++k) sum += weights[k] * rows[k * stride_bytes + static_cast<ptrdiff_t>(i)];
    out[i] = static_cast<float>(sum);
  }
}

// How a filtered pixel of up to four channels becomes one of the tensor.
struct PixelWriter {
  int red, green, blue;  // channel of the source that holds each colour
  bool mix_grey;
  int lane[3];  // channel of the source for each channel of the tensor
  float factor[3];
  float offset[3];
  ptrdiff_t channel_stride;
  int channels;

  PixelWriter(PixelFormat source, const InputFormat& format) : channels(format.channels()) {
    const bool grey = source == PixelFormat::kGrey;
    const bool rgb = source == PixelFormat::kRgb || source == PixelFormat::kRgba;
    red = grey || rgb ? 0 : 2;
    green = grey ? 0 : 1;
    blue = grey || !rgb ? 0 : 2;
    mix_grey = format.color == ColorOrder::kGrey && !grey;
    lane[0] = format.color == ColorOrder::kRgb ? red : blue;
    lane[1] = green;
    lane[2] = format.color == ColorOrder::kRgb ? blue : red;
    for (int c = 0; c < 3; ++c) {
      factor[c] = format.scale[c] / kRowUnit;
      offset[c] = -format.mean[c] * format.scale[c];
    }
    channel_stride = format.channels_first ? static_cast<ptrdiff_t>(format.width) * format.height
                                           : static_cast<ptrdiff_t>(1);
  }

  void write(const float* pixel, float* out) const {
    if (mix_grey) {  // ITU-R BT.601 luma, as OpenCV and Pillow mix it
      const float luma = .299f * pixel[red] + .587f * pixel[green] + .114f * pixel[blue];
      out[0] = luma * factor[0] + offset[0];
      return;
    }
    for (int c = 0; c < channels; ++c) out[c * channel_stride] = pixel[lane[c]] * factor[c] + offset[c];
  }
};

}  // namespace

Placement place(ResizeKind resize, int source_width, int source_height, int input_width, int input_height) {
  Placement p;
  p.source_width = source_width;
  p.source_height = source_height;
  p.input_width = p.width = input_width;
  p.input_height = p.height = input_height;
  if (resize == ResizeKind::kLetterbox) {
    const int64_t width_limited = static_cast<int64_t>(input_width) * source_height;
    const int64_t height_limited = static_cast<int64_t>(input_height) * source_width;
    if (width_limited < height_limited) {
      p.height = std::max(1, static_cast<int>(width_limited / source_width));
    } else {
      p.width = std::max(1, static_cast<int>(height_limited / source_height));
    }
  }
  p.left = (input_width - p.width) / 2;
  p.top = (input_height - p.height) / 2;
  return p;
}

void box_to_source(const Placement& p, const float box[4], float source[4]) {
  const double x_factor = static_cast<double>(p.source_width) / p.width;
  const double y_factor = static_cast<double>(p.source_height) / p.height;
  for (int i = 0; i < 4; ++i) {
    const bool x = i % 2 == 0;
    const double input = static_cast<double>(box[i]) * (x ? p.input_width : p.input_height);
    const double pixel = (input - (x ? p.left : p.top)) * (x ? x_factor : y_factor);
    const double limit = x ? p.source_width : p.source_height;
    source[i] = static_cast<float>(std::min(std::max(pixel, 0.0), limit));
  }
}

void FilterAxis::build(int source_size, int output_size) {
  const double step = static_cast<double>(source_size) / output_size;
  const double support = std::max(step, 1.0);  // half the width of the triangle, in source pixels
  taps = std::min(source_size, 2 * static_cast<int>(std::ceil(support)) + 1);
  first.assign(output_size, 0);
  count.assign(output_size, 0);
  weight.assign(static_cast<size_t>(output_size) * taps, 0.f);
  for (int i = 0; i < output_size; ++i) {
    const double center = (i + .5) * step;
    const int begin = std::max(0, static_cast<int>(center - support + .5));
    const int end = std::min({source_size, static_cast<int>(center + support + .5), begin + taps});
    const auto triangle = [&](int pixel) {
      return std::max(0.0, 1 - std::fabs((pixel + .5 - center) / support));
    };
    double sum = 0;
    for (int x = begin; x < end; ++x) sum += triangle(x);
    first[i] = begin;
    count[i] = end - begin;
    float* w = &weight[static_cast<size_t>(i) * taps];
    for (int x = begin; x < end; ++x) w[x - begin] = static_cast<float>(triangle(x) / sum);
  }
}

void Letterbox::prepare(const PixelView& picture) {
  if (picture.width == placement_.source_width && picture.height == placement_.source_height &&
      picture.format == source_format_) {
    return;
  }
  placement_ = Placement();  // so that an allocation that fails below leaves no stale weights in use
  const Placement p = place(format_.resize, picture.width, picture.height, format_.width, format_.height);
  columns_.build(picture.width, p.width);
  rows_.build(picture.height, p.height);
  quantize(rows_, &row_weights_);
  row_.assign(static_cast<size_t>(picture.width) * bytes_per_pixel(picture.format) + kRowPad, 0.f);
  source_format_ = picture.format;
  placement_ = p;
}

void Letterbox::fill_border(float* out) const {
  const int channels = format_.channels();
  const size_t plane = static_cast<size_t>(format_.width) * format_.height;
  for (int c = 0; c < channels; ++c) {
    const float value = (kBorderPixel - format_.mean[c]) * format_.scale[c];
    float* p = format_.channels_first ? out + c * plane : out + c;
    const size_t step = format_.channels_first ? 1 : channels;
    for (size_t i = 0; i < plane; ++i) p[i * step] = value;
  }
}

template <int kChannels>
void Letterbox::resize(const PixelView& picture, float* out) {
  constexpr int kLanes = kChannels == 1 ? 1 : 4;
  const PixelWriter writer(picture.format, format_);
  const ptrdiff_t pixel_stride = format_.channels_first ? 1 : format_.channels();
  const size_t row_size = static_cast<size_t>(picture.width) * kChannels;
  for (int y = 0; y < placement_.height; ++y) {
    combine_rows(picture.data + rows_.first[y] * picture.stride_bytes, picture.stride_bytes,
                 &row_weights_[static_cast<size_t>(y) * rows_.taps], rows_.count[y], row_size, row_.data());
    const size_t origin = static_cast<size_t>(placement_.top + y) * format_.width + placement_.left;
    float* pixel = out + static_cast<ptrdiff_t>(origin) * pixel_stride;
    for (int x = 0; x < placement_.width; ++x, pixel += pixel_stride) {
      const float* source = &row_[static_cast<size_t>(columns_.first[x]) * kChannels];
      const float* weight = &columns_.weight[static_cast<size_t>(x) * columns_.taps];
      float sum[kLanes] = {};
      for (int k = 0; k < columns_.count[x]; ++k, source += kChannels) {
        for (int lane = 0; lane < kLanes; ++lane) sum[lane] += weight[k] * source[lane];
      }
      writer.write(sum, pixel);
    }
  }
}

Placement Letterbox::run(const PixelView& picture, float* out) {
  prepare(picture);
  if (placement_.width != format_.width || placement_.height != format_.height) fill_border(out);
  switch (bytes_per_pixel(picture.format)) {
    case 1:
      resize<1>(picture, out);
      break;
    case 3:
      resize<3>(picture, out);
      break;
    default:
      resize<4>(picture, out);
  }
  return placement_;
}

}  // namespace edgecnn::vision

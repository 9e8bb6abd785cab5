// From the pixels of a picture to the input tensor of a network, in one pass over the picture.
//
// The picture is resized with a triangle filter whose width grows with the shrinking factor (an antialiased
// bilinear resize; Pillow's BILINEAR), its channels are put into the network's order, and each value becomes
// (pixel - mean) * scale. YOLO networks are sensitive to the filter: on a 768x576 photograph shrunk to
// 224x224 the plain four-pixel bilinear resize moves scores by up to .07.
//
// The filter is separable: rows are combined first, straight from the bytes, columns second. Both are 16 x 16
// -> 32 bit integer arithmetic, which every instruction set of the ABI floor does well, and exactly alike.
#ifndef EDGECNN_VISION_LETTERBOX_H_
#define EDGECNN_VISION_LETTERBOX_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace edgecnn::vision {

enum class PixelFormat { kGrey, kBgr, kRgb, kBgra, kRgba };
enum class ColorOrder { kGrey, kRgb, kBgr };
enum class ResizeKind { kStretch, kLetterbox };

inline int bytes_per_pixel(PixelFormat format) {
  if (format == PixelFormat::kGrey) return 1;
  return format == PixelFormat::kBgr || format == PixelFormat::kRgb ? 3 : 4;
}

// Pixels that someone else owns. Rows are stride_bytes apart (negative: bottom row first); alpha is ignored.
struct PixelView {
  const uint8_t* data;
  int width;
  int height;
  ptrdiff_t stride_bytes;
  PixelFormat format;
};

// The network's input, one float per channel and pixel: channels, height, width or height, width, channels.
struct InputFormat {
  int width = 0;
  int height = 0;
  bool channels_first = true;
  ColorOrder color = ColorOrder::kRgb;
  ResizeKind resize = ResizeKind::kStretch;
  float mean[3] = {0.f, 0.f, 0.f};  // by channel of the tensor, in units of 0..255 pixels
  float scale[3] = {1.f / 255, 1.f / 255, 1.f / 255};

  int channels() const { return color == ColorOrder::kGrey ? 1 : 3; }
};

// Where the picture lies inside the network's input, in pixels of the input.
struct Placement {
  int source_width = 0;
  int source_height = 0;
  int input_width = 0;
  int input_height = 0;
  int left = 0;
  int top = 0;
  int width = 0;
  int height = 0;
};

// Stretch: all of the input. Letterbox: the largest centred rectangle of the picture's shape, sizes rounded
// down as Darknet's letterbox_image() does, at least one pixel. All sizes are positive.
Placement place(ResizeKind resize, int source_width, int source_height, int input_width, int input_height);

// Box (x0, y0, x1, y1), in fractions of the network's input, to pixels of the source, clipped to the picture.
// Each axis has its own factor, because a letterbox rounds width and height separately.
void box_to_source(const Placement& placement, const float box[4], float source[4]);

// The weights of one axis: output i is the sum over k < count[i] of weight[i * taps + k] * input[first[i] +
// k], in units of kUnit. Weights from count[i] on are 0.
struct FilterAxis {
  static constexpr int kUnit = 1 << 14;  // 1 must fit an int16

  int taps = 0;
  std::vector<int32_t> first;
  std::vector<int32_t> count;
  std::vector<int16_t> weight;

  // The numbers of taps and of outputs are padded to multiples of these, with weights of 0.
  void build(int source_size, int output_size, int tap_multiple, int output_multiple);
};

// Resizes pictures into one input format. Weights and scratch are kept between pictures of the same size and
// format, so that a video costs no allocation. One object serves one thread at a time.
class Letterbox {
 public:
  explicit Letterbox(const InputFormat& format) : format_(format) {}

  const InputFormat& format() const { return format_; }

  // Fills out[0, channels * height * width). Sizes of the picture are positive.
  Placement run(const PixelView& picture, float* out);

 private:
  void prepare(const PixelView& picture);
  void fill_border(float* out) const;
  void resize(const PixelView& picture, float* out);

  InputFormat format_;
  Placement placement_;
  PixelFormat source_format_ = PixelFormat::kGrey;
  FilterAxis columns_;
  FilterAxis rows_;
  std::vector<int16_t> row_;       // one combined row of source pixels
  std::vector<int32_t> filtered_;  // one filtered row, four channels per pixel
};

}  // namespace edgecnn::vision

#endif  // EDGECNN_VISION_LETTERBOX_H_

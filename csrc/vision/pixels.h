// Pictures in the formats in which cameras give them, to RGB.
#ifndef EDGECNN_VISION_PIXELS_H_
#define EDGECNN_VISION_PIXELS_H_

#include <cstddef>
#include <cstdint>

namespace edgecnn::vision {

// Luma and chroma of a picture (ITU-R BT.601, luma 16 to 235). NV12: planes of Y and of U V pairs, one for
// each 2x2 pixels. YUYV: one plane, chroma is not used; Y U Y V for each two pixels. Sizes may be odd: the
// last pair is then whole, its second pixel unused.
struct YuvView {
  const uint8_t* luma;
  const uint8_t* chroma;
  ptrdiff_t luma_stride;
  ptrdiff_t chroma_stride;
  int width;
  int height;
};

// Bit for bit what OpenCV's cvtColor gives for COLOR_YUV2RGB_NV12 and COLOR_YUV2RGB_YUYV. `rgb` holds
// height * width * 3 bytes.
void nv12_to_rgb(const YuvView& picture, uint8_t* rgb);
void yuyv_to_rgb(const YuvView& picture, uint8_t* rgb);

}  // namespace edgecnn::vision

#endif  // EDGECNN_VISION_PIXELS_H_

#include "vision/pixels.h"

#include <algorithm>

namespace edgecnn::vision {
namespace {

// The coefficients of BT.601 in units of 2^-20.
constexpr int kShift = 20;
constexpr int32_t kLuma = 1220542;      // 255 / 219
constexpr int32_t kRedOfV = 1673527;    // 1.596
constexpr int32_t kGreenOfV = -852492;  // -.813
constexpr int32_t kGreenOfU = -409993;  // -.391
constexpr int32_t kBlueOfU = 2116026;   // 2.018
constexpr int32_t kHalf = 1 << (kShift - 1);

uint8_t clipped(int32_t value) { return static_cast<uint8_t>(std::min(std::max(value >> kShift, 0), 255)); }

// The two pixels of a pair, which share their chroma; `second` may be absent.
void write_pair(int32_t y0, int32_t y1, int32_t u, int32_t v, bool second, uint8_t* rgb) {
  u -= 128;
  v -= 128;
  const int32_t red = kHalf + kRedOfV * v;
  const int32_t green = kHalf + kGreenOfV * v + kGreenOfU * u;
  const int32_t blue = kHalf + kBlueOfU * u;
  const int32_t luma[2] = {std::max(0, y0 - 16) * kLuma, std::max(0, y1 - 16) * kLuma};
  for (int i = 0; i < (second ? 2 : 1); ++i) {
    rgb[3 * i] = clipped(luma[i] + red);
    rgb[3 * i + 1] = clipped(luma[i] + green);
    rgb[3 * i + 2] = clipped(luma[i] + blue);
  }
}

}  // namespace

void nv12_to_rgb(const YuvView& p, uint8_t* rgb) {
  for (int y = 0; y < p.height; ++y) {
    const uint8_t* luma = p.luma + y * p.luma_stride;
    const uint8_t* chroma = p.chroma + y / 2 * p.chroma_stride;
    for (int x = 0; x < p.width; x += 2, rgb += 6) {
      const bool second = x + 1 < p.width;
      write_pair(luma[x], luma[x + (second ? 1 : 0)], chroma[x], chroma[x + 1], second, rgb);
    }
    if (p.width % 2) rgb -= 3;
  }
}

void yuyv_to_rgb(const YuvView& p, uint8_t* rgb) {
  for (int y = 0; y < p.height; ++y) {
    const uint8_t* pair = p.luma + y * p.luma_stride;
    for (int x = 0; x < p.width; x += 2, pair += 4, rgb += 6) {
      write_pair(pair[0], pair[2], pair[1], pair[3], x + 1 < p.width, rgb);
    }
    if (p.width % 2) rgb -= 3;
  }
}

}  // namespace edgecnn::vision

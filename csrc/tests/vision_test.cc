// Tests of csrc/vision: the letterbox against a plain triangle filter in double precision, on pixels and
// outputs that end at pages which must not be touched, and small known cases of decode and NMS.
//
// tests/test_yolo.py compares the same code with its meaning in numpy, in breadth; this program is what also
// runs under QEMU and with sanitizers.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <random>
#include <vector>

#include "tests/guarded.h"
#include "vision/letterbox.h"
#include "vision/nms.h"
#include "vision/yolo.h"

namespace edgecnn {
namespace testing {
namespace {

std::mt19937 rng(20240517);
int failures = 0;

int pick(int low, int high) { return low + static_cast<int>(rng() % static_cast<unsigned>(high - low + 1)); }

void expect(bool good, const char* what) {
  if (good) return;
  ++failures;
  std::printf("FAILED: %s\n", what);
}

// Weights of every source pixel for one output pixel.
std::vector<double> triangle(int source_size, int output_size, int output) {
  const double step = static_cast<double>(source_size) / output_size;
  const double support = step > 1 ? step : 1;
  const double center = (output + .5) * step;
  std::vector<double> weights(source_size);
  double sum = 0;
  for (int i = 0; i < source_size; ++i) {
    weights[i] = std::max(0.0, 1 - std::fabs(i + .5 - center) / support);
    sum += weights[i];
  }
  for (double& w : weights) w /= sum;
  return weights;
}

double filtered(const vision::PixelView& view, const vision::Placement& p, int x, int y, int channel) {
  const std::vector<double> rows = triangle(view.height, p.height, y - p.top);
  const std::vector<double> columns = triangle(view.width, p.width, x - p.left);
  const int channels = vision::bytes_per_pixel(view.format);
  double sum = 0;
  for (int i = 0; i < view.height; ++i) {
    if (rows[i] == 0) continue;
    for (int j = 0; j < view.width; ++j) {
      sum += rows[i] * columns[j] * view.data[i * view.stride_bytes + j * channels + channel];
    }
  }
  return sum;
}

void test_letterbox() {
  const vision::PixelFormat formats[] = {vision::PixelFormat::kGrey, vision::PixelFormat::kBgr,
                                         vision::PixelFormat::kRgb, vision::PixelFormat::kBgra,
                                         vision::PixelFormat::kRgba};
  for (int round = 0; round < 60; ++round) {
    const vision::PixelFormat source = formats[pick(0, 4)];
    const int channels = vision::bytes_per_pixel(source);
    const int width = pick(1, 90), height = pick(1, 60);
    const size_t row_bytes = static_cast<size_t>(width) * channels;
    const size_t stride = row_bytes + static_cast<size_t>(pick(0, 9));
    const size_t bytes = stride * (height - 1) + row_bytes;
    GuardedMemory pixel_memory(bytes);
    auto* pixels = reinterpret_cast<uint8_t*>(pixel_memory.at_end(bytes, 0, 0));
    for (size_t i = 0; i < bytes; ++i) pixels[i] = static_cast<uint8_t>(rng());
    const bool bottom_up = pick(0, 3) == 0;
    vision::PixelView view{pixels, width, height, static_cast<ptrdiff_t>(stride), source};
    if (bottom_up) {
      view.data = pixels + stride * (height - 1);
      view.stride_bytes = -view.stride_bytes;
    }

    vision::InputFormat format;
    format.width = pick(1, 40);
    format.height = pick(1, 40);
    format.channels_first = pick(0, 1) == 1;
    format.color = pick(0, 1) == 1 ? vision::ColorOrder::kRgb : vision::ColorOrder::kBgr;
    format.resize = pick(0, 1) == 1 ? vision::ResizeKind::kLetterbox : vision::ResizeKind::kStretch;
    for (int c = 0; c < 3; ++c) {
      format.mean[c] = static_cast<float>(pick(0, 128));
      format.scale[c] = static_cast<float>(pick(1, 100)) / 100;
    }
    const size_t plane = static_cast<size_t>(format.width) * format.height;
    GuardedMemory out_memory(3 * plane * sizeof(float));
    auto* out = reinterpret_cast<float*>(out_memory.at_end(3 * plane * sizeof(float), 0, 0xff));

    vision::Letterbox letterbox(format);
    const vision::Placement p = letterbox.run(view, out);
    const bool grey = source == vision::PixelFormat::kGrey;
    const bool swap = (source == vision::PixelFormat::kBgr || source == vision::PixelFormat::kBgra) ==
                      (format.color == vision::ColorOrder::kRgb);
    double worst = 0;
    for (int y = 0; y < format.height; ++y) {
      for (int x = 0; x < format.width; ++x) {
        const bool inside = x >= p.left && x < p.left + p.width && y >= p.top && y < p.top + p.height;
        for (int c = 0; c < 3; ++c) {
          const int channel = grey ? 0 : swap ? 2 - c : c;
          const double pixel = inside ? filtered(view, p, x, y, channel) : 127.5;
          const size_t at = static_cast<size_t>(y) * format.width + x;
          const float got = format.channels_first ? out[c * plane + at] : out[at * 3 + c];
          const double error = std::fabs(got / format.scale[c] + format.mean[c] - pixel);
          worst = error <= worst ? worst : error;  // a NaN becomes the worst
        }
      }
    }
    expect(worst < .05, "letterbox: a pixel differs from the triangle filter");
  }
}

void test_decode() {
  const float anchors[] = {2.f, 3.f};
  vision::YoloHead head;
  head.kind = vision::YoloKind::kRegion;
  head.classes = 2;
  head.boxes = 1;
  head.anchors = anchors;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  float map[] = {0, 0, 0, 0, 0, 0, std::log(3.f)};  // one cell: x y w h objectness, two classes
  vision::Candidate found[4];
  expect(vision::map_size(head, 1, 1) == 7, "decode: size of a map");
  size_t count = vision::decode(head, {map, 1, 1}, 32, 32, .2f, found, 4);
  expect(count == 1 && found[0].class_id == 1 && std::fabs(found[0].score - .375f) < 1e-6f, "decode: score");
  expect(
      found[0].box[0] == -.5f && found[0].box[1] == -1.f && found[0].box[2] == 1.5f && found[0].box[3] == 2.f,
      "decode: box");
  expect(vision::decode(head, {map, 1, 1}, 32, 32, .1f, found, 1) == 2, "decode: counts beyond the capacity");
  map[2] = 1000;  // exp() overflows
  count = vision::decode(head, {map, 1, 1}, 32, 32, .2f, found, 4);
  expect(count == 1 && std::isinf(found[0].box[2]), "decode: an overflowing width is infinite");
  const vision::Placement p = vision::place(vision::ResizeKind::kStretch, 640, 480, 32, 32);
  float source[4];
  vision::box_to_source(p, found[0].box, source);
  expect(source[0] == 0.f && source[2] == 640.f, "decode: an infinite box is clipped");
  map[0] = nan;
  expect(vision::decode(head, {map, 1, 1}, 32, 32, .2f, found, 4) == 0, "decode: NaN coordinate");
  map[0] = 0;
  map[4] = nan;
  expect(vision::decode(head, {map, 1, 1}, 32, 32, 0.f, found, 4) == 0, "decode: NaN objectness");
}

// Heads of one box a row and fastestdet's: arrays of just their size, so that AddressSanitizer sees each
// read.
void test_decode_families() {
  using vision::YoloKind;
  constexpr int kClasses = 3, kSide = 64;
  for (const YoloKind kind :
       {YoloKind::kV5, YoloKind::kV8, YoloKind::kFastestDet, YoloKind::kNanoDet, YoloKind::kSsd}) {
    vision::YoloHead head;
    head.kind = kind;
    head.classes = kClasses;
    head.boxes = 8;
    const int rows = static_cast<int>(vision::nanodet_rows(kSide, kSide));
    std::vector<float> map(static_cast<size_t>(vision::map_size(head, rows, 1)), .5f);
    const std::vector<float> boxes(static_cast<size_t>(rows) * 4, .25f);
    std::vector<vision::Candidate> found(static_cast<size_t>(rows) * kClasses);
    const auto count = [&] {
      return vision::decode(head, {map.data(), rows, 1, boxes.data()}, kSide, kSide, .2f, found.data(),
                            found.size());
    };
    const int per_row = kind == YoloKind::kFastestDet ? 1 : kClasses;
    expect(count() == static_cast<size_t>(rows) * per_row, "decode: a candidate for each row and class");
    std::fill(map.begin(), map.end(), std::numeric_limits<float>::quiet_NaN());
    expect(count() == 0, "decode: NaN is no candidate");
  }
}

void test_nms() {
  const float boxes[] = {0, 0, 10, 10, 1, 0, 11, 10, 0, 0, 10, 10, 50, 50, 60, 60, 0, 0, 10, 10};
  const float scores[] = {.5f, .9f, .7f, .6f, std::numeric_limits<float>::quiet_NaN()};
  const int32_t classes[] = {0, 0, 1, 0, 2};
  const vision::BoxList list{5, boxes, 4, scores, 1, classes, 1};
  uint32_t order[5], keep[5];
  vision::NmsOptions options;
  size_t kept = vision::nms(list, options, order, keep);
  expect(kept == 3 && keep[0] == 1 && keep[1] == 2 && keep[2] == 3, "nms: per class");
  options.agnostic = true;
  kept = vision::nms(list, options, order, keep);
  expect(kept == 2 && keep[0] == 1 && keep[1] == 3, "nms: across classes");
  options.max_det = 1;
  expect(vision::nms(list, options, order, keep) == 1, "nms: max_det");
}

}  // namespace
}  // namespace testing
}  // namespace edgecnn

int main() {
  edgecnn::testing::test_letterbox();
  edgecnn::testing::test_decode();
  edgecnn::testing::test_decode_families();
  edgecnn::testing::test_nms();
  std::printf("vision_test: %s\n", edgecnn::testing::failures == 0 ? "passed" : "FAILED");
  return edgecnn::testing::failures == 0 ? 0 : 1;
}

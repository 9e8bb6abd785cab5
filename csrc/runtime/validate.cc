#include "runtime/validate.h"

#include <algorithm>
#include <cmath>

namespace edgecnn {
namespace {

// No dimension, stride or padding is larger, so that sums of a few of them and products of two stay far
// inside int64.
constexpr int64_t kMaxDim = int64_t{1} << 29;
// Nor does a tensor have more elements: kernels may count the pixels of one in 32 bits.
constexpr int64_t kMaxElements = (int64_t{1} << 31) - 1;

constexpr const char* kBadInputs = "wrong number of inputs";
constexpr const char* kBadDims = "a dimension is out of range";
constexpr const char* kBadStride = "a stride is out of range";
constexpr const char* kBadWindow = "a window is out of range";
constexpr const char* kBadChoice = "an enumeration has no such value";
constexpr const char* kBadNumber = "a constant is not a finite positive number";
constexpr const char* kTooLarge = "a tensor has too many elements";
constexpr const char* kInputShort = "an input is smaller than the step reads";
constexpr const char* kWeightsShort = "the packed weights or bias are smaller than the step reads";
constexpr const char* kOutputShort = "the output is smaller than the step writes";
constexpr const char* kOutputOverlap = "output strides make elements overlap";

#define EC_REQUIRE(condition, message) \
  do {                                 \
    if (!(condition)) return message;  \
  } while (false)
#define EC_REQUIRE_OK(call)                   \
  do {                                        \
    if (const char* bad = (call)) return bad; \
  } while (false)

template <typename... T>
bool within(int64_t low, int64_t high, T... values) {
  return ((low <= values && values <= high) && ...);
}

// Product of non-negative factors; more than kMaxElements is reported as kMaxElements + 1, also beside a
// zero, since kernels multiply in some order.
template <typename... T>
int64_t product(T... factors) {
  int64_t result = 1;
  bool zero = false;
  for (int64_t f : {static_cast<int64_t>(factors)...}) {
    zero = zero || f == 0;
    result = std::min(result * std::min(std::max<int64_t>(f, 1), kMaxElements + 1), kMaxElements + 1);
  }
  return zero && result <= kMaxElements ? 0 : result;
}

bool fits(int64_t elements, int64_t element_bytes, int64_t bytes) {
  return elements <= kMaxElements && elements * element_bytes <= bytes;
}

bool is_function(int32_t act) {
  switch (static_cast<UnaryKind>(act)) {
#define EC_UNARY(name, id) case UnaryKind::k_##name:
#define EC_BINARY(name, id)
#define EC_REDUCE(name, id)
#include "runtime/functions.inc"
#undef EC_UNARY
#undef EC_BINARY
#undef EC_REDUCE
    return true;
  }
  return false;
}

bool is_element_type(int32_t type) {
  return within(static_cast<int32_t>(ElementType::kFloat32), static_cast<int32_t>(ElementType::kInt64), type);
}

int64_t element_bytes(int32_t type) { return static_cast<ElementType>(type) == ElementType::kInt64 ? 8 : 4; }

// Whether `pixels` pixels of `channels` floats at `stride` fit into `bytes`.
const char* check_pixels(int64_t pixels, int64_t channels, int64_t stride, int64_t bytes,
                         const char* message) {
  EC_REQUIRE(within(1, kMaxElements, pixels), kTooLarge);
  EC_REQUIRE(within(channels, kMaxDim, stride), kBadStride);
  const int64_t last = product(pixels - 1, stride);
  EC_REQUIRE(last <= kMaxElements, kTooLarge);
  EC_REQUIRE(fits(last + channels, 4, bytes), message);
  return nullptr;
}

// One axis of a window that slides with padding.
const char* check_axis(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t pad,
                       int64_t dilation) {
  EC_REQUIRE(within(1, kMaxDim, in, out, kernel, stride, dilation), kBadWindow);
  EC_REQUIRE(within(0, kMaxDim, pad), kBadWindow);
  // Positions in the input, which kernels hold in 32 bits.
  EC_REQUIRE((out - 1) * stride <= kMaxDim && (kernel - 1) * dilation <= kMaxDim, kBadWindow);
  return nullptr;
}

template <typename P>
const char* check_windows(const P& p) {
  EC_REQUIRE_OK(check_axis(p.in_h, p.out_h, p.kernel_h, p.stride_h, p.pad_top, p.dilation_h));
  return check_axis(p.in_w, p.out_w, p.kernel_w, p.stride_w, p.pad_left, p.dilation_w);
}

// Channels with the rest of their last vector.
int64_t whole_vectors(int64_t channels, const OperandSizes& sizes) {
  const int64_t lanes = std::max(sizes.lanes, 1);
  return (channels + lanes - 1) / lanes * lanes;
}

// Packed weights of `groups` groups of `outputs` channels each, `depth` deep, and their bias: panels of whole
// vectors.
const char* check_packed(int64_t groups, int64_t outputs, int64_t depth, const OperandSizes& sizes) {
  const int64_t width = whole_vectors(outputs, sizes);
  EC_REQUIRE(fits(product(groups, width, depth), 4, sizes.input_bytes[1]), kWeightsShort);
  EC_REQUIRE(fits(product(groups, width), 4, sizes.input_bytes[2]), kWeightsShort);
  return nullptr;
}

const char* check(const ConvParams& p, const OperandSizes& sizes) {
  EC_REQUIRE(within(0, 2, p.residual) && within(0, 1, p.pool) && is_function(p.act), kBadChoice);
  EC_REQUIRE(sizes.inputs == (p.residual != 0 ? 4 : 3), kBadInputs);
  EC_REQUIRE(within(1, kMaxDim, p.batch, p.in_c, p.out_c, p.groups), kBadDims);
  EC_REQUIRE(p.in_c % p.groups == 0 && p.out_c % p.groups == 0, kBadDims);
  EC_REQUIRE_OK(check_windows(p));
  EC_REQUIRE_OK(
      check_pixels(product(p.batch, p.in_h, p.in_w), p.in_c, p.in_stride, sizes.input_bytes[0], kInputShort));
  EC_REQUIRE_OK(
      check_packed(p.groups, p.out_c / p.groups, product(p.kernel_h, p.kernel_w, p.in_c / p.groups), sizes));
  const int64_t out_pixels = product(p.batch, p.out_h, p.out_w);
  EC_REQUIRE(out_pixels <= kMaxElements, kTooLarge);
  if (p.residual != 0) {
    EC_REQUIRE_OK(check_pixels(out_pixels, p.out_c, p.residual_stride, sizes.input_bytes[3], kInputShort));
  }
  const int shrink = p.pool != 0 ? 2 : 1;
  return check_pixels(product(p.batch, p.out_h / shrink, p.out_w / shrink), p.out_c, p.out_stride,
                      sizes.output_bytes[0], kOutputShort);
}

const char* check(const FirstConvParams& p, const OperandSizes& sizes) {
  EC_REQUIRE(within(0, 1, p.planar) && is_function(p.act), kBadChoice);
  EC_REQUIRE(sizes.inputs == 3, kBadInputs);
  EC_REQUIRE(within(1, kMaxDim, p.batch, p.out_c) && within(1, 4, p.in_c), kBadDims);
  EC_REQUIRE(within(1, 16, p.kernel_h, p.kernel_w) && within(1, 4, p.stride_h, p.stride_w), kBadWindow);
  EC_REQUIRE_OK(check_axis(p.in_h, p.out_h, p.kernel_h, p.stride_h, p.pad_top, 1));
  EC_REQUIRE_OK(check_axis(p.in_w, p.out_w, p.kernel_w, p.stride_w, p.pad_left, 1));
  EC_REQUIRE(within(1, 16, p.pool_kernel_h, p.pool_kernel_w), kBadWindow);
  EC_REQUIRE_OK(check_axis(p.out_h, p.pooled_h, p.pool_kernel_h, p.pool_stride_h, p.pool_pad_top, 1));
  EC_REQUIRE_OK(check_axis(p.out_w, p.pooled_w, p.pool_kernel_w, p.pool_stride_w, p.pool_pad_left, 1));
  // Without a pool, rows of the output are rows of the convolution.
  const bool pooled =
      p.pool_kernel_h > 1 || p.pool_kernel_w > 1 || p.pool_stride_h > 1 || p.pool_stride_w > 1;
  EC_REQUIRE(pooled || (p.pooled_h == p.out_h && p.pooled_w == p.out_w && p.pool_pad_top == 0 &&
                        p.pool_pad_left == 0),
             kBadWindow);
  EC_REQUIRE_OK(check_pixels(product(p.batch, p.in_h, p.in_w), p.in_c, p.planar != 0 ? p.in_c : p.in_stride,
                             sizes.input_bytes[0], kInputShort));
  EC_REQUIRE_OK(check_packed(1, p.out_c, product(p.kernel_h, p.kernel_w, p.in_c), sizes));
  EC_REQUIRE(product(p.batch, p.out_h, p.out_w) <= kMaxElements, kTooLarge);
  // Scratch holds rows of the padded input and of the convolution.
  EC_REQUIRE(p.out_w <= (1 << 14) && product(p.out_w, p.out_c) <= (1 << 20), kTooLarge);
  return check_pixels(product(p.batch, p.pooled_h, p.pooled_w), p.out_c, p.out_stride, sizes.output_bytes[0],
                      kOutputShort);
}

const char* check(const FirstWinogradParams& p, const OperandSizes& sizes) {
  EC_REQUIRE(within(0, 1, p.planar, p.pool) && is_function(p.act), kBadChoice);
  EC_REQUIRE(sizes.inputs == 3, kBadInputs);
  EC_REQUIRE(within(1, kMaxDim, p.batch, p.out_c) && within(1, 4, p.in_c), kBadDims);
  EC_REQUIRE_OK(check_axis(p.in_h, p.out_h, 3, 1, p.pad_top, 1));
  EC_REQUIRE_OK(check_axis(p.in_w, p.out_w, 3, 1, p.pad_left, 1));
  EC_REQUIRE_OK(check_pixels(product(p.batch, p.in_h, p.in_w), p.in_c, p.planar != 0 ? p.in_c : p.in_stride,
                             sizes.input_bytes[0], kInputShort));
  const int64_t lanes = std::max(sizes.lanes, 1);
  const int64_t width = (p.out_c + lanes - 1) / lanes * lanes;
  EC_REQUIRE(fits(product(36, width, p.in_c), 4, sizes.input_bytes[1]), kWeightsShort);
  EC_REQUIRE(fits(width, 4, sizes.input_bytes[2]), kWeightsShort);
  EC_REQUIRE(product(p.batch, p.out_h, p.out_w) <= kMaxElements, kTooLarge);
  // Scratch holds rows of the padded input and of tiles.
  EC_REQUIRE(p.out_w <= (1 << 14), kTooLarge);
  const int shrink = p.pool != 0 ? 2 : 1;
  return check_pixels(product(p.batch, p.out_h / shrink, p.out_w / shrink), p.out_c, p.out_stride,
                      sizes.output_bytes[0], kOutputShort);
}

const char* check(const WinogradParams& p, const OperandSizes& sizes) {
  EC_REQUIRE(within(0, 2, p.residual) && within(0, 1, p.pool) && is_function(p.act), kBadChoice);
  EC_REQUIRE(sizes.inputs == (p.residual != 0 ? 4 : 3), kBadInputs);
  EC_REQUIRE(within(1, kMaxDim, p.batch, p.in_c, p.out_c), kBadDims);
  EC_REQUIRE_OK(check_axis(p.in_h, p.out_h, 3, 1, p.pad_top, 1));
  EC_REQUIRE_OK(check_axis(p.in_w, p.out_w, 3, 1, p.pad_left, 1));
  EC_REQUIRE_OK(
      check_pixels(product(p.batch, p.in_h, p.in_w), p.in_c, p.in_stride, sizes.input_bytes[0], kInputShort));
  const int64_t width = whole_vectors(p.out_c, sizes);
  EC_REQUIRE(fits(product(36, width, p.in_c), 4, sizes.input_bytes[1]), kWeightsShort);
  EC_REQUIRE(fits(width, 4, sizes.input_bytes[2]), kWeightsShort);
  const int64_t out_pixels = product(p.batch, p.out_h, p.out_w);
  EC_REQUIRE(out_pixels <= kMaxElements, kTooLarge);
  if (p.residual != 0) {
    EC_REQUIRE_OK(check_pixels(out_pixels, p.out_c, p.residual_stride, sizes.input_bytes[3], kInputShort));
  }
  const int shrink = p.pool != 0 ? 2 : 1;
  return check_pixels(product(p.batch, p.out_h / shrink, p.out_w / shrink), p.out_c, p.out_stride,
                      sizes.output_bytes[0], kOutputShort);
}

const char* check(const StrassenParams& p, const OperandSizes& sizes) {
  EC_REQUIRE(within(0, 2, p.residual) && is_function(p.act), kBadChoice);
  EC_REQUIRE(sizes.inputs == (p.residual != 0 ? 4 : 3), kBadInputs);
  const int64_t panel = std::max(sizes.nr, 1);
  EC_REQUIRE(within(8, kMaxDim, p.in_c) && p.in_c % 8 == 0 && within(2 * panel, kMaxDim, p.out_c), kBadDims);
  EC_REQUIRE_OK(check_pixels(p.rows, p.in_c, p.in_stride, sizes.input_bytes[0], kInputShort));
  const int64_t half = p.out_c / (2 * panel) * panel, rest = whole_vectors(p.out_c - 2 * half, sizes);
  const int64_t quarters = product(7, half, p.in_c / 2), behind = product(rest, p.in_c);
  EC_REQUIRE(fits(quarters + behind, 4, sizes.input_bytes[1]), kWeightsShort);
  EC_REQUIRE(fits(2 * half + rest, 4, sizes.input_bytes[2]), kWeightsShort);
  if (p.residual != 0) {
    EC_REQUIRE_OK(check_pixels(p.rows, p.out_c, p.residual_stride, sizes.input_bytes[3], kInputShort));
  }
  return check_pixels(p.rows, p.out_c, p.out_stride, sizes.output_bytes[0], kOutputShort);
}

const char* check(const DwConvParams& p, const OperandSizes& sizes) {
  EC_REQUIRE(within(0, 2, p.residual) && is_function(p.act), kBadChoice);
  EC_REQUIRE(sizes.inputs == (p.residual != 0 ? 4 : 3), kBadInputs);
  EC_REQUIRE(within(1, kMaxDim, p.batch, p.channels), kBadDims);
  EC_REQUIRE_OK(check_windows(p));
  EC_REQUIRE_OK(check_pixels(product(p.batch, p.in_h, p.in_w), p.channels, p.in_stride, sizes.input_bytes[0],
                             kInputShort));
  EC_REQUIRE_OK(check_packed(1, p.channels, product(p.kernel_h, p.kernel_w), sizes));
  const int64_t out_pixels = product(p.batch, p.out_h, p.out_w);
  if (p.residual != 0) {
    EC_REQUIRE_OK(check_pixels(out_pixels, p.channels, p.residual_stride, sizes.input_bytes[3], kInputShort));
  }
  return check_pixels(out_pixels, p.channels, p.out_stride, sizes.output_bytes[0], kOutputShort);
}

// What DwPw has in common with those that make its input of in_h x in_w, too.
template <typename P>
const char* check_depthwise_pointwise(const P& p, int32_t in_h, int32_t in_w, const OperandSizes& sizes) {
  EC_REQUIRE(within(0, 2, p.residual) && is_function(p.dw_act) && is_function(p.act), kBadChoice);
  EC_REQUIRE(sizes.inputs == (p.residual != 0 ? 4 : 3), kBadInputs);
  EC_REQUIRE(within(1, kMaxDim, p.batch, p.channels, p.out_c), kBadDims);
  EC_REQUIRE(within(1, 2, p.stride), kBadWindow);
  EC_REQUIRE_OK(check_axis(in_h, p.out_h, 3, p.stride, p.pad_top, 1));
  EC_REQUIRE_OK(check_axis(in_w, p.out_w, 3, p.stride, p.pad_left, 1));
  EC_REQUIRE(p.pad_left <= 3 - p.stride, kBadWindow);
  EC_REQUIRE((p.out_w - 1) * int64_t{p.stride} - p.pad_left < in_w, kBadWindow);
  const int64_t width = whole_vectors(p.out_c, sizes);
  EC_REQUIRE(fits(product(p.channels + 1, width), 4, sizes.input_bytes[2]), kWeightsShort);
  const int64_t out_pixels = product(p.batch, p.out_h, p.out_w);
  EC_REQUIRE(out_pixels <= kMaxElements, kTooLarge);
  if (p.residual != 0) {
    EC_REQUIRE_OK(check_pixels(out_pixels, p.out_c, p.residual_stride, sizes.input_bytes[3], kInputShort));
  }
  return check_pixels(out_pixels, p.out_c, p.out_stride, sizes.output_bytes[0], kOutputShort);
}

const char* check(const DwPwParams& p, const OperandSizes& sizes) {
  EC_REQUIRE_OK(check_depthwise_pointwise(p, p.in_h, p.in_w, sizes));
  EC_REQUIRE(fits(product(9 + 1, whole_vectors(p.channels, sizes)), 4, sizes.input_bytes[1]), kWeightsShort);
  return check_pixels(product(p.batch, p.in_h, p.in_w), p.channels, p.in_stride, sizes.input_bytes[0],
                      kInputShort);
}

const char* check(const PwDwPwParams& p, const OperandSizes& sizes) {
  EC_REQUIRE_OK(check_depthwise_pointwise(p, p.in_h, p.in_w, sizes));
  EC_REQUIRE(is_function(p.pw_act), kBadChoice);
  EC_REQUIRE(within(1, kMaxDim, p.in_c), kBadDims);
  const int64_t width = whole_vectors(p.channels, sizes);
  EC_REQUIRE(fits(product(p.in_c + 1 + 9 + 1, width), 4, sizes.input_bytes[1]), kWeightsShort);
  // Scratch holds rows of the expanded picture.
  EC_REQUIRE(product(p.in_w, p.channels) <= (1 << 20), kTooLarge);
  return check_pixels(product(p.batch, p.in_h, p.in_w), p.in_c, p.in_stride, sizes.input_bytes[0],
                      kInputShort);
}

const char* check(const FirstDwPwParams& p, const OperandSizes& sizes) {
  EC_REQUIRE(within(0, 1, p.planar) && is_function(p.first_act), kBadChoice);
  EC_REQUIRE(within(1, 4, p.in_c), kBadDims);
  EC_REQUIRE(within(1, 16, p.kernel_h, p.kernel_w) && within(1, 4, p.stride_h, p.stride_w), kBadWindow);
  EC_REQUIRE_OK(check_axis(p.in_h, p.first_h, p.kernel_h, p.stride_h, p.first_pad_top, 1));
  EC_REQUIRE_OK(check_axis(p.in_w, p.first_w, p.kernel_w, p.stride_w, p.first_pad_left, 1));
  EC_REQUIRE_OK(check_depthwise_pointwise(p, p.first_h, p.first_w, sizes));
  const int64_t width = whole_vectors(p.channels, sizes), taps = product(p.kernel_h, p.kernel_w, p.in_c);
  EC_REQUIRE(fits(product(taps + 1 + 9 + 1, width), 4, sizes.input_bytes[1]), kWeightsShort);
  // Scratch holds rows of the padded input, and of the convolution some lines apart.
  EC_REQUIRE(product(p.first_w, p.channels + 32) <= (1 << 17), kTooLarge);
  return check_pixels(product(p.batch, p.in_h, p.in_w), p.in_c, p.planar != 0 ? p.in_c : p.in_stride,
                      sizes.input_bytes[0], kInputShort);
}

const char* check(const ConvTransposeParams& p, const OperandSizes& sizes) {
  EC_REQUIRE(is_function(p.act), kBadChoice);
  EC_REQUIRE(sizes.inputs == 3, kBadInputs);
  EC_REQUIRE(within(1, kMaxDim, p.batch, p.in_c, p.out_c, p.groups), kBadDims);
  EC_REQUIRE(p.in_c % p.groups == 0 && p.out_c % p.groups == 0, kBadDims);
  // Here the window slides over the output.
  EC_REQUIRE_OK(check_axis(p.out_h, p.in_h, p.kernel_h, p.stride_h, p.pad_top, p.dilation_h));
  EC_REQUIRE_OK(check_axis(p.out_w, p.in_w, p.kernel_w, p.stride_w, p.pad_left, p.dilation_w));
  EC_REQUIRE_OK(
      check_pixels(product(p.batch, p.in_h, p.in_w), p.in_c, p.in_stride, sizes.input_bytes[0], kInputShort));
  EC_REQUIRE_OK(
      check_packed(p.groups, p.out_c / p.groups, product(p.kernel_h, p.kernel_w, p.in_c / p.groups), sizes));
  return check_pixels(product(p.batch, p.out_h, p.out_w), p.out_c, p.out_stride, sizes.output_bytes[0],
                      kOutputShort);
}

const char* check(const MatMulParams& p, const OperandSizes& sizes) {
  EC_REQUIRE(sizes.inputs == 2, kBadInputs);
  EC_REQUIRE(within(1, kMaxDim, p.batch, p.m, p.k, p.n), kBadDims);
  EC_REQUIRE(within(0, kMaxElements, p.a_batch_stride, p.b_batch_stride), kBadStride);
  EC_REQUIRE(fits(product(p.batch - 1, p.a_batch_stride) + product(p.m, p.k), 4, sizes.input_bytes[0]),
             kInputShort);
  EC_REQUIRE(fits(product(p.batch - 1, p.b_batch_stride) + product(p.k, p.n), 4, sizes.input_bytes[1]),
             kInputShort);
  EC_REQUIRE(fits(product(p.batch, p.m, p.n), 4, sizes.output_bytes[0]), kOutputShort);
  return nullptr;
}

template <typename P>
const char* check_pool(const P& p, const OperandSizes& sizes) {
  EC_REQUIRE(sizes.inputs == 1, kBadInputs);
  EC_REQUIRE(within(1, kMaxDim, p.batch, p.channels), kBadDims);
  EC_REQUIRE_OK(check_windows(p));
  // Every window begins before the end of the picture.
  EC_REQUIRE((p.out_h - 1) * int64_t{p.stride_h} - p.pad_top < p.in_h, kBadWindow);
  EC_REQUIRE((p.out_w - 1) * int64_t{p.stride_w} - p.pad_left < p.in_w, kBadWindow);
  EC_REQUIRE_OK(check_pixels(product(p.batch, p.in_h, p.in_w), p.channels, p.in_stride, sizes.input_bytes[0],
                             kInputShort));
  return check_pixels(product(p.batch, p.out_h, p.out_w), p.channels, p.out_stride, sizes.output_bytes[0],
                      kOutputShort);
}

const char* check(const MaxPoolParams& p, const OperandSizes& sizes) { return check_pool(p, sizes); }

const char* check(const AvgPoolParams& p, const OperandSizes& sizes) {
  EC_REQUIRE(within(0, 1, p.count_include_pad), kBadChoice);
  EC_REQUIRE(within(0, kMaxDim, p.pad_bottom, p.pad_right), kBadWindow);
  return check_pool(p, sizes);
}

const char* check(const UnaryParams& p, const OperandSizes& sizes) {
  EC_REQUIRE(sizes.inputs == 1, kBadInputs);
  EC_REQUIRE(is_function(p.act), kBadChoice);
  EC_REQUIRE(within(0, kMaxElements, p.rows, p.columns), kBadDims);
  if (p.rows == 0 || p.columns == 0) return nullptr;
  // With one row the strides are of no account.
  EC_REQUIRE(p.rows == 1 || within(p.columns, kMaxElements, p.in_stride, p.out_stride), kBadStride);
  const auto extent = [&](int64_t stride) {
    return p.rows == 1 ? p.columns : product(p.rows - 1, stride) + p.columns;
  };
  EC_REQUIRE(fits(extent(p.in_stride), 4, sizes.input_bytes[0]), kInputShort);
  EC_REQUIRE(fits(extent(p.out_stride), 4, sizes.output_bytes[0]), kOutputShort);
  return nullptr;
}

// Number of elements of a box, kMaxElements + 1 when a dimension is out of range.
int64_t box_elements(const int32_t* dims) {
  int64_t elements = 1;
  bool empty = false;
  for (int i = 0; i < kMaxDims; ++i) {
    if (dims[i] < 0) return kMaxElements + 1;
    empty = empty || dims[i] == 0;
    elements = product(elements, std::max(dims[i], 1));
  }
  return empty && elements <= kMaxElements ? 0 : elements;
}

// Whether a non-empty box with these strides stays inside an operand.
bool box_inside(const int32_t* dims, const int32_t* strides, int64_t offset, int64_t bytes_each,
                int64_t bytes) {
  int64_t low = offset;
  int64_t high = offset;
  for (int i = 0; i < kMaxDims; ++i) {
    const int64_t reach = (int64_t{dims[i]} - 1) * strides[i];
    (reach < 0 ? low : high) += reach;
  }
  return low >= 0 && high < kMaxElements && fits(high + 1, bytes_each, bytes);
}

// Whether no two elements of a non-empty box share a place: taken by growing stride, each dimension steps
// over the whole extent of the ones before it.
bool box_disjoint(const int32_t* dims, const int32_t* strides) {
  bool taken[kMaxDims] = {};
  int64_t extent = 1;
  for (int round = 0; round < kMaxDims; ++round) {
    int next = -1;
    for (int i = 0; i < kMaxDims; ++i) {
      if (!taken[i] && dims[i] > 1 && (next < 0 || strides[i] < strides[next])) next = i;
    }
    if (next < 0) return true;
    if (strides[next] < extent) return false;
    taken[next] = true;
    extent += (int64_t{dims[next]} - 1) * strides[next];
  }
  return true;
}

const char* check(const BinaryParams& p, const OperandSizes& sizes) {
  EC_REQUIRE(sizes.inputs == 2, kBadInputs);
  EC_REQUIRE(
      within(static_cast<int32_t>(BinaryKind::k_add), static_cast<int32_t>(BinaryKind::k_prelu), p.kind),
      kBadChoice);
  EC_REQUIRE(is_function(p.act), kBadChoice);
  const int64_t elements = box_elements(p.dims);
  EC_REQUIRE(elements <= kMaxElements, kBadDims);
  if (elements == 0) return nullptr;
  for (int i = 0; i < kMaxDims; ++i)
    EC_REQUIRE(within(0, kMaxElements, p.a_strides[i], p.b_strides[i]), kBadStride);
  EC_REQUIRE(box_inside(p.dims, p.a_strides, 0, 4, sizes.input_bytes[0]), kInputShort);
  EC_REQUIRE(box_inside(p.dims, p.b_strides, 0, 4, sizes.input_bytes[1]), kInputShort);
  EC_REQUIRE(fits(elements, 4, sizes.output_bytes[0]), kOutputShort);
  return nullptr;
}

const char* check(const SoftmaxParams& p, const OperandSizes& sizes) {
  EC_REQUIRE(sizes.inputs == 1, kBadInputs);
  EC_REQUIRE(within(0, 1, p.log), kBadChoice);
  EC_REQUIRE(within(0, kMaxElements, p.outer, p.n, p.inner), kBadDims);
  const int64_t elements = product(p.outer, p.n, p.inner);
  EC_REQUIRE(fits(elements, 4, sizes.input_bytes[0]), kInputShort);
  EC_REQUIRE(fits(elements, 4, sizes.output_bytes[0]), kOutputShort);
  return nullptr;
}

const char* check(const ReduceParams& p, const OperandSizes& sizes) {
  EC_REQUIRE(sizes.inputs == 1, kBadInputs);
  EC_REQUIRE(within(static_cast<int32_t>(ReduceKind::k_mean), static_cast<int32_t>(ReduceKind::k_l2), p.kind),
             kBadChoice);
  EC_REQUIRE(within(0, kMaxElements, p.outer, p.n, p.inner), kBadDims);
  EC_REQUIRE(fits(product(p.outer, p.n, p.inner), 4, sizes.input_bytes[0]), kInputShort);
  EC_REQUIRE(fits(product(p.outer, p.inner), 4, sizes.output_bytes[0]), kOutputShort);
  return nullptr;
}

const char* check(const ArgMaxParams& p, const OperandSizes& sizes) {
  EC_REQUIRE(sizes.inputs == 1, kBadInputs);
  EC_REQUIRE(within(0, 1, p.select_last), kBadChoice);
  EC_REQUIRE(within(0, kMaxElements, p.outer, p.inner) && within(1, kMaxElements, p.n), kBadDims);
  EC_REQUIRE(fits(product(p.outer, p.n, p.inner), 4, sizes.input_bytes[0]), kInputShort);
  EC_REQUIRE(fits(product(p.outer, p.inner), 8, sizes.output_bytes[0]), kOutputShort);
  return nullptr;
}

const char* check(const LrnParams& p, const OperandSizes& sizes) {
  EC_REQUIRE(sizes.inputs == 1, kBadInputs);
  EC_REQUIRE(within(1, kMaxElements, p.pixels) && within(1, kMaxDim, p.channels, p.size), kBadDims);
  EC_REQUIRE_OK(check_pixels(p.pixels, p.channels, p.in_stride, sizes.input_bytes[0], kInputShort));
  return check_pixels(p.pixels, p.channels, p.out_stride, sizes.output_bytes[0], kOutputShort);
}

const char* check(const CopyParams& p, const OperandSizes& sizes) {
  EC_REQUIRE(sizes.inputs == 1, kBadInputs);
  EC_REQUIRE(p.element_bytes == 4 || p.element_bytes == 8, kBadChoice);
  const int64_t elements = box_elements(p.dims);
  EC_REQUIRE(elements <= kMaxElements, kBadDims);
  if (elements == 0) return nullptr;
  for (int i = 0; i < kMaxDims; ++i) {
    EC_REQUIRE(within(-kMaxElements, kMaxElements, p.in_strides[i]), kBadStride);
    EC_REQUIRE(within(0, kMaxElements, p.out_strides[i]), kBadStride);
  }
  EC_REQUIRE(box_inside(p.dims, p.in_strides, p.in_offset, p.element_bytes, sizes.input_bytes[0]),
             kInputShort);
  EC_REQUIRE(box_inside(p.dims, p.out_strides, p.out_offset, p.element_bytes, sizes.output_bytes[0]),
             kOutputShort);
  EC_REQUIRE(box_disjoint(p.dims, p.out_strides), kOutputOverlap);
  return nullptr;
}

const char* check(const PadParams& p, const OperandSizes& sizes) {
  EC_REQUIRE(sizes.inputs == 1, kBadInputs);
  const PadMode mode = static_cast<PadMode>(p.mode);
  EC_REQUIRE(within(static_cast<int32_t>(PadMode::kConstant), static_cast<int32_t>(PadMode::kWrap), p.mode),
             kBadChoice);
  int32_t padded[kMaxDims];
  for (int i = 0; i < kMaxDims; ++i) {
    EC_REQUIRE(within(0, kMaxDim, p.dims[i], p.before[i], p.after[i]), kBadDims);
    padded[i] = p.dims[i] + p.before[i] + p.after[i];
    const int64_t widest = std::max(p.before[i], p.after[i]);
    EC_REQUIRE(mode != PadMode::kReflect || widest <= std::max(p.dims[i] - 1, 0), kBadDims);
    EC_REQUIRE(mode == PadMode::kConstant || widest == 0 || p.dims[i] > 0, kBadDims);
  }
  EC_REQUIRE(fits(box_elements(p.dims), 4, sizes.input_bytes[0]), kInputShort);
  EC_REQUIRE(fits(box_elements(padded), 4, sizes.output_bytes[0]), kOutputShort);
  return nullptr;
}

const char* check(const ResizeParams& p, const OperandSizes& sizes) {
  EC_REQUIRE(sizes.inputs == 1, kBadInputs);
  EC_REQUIRE(within(0, static_cast<int32_t>(ResizeMode::kLinear), p.mode), kBadChoice);
  EC_REQUIRE(within(0, static_cast<int32_t>(ResizeCoordinates::kPytorchHalfPixel), p.coordinates),
             kBadChoice);
  EC_REQUIRE(within(0, static_cast<int32_t>(NearestRounding::kRoundPreferCeil), p.nearest), kBadChoice);
  EC_REQUIRE(within(1, kMaxDim, p.batch, p.in_h, p.in_w, p.channels, p.out_h, p.out_w), kBadDims);
  EC_REQUIRE(std::isfinite(p.scale_h) && p.scale_h > 0 && std::isfinite(p.scale_w) && p.scale_w > 0,
             kBadNumber);
  EC_REQUIRE_OK(check_pixels(product(p.batch, p.in_h, p.in_w), p.channels, p.in_stride, sizes.input_bytes[0],
                             kInputShort));
  return check_pixels(product(p.batch, p.out_h, p.out_w), p.channels, p.out_stride, sizes.output_bytes[0],
                      kOutputShort);
}

const char* check(const CastParams& p, const OperandSizes& sizes) {
  EC_REQUIRE(sizes.inputs == 1, kBadInputs);
  EC_REQUIRE(is_element_type(p.from) && is_element_type(p.to), kBadChoice);
  EC_REQUIRE(within(0, kMaxElements, p.count), kBadDims);
  EC_REQUIRE(fits(p.count, element_bytes(p.from), sizes.input_bytes[0]), kInputShort);
  EC_REQUIRE(fits(p.count, element_bytes(p.to), sizes.output_bytes[0]), kOutputShort);
  return nullptr;
}

}  // namespace

const char* validate_step(StepKind kind, const void* params, const OperandSizes& sizes) {
  switch (kind) {
#define EC_STEP(Name, id, fields) \
  case StepKind::k##Name:         \
    return check(*static_cast<const Name##Params*>(params), sizes);
#include "runtime/steps.inc"
#undef EC_STEP
  }
  return "unknown kind of step";
}

}  // namespace edgecnn

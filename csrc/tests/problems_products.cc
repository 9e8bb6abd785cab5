// Convolutions and matrix products: valid parameters and operands of just the right size, without answers.
#include "tests/problem_parts.h"

namespace edgecnn {
namespace testing {
namespace {

int64_t whole_vectors(int64_t n, int lanes) { return (n + lanes - 1) / lanes * lanes; }

template <class P>
void random_conv(Random& random, P* p) {
  p->batch = pick(random, 1, 2);
  p->in_h = pick(random, 1, 9);
  p->in_w = pick(random, 1, 9);
  p->kernel_h = pick(random, 1, 4);
  p->kernel_w = pick(random, 0, 1) == 0 ? p->kernel_h : pick(random, 1, 4);
  p->stride_h = pick(random, 1, 3);
  p->stride_w = pick(random, 1, 3);
  p->dilation_h = pick(random, 0, 3) == 0 ? 2 : 1;
  p->dilation_w = pick(random, 0, 3) == 0 ? 2 : 1;
  p->pad_top = pick(random, 0, 3);
  p->pad_left = pick(random, 0, 3);
  p->act = pick(random, 0, kUnaryKinds - 1);
  p->alpha = 0.1f;
  p->beta = 1;
}

Problem unanswered(const std::vector<std::vector<float>>& inputs, int64_t outputs) {
  Problem result = problem(inputs, outputs);
  result.want.clear();
  result.slack = kTailBytes;
  return result;
}

}  // namespace

Problem conv(Random& random, int lanes) {
  ConvParams p = {};
  random_conv(random, &p);
  p.groups = pick(random, 0, 2) == 0 ? pick(random, 2, 3) : 1;
  p.in_c = p.groups * pick(random, 1, 9);
  p.out_c = p.groups * size(random, lanes);
  p.in_stride = stride_for(random, p.in_c);
  p.out_stride = stride_for(random, p.out_c);
  if (pick(random, 0, 2) == 0) p.kernel_h = p.kernel_w = p.stride_h = p.stride_w = 1;
  p.pool = pick(random, 0, 2) == 0 ? 1 : 0;
  p.residual = pick(random, 0, 2);
  p.residual_stride = stride_for(random, p.out_c);
  p.out_h = pick(random, 1 + p.pool, 9);
  p.out_w = pick(random, 1 + p.pool, 9);
  const int64_t width = whole_vectors(p.out_c / p.groups, lanes);
  const int64_t depth = int64_t{p.kernel_h} * p.kernel_w * (p.in_c / p.groups);
  const int shrink = 1 + p.pool;
  std::vector<std::vector<float>> inputs = {
      floats(random, extent(p.batch * p.in_h * p.in_w, p.in_c, p.in_stride)),
      floats(random, p.groups * width * depth), floats(random, p.groups * width)};
  if (p.residual != 0) {
    inputs.push_back(floats(random, extent(p.batch * p.out_h * p.out_w, p.out_c, p.residual_stride)));
  }
  Problem result =
      unanswered(inputs, extent(p.batch * (p.out_h / shrink) * (p.out_w / shrink), p.out_c, p.out_stride));
  mark_pixels(&result, p.out_c, p.out_stride);
  result.set(StepKind::kConv, p);
  return result;
}

Problem first_conv(Random& random, int lanes) {
  FirstConvParams p = {};
  p.batch = pick(random, 1, 2);
  p.in_h = pick(random, 1, 20);
  p.in_w = pick(random, 1, 20);
  p.in_c = pick(random, 1, 4);
  p.planar = pick(random, 0, 1);
  p.in_stride = p.planar ? p.in_c : stride_for(random, p.in_c);
  p.out_h = pick(random, 1, 20);
  p.out_w = pick(random, 1, 20);
  p.out_c = size(random, lanes);
  p.out_stride = stride_for(random, p.out_c);
  p.kernel_h = pick(random, 1, 5);
  p.kernel_w = pick(random, 1, 5);
  p.stride_h = pick(random, 1, 4);
  p.stride_w = pick(random, 1, 4);
  p.pad_top = pick(random, 0, 5);
  p.pad_left = pick(random, 0, 30);
  p.pool_kernel_h = p.pool_kernel_w = p.pool_stride_h = p.pool_stride_w = 1;
  p.pooled_h = p.out_h;
  p.pooled_w = p.out_w;
  if (pick(random, 0, 2) != 0) {
    p.pool_kernel_h = pick(random, 2, 3);
    p.pool_kernel_w = pick(random, 1, 3);
    p.pool_stride_h = pick(random, 1, 3);
    p.pool_stride_w = pick(random, 1, 3);
    p.pool_pad_top = pick(random, 0, 4);
    p.pool_pad_left = pick(random, 0, 4);
    p.pooled_h = pick(random, 1, 9);
    p.pooled_w = pick(random, 1, 9);
  }
  p.act = pick(random, 0, kUnaryKinds - 1);
  p.alpha = 0.1f;
  p.beta = 1;
  const int64_t width = whole_vectors(p.out_c, lanes);
  Problem result =
      unanswered({floats(random, extent(p.batch * p.in_h * p.in_w, p.in_c, p.in_stride)),
                  floats(random, p.kernel_h * p.kernel_w * p.in_c * width), floats(random, width)},
                 extent(p.batch * p.pooled_h * p.pooled_w, p.out_c, p.out_stride));
  mark_pixels(&result, p.out_c, p.out_stride);
  result.set(StepKind::kFirstConv, p);
  return result;
}

Problem first_winograd(Random& random, int lanes) {
  FirstWinogradParams p = {};
  p.batch = pick(random, 1, 2);
  p.in_h = pick(random, 1, 40);
  p.in_w = pick(random, 1, 40);
  p.in_c = pick(random, 1, 4);
  p.planar = pick(random, 0, 1);
  p.in_stride = p.planar ? p.in_c : stride_for(random, p.in_c);
  p.out_c = size(random, lanes);
  p.out_stride = stride_for(random, p.out_c);
  p.pad_top = pick(random, 0, 2);
  p.pad_left = pick(random, 0, 2);
  p.pool = pick(random, 0, 1);
  p.act = pick(random, 0, kUnaryKinds - 1);
  p.alpha = 0.1f;
  p.beta = 1;
  p.out_h = pick(random, 1 + p.pool, p.in_h + p.pad_top + 1);
  p.out_w = pick(random, 1 + p.pool, p.in_w + p.pad_left + 1);
  const int64_t width = whole_vectors(p.out_c, lanes);
  const int shrink = 1 + p.pool;
  Problem result =
      unanswered({floats(random, extent(p.batch * p.in_h * p.in_w, p.in_c, p.in_stride)),
                  floats(random, 36 * width * p.in_c), floats(random, width)},
                 extent(p.batch * (p.out_h / shrink) * (p.out_w / shrink), p.out_c, p.out_stride));
  mark_pixels(&result, p.out_c, p.out_stride);
  result.set(StepKind::kFirstWinograd, p);
  return result;
}

Problem winograd(Random& random, int lanes) {
  WinogradParams p = {};
  p.batch = pick(random, 1, 2);
  p.in_h = pick(random, 1, 20);
  p.in_w = pick(random, 1, 20);
  p.in_c = size(random, lanes);
  p.out_c = size(random, lanes);
  p.in_stride = stride_for(random, p.in_c);
  p.out_stride = stride_for(random, p.out_c);
  p.pad_top = pick(random, 0, 2);
  p.pad_left = pick(random, 0, 2);
  p.residual = pick(random, 0, 2);
  p.residual_stride = stride_for(random, p.out_c);
  p.pool = pick(random, 0, 1);
  p.act = pick(random, 0, kUnaryKinds - 1);
  p.alpha = 0.1f;
  p.beta = 1;
  p.out_h = pick(random, 1 + p.pool, p.in_h + p.pad_top + 1);
  p.out_w = pick(random, 1 + p.pool, p.in_w + p.pad_left + 1);
  const int64_t width = whole_vectors(p.out_c, lanes);
  const int shrink = 1 + p.pool;
  std::vector<std::vector<float>> inputs = {
      floats(random, extent(p.batch * p.in_h * p.in_w, p.in_c, p.in_stride)),
      floats(random, 36 * width * p.in_c), floats(random, width)};
  if (p.residual != 0) {
    inputs.push_back(floats(random, extent(p.batch * p.out_h * p.out_w, p.out_c, p.residual_stride)));
  }
  Problem result =
      unanswered(inputs, extent(p.batch * (p.out_h / shrink) * (p.out_w / shrink), p.out_c, p.out_stride));
  mark_pixels(&result, p.out_c, p.out_stride);
  result.set(StepKind::kWinograd, p);
  return result;
}

Problem strassen(Random& random, int lanes) {
  StrassenParams p = {};
  const int nr = 2 * lanes;
  p.rows = pick(random, 1, 100);
  p.in_c = 8 * pick(random, 1, 9);
  p.out_c = 2 * nr * pick(random, 1, 2) + pick(random, 0, 2 * nr - 1);
  p.in_stride = stride_for(random, p.in_c);
  p.out_stride = stride_for(random, p.out_c);
  p.residual = pick(random, 0, 2);
  p.residual_stride = stride_for(random, p.out_c);
  p.act = pick(random, 0, kUnaryKinds - 1);
  p.alpha = 0.1f;
  p.beta = 1;
  const int64_t half = p.out_c / (2 * nr) * nr, rest = whole_vectors(p.out_c - 2 * half, lanes);
  std::vector<std::vector<float>> inputs = {floats(random, extent(p.rows, p.in_c, p.in_stride)),
                                            floats(random, 7 * half * (p.in_c / 2) + rest * p.in_c),
                                            floats(random, 2 * half + rest)};
  if (p.residual != 0) inputs.push_back(floats(random, extent(p.rows, p.out_c, p.residual_stride)));
  Problem result = unanswered(inputs, extent(p.rows, p.out_c, p.out_stride));
  mark_pixels(&result, p.out_c, p.out_stride);
  result.set(StepKind::kStrassen, p);
  return result;
}

Problem dwconv(Random& random, int lanes) {
  DwConvParams p = {};
  random_conv(random, &p);
  p.channels = size(random, lanes);
  p.in_stride = stride_for(random, p.channels);
  p.out_stride = stride_for(random, p.channels);
  p.residual = pick(random, 0, 2);
  p.residual_stride = stride_for(random, p.channels);
  p.out_h = pick(random, 1, 9);
  p.out_w = pick(random, 1, 9);
  const int64_t width = whole_vectors(p.channels, lanes);
  std::vector<std::vector<float>> inputs = {
      floats(random, extent(p.batch * p.in_h * p.in_w, p.channels, p.in_stride)),
      floats(random, p.kernel_h * p.kernel_w * width), floats(random, width)};
  if (p.residual != 0) {
    inputs.push_back(floats(random, extent(p.batch * p.out_h * p.out_w, p.channels, p.residual_stride)));
  }
  Problem result = unanswered(inputs, extent(p.batch * p.out_h * p.out_w, p.channels, p.out_stride));
  mark_pixels(&result, p.channels, p.out_stride);
  result.set(StepKind::kDwConv, p);
  return result;
}

// What DwPw has in common with those that make its input of `in_h` x `in_w`, too.
template <typename P>
void random_depthwise_pointwise(Random& random, int lanes, P* p, int32_t* in_h, int32_t* in_w) {
  p->batch = pick(random, 1, 2);
  *in_h = pick(random, 1, 9);
  *in_w = pick(random, 2, 60);
  p->channels = pick(random, 0, 4) == 0 ? 150 : size(random, lanes);
  p->out_c = size(random, lanes);
  p->out_stride = stride_for(random, p->out_c);
  p->stride = pick(random, 1, 2);
  p->pad_top = pick(random, 0, 3);
  p->pad_left = pick(random, 0, 3 - p->stride);
  p->out_h = pick(random, 1, 9);
  p->out_w = pick(random, 1, (*in_w + p->pad_left - 1) / p->stride + 1);
  p->dw_act = pick(random, 0, kUnaryKinds - 1);
  p->act = pick(random, 0, kUnaryKinds - 1);
  p->dw_alpha = p->alpha = 0.1f;
  p->dw_beta = p->beta = 1;
  p->residual = pick(random, 0, 2);
  p->residual_stride = stride_for(random, p->out_c);
}

// `inputs`: the picture and the weights of all layers but the last.
template <typename P>
Problem depthwise_pointwise(Random& random, int lanes, StepKind kind, const P& p,
                            std::vector<std::vector<float>> inputs) {
  inputs.push_back(floats(random, (p.channels + 1) * whole_vectors(p.out_c, lanes)));
  if (p.residual != 0) {
    inputs.push_back(floats(random, extent(p.batch * p.out_h * p.out_w, p.out_c, p.residual_stride)));
  }
  Problem result = unanswered(inputs, extent(p.batch * p.out_h * p.out_w, p.out_c, p.out_stride));
  mark_pixels(&result, p.out_c, p.out_stride);
  result.set(kind, p);
  return result;
}

Problem dwpw(Random& random, int lanes) {
  DwPwParams p = {};
  random_depthwise_pointwise(random, lanes, &p, &p.in_h, &p.in_w);
  p.in_stride = stride_for(random, p.channels);
  return depthwise_pointwise(random, lanes, StepKind::kDwPw, p,
                             {floats(random, extent(p.batch * p.in_h * p.in_w, p.channels, p.in_stride)),
                              floats(random, (9 + 1) * whole_vectors(p.channels, lanes))});
}

Problem pwdwpw(Random& random, int lanes) {
  PwDwPwParams p = {};
  random_depthwise_pointwise(random, lanes, &p, &p.in_h, &p.in_w);
  p.in_c = size(random, lanes);
  p.in_stride = stride_for(random, p.in_c);
  p.pw_act = pick(random, 0, kUnaryKinds - 1);
  p.pw_alpha = 0.1f;
  p.pw_beta = 1;
  return depthwise_pointwise(random, lanes, StepKind::kPwDwPw, p,
                             {floats(random, extent(p.batch * p.in_h * p.in_w, p.in_c, p.in_stride)),
                              floats(random, (p.in_c + 1 + 9 + 1) * whole_vectors(p.channels, lanes))});
}

Problem firstdwpw(Random& random, int lanes) {
  FirstDwPwParams p = {};
  random_depthwise_pointwise(random, lanes, &p, &p.first_h, &p.first_w);
  p.in_h = pick(random, 1, 20);
  p.in_w = pick(random, 1, 20);
  p.in_c = pick(random, 1, 4);
  p.planar = pick(random, 0, 1);
  p.in_stride = p.planar ? p.in_c : stride_for(random, p.in_c);
  p.kernel_h = pick(random, 1, 5);
  p.kernel_w = pick(random, 1, 5);
  p.stride_h = pick(random, 1, 4);
  p.stride_w = pick(random, 1, 4);
  p.first_pad_top = pick(random, 0, 5);
  p.first_pad_left = pick(random, 0, 30);
  p.first_act = pick(random, 0, kUnaryKinds - 1);
  p.first_alpha = 0.1f;
  p.first_beta = 1;
  const int64_t taps = p.kernel_h * p.kernel_w * p.in_c;
  return depthwise_pointwise(random, lanes, StepKind::kFirstDwPw, p,
                             {floats(random, extent(p.batch * p.in_h * p.in_w, p.in_c, p.in_stride)),
                              floats(random, (taps + 1 + 9 + 1) * whole_vectors(p.channels, lanes))});
}

Problem conv_transpose(Random& random, int lanes) {
  ConvTransposeParams p = {};
  random_conv(random, &p);
  p.groups = pick(random, 0, 2) == 0 ? pick(random, 2, 3) : 1;
  p.in_c = p.groups * pick(random, 1, 9);
  p.out_c = p.groups * size(random, lanes);
  p.in_stride = stride_for(random, p.in_c);
  p.out_stride = stride_for(random, p.out_c);
  p.out_h = pick(random, 1, 12);
  p.out_w = pick(random, 1, 12);
  const int64_t width = whole_vectors(p.out_c / p.groups, lanes);
  const int64_t depth = int64_t{p.kernel_h} * p.kernel_w * (p.in_c / p.groups);
  Problem result = unanswered({floats(random, extent(p.batch * p.in_h * p.in_w, p.in_c, p.in_stride)),
                               floats(random, p.groups * width * depth), floats(random, p.groups * width)},
                              extent(p.batch * p.out_h * p.out_w, p.out_c, p.out_stride));
  mark_pixels(&result, p.out_c, p.out_stride);
  result.set(StepKind::kConvTranspose, p);
  return result;
}

Problem matmul(Random& random, int lanes) {
  MatMulParams p = {};
  p.batch = pick(random, 1, 3);
  p.m = pick(random, 1, 20);
  p.k = size(random, lanes);
  p.n = size(random, lanes);
  p.a_batch_stride = pick(random, 0, 1) * p.m * p.k;
  p.b_batch_stride = pick(random, 0, 1) * p.k * p.n;
  Problem result = unanswered({floats(random, (p.batch - 1) * p.a_batch_stride + p.m * p.k),
                               floats(random, (p.batch - 1) * p.b_batch_stride + p.k * p.n)},
                              int64_t{p.batch} * p.m * p.n);
  result.set(StepKind::kMatMul, p);
  return result;
}

}  // namespace testing
}  // namespace edgecnn

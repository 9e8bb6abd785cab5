// Depthwise convolution and the pointwise one behind it, without the map between them.
//
// The depthwise results of a block of pixels, up to two rows high and some register tiles wide, go to
// scratch, where they stay near while all panels of the pointwise weights are multiplied with them. The
// weights are read once for each block: this pays where they stay in the second-level cache
// (edgecnn/plan/select.py decides). A block is as wide as the picture unless it would take much of that cache
// or there would be too few to share out. An item is a block.
#ifndef EDGECNN_ALGO_DWPW_INL_H_
#define EDGECNN_ALGO_DWPW_INL_H_

#include "algo/conv-inl.h"
#include "algo/dwband-inl.h"
#include "algo/strip-inl.h"

namespace edgecnn {
namespace EC_ISA {

struct DwPwStep {
  static constexpr int kRows = DwBand::kRows;
  static constexpr int64_t kBlockFloats = 16384;
  static constexpr int64_t kShortRow = 2;  // tiles
  // Items that are made where the picture is wide enough.
  static constexpr int64_t kItems = 28;

  // How the tiles of a row's pixels make up blocks.
  struct Blocks {
    TileCut tiles;
    int64_t each;   // tiles of a block
    int64_t count;  // blocks side by side

    explicit Blocks(const DwPwParams& p) : tiles(TileCut::make_tiles(p.out_w, kTileRows)) {
      // A short row stays whole: then the tiles of both rows of a band can follow each other.
      const int64_t fit = larger<int64_t>(1, kBlockFloats / kRows / p.channels / kTileRows);
      const int64_t side_by_side = ceil_div(kItems, p.batch * bands(p));
      each = tiles.tiles <= kShortRow ? tiles.tiles : smaller(fit, ceil_div(tiles.tiles, side_by_side));
      count = ceil_div(tiles.tiles, each);
    }
    // The column at which a block begins.
    int start(int64_t block) const {
      return static_cast<int>(tiles.start(smaller(block * each, tiles.tiles)));
    }
  };
  static int64_t bands(const DwPwParams& p) { return ceil_div(p.out_h, kRows); }
  static int64_t items(const DwPwParams& p) { return p.batch * bands(p) * Blocks(p).count; }

  // Whether the depthwise layer leaves its results packed for the pointwise one: [channel / 4][pixel][4].
  static bool packs(const DwPwParams& p) {
    return kPacksRows && p.channels % kLanes == 0 && p.out_c % kPanelWidth == 0;
  }
  // Between the pixels of a block, if not: whole vectors, and a line that keeps neighbours out of each
  // other's sets.
  static int64_t stride_for(int64_t channels) { return round_up(channels, kLineFloats) + kLineFloats; }
  // The first block is the widest.
  static int64_t most_pixels(const DwPwParams& p) { return kRows * Blocks(p).start(1); }
  // Between the vectors of channels of a packed block; its last tile may be read beyond the pixels.
  static int64_t packed_stride(const DwPwParams& p) {
    return stride_for((most_pixels(p) + kTileRows) * kLanes);
  }
  static int64_t block_floats(const DwPwParams& p) {
    return packs(p) ? p.channels / kLanes * packed_stride(p) : most_pixels(p) * stride_for(p.channels);
  }
  // A block, and what multiply_panels wants.
  static uint64_t scratch_bytes(const DwPwParams& p) {
    return static_cast<uint64_t>(block_floats(p) + packed_floats(p.channels, p.out_c)) * sizeof(float);
  }

  static void run(const DwPwParams& p, const StepArgs& args, int64_t begin, int64_t end) {
    Worker w(p, args);
    const Blocks blocks(p);
    for (int64_t item = begin; item < end; ++item) {
      const int64_t band = item / blocks.count, block = item % blocks.count;
      const int x = blocks.start(block);
      w.block(band / bands(p), static_cast<int>(band % bands(p)) * kRows, x, blocks.start(block + 1) - x);
    }
  }

  struct Worker {
    const DwPwParams& p;
    const float* in;
    int64_t in_picture;  // floats between pictures
    const float* residual;
    float* out;
    float* scratch;
    const bool packed;
    const int64_t stride;  // between pixels, or vectors of channels if packed
    DwBand band;
    Strip pointwise;

    Worker(const DwPwParams& params, const StepArgs& args)
        : p(params),
          in(static_cast<const float*>(args.in[0])),
          in_picture(int64_t{params.in_h} * params.in_w * params.in_stride),
          residual(static_cast<const float*>(args.in[3])),
          out(static_cast<float*>(args.out[0])),
          scratch(static_cast<float*>(args.scratch)),
          packed(packs(params)),
          stride(packed ? packed_stride(params) : stride_for(params.channels)),
          band(depthwise(params), static_cast<const float*>(args.in[1]),
               static_cast<const float*>(args.in[1]) + 9 * round_up(params.channels, kLanes)),
          pointwise(Panels::make(params.channels, params.out_c, 1, args.in[2],
                                 static_cast<const float*>(args.in[2]) +
                                     params.channels * round_up(params.out_c, kLanes)),
                    args.core, scratch + block_floats(params)) {
      make_epilogue(static_cast<UnaryKind>(p.act), p.alpha, p.beta, p.residual, /*pool=*/0,
                    &pointwise.epilogue);
    }

    // Outputs [x, x + columns) of the band that begins with row y.
    void block(int64_t picture, int y, int x, int columns) {
      const int rows = smaller(kRows, p.out_h - y);
      band.in = in + picture * in_picture;
      const int64_t pixel_floats = packed ? kLanes : stride;
      band.run(y, rows, x, columns, 0, p.channels,
               {scratch, columns * pixel_floats, static_cast<int>(pixel_floats), packed ? stride : kLanes});
      // Whole rows follow each other in the output: one strip. Parts of rows are a strip each.
      const bool whole = columns == p.out_w;
      const int strips = whole ? 1 : rows, length = whole ? rows * columns : columns;
      for (int s = 0; s < strips; ++s) {
        const int64_t pixel = (picture * p.out_h + y + s) * p.out_w + x;
        const Strip::Results to = {out + pixel * p.out_stride, p.out_stride};
        const Strip::Pixels added = {residual + pixel * p.residual_stride, p.residual_stride};
        float* const from = scratch + s * columns * pixel_floats;
        if (packed) {
          pointwise.run_packed(from, stride, length, to, added);
        } else {
          pointwise.run({from, stride}, length, to, added);
        }
      }
    }
  };

 private:
  static DwConvParams depthwise(const DwPwParams& p) {
    DwConvParams d{};
    d.batch = p.batch;
    d.in_h = p.in_h;
    d.in_w = p.in_w;
    d.channels = p.channels;
    d.in_stride = p.in_stride;
    d.out_h = p.out_h;
    d.out_w = p.out_w;
    d.kernel_h = d.kernel_w = 3;
    d.stride_h = d.stride_w = p.stride;
    d.pad_top = p.pad_top;
    d.pad_left = p.pad_left;
    d.dilation_h = d.dilation_w = 1;
    d.act = p.dw_act;
    d.alpha = p.dw_alpha;
    d.beta = p.dw_beta;
    return d;
  }
};

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_DWPW_INL_H_

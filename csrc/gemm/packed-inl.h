// Products of one tile of rows with panel after panel.
//
// Where the instruction set multiplies by lanes, the rows are packed first: four k of each of kTileRows rows
// side by side. One stream of loads replaces eight, a load takes four vectors, and the tiles in assembly
// (gemm/tile_neon.S) go from panel to panel by themselves.
//
//   packed  [k / 4][kTileRows][4]
//
// Deep rows are taken in cuts, of which the first-level cache holds one while all panels are multiplied with
// it; the sums wait in the output, or, where more is to be done with them, in scratch.
#ifndef EDGECNN_GEMM_PACKED_INL_H_
#define EDGECNN_GEMM_PACKED_INL_H_

#include "gemm/igemm-inl.h"

namespace edgecnn {
namespace EC_ISA {

// The deepest cut of rows that is packed: so many fit into half of a first-level cache.
constexpr int64_t kMostPackedDepth = 512;

// Cuts of nearly equal depth.
EC_INLINE int64_t packed_cut(int64_t k) {
  return round_up(ceil_div(k, larger<int64_t>(1, ceil_div(k, kMostPackedDepth))), kLanes);
}

// The tile goes on to the panel `count` further.
EC_INLINE void advance_panels(int64_t k, int count, Tile* t) {
  const int columns = count * kPanelWidth;
  t->b += k * columns;
  t->start += columns;
  t->out += columns;
  t->residual_offset += columns;
}

#ifdef EC_HAS_FMA_LANE
constexpr bool kPacksRows = true;
// From four k to the next four.
constexpr int64_t kPackedStep = int64_t{kTileRows} * kLanes;

constexpr ptrdiff_t kPanelBytes = kPanelWidth * sizeof(float);

// Tiles of 8 or 4 packed rows and whole panels.
struct PackedTiles {
  const float* a;
  const float* b;
  const float* start;  // what the sums begin with
  float* out;
  // Bytes from tile to tile.
  ptrdiff_t a_step, b_step, start_step, out_step;
  // From row to row.
  ptrdiff_t start_row, out_row;
  // From `b` to what is brought near meanwhile.
  ptrdiff_t prefetch;
  int64_t k;
  int64_t count;
  const float* bounds;  // unless null, of the results
  ptrdiff_t a_turn;     // bytes from four k of the rows to the next four
  // Unless null, added to the sums: bytes from tile to tile, and from row to row.
  ptrdiff_t residual_step;
  const float* residual;
  ptrdiff_t residual_row;
};
static_assert(offsetof(PackedTiles, a) == 0 && offsetof(PackedTiles, start) == 16 &&
                  offsetof(PackedTiles, a_step) == 32 && offsetof(PackedTiles, start_step) == 48 &&
                  offsetof(PackedTiles, start_row) == 64 && offsetof(PackedTiles, prefetch) == 80 &&
                  offsetof(PackedTiles, count) == 96 && offsetof(PackedTiles, a_turn) == 112 &&
                  offsetof(PackedTiles, residual_step) == 120 && offsetof(PackedTiles, residual) == 128 &&
                  offsetof(PackedTiles, residual_row) == 136,
              "tile_neon.S");
extern "C" {
void edgecnn_tiles_8x8_in_order(const PackedTiles* tiles);
void edgecnn_tiles_8x8_out_of_order(const PackedTiles* tiles);
void edgecnn_tiles_4x8_in_order(const PackedTiles* tiles);
void edgecnn_tiles_4x8_out_of_order(const PackedTiles* tiles);
// Of 8 or 4 rows; `turns` times four k.
void edgecnn_pack_8(const float* const* from, float* to, int64_t turns);
void edgecnn_pack_4(const float* const* from, float* to, int64_t turns);
}

// Packing takes about as long as loads of a few panels save; loads on out-of-order cores cost less to begin
// with, but are instructions.
constexpr int kLeastPanels = 2;
constexpr int kLeastPanelsInOrder = 8;

EC_INLINE bool can_pack(int rows) { return rows == 8 || rows == 4; }

using PackedFunction = void (*)(const PackedTiles*);

// Of tiles of 8 or 4 rows.
EC_INLINE PackedFunction packed_function(int rows, CoreClass core) {
  if (core == CoreClass::kInOrder) return rows == 8 ? edgecnn_tiles_8x8_in_order : edgecnn_tiles_4x8_in_order;
  return rows == 8 ? edgecnn_tiles_8x8_out_of_order : edgecnn_tiles_4x8_out_of_order;
}

// Packs k [first, last) of a tile's rows; `first` is a multiple of kLanes.
template <int MR>
__attribute__((noinline)) void pack_rows(const Tile& t, int64_t first, int64_t last, float* to) {
  int64_t r = first / t.run_length, begin = first % t.run_length;
  for (int64_t left = last - first; left > 0; ++r, begin = 0) {
    const float* p[MR];
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i) p[i] = t.a[r * t.a_step + i] + (t.runs[r].a + t.a_offset + begin);
    const int64_t end = smaller<int64_t>(t.run_length, begin + left);
    left -= end - begin;
    const int64_t turns = (end - begin) / kLanes;
    (MR == 8 ? edgecnn_pack_8 : edgecnn_pack_4)(p, to, turns);
    to += turns * kPackedStep;
    for (int64_t k = turns * kLanes; k < end - begin; ++k) {
      for (int i = 0; i < MR; ++i) to[i * kLanes + k % kLanes] = p[i][k];
    }
  }
}

// Of a part of a tile's rows, one by one.
inline void finish_few_sums(int rows, const float* sums, Tile t) {
  for (int i = 0; i < rows; ++i, sums += kPanelWidth, t.out += t.out_stride, ++t.residual)
    finish_sums<1>(sums, t);
}

// Four k of each of a tile's rows side by side.
struct PackedRows {
  float* k0;
  int64_t turn;  // floats from four k to the next four
  bool ready;    // else there is room for packed_cut(k), to be packed from the rows of the tile
  float* sums;   // of deep rows, rows x kPanelWidth of every panel
};

// Rows of a tile are 8 or 4 of them, so many as are computed.
inline void pack_rows(int computed, const Tile& t, int64_t first, int64_t last, float* to) {
  (computed == 8 ? pack_rows<8> : pack_rows<4>)(t, first, last, to);
}

// Tiles that go from panel to panel, but for the k, the panels and where their sums begin and go.
inline PackedTiles tiles_of_panels(int64_t k, const PackedRows& from) {
  PackedTiles tiles;
  tiles.a = from.k0;
  tiles.a_step = 0;
  tiles.a_turn = from.turn * static_cast<ptrdiff_t>(sizeof(float));
  tiles.b_step = tiles.prefetch = k * kPanelBytes;
  tiles.residual = nullptr;
  tiles.bounds = nullptr;
  return tiles;
}

// What the tiles themselves do with their sums.
inline void finish_by_tiles(const Tile& t, const float* bounds, PackedTiles* tiles) {
  const Epilogue& e = *t.epilogue;
  if (clamps(e)) tiles->bounds = bounds;
  if (!e.residual) return;
  tiles->residual = t.residual[0] + t.residual_offset;
  tiles->residual_step = kPanelBytes;
  tiles->residual_row = (t.residual[1] - t.residual[0]) * static_cast<ptrdiff_t>(sizeof(float));
}

// The product in cuts of k, or with more behind it than tiles can do: that finds the sums in a buffer.
__attribute__((noinline)) inline void multiply_packed_in_parts(int rows, int64_t k, int panels,
                                                               const PackedRows& from, Tile* t) {
  const Epilogue& e = *t->epilogue;
  const float bounds[2] = {e.alpha, e.beta};
  const int computed = rows > 4 ? 8 : 4;
  const bool finishes = tiles_finish(e) && rows == computed;
  constexpr int kMostPanels = 4;
  float few_sums[kMostPanels * kTileRows * kPanelWidth];
  const bool deep = k > kMostPackedDepth;
  const int64_t cut = packed_cut(k);
  float* const sums = deep ? from.sums : few_sums;
  const int most = finishes || deep ? panels : kMostPanels;
  const PackedFunction compute = packed_function(computed, t->core);
  PackedTiles tiles = tiles_of_panels(k, from);
  tiles.out_step = finishes ? kPanelBytes : computed * kPanelBytes;
  tiles.out_row = finishes ? t->out_stride * static_cast<ptrdiff_t>(sizeof(float)) : kPanelBytes;
  if (!deep && !from.ready) pack_rows(computed, *t, 0, k, from.k0);
  for (int done = 0, count; done < panels; done += count) {
    count = smaller(panels - done, most);
    tiles.out = finishes ? t->out : sums;
    tiles.count = count;
    for (int64_t c = 0; c < k; c += cut) {
      const int64_t end = smaller(k, c + cut);
      if (from.ready) {
        tiles.a = from.k0 + c / kLanes * from.turn;
      } else if (deep) {
        pack_rows(computed, *t, c, end, from.k0);
      }
      tiles.b = t->b + c * kPanelWidth;
      tiles.k = end - c;
      tiles.start = c == 0 ? t->start : tiles.out;
      tiles.start_step = c == 0 ? kPanelBytes : tiles.out_step;
      tiles.start_row = c == 0 ? 0 : tiles.out_row;
      if (finishes && end == k) finish_by_tiles(*t, bounds, &tiles);
      compute(&tiles);
    }
    if (finishes) {
      advance_panels(k, count, t);
      continue;
    }
    for (int n = 0; n < count; ++n, advance_panels(k, 1, t)) {
      const float* panel_sums = sums + n * computed * kPanelWidth;
      if (rows == computed) {
        (rows == 8 ? finish_sums<8> : finish_sums<4>)(panel_sums, *t);
      } else {
        finish_few_sums(rows, panel_sums, *t);
      }
    }
  }
}

// The product of a tile's rows with `panels` whole panels. Of rows that are ready there may be any number, as
// long as 4 or 8 can be read.
inline void multiply_packed(int rows, int64_t k, int panels, const PackedRows& from, Tile* t) {
  const Epilogue& e = *t->epilogue;
  t->columns = kPanelWidth;
  if (k > kMostPackedDepth || !can_pack(rows) || !tiles_finish(e))
    return multiply_packed_in_parts(rows, k, panels, from, t);
  if (!from.ready) pack_rows(rows, *t, 0, k, from.k0);
  const float bounds[2] = {e.alpha, e.beta};
  PackedTiles tiles = tiles_of_panels(k, from);
  tiles.b = t->b;
  tiles.k = k;
  tiles.count = panels;
  tiles.start = t->start;
  tiles.start_step = tiles.out_step = kPanelBytes;
  tiles.start_row = 0;
  tiles.out = t->out;
  tiles.out_row = t->out_stride * static_cast<ptrdiff_t>(sizeof(float));
  finish_by_tiles(*t, bounds, &tiles);
  packed_function(rows, t->core)(&tiles);
  advance_panels(k, panels, t);
}
#else
constexpr bool kPacksRows = false;
#endif

// Floats of scratch that multiply_panels wants for rows of depth k and so many output channels.
EC_INLINE int64_t packed_floats(int64_t k, int64_t columns) {
  if (!kPacksRows) return 0;
  return kTileRows * (packed_cut(k) + (k > kMostPackedDepth ? columns : 0));
}

// The fewest panels for which rows are packed.
EC_INLINE int least_panels(CoreClass core) {
#ifdef EC_HAS_FMA_LANE
  return core == CoreClass::kInOrder ? kLeastPanelsInOrder : kLeastPanels;
#else
  (void)core;
  return 1;
#endif
}

// The product of a tile's rows with `columns` output channels, from the panel on that the tile describes.
inline void multiply_panels(int rows, int columns, float* packed, Tile* t) {
  const int64_t k = int64_t{t->run_count} * t->run_length;
#ifdef EC_HAS_FMA_LANE
  const int panels = columns / kPanelWidth;
  if (can_pack(rows) && panels >= least_panels(t->core) &&
      (t->run_count == 1 || t->run_length % kLanes == 0)) {
    multiply_packed(rows, k, panels, {packed, kPackedStep, false, packed + kTileRows * packed_cut(k)}, t);
    columns -= panels * kPanelWidth;
  }
#else
  (void)packed;
#endif
  for (; columns > 0; columns -= kPanelWidth, advance_panels(k, 1, t)) {
    t->columns = smaller(kPanelWidth, columns);
    t->prefetch = t->b + k * kPanelWidth;
    tile_function(rows, t->columns > kLanes ? kPanelVecs : 1)(*t);
  }
}

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_GEMM_PACKED_INL_H_

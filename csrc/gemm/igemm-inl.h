// The register tile of every matrix product: C[MR][NV vectors] = bias + A * B, and what is fused behind it.
//
// A need not be packed (gemm/packed-inl.h is for where that pays): a row is a pixel of an NHWC tensor, given
// by pointers, and the sum over K is cut into runs of consecutive floats (the channels of one kernel tap, or
// of a whole kernel row where its taps are neighbours in memory). B is a packed panel, K rows of NV * kLanes
// output channels.
//
//                         B: NV vectors of output channels, loaded once per k
//                        +--------+--------+
//                        |  b[0]  |  b[1]  |
//                        +--------+--------+
//    A: one float of     |        |        |
//    each of MR pixels   | acc[0] | acc[0] |   AVX-512  12 x 2 accumulators, 2 of B, 1 broadcast
//      p[0][k] --------> |  [0]   |  [1]   |   AVX2      6 x 2 accumulators, 2 of B, 1 broadcast
//      p[1][k]           +--------+--------+   NEON      8 x 2 accumulators, 4 of B, 8 of A (four k each)
//      ...               |  ...   |  ...   |   NEON, 32 bit: 6 x 2, as AVX2;  portable: 4 x 2, as AVX2
//      p[MR-1][k]        +--------+--------+
//
// Every element of C is one chain of fma over k in ascending order, whichever MR, NV and cutting into runs
// computes it, so results do not depend on tiling, blocking or the number of threads.
#ifndef EDGECNN_GEMM_IGEMM_INL_H_
#define EDGECNN_GEMM_IGEMM_INL_H_

#include <cstddef>

#include "algo/step.h"
#include "simd/activation-inl.h"

namespace edgecnn {
namespace EC_ISA {

#if defined(EC_HAS_FMA_LANE)
constexpr int kTileRows = 8;
#elif defined(EC_TILE_ROWS)
constexpr int kTileRows = EC_TILE_ROWS;
#else
constexpr int kTileRows = kLanes == 16 ? 12 : kLanes == 8 ? 6 : 4;
#endif
constexpr int kPanelVecs = 2;
constexpr int kPanelWidth = kPanelVecs * kLanes;

// `a`: elements from the pixel pointers to the run's first float; `b`: row of the panel it begins with.
struct Run {
  int64_t a;
  int64_t b;
};

// kFloor: a clamp without an upper bound, as ReLU is.
enum class ActMode { kNone, kFloor, kClamp, kShallowLeaky, kOther };

// What follows the product: y = pool(act(product + residual)) or pool(act(product) + residual).
struct Epilogue {
  ActMode mode;
  UnaryKind act;
  float alpha, beta;  // kFloor, kClamp: the bounds
  int residual;       // as in ConvParams
  int pool;
  // kOther: where the tile is put for apply_unary (not in the tile's own frame, which would cost it
  // registers).
  float buffer[(kTileRows * kPanelVecs > 16 ? kTileRows * kPanelVecs : 16) * kLanes];
};

EC_INLINE void make_epilogue(UnaryKind act, float alpha, float beta, int residual, int pool, Epilogue* e) {
  e->act = act;
  e->alpha = alpha;
  e->beta = beta;
  e->residual = residual;
  e->pool = pool;
  const auto clamp_to = [e](float low, float high) {
    e->mode = high == __builtin_inff() ? ActMode::kFloor : ActMode::kClamp;
    e->alpha = low;
    e->beta = high;
  };
  switch (act) {
    case UnaryKind::k_identity:
      e->mode = ActMode::kNone;
      break;
    case UnaryKind::k_leaky:
      e->mode = 0.0f < alpha && alpha <= 1.0f ? ActMode::kShallowLeaky : ActMode::kOther;
      break;
    case UnaryKind::k_relu:
      clamp_to(0.0f, __builtin_inff());
      break;
    case UnaryKind::k_relu6:
      clamp_to(0.0f, 6.0f);
      break;
    case UnaryKind::k_hardtan:
      clamp_to(-1.0f, 1.0f);
      break;
    case UnaryKind::k_clip:
      clamp_to(alpha, beta);
      break;
    default:
      e->mode = ActMode::kOther;
      break;
  }
}

// Whether a larger sum never has a smaller result, so that the function may follow a maximum.
EC_INLINE bool rises(const Epilogue& e) { return e.mode != ActMode::kOther; }

// Whether the function is a clamp to [alpha, beta].
EC_INLINE bool clamps(const Epilogue& e) { return e.mode == ActMode::kFloor || e.mode == ActMode::kClamp; }

// Whether sums need at most a clamp on their way to the output.
EC_INLINE bool is_simple(const Epilogue& e) {
  return (e.mode == ActMode::kNone || clamps(e)) && !e.residual && !e.pool;
}

// The same with a residual before it: what the tiles of packed rows can do (gemm/packed-inl.h).
EC_INLINE bool tiles_finish(const Epilogue& e) {
  return is_simple(e) || (!e.pool && (e.mode == ActMode::kNone || (e.residual == 1 && clamps(e))));
}

struct Tile {
  int run_count;
  int run_length;
  const Run* runs;
  const float* const* a;  // pointer of row i in run r: a[r * a_step + i] + runs[r].a + a_offset
  ptrdiff_t a_step;
  ptrdiff_t a_offset;
  const float* b;
  const float* prefetch;  // memory to bring near while computing: 64 bytes in kStep of k
  // What the sums of row i begin with: start + i * start_step (the bias at step 0, or partial sums).
  const float* start;
  ptrdiff_t start_step;
  // Unless null, the sums are left here as they are, MR rows of NV vectors, and nothing below is used.
  float* partial;
  const float* const* residual;  // one pointer per row, read when the epilogue has a residual
  ptrdiff_t residual_offset;
  float* out;  // of row 0; with pool, of the first four rows
  ptrdiff_t out_stride;
  int columns;  // channels that exist: more than (NV - 1) * kLanes, at most NV * kLanes
  Epilogue* epilogue;
  CoreClass core;
};

// The inner loops take kStep of k at a time.
#ifdef EC_HAS_FMA_LANE
constexpr int kStep = 4;
#else
constexpr int kStep = 2;
#endif
constexpr int kLineFloats = 16;

// Floats of `Tile::prefetch` that a tile of depth k asks for.
EC_INLINE int64_t prefetched(int64_t k) { return k / kStep * kLineFloats; }

template <int NV>
EC_INLINE void store_columns(float* out, const Vec* v, int columns) {
#pragma GCC unroll 4
  for (int j = 0; j < NV - 1; ++j) store(out + j * kLanes, v[j]);
  const int last = columns - (NV - 1) * kLanes;
  if (last == kLanes) {
    store(out + (NV - 1) * kLanes, v[NV - 1]);
  } else {
    store_partial(out + (NV - 1) * kLanes, v[NV - 1], last);
  }
}

template <int MR, int NV>
EC_INLINE void activate(Vec (&acc)[MR][NV], Epilogue& e) {
  switch (e.mode) {
    case ActMode::kNone:
      break;
    case ActMode::kFloor: {
      const Vec low = broadcast(e.alpha);
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) acc[i][j] = max(low, acc[i][j]);
      }
      break;
    }
    case ActMode::kClamp: {
      const Vec low = broadcast(e.alpha), high = broadcast(e.beta);
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) acc[i][j] = clamp(acc[i][j], low, high);
      }
      break;
    }
    case ActMode::kShallowLeaky: {
      const ShallowLeakyFunctor leaky{broadcast(e.alpha)};
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) acc[i][j] = leaky(acc[i][j]);
      }
      break;
    }
    case ActMode::kOther: {
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) store(e.buffer + (i * NV + j) * kLanes, acc[i][j]);
      }
      apply_unary(e.act, e.alpha, e.beta, e.buffer, MR * NV);
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) acc[i][j] = load(e.buffer + (i * NV + j) * kLanes);
      }
      break;
    }
  }
}

template <int MR, int NV>
EC_INLINE void add_residual(Vec (&acc)[MR][NV], const Tile& t) {
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
    const float* r = t.residual[i] + t.residual_offset;
#pragma GCC unroll 4
    for (int j = 0; j < NV - 1; ++j) acc[i][j] = add(acc[i][j], load(r + j * kLanes));
    r += (NV - 1) * kLanes;
    const int last = t.columns - (NV - 1) * kLanes;
    acc[i][NV - 1] = add(acc[i][NV - 1], last == kLanes ? load(r) : load_partial(r, last));
  }
}

template <int MR, int NV>
EC_INLINE void finish(Vec (&acc)[MR][NV], const Tile& t) {
  Epilogue& e = *t.epilogue;
  if (e.residual == 1) add_residual(acc, t);
  activate(acc, e);
  if (e.residual == 2) add_residual(acc, t);
  if constexpr (MR % 4 == 0) {
    if (e.pool) {
#pragma GCC unroll 4
      for (int q = 0; q < MR / 4; ++q) {
        Vec top[NV];
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) {
          top[j] = max_nan(max_nan(acc[4 * q][j], acc[4 * q + 1][j]),
                           max_nan(acc[4 * q + 2][j], acc[4 * q + 3][j]));
        }
        store_columns<NV>(t.out + q * t.out_stride, top, t.columns);
      }
      return;
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) store_columns<NV>(t.out + i * t.out_stride, acc[i], t.columns);
}

// One step of k for all rows, A broadcast from memory.
template <int MR, int NV>
EC_INLINE void multiply(Vec (&acc)[MR][NV], const float* const (&p)[MR], const float* b, ptrdiff_t k) {
  Vec bv[NV];
#pragma GCC unroll 4
  for (int j = 0; j < NV; ++j) bv[j] = load(b + j * kLanes);
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
    const Vec av = broadcast(p[i][k]);
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) acc[i][j] = fma(av, bv[j], acc[i][j]);
  }
}

#ifdef EC_HAS_FMA_LANE
// N vectors of B from offset kFirst on.
template <int kFirst, int N>
EC_INLINE void load_rows(Vec (&bv)[N], const float* b) {
  bv[0] = load_in_order<kFirst>(b);
  bv[1] = load_in_order<kFirst + kLanes>(b);
  if constexpr (N > 2) {
    bv[2] = load_in_order<kFirst + 2 * kLanes>(b);
    bv[3] = load_in_order<kFirst + 3 * kLanes>(b);
  }
}

// Two of the four k held in the lanes of `av`. All loads come before the products, for the in-order cores,
// which pay less for loads in a row than for loads between.
template <int kLane, int MR, int NV>
EC_INLINE void multiply_lanes(Vec (&acc)[MR][NV], const Vec (&av)[MR], const Vec (&bv)[2 * NV]) {
#pragma GCC unroll 8
  for (int j = 0; j < NV; ++j) {
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) fma_lane_in_order<kLane>(av[i], bv[j], &acc[i][j]);
  }
#pragma GCC unroll 8
  for (int j = 0; j < NV; ++j) {
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) fma_lane_in_order<kLane + 1>(av[i], bv[NV + j], &acc[i][j]);
  }
}
#endif

#ifndef EC_HAS_FMA_LANE
// Asks for the memory that the end of the tile reads and writes: its rows are too far apart, and visited too
// seldom, for the hardware to foresee them, and stores that miss stop the tiles behind them.
template <int MR, int NV>
EC_INLINE void prefetch_results(const Tile& t) {
  if (t.partial != nullptr) return;
  const int rows = t.epilogue->pool ? MR / 4 : MR;
#pragma GCC unroll 16
  for (int i = 0; i < rows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < NV * kLanes; j += kLineFloats) __builtin_prefetch(t.out + i * t.out_stride + j, 1);
  }
  if (t.epilogue->residual == 0) return;
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
    const float* r = t.residual[i] + t.residual_offset;
#pragma GCC unroll 4
    for (int j = 0; j < NV * kLanes; j += kLineFloats) __builtin_prefetch(r + j);
  }
}
#endif

template <int MR, int NV>
__attribute__((noinline)) void compute_tile(const Tile& t) {
  constexpr int kWidth = NV * kLanes;
  Vec acc[MR][NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
    const float* start = t.start + i * t.start_step;
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) acc[i][j] = load(start + j * kLanes);
  }
#ifndef EC_HAS_FMA_LANE
  prefetch_results<MR, NV>(t);
#endif
  const float* ahead = t.prefetch;
  const ptrdiff_t length = t.run_length;
  for (int r = 0; r < t.run_count; ++r) {
    const float* p[MR];
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) p[i] = t.a[r * t.a_step + i] + (t.runs[r].a + t.a_offset);
    const float* b = t.b + t.runs[r].b * kWidth;
    ptrdiff_t k = 0;
#ifdef EC_HAS_FMA_LANE
    for (; k + kStep <= length; k += kStep, b += kStep * kWidth, ahead += kLineFloats) {
      __builtin_prefetch(ahead, 0, 2);
      Vec av[MR], bv[2 * NV];
      load_rows<0>(bv, b);
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i) av[i] = load_in_order(p[i], k);
      multiply_lanes<0>(acc, av, bv);
      load_rows<2 * NV * kLanes>(bv, b);
      multiply_lanes<2>(acc, av, bv);
    }
#pragma GCC unroll 1
    for (; k < length; ++k, b += kWidth) multiply(acc, p, b, k);
#else
    // GCC would unroll further and run out of address registers.
#pragma GCC unroll 1
    for (; k + kStep <= length; k += kStep, b += kStep * kWidth, ahead += kLineFloats) {
      __builtin_prefetch(ahead, 0, 2);
      multiply(acc, p, b, k);
      multiply(acc, p, b + kWidth, k + 1);
    }
    if (k < length) multiply(acc, p, b, k);
#endif
  }
  if (t.partial == nullptr) {
    finish(acc, t);
  } else {
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < NV; ++j) store(t.partial + (i * NV + j) * kLanes, acc[i][j]);
    }
  }
}

#ifdef EC_HAS_FMA_LANE
// The tiles of whole panels are written in assembly (gemm/tile_neon.S), which finds the fields here.
static_assert(offsetof(Tile, run_count) == 0 && offsetof(Tile, run_length) == 4 &&
                  offsetof(Tile, runs) == 8 && offsetof(Tile, a) == 16 && offsetof(Tile, a_step) == 24 &&
                  offsetof(Tile, a_offset) == 32 && offsetof(Tile, b) == 40 &&
                  offsetof(Tile, prefetch) == 48 && offsetof(Tile, start) == 56 &&
                  offsetof(Tile, start_step) == 64,
              "tile_neon.S");
extern "C" {
void edgecnn_tile_8x8_in_order(const Tile* tile, float* sums, ptrdiff_t row_bytes, const float* bounds);
void edgecnn_tile_8x8_out_of_order(const Tile* tile, float* sums, ptrdiff_t row_bytes, const float* bounds);
void edgecnn_tile_4x8_in_order(const Tile* tile, float* sums, ptrdiff_t row_bytes, const float* bounds);
void edgecnn_tile_4x8_out_of_order(const Tile* tile, float* sums, ptrdiff_t row_bytes, const float* bounds);
}

template <int MR>
__attribute__((noinline)) void finish_sums(const float* sums, const Tile& t) {
  Vec acc[MR][kPanelVecs];
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < kPanelVecs; ++j) acc[i][j] = load(sums + i * kPanelWidth + j * kLanes);
  }
  finish(acc, t);
}

template <int MR>
__attribute__((noinline)) void compute_whole_tile(const Tile& t) {
  static_assert(MR == 8 || MR == 4, "tile_neon.S");
  constexpr auto in_order = MR == 8 ? edgecnn_tile_8x8_in_order : edgecnn_tile_4x8_in_order;
  constexpr auto out_of_order = MR == 8 ? edgecnn_tile_8x8_out_of_order : edgecnn_tile_4x8_out_of_order;
  const auto compute = t.core == CoreClass::kInOrder ? in_order : out_of_order;
  constexpr ptrdiff_t kFloatBytes = sizeof(float);
  if (t.partial != nullptr) {
    compute(&t, t.partial, kPanelWidth * kFloatBytes, nullptr);
    return;
  }
  const Epilogue& e = *t.epilogue;
  if (is_simple(e) && t.columns == kPanelWidth) {
    const float bounds[2] = {e.alpha, e.beta};
    compute(&t, t.out, t.out_stride * kFloatBytes, clamps(e) ? bounds : nullptr);
    return;
  }
  float sums[MR * kPanelWidth];
  compute(&t, sums, kPanelWidth * kFloatBytes, nullptr);
  finish_sums<MR>(sums, t);
}
#endif

using TileFunction = void (*)(const Tile&);

template <int MR>
struct TileTable {
  static EC_INLINE TileFunction get(int rows, int vecs) {
#ifdef EC_HAS_FMA_LANE
    if constexpr (MR == 8 || MR == 4) {
      if (rows == MR) return vecs == 1 ? compute_tile<MR, 1> : compute_whole_tile<MR>;
      return TileTable<MR - 1>::get(rows, vecs);
    }
#endif
    if (rows == MR) return vecs == 1 ? compute_tile<MR, 1> : compute_tile<MR, 2>;
    return TileTable<MR - 1>::get(rows, vecs);
  }
};
template <>
struct TileTable<0> {
  static EC_INLINE TileFunction get(int, int) { return nullptr; }
};

// The kernel for a tile of 1 <= rows <= kTileRows and 1 <= vecs <= kPanelVecs.
inline TileFunction tile_function(int rows, int vecs) { return TileTable<kTileRows>::get(rows, vecs); }

// Cuts `units` into pieces of at most `most`.
struct TileCut {
  int64_t units, tiles;
  int64_t base;    // units of a piece, of which
  int64_t longer;  // so many, the first ones, have one more

  // Pieces of nearly equal size.
  static EC_INLINE TileCut make(int64_t units, int most) {
    const int64_t tiles = ceil_div(units, most);
    return tiles == 0 ? TileCut{0, 0, 0, 0} : TileCut{units, tiles, units / tiles, units % tiles};
  }
  // Register tiles of pixels, or quads of them: whole ones and a rest where those in assembly are by far the
  // best, else nearly equal ones, so that none is left small.
  static EC_INLINE TileCut make_tiles(int64_t units, int most) {
#ifdef EC_HAS_FMA_LANE
    return {units, ceil_div(units, most), most, 0};
#else
    return make(units, most);
#endif
  }
  EC_INLINE int64_t start(int64_t tile) const { return smaller(tile * base + smaller(tile, longer), units); }
  // The size of those that do not have `base` units.
  EC_INLINE int64_t other() const { return longer ? base + 1 : units - larger(tiles - 1, int64_t{0}) * base; }
};

// The panels of one group of packed weights: columns, width and place of panel number `index` (see
// steps.inc).
struct Panel {
  int group;
  int first_column;  // within the group
  int columns;
  int vecs;
  const float* b;
  const float* bias;
};

struct Panels {
  int64_t k;          // rows
  int group_columns;  // output channels of a group
  int per_group;
  int count;
  const float* weights;
  const float* bias;

  static EC_INLINE int groups_to_count(int group_columns, int groups) {
    return static_cast<int>(ceil_div(group_columns, kPanelWidth)) * groups;
  }
  static EC_INLINE Panels make(int64_t k, int group_columns, int groups, const void* weights,
                               const void* bias) {
    const int per_group = static_cast<int>(ceil_div(group_columns, kPanelWidth));
    return {k,
            group_columns,
            per_group,
            per_group * groups,
            static_cast<const float*>(weights),
            static_cast<const float*>(bias)};
  }
  EC_INLINE Panel get(int index) const {
    Panel panel;
    panel.group = index / per_group;
    panel.first_column = (index % per_group) * kPanelWidth;
    panel.columns = smaller(kPanelWidth, group_columns - panel.first_column);
    panel.vecs = static_cast<int>(ceil_div(panel.columns, kLanes));
    const int64_t start = panel.group * round_up(group_columns, kLanes) + panel.first_column;
    panel.b = weights + start * k;
    panel.bias = bias + start;
    return panel;
  }
};

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_GEMM_IGEMM_INL_H_

// Winograd convolution F(4x4, 3x3) (Lavin and Gray, arXiv 1509.09308): 36 multiplications for the 16 results
// of a 4x4 output tile instead of 144.
//
//   Y = At [ (G g Gt) * (Bt d B) ] A      d: 6x6 inputs, g: 3x3 weights, Y: 4x4 outputs, * element by element
//
// The weights arrive transformed (edgecnn/plan/pack.py). Tiles are taken in groups of up to kTileRows, the
// rows of a register tile. A block of groups passes through three stages in scratch:
//
//   inputs    [group][cut][36][row][channels]  transformed, vectors along the channels; on ARM as
//                                              gemm/packed-inl.h packs rows
//   products  [group][panel][36][row][width]   each of the 36 frequencies is a matrix product
//   outputs                                    transformed back, through residual, activation and pool
//
// The stages want the second-level cache for themselves, so a block is small; but all weights are read once
// for each block, so it is not smaller than that, and wide layers take their products in slices of panels
// instead. One frequency at a time, and of many channels one cut, keep their inputs in the first-level cache.
// The 36 places that a tile's transform writes are a cache line more than a power of two apart: they would
// share a few sets of the cache otherwise.
//
// An item is a block and a slice of its panels, so that threads share what has few tiles, too. Neither
// depends on the caches or on the number of threads.
//
// A sum of 36 products is not a sum of 9: an infinity or NaN in the input makes NaN of the tiles that read
// it.
#ifndef EDGECNN_ALGO_WINOGRAD_INL_H_
#define EDGECNN_ALGO_WINOGRAD_INL_H_

#include <type_traits>

#include "algo/rows-inl.h"
#include "algo/winograd_transforms-inl.h"
#include "gemm/packed-inl.h"

namespace edgecnn {
namespace EC_ISA {

struct WinogradStep {
  static constexpr int kOut = 4;  // side of an output tile
  static constexpr int kIn = 6;   // of its input
  static constexpr int kFrequencies = kIn * kIn;
  // The one in which a constant is a constant of all outputs: where the bias goes.
  static constexpr int kBiasFrequency = kIn + 1;
  // What the transformed inputs of a block may take, unless that is less than the fewest groups: twice as
  // many where so many weights come from memory for each block. And what the products may take as long as
  // those inputs are near, small enough to stay in the cache from slice to slice. Measured on the layers of
  // the model set: in the cycle model of the Cortex-A53 and A72, and on x86 (the fewest groups).
  static constexpr int64_t kInputFloats = int64_t{32} * 1024;
  static constexpr int64_t kProductFloats = int64_t{16} * 1024;
  static constexpr int64_t kNearFloats = int64_t{96} * 1024;
  static constexpr int64_t kFewestGroups = 4;
  static constexpr int64_t kManyWeights = int64_t{2} * 1024 * 1024;
  // Channels of a cut.
  static constexpr int64_t kCutChannels = 256;
  // Channels that all tiles of a group go through before the next ones, where their rows share cache lines.
  static constexpr int64_t kPackedChannels = 16;
  // Items that are made where there are channels enough.
  static constexpr int64_t kItems = 8;
  static constexpr int64_t kProductStep = int64_t{kTileRows} * kPanelWidth;  // from frequency to frequency

  struct Shape {
    int tiles_h, tiles_w;
    TileCut groups;       // of tiles
    TileCut blocks;       // of groups
    int64_t most_groups;  // of a block
    int panels, slice_panels, slices;
    int last_vecs;       // of the last panel
    int64_t depth;       // of a tile's inputs: whole vectors
    int64_t cut;         // of them in a row, unless fewer are left
    int64_t input_step;  // from frequency to frequency
    int64_t cut_step;    // from cut to cut
    int64_t group_step;  // from group to group

    explicit Shape(const WinogradParams& p) {
      // Rows and columns that the pool drops are not computed.
      tiles_h = static_cast<int>(ceil_div(p.pool ? p.out_h / 2 * 2 : p.out_h, kOut));
      tiles_w = static_cast<int>(ceil_div(p.pool ? p.out_w / 2 * 2 : p.out_w, kOut));
      depth = round_up(p.in_c, kLanes);
      const int64_t cuts = ceil_div(depth, kCutChannels);
      cut = round_up(ceil_div(depth, cuts), kLanes);
      input_step = round_up(kTileRows * cut, kLineFloats) + kLineFloats;
      cut_step = kFrequencies * input_step;
      group_step = cuts * cut_step;
      panels = Panels::groups_to_count(p.out_c, 1);
      last_vecs = static_cast<int>(ceil_div(p.out_c - (panels - 1) * kPanelWidth, kLanes));
      groups = TileCut::make_tiles(int64_t{p.batch} * tiles_h * tiles_w, kTileRows);
      const int64_t fewest =
          int64_t{kFrequencies} * p.in_c * p.out_c > kManyWeights ? 2 * kFewestGroups : kFewestGroups;
      const int64_t fit = kInputFloats / group_step;
      blocks = TileCut::make(groups.tiles, static_cast<int>(larger(fit, fewest)));
      most_groups = blocks.base + (blocks.longer > 0);
      const int64_t inputs = most_groups * group_step;
      const int64_t most = inputs <= kNearFloats ? kProductFloats : inputs / 2;
      const int64_t panels_fit = most / (larger(most_groups, int64_t{1}) * kFrequencies * kProductStep);
      const int64_t wanted =
          larger(ceil_div(panels, larger(panels_fit, int64_t{1})),
                 smaller(ceil_div(kItems, larger(blocks.tiles, int64_t{1})), int64_t{panels}));
      slice_panels = static_cast<int>(ceil_div(panels, wanted));
      slices = static_cast<int>(ceil_div(panels, slice_panels));
    }
  };

  struct Scratch {
    float* zeros;     // what sums begin with
    float* patch;     // the inputs of a tile that crosses the border: [6][6][depth]
    float* inputs;    // [groups of the block][cuts][36][kTileRows * cut], frequencies input_step apart
    float* products;  // [groups of the block][panels of the slice][36][kTileRows][panel]
    const float** rows;
    uint64_t bytes;
  };

  static Scratch layout(const Shape& shape, void* scratch) {
    char* base = static_cast<char*>(scratch);
    uint64_t at = 0;
    const auto take = [&](int64_t bytes) {
      char* block = base + at;
      at += static_cast<uint64_t>(round_up(bytes, kAlignment));
      return block;
    };
    const auto take_floats = [&](int64_t count) {
      return reinterpret_cast<float*>(take(count * static_cast<int64_t>(sizeof(float))));
    };
    Scratch s;
    s.zeros = take_floats(kPanelWidth);
    s.patch = take_floats(kFrequencies * shape.depth);
    s.inputs = take_floats(shape.most_groups * shape.group_step);
    s.products = take_floats(shape.most_groups * shape.slice_panels * kFrequencies * kProductStep);
    s.rows = reinterpret_cast<const float**>(
        take(shape.most_groups * kTileRows * static_cast<int64_t>(sizeof(float*))));
    s.bytes = at;
    return s;
  }

  static int64_t items(const WinogradParams& p) {
    const Shape shape(p);
    return shape.blocks.tiles * shape.slices;
  }

  static uint64_t scratch_bytes(const WinogradParams& p) { return layout(Shape(p), nullptr).bytes; }

  static void run(const WinogradParams& p, const StepArgs& args, int64_t begin, int64_t end) {
    Worker w(p, args);
    int64_t block = -1;
    for (int64_t i = begin; i < end; ++i) {
      if (i / w.shape.slices != block) {
        block = i / w.shape.slices;
        w.transform_inputs(block);
      }
      const int first = static_cast<int>(i % w.shape.slices) * w.shape.slice_panels;
      const int last = smaller(first + w.shape.slice_panels, w.shape.panels);
      w.multiply(first, last);
      w.transform_outputs(first, last);
    }
  }

 private:
  // The tiles of the picture, one after the other.
  struct Place {
    int64_t n;
    int y, x;  // the tile's first output pixel

    EC_INLINE Place(const Shape& s, int64_t tile)
        : n(tile / s.tiles_w / s.tiles_h),
          y(static_cast<int>(tile / s.tiles_w % s.tiles_h) * kOut),
          x(static_cast<int>(tile % s.tiles_w) * kOut) {}
    EC_INLINE void advance(const Shape& s) {
      x += kOut;
      if (x < s.tiles_w * kOut) return;
      x = 0;
      y += kOut;
      if (y < s.tiles_h * kOut) return;
      y = 0;
      ++n;
    }
  };

  struct Worker {
    const WinogradParams& p;
    const Shape shape;
    const Scratch scratch;
    const float* in;
    const float* weights;
    const float* bias;
    const float* residual;
    float* out;
    const CoreClass core;
    Epilogue epilogue;
    bool pool_first;                  // the function rises
    int64_t first_group, last_group;  // of the block at hand

    Worker(const WinogradParams& params, const StepArgs& args)
        : p(params),
          shape(params),
          scratch(layout(shape, args.scratch)),
          in(static_cast<const float*>(args.in[0])),
          weights(static_cast<const float*>(args.in[1])),
          bias(static_cast<const float*>(args.in[2])),
          residual(static_cast<const float*>(args.in[3])),
          out(static_cast<float*>(args.out[0])),
          core(args.core) {
      make_epilogue(static_cast<UnaryKind>(p.act), p.alpha, p.beta, p.residual, p.pool, &epilogue);
      pool_first = p.pool && p.residual != 2 && rises(epilogue);
      for (int i = 0; i < kPanelWidth; ++i) scratch.zeros[i] = 0.0f;
      for (int64_t g = 0; g < shape.most_groups; ++g) {
        for (int r = 0; r < kTileRows; ++r) {
          scratch.rows[g * kTileRows + r] = scratch.inputs + g * shape.group_step + r * shape.cut;
        }
      }
    }

    EC_INLINE int rows_of(int64_t group) const {
      return static_cast<int>(shape.groups.start(group + 1) - shape.groups.start(group));
    }

    // Whether the inputs of a group of so many tiles lie packed.
    EC_INLINE bool packs(int rows) const {
#ifdef EC_HAS_FMA_LANE
      return shape.last_vecs == kPanelVecs && can_pack(rows);
#else
      (void)rows;
      return false;
#endif
    }

    void transform_inputs(int64_t block) {
      first_group = shape.blocks.start(block);
      last_group = shape.blocks.start(block + 1);
      Place first(shape, shape.groups.start(first_group));
      for (int64_t g = first_group; g < last_group; ++g) {
        const int rows = rows_of(g);
        const bool packed = packs(rows);
        const int64_t row_step = packed ? kLanes : shape.cut;
        const int64_t vector_step = packed ? kTileRows * kLanes : kLanes;
        const int64_t part = packed ? kPackedChannels : shape.cut;
        float* of_cut = scratch.inputs + (g - first_group) * shape.group_step;
        Place at = first;
        for (int64_t c = 0; c < shape.depth; c += shape.cut, of_cut += shape.cut_step) {
          const int64_t end = smaller(c + shape.cut, shape.depth);
          float* of_part = of_cut;
          for (int64_t i = c; i < end; i += part, of_part += part / kLanes * vector_step) {
            float* to = of_part;
            at = first;
            for (int r = 0; r < rows; ++r, to += row_step, at.advance(shape)) {
              transform_channels(at, i, smaller(i + part, end), vector_step, to);
            }
          }
        }
        first = at;
      }
    }

    // Channels [first, last) of a tile, both multiples of kLanes, to vectors `vector_step` apart.
    void transform_channels(const Place& at, int64_t first, int64_t last, int64_t vector_step,
                            float* to) const {
      const int64_t pixel = p.in_stride, line = p.in_w * pixel;
      const int y = at.y - p.pad_top, x = at.x - p.pad_left;
      if (y >= 0 && y + kIn <= p.in_h && x >= 0 && x + kIn <= p.in_w) {
        const int64_t whole = smaller(last, int64_t{p.in_c / kLanes * kLanes});
        const float* from = in + (at.n * p.in_h + y) * line + x * pixel + first;
        if (whole > first) transform_tile(from, line, pixel, whole - first, vector_step, to);
        to += (whole - first) / kLanes * vector_step;
        first = whole;
      }
      if (first < last) {
        const int64_t depth = last - first;
        gather(at.n, y, x, first, last);
        transform_tile(scratch.patch, kIn * depth, depth, depth, vector_step, to);
      }
    }

    // Copies channels [first, last) of the tile whose first pixel is (y, x), with zeros outside the picture
    // and behind its channels.
    void gather(int64_t n, int y, int x, int64_t first, int64_t last) const {
      const int64_t depth = last - first, whole = smaller(last, int64_t{p.in_c / kLanes * kLanes}) - first;
      const int64_t pixel = p.in_stride, line = p.in_w * pixel;
      const int top = larger(-y, 0), bottom = smaller(p.in_h - y, kIn);
      const int left = smaller(larger(-x, 0), kIn), right = larger(smaller(p.in_w - x, kIn), left);
      const float* row = in + (n * p.in_h + y) * line + x * pixel + first;
      float* to = scratch.patch;
      for (int i = 0; i < kIn; ++i, row += line) {
        if (i < top || i >= bottom) {
          to = clear_vectors(to, kIn * depth);
          continue;
        }
        to = clear_vectors(to, left * depth);
        const float* from = row + left * pixel;
        for (int j = left; j < right; ++j, from += pixel) {
          to = copy_vectors(to, from, whole);
          if (whole == depth) continue;
          store(to, load_partial(from + whole, p.in_c % kLanes));
          to += kLanes;
        }
        to = clear_vectors(to, (kIn - right) * depth);
      }
    }

    // `count`: a multiple of kLanes; returns what lies behind.
    static EC_INLINE float* copy_vectors(float* to, const float* from, int64_t count) {
      for (; count >= 4 * kLanes; count -= 4 * kLanes, from += 4 * kLanes, to += 4 * kLanes) {
        const Vec a = load(from), b = load(from + kLanes);
        const Vec c = load(from + 2 * kLanes), d = load(from + 3 * kLanes);
        store(to, a);
        store(to + kLanes, b);
        store(to + 2 * kLanes, c);
        store(to + 3 * kLanes, d);
      }
#pragma GCC unroll 1
      for (; count > 0; count -= kLanes, from += kLanes, to += kLanes) store(to, load(from));
      return to;
    }
    static EC_INLINE float* clear_vectors(float* to, int64_t count) {
      const Vec zero = broadcast(0.0f);
      for (; count >= 4 * kLanes; count -= 4 * kLanes, to += 4 * kLanes) {
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) store(to + i * kLanes, zero);
      }
#pragma GCC unroll 1
      for (; count > 0; count -= kLanes, to += kLanes) store(to, zero);
      return to;
    }

    // `channels`: a multiple of kLanes.
    void transform_tile(const float* from, int64_t line, int64_t pixel, int64_t channels, int64_t vector_step,
                        float* to) const {
      const int64_t step = shape.input_step;
      const Grid<const float> d(from, line, pixel);
      const Grid<float> t(to, kIn * step, step);
      for (int64_t c = 0; c < channels; c += kLanes, d.advance(kLanes), t.advance(vector_step)) {
        // The four middle rows of the result need the four middle rows of the input: 24 vectors; then the
        // others.
        Vec columns[kIn * kIn];
#pragma GCC unroll 6
        for (int j = 0; j < kIn; ++j) {
          transform_middle(load(d.at(1, j)), load(d.at(2, j)), load(d.at(3, j)), load(d.at(4, j)),
                           columns + j, kIn);
          keep_order();
        }
#pragma GCC unroll 6
        for (int i = 1; i < kIn - 1; ++i) {
          transform_row(columns + i * kIn, t, i);
          keep_order();
        }
#pragma GCC unroll 6
        for (int j = 0; j < kIn; ++j) {
          columns[j] = transform_end(load(d.at(0, j)), load(d.at(2, j)), load(d.at(4, j)));
          columns[5 * kIn + j] = transform_end(load(d.at(1, j)), load(d.at(3, j)), load(d.at(5, j)));
          keep_order();
        }
        transform_row(columns, t, 0);
        keep_order();
        transform_row(columns + 5 * kIn, t, 5);
        keep_order();
      }
    }

    // The places of 6x6 vectors, for all of which the addresses are a row's plus a column's.
    template <class T>
    struct Grid {
      mutable T* row[kIn];
      int64_t column[kIn];  // bytes

      EC_INLINE Grid(T* first, int64_t line, int64_t pixel) {
#pragma GCC unroll 6
        for (int i = 0; i < kIn; ++i) {
          row[i] = first + i * line;
          column[i] = i * pixel * static_cast<int64_t>(sizeof(float));
          keep_in_register(column[i]);
        }
      }
      EC_INLINE T* at(int i, int j) const {
        using Byte = std::conditional_t<std::is_const_v<T>, const char, char>;
        return reinterpret_cast<T*>(reinterpret_cast<Byte*>(row[i]) + column[j]);
      }
      EC_INLINE void advance(int64_t step) const {
#pragma GCC unroll 6
        for (int i = 0; i < kIn; ++i) {
          row[i] += step;
          keep_in_register(row[i]);
        }
      }
    };

    static EC_INLINE void transform_row(const Vec* d, const Grid<float>& to, int i) {
      Vec t[kIn];
      t[0] = transform_end(d[0], d[2], d[4]);
      t[5] = transform_end(d[1], d[3], d[5]);
      transform_middle(d[1], d[2], d[3], d[4], t, 1);
#pragma GCC unroll 6
      for (int j = 0; j < kIn; ++j) store(to.at(i, j), t[j]);
    }

    // Groups of the block at hand that have the same number of tiles.
    struct Part {
      int rows;
      int64_t first, count;  // from the block's first group
#ifdef EC_HAS_FMA_LANE
      PackedFunction compute;  // null where rows are not packed
      const float* inputs;     // of the first group
      int64_t to;              // from the products of the block's first group
      PackedTiles tiles;
#endif
    };

    // A cut of a panel of one frequency.
    struct Product {
      int panel;
      int64_t first, depth;  // of the cut
      const float* b;        // as if all panels were whole
      const float* start;    // null: the sums so far
      int64_t inputs;        // of the cut, from the group's
      float* to;             // products of the block's first group
      int64_t group_floats;
    };

    // Rows are tiles. What is done for each panel is little: often there is but one for a frequency.
    void multiply(int first_panel, int last_panel) const {
      const int64_t k = p.in_c, panel_step = k * kPanelWidth, cut = shape.cut;
      const int64_t frequency_step = round_up(p.out_c, kLanes) * k;
      const float* b = weights + first_panel * panel_step;
      Product product;
      product.group_floats = (last_panel - first_panel) * kFrequencies * kProductStep;
      Part parts[3];
      Part* const parts_end = cut_block(product.group_floats, parts);
      for (int f = 0; f < kFrequencies; ++f, b += frequency_step) {
        const bool has_bias = f == kBiasFrequency;
        product.inputs = f * shape.input_step;
        for (product.first = 0; product.first < k; product.first += cut, product.inputs += shape.cut_step) {
          product.depth = smaller(k - product.first, cut);
          product.b = b + product.first * kPanelWidth;
          product.start = product.first > 0 ? nullptr
                          : has_bias        ? bias + first_panel * kPanelWidth
                                            : scratch.zeros;
          product.to = scratch.products + f * kProductStep;
          for (Part* part = parts; part < parts_end; ++part) begin_cut(product, part);
          for (product.panel = first_panel; product.panel < last_panel; ++product.panel) {
            for (Part* part = parts; part < parts_end; ++part) compute_groups(product, part);
            product.b += panel_step;
            product.to += kFrequencies * kProductStep;
            if (product.start != nullptr && has_bias) product.start += kPanelWidth;
          }
        }
      }
    }

    // Returns the end of the parts.
    Part* cut_block(int64_t group_floats, Part* part) const {
      // Groups that have not `base` tiles: the first ones or the last one.
      const TileCut& groups = shape.groups;
      const int64_t first_other = groups.longer > 0 ? 0 : groups.tiles - 1;
      const int64_t last_other = groups.longer > 0 ? groups.longer : groups.tiles;
      // Within the block at hand, they begin and end here.
      const int64_t others = smaller(larger(first_other, first_group), last_group);
      const int64_t others_end = smaller(larger(last_other, others), last_group);
      const int64_t ends[] = {first_group, others, others_end, last_group};
      for (int i = 0; i < 3; ++i) {
        if (ends[i] == ends[i + 1]) continue;
        part->rows = static_cast<int>(i == 1 ? groups.other() : groups.base);
        part->first = ends[i] - first_group;
        part->count = ends[i + 1] - ends[i];
#ifdef EC_HAS_FMA_LANE
        constexpr ptrdiff_t kFloatBytes = sizeof(float);
        part->compute = packs(part->rows) ? packed_function(part->rows, core) : nullptr;
        part->inputs = scratch.inputs + part->first * shape.group_step;
        part->to = part->first * group_floats;
        PackedTiles& tiles = part->tiles;
        tiles.a_step = shape.group_step * kFloatBytes;
        tiles.a_turn = kPackedStep * kFloatBytes;
        tiles.b_step = 0;
        tiles.out_step = group_floats * kFloatBytes;
        tiles.out_row = kPanelWidth * kFloatBytes;
        tiles.prefetch = int64_t{p.in_c} * kPanelWidth * kFloatBytes;
        tiles.count = part->count;
        tiles.bounds = tiles.residual = nullptr;
#endif
        ++part;
      }
      (void)group_floats;
      return part;
    }

    // What all panels have in common.
    static EC_INLINE void begin_cut(const Product& product, Part* part) {
#ifdef EC_HAS_FMA_LANE
      const bool more = product.start == nullptr;
      PackedTiles& tiles = part->tiles;
      tiles.a = part->inputs + product.inputs;
      tiles.start_step = more ? tiles.out_step : 0;
      tiles.start_row = more ? tiles.out_row : 0;
      tiles.k = product.depth;
#else
      (void)product, (void)part;
#endif
    }

    EC_INLINE void compute_groups(const Product& product, Part* part) const {
#ifdef EC_HAS_FMA_LANE
      if (part->compute != nullptr) {
        PackedTiles& tiles = part->tiles;
        tiles.b = product.b;
        tiles.out = product.to + part->to;
        tiles.start = product.start != nullptr ? product.start : tiles.out;
        part->compute(&tiles);
        return;
      }
#endif
      compute_rows(product, *part);
    }

    // Rows that lie one after another.
    __attribute__((noinline)) void compute_rows(const Product& product, const Part& part) const {
      const int vecs = product.panel + 1 == shape.panels ? shape.last_vecs : kPanelVecs;
      const int64_t width = vecs * kLanes;
      float* to = product.to + part.first * product.group_floats;
      const Run run{0, 0};
      Tile t = {};
      t.run_count = 1;
      t.run_length = static_cast<int>(product.depth);
      t.runs = &run;
      t.core = core;
      t.a = scratch.rows + part.first * kTileRows;
      t.a_offset = product.inputs;
      t.b = product.b - product.first * (kPanelWidth - width);
      t.prefetch = t.b + int64_t{p.in_c} * kPanelWidth;
      t.start_step = product.start != nullptr ? 0 : width;
      const TileFunction compute = tile_function(part.rows, vecs);
      for (int64_t g = 0; g < part.count; ++g, t.a += kTileRows, to += product.group_floats) {
        t.partial = to;
        t.start = product.start != nullptr ? product.start : to;
        compute(t);
      }
    }

    // Where the results of a tile go, and how many of them lie in the picture.
    struct Target {
      float* out;
      const float* residual;
      int rows, columns;
    };

    void transform_outputs(int first_panel, int last_panel) {
      const float* products = scratch.products;
      const int first_channel = first_panel * kPanelWidth;
      const int shrink = p.pool ? 2 : 1;
      const int64_t width = p.out_w / shrink, height = p.out_h / shrink;
      Place at(shape, shape.groups.start(first_group));
      for (int64_t g = first_group; g < last_group; ++g) {
        const int rows = rows_of(g);
        for (int r = 0; r < rows; ++r, at.advance(shape)) {
          Target to;
          to.rows = smaller(p.out_h - at.y, kOut);
          to.columns = smaller(p.out_w - at.x, kOut);
          const int64_t pixel = (at.n * p.out_h + at.y) * p.out_w + at.x;
          const int64_t result = (at.n * height + at.y / shrink) * width + at.x / shrink;
          to.residual = residual + pixel * p.residual_stride + first_channel;
          to.out = out + result * p.out_stride + first_channel;
          const bool inside = to.rows == kOut && to.columns == kOut;
          const float* from = products;
          for (int n = first_panel; n < last_panel; ++n, from += kFrequencies * kProductStep) {
            const int columns = smaller(p.out_c - n * kPanelWidth, kPanelWidth);
            const float* row = from + r * round_up(columns, kLanes);
            for (int c = 0; c < columns; c += kLanes, to.out += kLanes, to.residual += kLanes) {
              Vec y[kOut * kOut][1];
              transform_back(row + c, kProductStep, y);
              if (inside && c + kLanes <= columns) {
                write_tile(y, {to.out, to.residual, kOut, kOut}, kLanes);
              } else {
                write_tile(y, to, smaller(columns - c, kLanes));
              }
            }
          }
        }
        products += (last_panel - first_panel) * kFrequencies * kProductStep;
      }
    }

    static EC_INLINE void transform_back(const float* products, int64_t step, Vec (&y)[kOut * kOut][1]) {
      Vec columns[kOut * kIn];
#pragma GCC unroll 6
      for (int j = 0; j < kIn; ++j) {
        Vec m[kIn];
#pragma GCC unroll 6
        for (int i = 0; i < kIn; ++i) m[i] = load(products + (i * kIn + j) * step);
        transform_output(m, columns + j, kIn);
        keep_order();
      }
#pragma GCC unroll 4
      for (int i = 0; i < kOut; ++i) {
        Vec m[kIn], line[kOut];
#pragma GCC unroll 6
        for (int j = 0; j < kIn; ++j) m[j] = columns[i * kIn + j];
        transform_output(m, line, 1);
#pragma GCC unroll 4
        for (int j = 0; j < kOut; ++j) y[i * kOut + j][0] = line[j];
      }
    }

    // `count` channels of one tile.
    EC_INLINE void write_tile(Vec (&y)[kOut * kOut][1], const Target& to, int count) {
      if (p.residual == 1) add_residual(y, to, count);
      if (!pool_first) activate(y, epilogue);
      if (p.residual == 2) add_residual(y, to, count);
      if (!p.pool) {
        put_square<kOut>(y, to.out, int64_t{p.out_w} * p.out_stride, to.rows, to.columns, count);
        return;
      }
      constexpr int kPooled = kOut / 2;
      Vec best[kPooled * kPooled][1];
#pragma GCC unroll 4
      for (int q = 0; q < kPooled * kPooled; ++q) {
        const int first = q / kPooled * 2 * kOut + q % kPooled * 2;
        best[q][0] = max_nan(max_nan(y[first][0], y[first + 1][0]),
                             max_nan(y[first + kOut][0], y[first + kOut + 1][0]));
      }
      if (pool_first) activate(best, epilogue);
      put_square<kPooled>(best, to.out, int64_t{p.out_w / 2} * p.out_stride, to.rows / 2, to.columns / 2,
                          count);
    }

    template <int kSide>
    EC_INLINE void put_square(const Vec (&y)[kSide * kSide][1], float* to, int64_t line, int rows,
                              int columns, int count) const {
      const int64_t pixel = p.out_stride;
#pragma GCC unroll 4
      for (int i = 0; i < kSide; ++i, to += line) {
#pragma GCC unroll 4
        for (int j = 0; j < kSide; ++j) {
          if (i < rows && j < columns) put(to + j * pixel, y[i * kSide + j][0], count);
        }
      }
    }

    EC_INLINE void add_residual(Vec (&y)[kOut * kOut][1], const Target& to, int count) const {
      const int64_t pixel = p.residual_stride;
      const float* r = to.residual;
#pragma GCC unroll 4
      for (int i = 0; i < kOut; ++i, r += p.out_w * pixel) {
#pragma GCC unroll 4
        for (int j = 0; j < kOut; ++j) {
          if (i >= to.rows || j >= to.columns) continue;
          Vec& sum = y[i * kOut + j][0];
          sum = add(sum, count == kLanes ? load(r + j * pixel) : load_partial(r + j * pixel, count));
        }
      }
    }

    static EC_INLINE void put(float* to, Vec v, int count) {
      if (count == kLanes) {
        store(to, v);
      } else {
        store_partial(to, v, count);
      }
    }
  };
};

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_WINOGRAD_INL_H_

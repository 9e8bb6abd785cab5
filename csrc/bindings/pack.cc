// Weights in the order in which kernels read them, for edgecnn/plan/pack.py, which says what the orders are.
//
// The source is a view of any strides, of a model file as it lies: unaligned, and in the order of its format.
// So a weight is read once and written once, and what a model file has in another order is never copied into
// this one.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace py = pybind11;

namespace edgecnn {
namespace {

constexpr int kMaxWidth = 64;  // of a panel
constexpr int kTerms = 16;     // of each filter at a time: a cache line of it where they are neighbours
constexpr int kRows = 6, kTaps = 3;

// Filters (O, KH, KW, C); strides in bytes.
struct Filters {
  const char* data;
  std::array<int64_t, 4> shape, strides;
};

struct Layout {
  int nr, lanes;
  int width(int64_t filters) const {
    return static_cast<int>(std::min<int64_t>(nr, (filters + lanes - 1) / lanes * lanes));
  }
  // Columns of all panels of so many filters.
  int64_t columns(int64_t filters) const {
    return filters / nr * nr + (filters % nr ? width(filters % nr) : 0);
  }
};

float load(const char* from) {
  float value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

// One panel, [KH * KW * C][width], of the filters from *data* on. Terms are taken in the order in which they
// lie in the source, some of each filter at a time: neighbours share a line, and filters a power of two apart
// a set of a cache.
void pack_panel(const Filters& w, const char* data, int filters, int width, float* panel) {
  std::array<int, 3> axes{1, 2, 3};
  std::stable_sort(axes.begin(), axes.end(),
                   [&](int a, int b) { return std::abs(w.strides[a]) > std::abs(w.strides[b]); });
  const std::array<int64_t, 4> row_strides{0, w.shape[2] * w.shape[3] * width, w.shape[3] * width, width};
  const auto [slow, middle, fast] = axes;
  float terms[kTerms][kMaxWidth] = {};
  int64_t from[kTerms];
  float* to[kTerms];
  int count = 0;
  const auto flush = [&] {
    for (int filter = 0; filter < filters; ++filter) {
      const char* of_filter = data + filter * w.strides[0];
      for (int i = 0; i < count; ++i) terms[i][filter] = load(of_filter + from[i]);
    }
    for (int i = 0; i < count; ++i) std::memcpy(to[i], terms[i], width * sizeof(float));
    count = 0;
  };
  for (int64_t i = 0; i < w.shape[slow]; ++i) {
    for (int64_t j = 0; j < w.shape[middle]; ++j) {
      for (int64_t k = 0; k < w.shape[fast]; ++k) {
        from[count] = i * w.strides[slow] + j * w.strides[middle] + k * w.strides[fast];
        to[count] = panel + i * row_strides[slow] + j * row_strides[middle] + k * row_strides[fast];
        if (++count == kTerms) flush();
      }
    }
  }
  flush();
}

// Row *row* of G g G^T of each filter g of a panel: [6][C][width], *apart* floats between the six.
void transform_panel(const Filters& w, const char* data, int filters, int width, const double (*g)[kTaps],
                     int row, float* panel, int64_t apart) {
  double taps[kTaps][kTaps][kMaxWidth] = {};
  double rows[kTaps][kMaxWidth];
  for (int64_t c = 0; c < w.shape[3]; ++c) {
    for (int filter = 0; filter < filters; ++filter) {
      const char* of_filter = data + filter * w.strides[0] + c * w.strides[3];
      for (int y = 0; y < kTaps; ++y) {
        for (int x = 0; x < kTaps; ++x) {
          taps[y][x][filter] = load(of_filter + y * w.strides[1] + x * w.strides[2]);
        }
      }
    }
    for (int x = 0; x < kTaps; ++x) {
      for (int i = 0; i < width; ++i) {
        rows[x][i] = g[row][0] * taps[0][x][i] + g[row][1] * taps[1][x][i] + g[row][2] * taps[2][x][i];
      }
    }
    for (int column = 0; column < kRows; ++column) {
      float* to = panel + column * apart + c * width;
      const double* f = g[column];
      for (int i = 0; i < width; ++i) {
        to[i] = static_cast<float>(f[0] * rows[0][i] + f[1] * rows[1][i] + f[2] * rows[2][i]);
      }
    }
  }
}

Filters filters_of(const py::array& w) {
  if (!py::isinstance<py::array_t<float>>(w) || w.ndim() != 4) {
    throw py::value_error("weights are float32 with four axes");
  }
  Filters filters{static_cast<const char*>(w.data()), {}, {}};
  std::copy_n(w.shape(), 4, filters.shape.begin());
  std::copy_n(w.strides(), 4, filters.strides.begin());
  return filters;
}

Layout layout_of(int nr, int lanes) {
  if (lanes < 1 || nr < lanes || nr > kMaxWidth || nr % lanes) throw py::value_error("no width of a panel");
  return {nr, lanes};
}

template <typename Pack>
void each_panel(const Filters& w, const Layout& layout, const Pack& pack) {
  for (int64_t first = 0; first < w.shape[0]; first += layout.nr) {
    const int filters = static_cast<int>(std::min<int64_t>(layout.nr, w.shape[0] - first));
    pack(first, w.data + first * w.strides[0], filters, layout.width(filters));
  }
}

py::array_t<float> pack_panels(const py::array& weights, int nr, int lanes) {
  const Filters w = filters_of(weights);
  const Layout layout = layout_of(nr, lanes);
  const int64_t terms = w.shape[1] * w.shape[2] * w.shape[3];
  py::array_t<float> packed(layout.columns(w.shape[0]) * terms);
  float* out = packed.mutable_data();
  const py::gil_scoped_release release;
  each_panel(w, layout, [&](int64_t first, const char* data, int filters, int width) {
    pack_panel(w, data, filters, width, out + first * terms);
  });
  return packed;
}

py::array_t<float> pack_winograd_row(const py::array& weights, int nr, int lanes,
                                     const py::array_t<double, py::array::c_style>& g, int row) {
  const Filters w = filters_of(weights);
  const Layout layout = layout_of(nr, lanes);
  if (w.shape[1] != kTaps || w.shape[2] != kTaps || g.ndim() != 2 || g.shape(0) != kRows ||
      g.shape(1) != kTaps || row < 0 || row >= kRows) {
    throw py::value_error("takes filters of 3x3 and a row of a matrix of 6x3");
  }
  const int64_t apart = layout.columns(w.shape[0]) * w.shape[3];
  py::array_t<float> packed(kRows * apart);
  float* out = packed.mutable_data();
  const auto* matrix = reinterpret_cast<const double(*)[kTaps]>(g.data());
  const py::gil_scoped_release release;
  each_panel(w, layout, [&](int64_t first, const char* data, int filters, int width) {
    transform_panel(w, data, filters, width, matrix, row, out + first * w.shape[3], apart);
  });
  return packed;
}

}  // namespace

void bind_pack(py::module_& m) {
  m.def("pack_panels", &pack_panels, py::arg("weights"), py::arg("nr"), py::arg("lanes"),
        "Panels of filters (O, KH, KW, C) for the matrix-product kernels.");
  m.def("pack_winograd_row", &pack_winograd_row, py::arg("weights"), py::arg("nr"), py::arg("lanes"),
        py::arg("g"), py::arg("row"),
        "One row of the frequencies of filters (O, 3, 3, C), each as panels of (O, C).");
}

}  // namespace edgecnn

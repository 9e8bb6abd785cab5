#include <pybind11/pybind11.h>

namespace edgecnn {
void bind_pack(pybind11::module_& m);
void bind_runtime(pybind11::module_& m);
void bind_vision(pybind11::module_& m);
}  // namespace edgecnn

PYBIND11_MODULE(_core, m) {
  m.doc() = "The C++ of edgecnn: executes programs, packs weights, letterboxes pictures, decodes YOLO maps.";
  edgecnn::bind_pack(m);
  edgecnn::bind_runtime(m);
  edgecnn::bind_vision(m);
}

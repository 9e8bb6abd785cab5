// A box of dimensions walked over two tensors at once, each with its own strides: the common part of
// Copy and Binary.
#ifndef EDGECNN_ALGO_BOX_INL_H_
#define EDGECNN_ALGO_BOX_INL_H_

#include "algo/step.h"
#include "simd/vec.h"

namespace edgecnn {
namespace EC_ISA {

// One dimension more than a step has, for the parts of an element.
constexpr int kMaxBoxDims = kMaxDims + 1;

struct Box {
  int rank = 0;
  int64_t dims[kMaxBoxDims];
  int64_t a_strides[kMaxBoxDims];
  int64_t b_strides[kMaxBoxDims];

  // Appends an inner dimension, as part of the last one where both tensors step through the two as through
  // one.
  EC_INLINE void push(int64_t dim, int64_t a_stride, int64_t b_stride) {
    if (dim == 1) return;
    const int last = rank - 1;
    if (rank > 0 && a_strides[last] == dim * a_stride && b_strides[last] == dim * b_stride) {
      dims[last] *= dim;
    } else {
      dims[rank++] = dim;
    }
    a_strides[rank - 1] = a_stride;
    b_strides[rank - 1] = b_stride;
  }

  // After the last push: a box of one element gets a dimension as well.
  EC_INLINE void finish() {
    if (rank > 0) return;
    rank = 1;
    dims[0] = 1;
    a_strides[0] = b_strides[0] = 1;
  }

  EC_INLINE int64_t count(int first, int last) const {
    int64_t n = 1;
    for (int i = first; i < last; ++i) n *= dims[i];
    return n;
  }
};

// A position in the outer `rank` dimensions of a box, with the offsets of both tensors there.
struct BoxCursor {
  int64_t index[kMaxBoxDims] = {};
  int64_t a = 0;
  int64_t b = 0;

  EC_INLINE BoxCursor(const Box& box, int rank, int64_t position) {
    for (int i = rank - 1; i >= 0; --i) {
      index[i] = position % box.dims[i];
      position /= box.dims[i];
      a += index[i] * box.a_strides[i];
      b += index[i] * box.b_strides[i];
    }
  }

  EC_INLINE void advance(const Box& box, int rank) {
    for (int i = rank - 1; i >= 0; --i) {
      a += box.a_strides[i];
      b += box.b_strides[i];
      if (++index[i] < box.dims[i]) return;
      a -= box.dims[i] * box.a_strides[i];
      b -= box.dims[i] * box.b_strides[i];
      index[i] = 0;
    }
  }
};

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_BOX_INL_H_

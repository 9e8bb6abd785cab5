// Conversion between float32, int32 and int64. A float outside the range of the integers becomes the nearest
// of them and NaN becomes 0, where C leaves the result open.
#ifndef EDGECNN_ALGO_CAST_INL_H_
#define EDGECNN_ALGO_CAST_INL_H_

#include "algo/rows-inl.h"
#include "algo/step.h"

namespace edgecnn {
namespace EC_ISA {

EC_INLINE void convert(float x, float* y) { *y = x; }
EC_INLINE void convert(int32_t x, float* y) { *y = static_cast<float>(x); }
EC_INLINE void convert(int64_t x, float* y) { *y = static_cast<float>(x); }
EC_INLINE void convert(int32_t x, int32_t* y) { *y = x; }
EC_INLINE void convert(int64_t x, int32_t* y) { *y = static_cast<int32_t>(x); }
EC_INLINE void convert(int32_t x, int64_t* y) { *y = x; }
EC_INLINE void convert(int64_t x, int64_t* y) { *y = x; }
EC_INLINE void convert(float x, int32_t* y) {
  if (x > -0x1p31f && x < 0x1p31f) {
    *y = static_cast<int32_t>(x);
  } else {
    *y = x >= 0x1p31f ? INT32_MAX : x <= -0x1p31f ? INT32_MIN : 0;
  }
}
EC_INLINE void convert(float x, int64_t* y) {
  if (x > -0x1p63f && x < 0x1p63f) {
    *y = static_cast<int64_t>(x);
  } else {
    *y = x >= 0x1p63f ? INT64_MAX : x <= -0x1p63f ? INT64_MIN : 0;
  }
}

struct CastStep {
  static int64_t items(const CastParams& p) { return ceil_div(p.count, kItemElements); }

  static uint64_t scratch_bytes(const CastParams&) { return 0; }

  template <class From, class To>
  static void cast(const StepArgs& args, int64_t first, int64_t last) {
    const char* x = static_cast<const char*>(args.in[0]);
    char* y = static_cast<char*>(args.out[0]);
    for (int64_t i = first; i < last; ++i) {
      // Tensors are aligned to 4 bytes only, also those of 8-byte elements.
      From value;
      To result;
      __builtin_memcpy(&value, x + i * static_cast<int64_t>(sizeof(From)), sizeof(From));
      convert(value, &result);
      __builtin_memcpy(y + i * static_cast<int64_t>(sizeof(To)), &result, sizeof(To));
    }
  }

  template <class From>
  static void cast_from(ElementType to, const StepArgs& args, int64_t first, int64_t last) {
    switch (to) {
      case ElementType::kFloat32:
        return cast<From, float>(args, first, last);
      case ElementType::kInt32:
        return cast<From, int32_t>(args, first, last);
      case ElementType::kInt64:
        return cast<From, int64_t>(args, first, last);
    }
  }

  static void run(const CastParams& p, const StepArgs& args, int64_t begin, int64_t end) {
    const int64_t first = begin * kItemElements;
    const int64_t last = smaller<int64_t>(p.count, end * kItemElements);
    const ElementType to = static_cast<ElementType>(p.to);
    switch (static_cast<ElementType>(p.from)) {
      case ElementType::kFloat32:
        return cast_from<float>(to, args, first, last);
      case ElementType::kInt32:
        return cast_from<int32_t>(to, args, first, last);
      case ElementType::kInt64:
        return cast_from<int64_t>(to, args, first, last);
    }
  }
};

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_CAST_INL_H_

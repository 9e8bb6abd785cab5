#define EC_ISA avx2
#include "simd/vec_avx2.h"
#include "targets/kernels-inl.h"

namespace edgecnn {

extern const Target kTarget_avx2;
const Target kTarget_avx2 = avx2::make_target("x86-avx2");

}  // namespace edgecnn

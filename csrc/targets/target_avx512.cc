#define EC_ISA avx512
#include "simd/vec_avx512.h"
#include "targets/kernels-inl.h"

namespace edgecnn {

extern const Target kTarget_avx512;
const Target kTarget_avx512 = avx512::make_target("x86-avx512");

}  // namespace edgecnn

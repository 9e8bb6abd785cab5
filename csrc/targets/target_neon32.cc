#define EC_ISA neon32
#include "simd/vec_neon32.h"
#include "targets/kernels-inl.h"

namespace edgecnn {

extern const Target kTarget_neon32;
const Target kTarget_neon32 = neon32::make_target("armv7");

}  // namespace edgecnn

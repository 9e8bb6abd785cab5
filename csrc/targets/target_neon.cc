#define EC_ISA neon
#include "simd/vec_neon.h"
#include "targets/kernels-inl.h"

namespace edgecnn {

extern const Target kTarget_neon;
const Target kTarget_neon = neon::make_target("armv8");

}  // namespace edgecnn

#define EC_ISA portable
#include "simd/vec_scalar.h"
#include "targets/kernels-inl.h"

namespace edgecnn {

extern const Target kTarget_portable;
const Target kTarget_portable = portable::make_target("portable");

}  // namespace edgecnn

// What a machine can do at most: the multiply-adds of one instruction set, and bytes from memory.
#ifndef EDGECNN_CPU_PEAK_H_
#define EDGECNN_CPU_PEAK_H_

#include <cstddef>
#include <cstdint>

namespace edgecnn {

// Does independent chains of vector multiply-adds and returns the operations (2 for each lane of each).
// One for each target, compiled from peak_fma.cc with the flags of its kernels.
using FmaChains = double (*)(int64_t rounds, float* result);

// nullptr for a target that is not compiled in.
FmaChains fma_chains_of(const char* target);

// GFLOP/s of all threads together, each in the best of several windows.
double measure_fma_peak(FmaChains chains, int threads);

// GB/s of a = b + s * c over three arrays of `bytes` together, 12 bytes an element, all threads together.
// From memory where they are larger than the caches.
double measure_bandwidth(int threads, size_t bytes);

}  // namespace edgecnn

#endif  // EDGECNN_CPU_PEAK_H_

// Compiled once for each instruction set: EC_ISA is its namespace, EC_VOCABULARY its vec_<isa>.h. See peak.h.
#include EC_VOCABULARY

namespace edgecnn {
namespace EC_ISA {

// More than latency times units of any core known, and few enough for 16 registers with two operands.
constexpr int kChains = 12;

double fma_chains(int64_t rounds, float* result) {
  const Vec a = broadcast(0.5f), b = broadcast(0.25f);
  Vec sum[kChains];
  for (int i = 0; i < kChains; ++i) sum[i] = broadcast(static_cast<float>(i));
  for (int64_t r = 0; r < rounds; ++r) {
    for (int i = 0; i < kChains; ++i) sum[i] = fma(a, b, sum[i]);
  }
  for (int i = 1; i < kChains; ++i) sum[0] = add(sum[0], sum[i]);
  *result = reduce_add(sum[0]);
  return 2.0 * kLanes * kChains * static_cast<double>(rounds);
}

}  // namespace EC_ISA
}  // namespace edgecnn

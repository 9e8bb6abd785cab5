// The UnaryKinds as functors on a Vec. with_activation(kind, alpha, beta, body) calls body(f) with the
// functor of that kind, so that the choice is made once, outside of the loops:
//
//   with_activation(kind, p.alpha, p.beta, [&](auto f) { for (...) store(y + i, f(load(x + i))); });
//
// A NaN goes through every function but step (NaN > 0 is false). Formulas: edgecnn/graph/ops.py.
#ifndef EDGECNN_SIMD_ACTIVATION_INL_H_
#define EDGECNN_SIMD_ACTIVATION_INL_H_

#include "algo/step.h"
#include "simd/math-inl.h"

namespace edgecnn {
namespace EC_ISA {

EC_INLINE Vec clamp(Vec x, Vec low, Vec high) { return min(high, max(low, x)); }

struct IdentityFunctor {
  EC_INLINE Vec operator()(Vec x) const { return x; }
};
struct ReluFunctor {
  EC_INLINE Vec operator()(Vec x) const { return max(broadcast(0.0f), x); }
};
struct LeakyFunctor {
  Vec alpha;
  EC_INLINE Vec operator()(Vec x) const { return select(lt(broadcast(0.0f), x), x, mul(alpha, x)); }
};
// The same where 0 < alpha <= 1: the larger of the two.
struct ShallowLeakyFunctor {
  Vec alpha;
  EC_INLINE Vec operator()(Vec x) const { return max(mul(alpha, x), x); }
};
struct ClipFunctor {
  Vec low, high;
  EC_INLINE Vec operator()(Vec x) const { return clamp(x, low, high); }
};
struct EluFunctor {
  Vec alpha, beta;
  EC_INLINE Vec operator()(Vec x) const {
    return mul(beta,
               select(lt(broadcast(0.0f), x), x, mul(alpha, expm1_nonpositive(min(broadcast(0.0f), x)))));
  }
};
struct SigmoidFunctor {
  EC_INLINE Vec operator()(Vec x) const { return sigmoid(x); }
};
struct TanhFunctor {
  EC_INLINE Vec operator()(Vec x) const { return tanh(x); }
};
struct HardSigmoidFunctor {
  Vec alpha, beta;
  EC_INLINE Vec operator()(Vec x) const {
    return clamp(fma(alpha, x, beta), broadcast(0.0f), broadcast(1.0f));
  }
};
struct HardSwishFunctor {
  EC_INLINE Vec operator()(Vec x) const {
    return mul(x, clamp(fma(x, broadcast(1.0f / 6.0f), broadcast(0.5f)), broadcast(0.0f), broadcast(1.0f)));
  }
};
struct SoftplusFunctor {
  EC_INLINE Vec operator()(Vec x) const { return softplus(x); }
};
struct SoftsignFunctor {
  EC_INLINE Vec operator()(Vec x) const { return div(x, add(broadcast(1.0f), abs(x))); }
};
struct MishFunctor {
  // With u = e^x: tanh(log(1 + u)) = (u^2 + 2u) / (u^2 + 2u + 2), which is 1 to the last bit from x = 20 on.
  EC_INLINE Vec operator()(Vec x) const {
    const Vec u = exp(min(broadcast(20.0f), x));
    const Vec t = fma(u, u, add(u, u));
    return mul(x, div(t, add(t, broadcast(2.0f))));
  }
};
struct SwishFunctor {
  EC_INLINE Vec operator()(Vec x) const { return div(x, add(broadcast(1.0f), exp(neg(x)))); }
};
struct GeluFunctor {
  EC_INLINE Vec operator()(Vec x) const {
    const Vec half = mul(broadcast(0.5f), x);
    return fma(half, erf(mul(x, broadcast(0.70710678f))), half);
  }
};
struct StepFunctor {
  EC_INLINE Vec operator()(Vec x) const {
    return select(lt(broadcast(0.0f), x), broadcast(1.0f), broadcast(0.0f));
  }
};
struct ExpFunctor {
  EC_INLINE Vec operator()(Vec x) const { return exp(x); }
};
struct LogFunctor {
  EC_INLINE Vec operator()(Vec x) const { return log(x); }
};
struct SqrtFunctor {
  EC_INLINE Vec operator()(Vec x) const { return sqrt(x); }
};
struct AbsFunctor {
  EC_INLINE Vec operator()(Vec x) const { return abs(x); }
};
struct NegFunctor {
  EC_INLINE Vec operator()(Vec x) const { return neg(x); }
};
struct ReciprocalFunctor {
  EC_INLINE Vec operator()(Vec x) const { return div(broadcast(1.0f), x); }
};
struct FloorFunctor {
  EC_INLINE Vec operator()(Vec x) const { return floor(x); }
};
struct CeilFunctor {
  EC_INLINE Vec operator()(Vec x) const { return ceil(x); }
};
struct ErfFunctor {
  EC_INLINE Vec operator()(Vec x) const { return erf(x); }
};

template <class Body>
EC_INLINE void with_activation(UnaryKind kind, float alpha, float beta, Body&& body) {
  switch (kind) {
    case UnaryKind::k_identity:
      return body(IdentityFunctor{});
    case UnaryKind::k_relu:
      return body(ReluFunctor{});
    case UnaryKind::k_relu6:
      return body(ClipFunctor{broadcast(0.0f), broadcast(6.0f)});
    case UnaryKind::k_leaky:
      return body(LeakyFunctor{broadcast(alpha)});
    case UnaryKind::k_clip:
      return body(ClipFunctor{broadcast(alpha), broadcast(beta)});
    case UnaryKind::k_hardtan:
      return body(ClipFunctor{broadcast(-1.0f), broadcast(1.0f)});
    case UnaryKind::k_elu:
      return body(EluFunctor{broadcast(alpha), broadcast(1.0f)});
    case UnaryKind::k_selu:
      return body(EluFunctor{broadcast(alpha), broadcast(beta)});
    case UnaryKind::k_sigmoid:
      return body(SigmoidFunctor{});
    case UnaryKind::k_tanh:
      return body(TanhFunctor{});
    case UnaryKind::k_hardsigmoid:
      return body(HardSigmoidFunctor{broadcast(alpha), broadcast(beta)});
    case UnaryKind::k_hardswish:
      return body(HardSwishFunctor{});
    case UnaryKind::k_softplus:
      return body(SoftplusFunctor{});
    case UnaryKind::k_softsign:
      return body(SoftsignFunctor{});
    case UnaryKind::k_mish:
      return body(MishFunctor{});
    case UnaryKind::k_swish:
      return body(SwishFunctor{});
    case UnaryKind::k_gelu:
      return body(GeluFunctor{});
    case UnaryKind::k_step:
      return body(StepFunctor{});
    case UnaryKind::k_exp:
      return body(ExpFunctor{});
    case UnaryKind::k_log:
      return body(LogFunctor{});
    case UnaryKind::k_sqrt:
      return body(SqrtFunctor{});
    case UnaryKind::k_abs:
      return body(AbsFunctor{});
    case UnaryKind::k_neg:
      return body(NegFunctor{});
    case UnaryKind::k_reciprocal:
      return body(ReciprocalFunctor{});
    case UnaryKind::k_floor:
      return body(FloorFunctor{});
    case UnaryKind::k_ceil:
      return body(CeilFunctor{});
    case UnaryKind::k_erf:
      return body(ErfFunctor{});
  }
}

// x = f(x) for n vectors: for kernels that fuse any function but do not want it inlined.
inline __attribute__((noinline)) void apply_unary(UnaryKind kind, float alpha, float beta, float* x, int n) {
  with_activation(kind, alpha, beta, [=](auto f) {
    for (int i = 0; i < n; ++i) store(x + i * kLanes, f(load(x + i * kLanes)));
  });
}

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_SIMD_ACTIVATION_INL_H_

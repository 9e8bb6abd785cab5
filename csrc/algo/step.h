// A step is one unit of work of a program: what the planner (Python) emits and the executor (csrc/runtime)
// runs.
//
// Every kind of step has a row in runtime/steps.inc: its number in the .ecnn file and its parameters, all
// 4-byte fields (int32 or float32, little-endian), which are generated here as a plain struct. The Python
// planner reads the same list through _core.step_schema(), so the two cannot drift apart.
//
// An algorithm is a struct <Name>Step in algo/<name>-inl.h, compiled once per instruction set inside
// namespace edgecnn::EC_ISA (see targets/), with three static functions:
//
// - int64_t items(const P& p): number of independent work items; the executor splits [0, items) over threads.
// - uint64_t scratch_bytes(const P& p): scratch a thread needs, 0 if none; given 64-byte aligned, contents
// undefined.
// - void run(const P& p, const StepArgs& args, int64_t begin, int64_t end): does items [begin, end).
//
// Contract of run(): no allocation, no locks, no exceptions, no I/O. An item writes only its own part of the
// outputs, and the value of each output element does not depend on how [0, items) was split (results are
// bit-identical for any number of threads). Reading up to kTailBytes past the end of an input is allowed,
// writing past an output never. Parameters have been validated (runtime/validate.cc) before run() is ever
// called.
#ifndef EDGECNN_ALGO_STEP_H_
#define EDGECNN_ALGO_STEP_H_

#include <cstddef>
#include <cstdint>

namespace edgecnn {

constexpr int kMaxStepInputs = 4;
constexpr int kMaxStepOutputs = 1;
constexpr int kMaxDims = 6;
constexpr size_t kTailBytes = 64;
constexpr size_t kAlignment = 64;

// What a kernel may want to know of the core it runs on, to choose its blocking (never its arithmetic).
struct CacheSizes {
  size_t l1d_bytes = 32 * 1024;
  size_t l2_bytes = 256 * 1024;  // share of one core
};

// How a core orders its work, for kernels that come in two schedules of the same arithmetic.
enum class CoreClass : uint8_t { kOutOfOrder, kInOrder };

struct StepArgs {
  const void* in[kMaxStepInputs];
  void* out[kMaxStepOutputs];
  void* scratch;
  CacheSizes caches;
  CoreClass core;
};

enum class StepKind : uint16_t {
#define EC_STEP(Name, id, fields) k##Name = id,
#include "runtime/steps.inc"
#undef EC_STEP
};

#define EC_STEP_INT(name) int32_t name;
#define EC_STEP_FLOAT(name) float name;
#define EC_STEP_DIMS(name) int32_t name[kMaxDims];
#define EC_STEP(Name, id, fields)                    \
  struct Name##Params {                              \
    fields(EC_STEP_INT, EC_STEP_FLOAT, EC_STEP_DIMS) \
  };
#include "runtime/steps.inc"
#undef EC_STEP
#undef EC_STEP_INT
#undef EC_STEP_FLOAT
#undef EC_STEP_DIMS

// Unary functions (activations and mathematics), and the other enumerations; the numbers are part of the
// .ecnn format.
enum class UnaryKind : int32_t {
#define EC_UNARY(name, id) k_##name = id,
#define EC_BINARY(name, id)
#define EC_REDUCE(name, id)
#include "runtime/functions.inc"
#undef EC_UNARY
#undef EC_BINARY
#undef EC_REDUCE
};
enum class BinaryKind : int32_t {
#define EC_UNARY(name, id)
#define EC_BINARY(name, id) k_##name = id,
#define EC_REDUCE(name, id)
#include "runtime/functions.inc"
#undef EC_UNARY
#undef EC_BINARY
#undef EC_REDUCE
};
enum class ReduceKind : int32_t {
#define EC_UNARY(name, id)
#define EC_BINARY(name, id)
#define EC_REDUCE(name, id) k_##name = id,
#include "runtime/functions.inc"
#undef EC_UNARY
#undef EC_BINARY
#undef EC_REDUCE
};
enum class PadMode : int32_t { kConstant = 0, kReflect = 1, kEdge = 2, kWrap = 3 };
enum class ResizeMode : int32_t { kNearest = 0, kLinear = 1 };
enum class ResizeCoordinates : int32_t {
  kHalfPixel = 0,
  kAsymmetric = 1,
  kAlignCorners = 2,
  kPytorchHalfPixel = 3
};
enum class NearestRounding : int32_t { kFloor = 0, kCeil = 1, kRoundPreferFloor = 2, kRoundPreferCeil = 3 };
enum class ElementType : int32_t { kFloat32 = 0, kInt32 = 1, kInt64 = 2 };

}  // namespace edgecnn

#endif  // EDGECNN_ALGO_STEP_H_

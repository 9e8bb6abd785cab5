// Tests of the kernels other than convolutions, and of validate_step, on every instruction set that this CPU
// runs.
//
//   algo_test [seed]
//
// Each random problem is solved whole and in pieces and compared with plain loops in double precision. Inputs
// end kTailBytes before a page that must not be touched, or start right after one; outputs end at one. Then
// parameters are damaged: what validate_step still accepts must run without touching anything outside of its
// operands. A crash prints the step that caused it.

#include <signal.h>

#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "cpu/features.h"
#include "runtime/validate.h"
#include "targets/target.h"
#include "tests/guarded.h"
#include "tests/problems.h"

namespace edgecnn {
namespace testing {
namespace {

constexpr size_t kCapacity = size_t{4} << 20;
constexpr unsigned char kUntouched = 0xab;
constexpr unsigned char kNan = 0xff;
// Scratch that a damaged step may ask for.
constexpr size_t kMaxScratch = kCapacity;
constexpr int kSecondsAllowed = 600;

int failures = 0;
std::string current;  // what a crash is blamed on

std::string describe(const Problem& p, const char* name, const Target& target) {
  std::string text = std::string(target.name) + " " + name + " {";
  for (int32_t v : p.params) text += " " + std::to_string(v);
  text += " } inputs {";
  for (const auto& x : p.inputs) text += " " + std::to_string(x.size());
  return text + " } output " + std::to_string(p.output_bytes);
}

void fail(const std::string& what) {
  if (++failures < 20) std::printf("FAILED %s: %s\n", current.c_str(), what.c_str());
}

void on_signal(int signal) {
  std::printf("FAILED %s: signal %d\n", current.c_str(), signal);
  std::fflush(stdout);
  _exit(1);
}

const StepKernel* kernel_of(const Target& target, StepKind kind) {
  for (int i = 0; i < target.kernel_count; ++i) {
    if (target.kernels[i].kind == kind) return &target.kernels[i];
  }
  return nullptr;
}

class Bench {
 public:
  Bench() : output_(kCapacity), scratch_(kMaxScratch + kAlignment) {
    for (auto& m : inputs_) m = std::make_unique<GuardedMemory>(kCapacity);
  }

  // The bytes of the output after items were done in `pieces` calls, last piece first.
  std::vector<char> run(const Problem& p, const StepKernel& kernel, int pieces, bool at_start) {
    StepArgs args{};
    args.core = at_start ? CoreClass::kInOrder : CoreClass::kOutOfOrder;
    for (size_t i = 0; i < p.inputs.size(); ++i) {
      const size_t bytes = p.inputs[i].size();
      char* x = at_start ? inputs_[i]->at_start(bytes, kNan) : inputs_[i]->at_end(bytes, p.slack, kNan);
      if (bytes > 0) std::memcpy(x, p.inputs[i].data(), bytes);
      args.in[i] = x;
    }
    char* y = at_start ? output_.at_start(p.output_bytes, kUntouched)
                       : output_.at_end(p.output_bytes, 0, kUntouched);
    args.out[0] = y;
    const size_t scratch_bytes =
        (kernel.scratch_bytes(p.params.data()) + kAlignment - 1) / kAlignment * kAlignment;
    if (scratch_bytes > kMaxScratch) {
      fail("asks for " + std::to_string(scratch_bytes) + " bytes of scratch");
      return {};
    }
    const int64_t items = kernel.items(p.params.data());
    for (int i = pieces - 1; i >= 0; --i) {
      const int64_t begin = items * i / pieces, end = items * (i + 1) / pieces;
      args.scratch = scratch_.at_end(scratch_bytes, 0, kNan);
      if (begin < end) kernel.run(p.params.data(), args, begin, end);
    }
    return std::vector<char>(y, y + p.output_bytes);
  }

 private:
  std::unique_ptr<GuardedMemory> inputs_[kMaxStepInputs];
  GuardedMemory output_;
  GuardedMemory scratch_;
};

double element(const Problem& p, const std::vector<char>& bytes, size_t i) {
  if (p.element_bytes == 8) {
    int64_t v;
    std::memcpy(&v, bytes.data() + i * 8, 8);
    return static_cast<double>(v);
  }
  if (p.exact) {
    int32_t v;
    std::memcpy(&v, bytes.data() + i * 4, 4);
    return v;
  }
  float v;
  std::memcpy(&v, bytes.data() + i * 4, 4);
  return v;
}

bool close(const Problem& p, double got, double want) {
  if (std::isnan(want)) return std::isnan(got);
  if (p.exact || std::isinf(want)) return got == want;
  return std::fabs(got - want) <= p.absolute + p.relative * std::fabs(want);
}

void compare(const Problem& p, const std::vector<char>& got) {
  for (size_t i = 0; i < p.written.size(); ++i) {
    if (!p.written[i]) {
      for (int b = 0; b < p.element_bytes; ++b) {
        if (static_cast<unsigned char>(got[i * p.element_bytes + b]) != kUntouched) {
          return fail("element " + std::to_string(i) + " should not have been written");
        }
      }
      continue;
    }
    if (p.want.empty()) continue;
    const double v = element(p, got, i);
    if (!close(p, v, p.want[i])) {
      char text[100];
      std::snprintf(text, sizeof(text), "element %zu is %.9g instead of %.9g", i, v, p.want[i]);
      return fail(text);
    }
  }
}

void check(const Problem& p, const char* name, const Target& target, Bench* bench, Random& random) {
  current = describe(p, name, target);
  if (const char* message = validate_step(p.kind, p.params.data(), p.sizes(target.lanes, target.nr))) {
    return fail(std::string("refused: ") + message);
  }
  const StepKernel* kernel = kernel_of(target, p.kind);
  const std::vector<char> whole = bench->run(p, *kernel, 1, false);
  compare(p, whole);
  if (bench->run(p, *kernel, pick(random, 2, 5), true) != whole) fail("depends on how the work is split");
}

// One byte less of any operand is too little.
void check_sizes(const Problem& p, const char* name, const Target& target) {
  current = describe(p, name, target);
  for (size_t i = 0; i <= p.inputs.size(); ++i) {
    OperandSizes sizes = p.sizes(target.lanes, target.nr);
    int64_t& bytes = i < p.inputs.size() ? sizes.input_bytes[i] : sizes.output_bytes[0];
    if (--bytes >= 0 && validate_step(p.kind, p.params.data(), sizes) == nullptr) {
      fail("accepted operand " + std::to_string(i) + " of one byte less");
    }
  }
  OperandSizes sizes = p.sizes(target.lanes, target.nr);
  ++sizes.inputs;
  if (validate_step(p.kind, p.params.data(), sizes) == nullptr) fail("accepted one input more");
}

int32_t damaged(Random& random, const Problem& p, int32_t value) {
  const int32_t extremes[] = {0,         1,       -1,      2,       7,       INT32_MAX,
                              INT32_MIN, 1 << 16, 1 << 28, 1 << 29, 1 << 30, 0x7f800000};
  const uint32_t bits = static_cast<uint32_t>(value);
  switch (pick(random, 0, 7)) {
    case 0:
      return static_cast<int32_t>(bits + 1);
    case 1:
      return static_cast<int32_t>(bits - 1);
    case 2:
      return static_cast<int32_t>(bits * 2);
    case 3:
      return static_cast<int32_t>(0u - bits);
    case 4:
      return p.params[random() % p.params.size()];
    case 5:
      return pick(random, 0, 12);
    case 6:
      return static_cast<int32_t>(bits ^ (1u << pick(random, 0, 31)));
    default:
      return extremes[random() % (sizeof(extremes) / sizeof(extremes[0]))];
  }
}

// Damages a valid problem; whether it was still accepted (and run).
bool fuzz(Problem p, const char* name, const Target& target, Bench* bench, Random& random) {
  for (int i = pick(random, 1, 4); i > 0; --i) {
    int32_t& value = p.params[random() % p.params.size()];
    value = damaged(random, p, value);
  }
  current = describe(p, name, target);
  if (validate_step(p.kind, p.params.data(), p.sizes(target.lanes, target.nr)) != nullptr) return false;
  const StepKernel* kernel = kernel_of(target, p.kind);
  const bool at_start = pick(random, 0, 1) == 0;
  bench->run(p, *kernel, pick(random, 1, 3), at_start);
  return true;
}

// A valid problem of kind `name` that `change` has spoilt must be refused.
template <class P, class Change>
void check_refused(const char* name, const char* why, Change change) {
  Random random(11);
  for (const auto* kinds : {&answered_problems(), &unanswered_problems()}) {
    for (const ProblemKind& kind : *kinds) {
      if (std::string(kind.name) != name) continue;
      Problem problem = kind.make(random, 4);
      P p;
      if (sizeof(P) != problem.params.size() * sizeof(int32_t)) std::abort();
      std::memcpy(&p, problem.params.data(), sizeof(P));
      change(&p);
      std::memcpy(problem.params.data(), &p, sizeof(P));
      current = std::string(name) + " with " + why;
      OperandSizes sizes = problem.sizes(4, 8);
      // Memory is not what is missing.
      for (int i = 0; i < sizes.inputs; ++i) sizes.input_bytes[i] = int64_t{1} << 40;
      sizes.output_bytes[0] = int64_t{1} << 40;
      if (validate_step(problem.kind, problem.params.data(), sizes) == nullptr) fail("was accepted");
    }
  }
}

void check_refusals() {
  check_refused<CopyParams>("Copy", "overlapping outputs", [](CopyParams* p) {
    *p = {4, {1, 1, 1, 1, 3, 4}, {0, 0, 0, 0, 4, 1}, 0, {0, 0, 0, 0, 3, 1}, 0};
  });
  check_refused<CopyParams>("Copy", "an output written many times", [](CopyParams* p) {
    *p = {4, {1, 1, 1, 1, 1 << 20, 1 << 10}, {0, 0, 0, 0, 0, 0}, 0, {0, 0, 0, 0, 0, 0}, 0};
  });
  check_refused<CopyParams>("Copy", "a start before the input", [](CopyParams* p) {
    *p = {4, {1, 1, 1, 1, 1, 4}, {0, 0, 0, 0, 0, -1}, 2, {0, 0, 0, 0, 0, 1}, 0};
  });
  check_refused<BinaryParams>("Binary", "more elements than 64 bits count", [](BinaryParams* p) {
    for (int32_t& d : p->dims) d = 1 << 29;
    for (int32_t& stride : p->a_strides) stride = 0;
    for (int32_t& stride : p->b_strides) stride = 0;
  });
  check_refused<BinaryParams>("Binary", "an unknown function", [](BinaryParams* p) { p->kind = 8; });
  check_refused<UnaryParams>("Unary", "an unknown function", [](UnaryParams* p) { p->act = 27; });
  check_refused<ReduceParams>("Reduce", "an unknown kind", [](ReduceParams* p) { p->kind = 6; });
  check_refused<ReduceParams>("Reduce", "a negative size", [](ReduceParams* p) { p->outer = -1; });
  check_refused<ArgMaxParams>("ArgMax", "nothing to choose from", [](ArgMaxParams* p) { p->n = 0; });
  check_refused<CastParams>("Cast", "an unknown type", [](CastParams* p) { p->to = 3; });
  check_refused<PadParams>("Pad", "a reflection beyond the picture", [](PadParams* p) {
    p->mode = static_cast<int32_t>(PadMode::kReflect);
    p->before[5] = p->dims[5];
  });
  check_refused<PadParams>("Pad", "no edge to repeat", [](PadParams* p) {
    p->mode = static_cast<int32_t>(PadMode::kEdge);
    p->dims[5] = 0;
    p->before[5] = 1;
  });
  check_refused<ResizeParams>("Resize", "a scale of 0", [](ResizeParams* p) { p->scale_h = 0; });
  check_refused<ResizeParams>("Resize", "an infinite scale", [](ResizeParams* p) { p->scale_w = INFINITY; });
  check_refused<ResizeParams>("Resize", "a scale that is no number",
                              [](ResizeParams* p) { p->scale_w = NAN; });
  check_refused<MaxPoolParams>("MaxPool", "a stride of 0", [](MaxPoolParams* p) { p->stride_w = 0; });
  check_refused<MaxPoolParams>("MaxPool", "pixels that overlap",
                               [](MaxPoolParams* p) { p->out_stride = p->channels - 1; });
  check_refused<MaxPoolParams>("MaxPool", "windows behind the picture",
                               [](MaxPoolParams* p) { p->out_h += 100; });
  check_refused<AvgPoolParams>("AvgPool", "negative padding", [](AvgPoolParams* p) { p->pad_bottom = -1; });
  check_refused<LrnParams>("Lrn", "an empty window", [](LrnParams* p) { p->size = 0; });
  check_refused<ConvParams>("Conv", "groups that do not divide",
                            [](ConvParams* p) { p->groups = p->out_c + 1; });
  check_refused<ConvParams>("Conv", "no groups", [](ConvParams* p) { p->groups = 0; });
  check_refused<ConvParams>("Conv", "positions beyond 32 bits",
                            [](ConvParams* p) { p->stride_h = p->out_h = 1 << 28; });
  check_refused<WinogradParams>("Winograd", "pixels that overlap",
                                [](WinogradParams* p) { p->out_stride = p->out_c - 1; });
  check_refused<StrassenParams>("Strassen", "channels that have no halves",
                                [](StrassenParams* p) { --p->in_c; });
  check_refused<StrassenParams>("Strassen", "too few channels for two panels",
                                [](StrassenParams* p) { p->out_c = 15; });
  check_refused<MatMulParams>("MatMul", "a negative stride", [](MatMulParams* p) { p->a_batch_stride = -1; });
  current = "kind 99";
  if (validate_step(static_cast<StepKind>(99), nullptr, {}) == nullptr) fail("was accepted");
}

int run_all(unsigned seed) {
  check_refusals();
  Bench bench;
  int count = 0;
  const Target* const* targets = compiled_targets(&count);
  int64_t solved = 0, damaged_steps = 0, accepted = 0;
  for (int t = 0; t < count; ++t) {
    const Target& target = *targets[t];
    if (!cpu_supports(target)) {
      std::printf("%s: not on this CPU\n", target.name);
      continue;
    }
    Random random(seed);
    const auto test = [&](const ProblemKind& kind, int problems) {
      for (int i = 0; i < problems; ++i) {
        const Problem p = kind.make(random, target.lanes);
        check(p, kind.name, target, &bench, random);
        check_sizes(p, kind.name, target);
        ++solved;
        for (int k = 0; k < 4; ++k, ++damaged_steps)
          accepted += fuzz(p, kind.name, target, &bench, random) ? 1 : 0;
      }
    };
    for (const ProblemKind& kind : answered_problems()) test(kind, 150);
    for (const ProblemKind& kind : unanswered_problems()) test(kind, 100);
    std::printf("%s: done\n", target.name);
  }
  std::printf("%" PRId64 " problems, %" PRId64 " of %" PRId64
              " damaged steps accepted and run, seed %u: %s\n",
              solved, accepted, damaged_steps, seed, failures == 0 ? "passed" : "FAILED");
  return failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace testing
}  // namespace edgecnn

int main(int argc, char** argv) {
  using namespace edgecnn::testing;
  for (int s : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM}) signal(s, on_signal);
  alarm(kSecondsAllowed);
  return run_all(argc > 1 ? static_cast<unsigned>(std::strtoul(argv[1], nullptr, 10)) : 1);
}

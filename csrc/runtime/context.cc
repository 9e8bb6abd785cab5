#include "runtime/context.h"

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "cpu/caches.h"
#include "cpu/cores.h"

namespace edgecnn {
namespace {

// Steps of fewer operations are not worth waking a thread for.
constexpr uint64_t kMinParallelWork = 30000;

uint64_t aligned(uint64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

struct Job {
  const Program::Step* step;
  const StepArgs* args;
  size_t scratch_stride;
};

// An equal part of the items for each thread of the application.
struct Parts {
  Job* job;
  int64_t items;
  int count;
};

void run_items(void* context, int64_t begin, int64_t end, int thread) {
  const Job& job = *static_cast<const Job*>(context);
  StepArgs args = *job.args;
  args.scratch = static_cast<char*>(args.scratch) + thread * job.scratch_stride;
  args.core = current_core_class();
  job.step->kernel->run(job.step->params, args, begin, end);
}

void run_part(void* argument, int32_t index) {
  const Parts& parts = *static_cast<Parts*>(argument);
  if (index < 0 || index >= parts.count) return;
  const int64_t begin = parts.items * index / parts.count, end = parts.items * (index + 1) / parts.count;
  if (begin < end) run_items(parts.job, begin, end, index);
}

}  // namespace

Context::Context(const Program& program, int threads, const Allocator& allocator, const Parallel& parallel)
    : program_(program),
      caches_(host_cache_sizes()),
      threads_(std::max(1, threads)),
      scratch_stride_(static_cast<size_t>(aligned(program.scratch_bytes()))),  // below kMaxMemory
      parallel_(parallel),
      arena_(program.arena_bytes(), allocator),
      scratch_(uint64_t{scratch_stride_} * static_cast<uint64_t>(threads_), allocator),
      pool_(parallel.run ? 1 : threads_) {
  args_.reserve(program.steps().size());
  for (const Program::Step& step : program.steps()) {
    StepArgs args{};
    const auto place = [&](const Operand& o) -> char* {
      switch (static_cast<Space>(o.space)) {
        case Space::kArena:
          return arena_.get() + o.offset;
        case Space::kConstant:
          return const_cast<char*>(program.constants()) + o.offset;
        default:
          return nullptr;  // known only when it runs
      }
    };
    for (int i = 0; i < step.record->input_count; ++i) args.in[i] = place(step.record->inputs[i]);
    args.out[0] = place(step.record->outputs[0]);
    args.scratch = scratch_.get();
    args.caches = caches_;
    args_.push_back(args);
  }
}

StepArgs Context::resolve(size_t index, const void* const* inputs, void* const* outputs) const {
  const Program::Step& step = program_.steps()[index];
  StepArgs args = args_[index];
  for (int i = 0; i < step.record->input_count; ++i) {
    const Operand& o = step.record->inputs[i];
    if (static_cast<Space>(o.space) == Space::kInput)
      args.in[i] = static_cast<const char*>(inputs[o.index]) + o.offset;
  }
  const Operand& o = step.record->outputs[0];
  if (static_cast<Space>(o.space) == Space::kOutput)
    args.out[0] = static_cast<char*>(outputs[o.index]) + o.offset;
  return args;
}

void Context::run_step(size_t index, const StepArgs& args) {
  const Program::Step& step = program_.steps()[index];
  Job job{&step, &args, scratch_stride_};
  if (step.record->work < kMinParallelWork) {
    if (step.items > 0) run_items(&job, 0, step.items, 0);
  } else if (parallel_.run && threads_ > 1 && step.items > 1) {
    Parts parts{&job, step.items, threads_};
    parallel_.run(parallel_.user, threads_, run_part, &parts);
  } else {
    pool_.run(step.items, run_items, &job);
  }
}

void Context::run(const void* const* inputs, void* const* outputs, double* milliseconds) {
  using Clock = std::chrono::steady_clock;
  for (size_t i = 0; i < args_.size(); ++i) {
    if (!milliseconds) {
      run_step(i, resolve(i, inputs, outputs));
      continue;
    }
    const Clock::time_point start = Clock::now();
    run_step(i, resolve(i, inputs, outputs));
    milliseconds[i] = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  }
}

}  // namespace edgecnn

// A context runs a program: it owns the arena, the scratch memory and the threads. One run at a time; for
// several at once make several contexts, which share the program and its weights. An application may lend it
// memory and threads of its own.
#ifndef EDGECNN_RUNTIME_CONTEXT_H_
#define EDGECNN_RUNTIME_CONTEXT_H_

#include <memory>
#include <vector>

#include "runtime/memory.h"
#include "runtime/program.h"
#include "runtime/thread_pool.h"

namespace edgecnn {

// Threads of the application: run() calls task(argument, i) for each i in [0, count), on any threads, and
// returns when all are done. None where run is null.
struct Parallel {
  void* user = nullptr;
  void (*run)(void* user, int32_t count, void (*task)(void* argument, int32_t index),
              void* argument) = nullptr;
};

class Context {
 public:
  // Throws std::bad_alloc where the memory for arena and scratch is not to be had. `program` outlives the
  // context.
  Context(const Program& program, int threads, const Allocator& allocator = {},
          const Parallel& parallel = {});

  // Runs all steps. `inputs` and `outputs` point to buffers of at least the program's input_bytes and
  // output_bytes. Allocates nothing. With `milliseconds` (one per step) it takes the time of each.
  void run(const void* const* inputs, void* const* outputs, double* milliseconds = nullptr);

  // One step by itself, for those who measure: its operands, and the run on them. Those before it have run.
  StepArgs resolve(size_t index, const void* const* inputs, void* const* outputs) const;
  void run_step(size_t index, const StepArgs& args);

  int threads() const { return threads_; }

 private:
  const Program& program_;
  const CacheSizes caches_;
  const int threads_;
  const size_t scratch_stride_;
  const Parallel parallel_;
  Block arena_, scratch_;
  std::vector<StepArgs> args_;  // with arena and constants resolved
  ThreadPool pool_;             // of one where the application lends threads
};

}  // namespace edgecnn

#endif  // EDGECNN_RUNTIME_CONTEXT_H_

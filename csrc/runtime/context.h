// A context runs a program: it owns the arena, the scratch memory and the threads. One run at a time; for
// several at once make several contexts, which share the program and its weights.
#ifndef EDGECNN_RUNTIME_CONTEXT_H_
#define EDGECNN_RUNTIME_CONTEXT_H_

#include <cstdlib>
#include <memory>
#include <vector>

#include "runtime/program.h"
#include "runtime/thread_pool.h"

namespace edgecnn {

class Context {
 public:
  // Throws std::bad_alloc where the memory for arena and scratch is not to be had. `program` outlives the
  // context.
  Context(const Program& program, int threads);

  // Runs all steps. `inputs` and `outputs` point to buffers of at least the program's input_bytes and
  // output_bytes. Allocates nothing. With `milliseconds` (one per step) it takes the time of each.
  void run(const void* const* inputs, void* const* outputs, double* milliseconds = nullptr);

  // One step by itself, for those who measure: its operands, and the run on them. Those before it have run.
  StepArgs resolve(size_t index, const void* const* inputs, void* const* outputs) const;
  void run_step(size_t index, const StepArgs& args);

  int threads() const { return pool_.threads(); }

 private:
  // Zeroed memory, of which the system provides a page when it is first touched.
  class Block {
   public:
    explicit Block(size_t bytes);
    char* get() const { return aligned_; }

   private:
    struct Free {
      void operator()(char* p) const { std::free(p); }
    };
    std::unique_ptr<char, Free> memory_;
    char* aligned_;
  };

  const Program& program_;
  const CacheSizes caches_;
  size_t scratch_stride_;
  Block arena_, scratch_;
  std::vector<StepArgs> args_;  // with arena and constants resolved
  ThreadPool pool_;
};

}  // namespace edgecnn

#endif  // EDGECNN_RUNTIME_CONTEXT_H_

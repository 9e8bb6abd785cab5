// A pool of threads that share the items of one step at a time.
//
// Each thread has a share of its own: neighbouring items, the same part of the picture from step to step, so
// that it finds in its cache what it wrote in the step before. It claims half of what is left of its share at
// a time; who has finished takes halves from the ends of the others' shares, so that big and little cores
// finish together. Between steps a worker spins for a bounded time, then sleeps: there is no busy core
// between frames. Publishing a step never waits for a worker that is slow to wake; it simply finds nothing
// left.
#ifndef EDGECNN_RUNTIME_THREAD_POOL_H_
#define EDGECNN_RUNTIME_THREAD_POOL_H_

#include <cstdint>
#include <memory>

namespace edgecnn {

class ThreadPool {
 public:
  // Does the items [begin, end) as thread `thread` (0 is the caller of run()).
  using Task = void (*)(void* context, int64_t begin, int64_t end, int thread);

  // `threads` includes the caller of run(); a pool of 1 starts none. Where the system refuses a thread the
  // pool has fewer.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }

  // Does [0, items) and returns when all are done. Only one thread at a time may call it. In a child made by
  // fork(), where no worker lives on, the first call starts new ones.
  void run(int64_t items, Task task, void* context);

 private:
  struct State;
  void start();

  const int threads_;
  std::unique_ptr<State> state_;
};

}  // namespace edgecnn

#endif  // EDGECNN_RUNTIME_THREAD_POOL_H_

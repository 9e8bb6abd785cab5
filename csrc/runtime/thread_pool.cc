#include "runtime/thread_pool.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace edgecnn {
namespace {

constexpr auto kSpinTime = std::chrono::microseconds(60);
constexpr int kChunksPerThread = 8;
constexpr int kSpinsBeforeYield = 2000;

// The claim word: the number of the job in the high bits, the next unclaimed item in the low ones.
constexpr int kIndexBits = 40;
constexpr uint64_t kIndexMask = (uint64_t{1} << kIndexBits) - 1;
constexpr uint64_t kClosed = kIndexMask;  // an index beyond all items

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// How often this process is the child of a fork.
std::atomic<uint32_t> fork_count{0};

void watch_forks() {
  static const int registered =
      pthread_atfork(nullptr, nullptr, [] { fork_count.fetch_add(1, std::memory_order_relaxed); });
  static_cast<void>(registered);
}

}  // namespace

struct ThreadPool::State {
  // The job; written while the claim word is closed, so whoever claims items has read all of it.
  std::atomic<Task> task{nullptr};
  std::atomic<void*> context{nullptr};
  std::atomic<int64_t> items{0};
  std::atomic<int64_t> chunk{1};

  alignas(64) std::atomic<uint64_t> claim{kClosed};
  alignas(64) std::atomic<int64_t> done{0};
  alignas(64) std::atomic<int> sleepers{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::condition_variable wake;
  std::vector<pthread_t> workers;
  uint32_t born = fork_count.load(std::memory_order_relaxed);

  struct Start {
    State* state;
    int thread;
  };

  // Claims and does chunks of job `job` until none is left.
  void work(uint64_t job, int thread) {
    for (;;) {
      uint64_t word = claim.load(std::memory_order_acquire);
      if (word >> kIndexBits != job) return;
      const int64_t begin = static_cast<int64_t>(word & kIndexMask);
      const int64_t count = items.load(std::memory_order_relaxed);
      const int64_t step = chunk.load(std::memory_order_relaxed);
      const Task run = task.load(std::memory_order_relaxed);
      void* const with = context.load(std::memory_order_relaxed);
      if (begin >= count) return;
      // Had a newer job been written meanwhile, the word would have been closed first, and the exchange
      // fails.
      std::atomic_thread_fence(std::memory_order_acquire);
      const int64_t end = std::min(count, begin + step);
      if (!claim.compare_exchange_weak(word, (job << kIndexBits) | static_cast<uint64_t>(end),
                                       std::memory_order_acq_rel)) {
        continue;
      }
      run(with, begin, end, thread);
      done.fetch_add(end - begin, std::memory_order_release);
    }
  }

  // Waits for a job other than `last` and returns its number.
  uint64_t wait_for_job(uint64_t last) {
    const auto fresh = [&] {
      const uint64_t word = claim.load(std::memory_order_seq_cst);
      return (word >> kIndexBits != last && (word & kIndexMask) != kClosed) ||
             stop.load(std::memory_order_relaxed);
    };
    const auto until = std::chrono::steady_clock::now() + kSpinTime;
    do {
      for (int i = 0; i < 64; ++i) {
        if (fresh()) return claim.load(std::memory_order_acquire) >> kIndexBits;
        pause();
      }
    } while (std::chrono::steady_clock::now() < until);
    std::unique_lock<std::mutex> lock(mutex);
    sleepers.fetch_add(1, std::memory_order_seq_cst);
    wake.wait(lock, fresh);
    sleepers.fetch_sub(1, std::memory_order_relaxed);
    return claim.load(std::memory_order_acquire) >> kIndexBits;
  }

  static void* worker(void* argument) {
    const Start start = *static_cast<Start*>(argument);
    delete static_cast<Start*>(argument);
    uint64_t job = 0;
    for (;;) {
      job = start.state->wait_for_job(job);
      if (start.state->stop.load(std::memory_order_acquire)) return nullptr;
      start.state->work(job, start.thread);
    }
  }
};

ThreadPool::ThreadPool(int threads) : threads_(std::max(1, threads)) {
  watch_forks();
  start();
}

void ThreadPool::start() {
  state_ = std::make_unique<State>();
  for (int i = 1; i < threads_; ++i) {
    auto* argument = new State::Start{state_.get(), i};
    pthread_t thread;
    if (pthread_create(&thread, nullptr, State::worker, argument) != 0) {
      delete argument;
      break;
    }
    state_->workers.push_back(thread);
  }
}

ThreadPool::~ThreadPool() {
  if (state_->born != fork_count.load(std::memory_order_relaxed)) {
    // The workers belong to the parent, and its mutex may have been held when it forked: nothing here can be
    // ended.
    static_cast<void>(state_.release());
    return;
  }
  {
    const std::lock_guard<std::mutex> lock(state_->mutex);
    state_->stop.store(true, std::memory_order_seq_cst);
  }
  state_->wake.notify_all();
  for (const pthread_t thread : state_->workers) pthread_join(thread, nullptr);
}

void ThreadPool::run(int64_t items, Task task, void* context) {
  if (threads_ > 1 && state_->born != fork_count.load(std::memory_order_relaxed)) {
    static_cast<void>(state_.release());
    start();
  }
  if (items <= 1 || state_->workers.empty()) {
    if (items > 0) task(context, 0, items, 0);
    return;
  }
  State& s = *state_;
  const uint64_t job =
      ((s.claim.load(std::memory_order_relaxed) >> kIndexBits) + 1) & (~uint64_t{0} >> kIndexBits);
  s.claim.store((job << kIndexBits) | kClosed, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  s.task.store(task, std::memory_order_relaxed);
  s.context.store(context, std::memory_order_relaxed);
  s.items.store(items, std::memory_order_relaxed);
  s.chunk.store(std::max<int64_t>(1, items / (int64_t{threads_} * kChunksPerThread)),
                std::memory_order_relaxed);
  s.done.store(0, std::memory_order_relaxed);
  s.claim.store(job << kIndexBits, std::memory_order_seq_cst);
  if (s.sleepers.load(std::memory_order_seq_cst) > 0) {
    { const std::lock_guard<std::mutex> lock(s.mutex); }
    s.wake.notify_all();
  }
  s.work(job, 0);
  // What is left is at most a chunk a worker; with fewer cores than threads it needs this one.
  for (int spins = 0; s.done.load(std::memory_order_acquire) < items; ++spins) {
    if (spins < kSpinsBeforeYield) {
      pause();
    } else {
      std::this_thread::yield();
    }
  }
}

}  // namespace edgecnn

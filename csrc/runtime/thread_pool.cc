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

// Longer than what Python does between two frames, far shorter than the time between two pictures of a
// camera.
constexpr auto kSpinTime = std::chrono::microseconds(100);

// A thread's share of a job: the number of the job, and its units [begin, end) that nobody has claimed yet.
constexpr int kUnitBits = 20;
constexpr uint64_t kUnitMask = (uint64_t{1} << kUnitBits) - 1;
constexpr int64_t kMostUnits = int64_t{1} << (kUnitBits - 1);
constexpr uint32_t kJobMask = (1u << (64 - 2 * kUnitBits)) - 1;

constexpr uint64_t pack(uint32_t job, int64_t begin, int64_t end) {
  return uint64_t{job} << (2 * kUnitBits) | static_cast<uint64_t>(begin) << kUnitBits |
         static_cast<uint64_t>(end);
}

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
  asm volatile("yield");
#endif
}

// Spins until ready() is true; false when that took longer than kSpinTime.
template <class Ready>
bool spin(const Ready& ready) {
  const auto until = std::chrono::steady_clock::now() + kSpinTime;
  do {
    for (int i = 0; i < 64; ++i) {
      if (ready()) return true;
      pause();
    }
  } while (std::chrono::steady_clock::now() < until);
  return false;
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
  struct alignas(64) Share {
    std::atomic<uint64_t> left{0};
  };

  // The job. Whoever has claimed a part of it may read this until the part is reported as done.
  Task task = nullptr;
  void* context = nullptr;
  int64_t items = 0;
  int64_t unit = 1;  // items of a unit
  std::vector<Share> shares;

  alignas(64) std::atomic<uint32_t> job{0};
  std::atomic<int> sleepers{0};
  std::atomic<bool> stop{false};
  alignas(64) std::atomic<int64_t> done{0};
  std::mutex mutex;
  std::condition_variable wake;
  std::vector<pthread_t> workers;
  const uint32_t born = fork_count.load(std::memory_order_relaxed);

  explicit State(int threads) : shares(static_cast<size_t>(threads)) {}

  struct Start {
    State* state;
    int thread;
  };

  // Does what is left of the thread's own share, the larger part first, then takes from the ends of the
  // others.
  void work(uint32_t number, int thread) {
    int64_t count = 0;
    const int threads = static_cast<int>(shares.size());
    for (int i = 0; i < threads; ++i) {
      std::atomic<uint64_t>& left = shares[static_cast<size_t>((thread + i) % threads)].left;
      uint64_t word = left.load(std::memory_order_acquire);
      while (word >> (2 * kUnitBits) == number) {
        int64_t begin = static_cast<int64_t>(word >> kUnitBits & kUnitMask);
        int64_t end = static_cast<int64_t>(word & kUnitMask);
        if (begin >= end) break;
        const int64_t half = (begin + end + (i == 0 ? 1 : 0)) / 2;
        const uint64_t rest = i == 0 ? pack(number, half, end) : pack(number, begin, half);
        if (!left.compare_exchange_weak(word, rest, std::memory_order_acq_rel, std::memory_order_acquire)) {
          continue;
        }
        (i == 0 ? end : begin) = half;
        begin *= unit;
        end = std::min(items, end * unit);
        task(context, begin, end, thread);
        count += end - begin;
        word = left.load(std::memory_order_acquire);
      }
    }
    if (count > 0) done.fetch_add(count, std::memory_order_release);
  }

  // Waits for a job other than `last` and returns its number.
  uint32_t wait_for_job(uint32_t last) {
    const auto fresh = [&] {
      return job.load(std::memory_order_seq_cst) != last || stop.load(std::memory_order_relaxed);
    };
    if (!spin(fresh)) {
      std::unique_lock<std::mutex> lock(mutex);
      sleepers.fetch_add(1, std::memory_order_seq_cst);
      wake.wait(lock, fresh);
      sleepers.fetch_sub(1, std::memory_order_relaxed);
    }
    return job.load(std::memory_order_acquire);
  }

  static void* worker(void* argument) {
    const Start start = *static_cast<Start*>(argument);
    delete static_cast<Start*>(argument);
    uint32_t number = 0;
    for (;;) {
      number = start.state->wait_for_job(number);
      if (start.state->stop.load(std::memory_order_acquire)) return nullptr;
      start.state->work(number, start.thread);
    }
  }
};

ThreadPool::ThreadPool(int threads) : threads_(std::max(1, threads)) {
  watch_forks();
  start();
}

void ThreadPool::start() {
  state_ = std::make_unique<State>(threads_);
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
  const uint32_t number = (s.job.load(std::memory_order_relaxed) + 1) & kJobMask;
  s.task = task;
  s.context = context;
  s.items = items;
  s.unit = (items + kMostUnits - 1) / kMostUnits;
  s.done.store(0, std::memory_order_relaxed);
  const int64_t units = (items + s.unit - 1) / s.unit;
  for (int64_t i = 0; i < threads_; ++i) {
    s.shares[static_cast<size_t>(i)].left.store(
        pack(number, units * i / threads_, units * (i + 1) / threads_), std::memory_order_release);
  }
  s.job.store(number, std::memory_order_seq_cst);
  if (s.sleepers.load(std::memory_order_seq_cst) > 0) {
    { const std::lock_guard<std::mutex> lock(s.mutex); }
    s.wake.notify_all();
  }
  s.work(number, 0);
  // Nothing is left to claim. Where there are fewer cores than threads, what was claimed may need this one.
  const auto done = [&] { return s.done.load(std::memory_order_acquire) >= items; };
  if (!spin(done)) {
    while (!done()) std::this_thread::yield();
  }
}

}  // namespace edgecnn

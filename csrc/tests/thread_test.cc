// Tests of the thread pool by itself: what real programs do with it is tested from Python.
//
//   thread_test           the tests; all of them are clean under ThreadSanitizer
//   thread_test --cost    what handing a step to the threads and waiting for them costs, in microseconds
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <new>
#include <thread>
#include <vector>

#include "runtime/thread_pool.h"

namespace {

std::atomic<int64_t> allocations{0};

void* counted(std::size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  void* p = std::malloc(bytes);
  if (!p) throw std::bad_alloc();
  return p;
}

}  // namespace

void* operator new(std::size_t bytes) { return counted(bytes); }
void* operator new[](std::size_t bytes) { return counted(bytes); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }

namespace edgecnn {
namespace {

int failures = 0;

void expect(bool ok, const char* what) {
  if (!ok) {
    std::printf("FAILED: %s\n", what);
    ++failures;
  }
}

// Counts how often each item was done. Plain integers: two threads at one item would be a data race.
struct Tally {
  explicit Tally(int64_t items, int threads) : done(static_cast<size_t>(items)), threads(threads) {}
  static void run(void* context, int64_t begin, int64_t end, int thread) {
    Tally& t = *static_cast<Tally*>(context);
    if (thread < 0 || thread >= t.threads || begin >= end) t.wrong.store(true, std::memory_order_relaxed);
    for (int64_t i = begin; i < end; ++i) ++t.done[static_cast<size_t>(i)];
  }
  bool each_done(int times) const {
    for (const int n : done) {
      if (n != times) return false;
    }
    return !wrong.load();
  }
  std::vector<int> done;
  int threads;
  std::atomic<bool> wrong{false};
};

void each_item_is_done_once() {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    for (const int64_t items : {0, 1, 2, 3, 7, 64, 1000, 4099}) {
      Tally tally(items, threads);
      for (int i = 0; i < 20; ++i) pool.run(items, Tally::run, &tally);
      expect(tally.each_done(20), "each item is done once a run");
    }
  }
}

void sleeping_workers_are_woken() {
  ThreadPool pool(3);
  Tally tally(100, 3);
  for (int i = 0; i < 12; ++i) {
    pool.run(100, Tally::run, &tally);
    std::this_thread::sleep_for(std::chrono::microseconds(i % 3 == 0 ? 2000 : 40 * i));
  }
  expect(tally.each_done(12), "work after pauses");
}

// Pools in many threads at once, and an item that has a pool of its own.
void pools_do_not_disturb_each_other() {
  struct Nest {
    static void run(void* context, int64_t begin, int64_t end, int) {
      auto* inner = static_cast<std::vector<Tally*>*>(context);
      for (int64_t i = begin; i < end; ++i) {
        ThreadPool pool(2);
        pool.run(50, Tally::run, (*inner)[static_cast<size_t>(i)]);
      }
    }
  };
  std::vector<std::thread> users;
  std::atomic<int> right{0};
  for (int u = 0; u < 6; ++u) {
    users.emplace_back([&right] {
      ThreadPool pool(2);
      Tally tally(300, 2), a(50, 2), b(50, 2), c(50, 2);
      std::vector<Tally*> inner{&a, &b, &c};
      for (int i = 0; i < 50; ++i) pool.run(300, Tally::run, &tally);
      pool.run(3, Nest::run, &inner);
      if (tally.each_done(50) && a.each_done(1) && b.each_done(1) && c.each_done(1)) ++right;
    });
  }
  for (std::thread& user : users) user.join();
  expect(right == 6, "pools in pools and side by side");
}

void running_allocates_nothing() {
  ThreadPool pool(2);
  Tally tally(500, 2);
  pool.run(500, Tally::run, &tally);
  const int64_t before = allocations.load();
  for (int i = 0; i < 1000; ++i) pool.run(500, Tally::run, &tally);
  expect(allocations.load() == before, "run() allocates");
  expect(tally.each_done(1001), "each item is done once a run");
}

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

void idle_workers_sleep() {
  ThreadPool pool(4);
  Tally tally(500, 4);
  pool.run(500, Tally::run, &tally);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const double before = cpu_seconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  // One spinning worker would take 0.3 s, on the busiest machine a good part of that.
  expect(cpu_seconds() - before < 0.05, "idle workers use the CPU");
}

struct Burn {
  int64_t turns;
  static void run(void* context, int64_t begin, int64_t end, int) {
    const int64_t turns = static_cast<Burn*>(context)->turns;
    for (int64_t k = (end - begin) * turns, x = begin; k > 0; --k) {
      x = x * 1664525 + 1013904223;
      asm volatile("" ::"r"(x));
    }
  }
};

double fastest_microseconds(ThreadPool* pool, int64_t items, int64_t turns) {
  using Clock = std::chrono::steady_clock;
  double best = 1e9;
  Burn burn{turns};
  for (int r = 0; r < 200; ++r) {
    const Clock::time_point start = Clock::now();
    for (int i = 0; i < 50; ++i) pool->run(items, Burn::run, &burn);
    const double us = std::chrono::duration<double, std::micro>(Clock::now() - start).count() / 50;
    if (us < best) best = us;
  }
  return best;
}

void print_cost() {
  std::printf(
      "microseconds of a step; overhead is what it takes beyond an even share of one thread's time\n");
  for (const int64_t items : {2, 16, 128}) {
    for (const int64_t turns : {0, 20, 200, 2000}) {
      if (items * turns > 60000) continue;
      ThreadPool one(1), two(2);
      const double a = fastest_microseconds(&one, items, turns), b = fastest_microseconds(&two, items, turns);
      std::printf("%4lld items  1 thread %8.3f  2 threads %8.3f  overhead %7.3f\n",
                  static_cast<long long>(items), a, b, b - a / 2);
    }
  }
}

}  // namespace
}  // namespace edgecnn

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--cost") == 0) {
    edgecnn::print_cost();
    return 0;
  }
  edgecnn::each_item_is_done_once();
  edgecnn::sleeping_workers_are_woken();
  edgecnn::pools_do_not_disturb_each_other();
  edgecnn::running_allocates_nothing();
  edgecnn::idle_workers_sleep();
  if (edgecnn::failures == 0) std::printf("all tests of the thread pool passed\n");
  return edgecnn::failures != 0;
}

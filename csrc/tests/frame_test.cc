// frame_test MODEL.ecnn [FRAMES]
//
// Runs a model on one thread and on two, and fails where a frame allocates memory: every malloc of the
// process is counted, whoever calls it.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "runtime/context.h"
#include "tools/command_line.h"

namespace {

std::atomic<long> allocations{0};

}  // namespace

// glibc's own allocator under its other names; malloc is what operator new and all of the C library call.
extern "C" {
void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* block, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);

void* malloc(size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_malloc(bytes);
}
void* calloc(size_t count, size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_calloc(count, bytes);
}
void* realloc(void* block, size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_realloc(block, bytes);
}
void* aligned_alloc(size_t alignment, size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_memalign(alignment, bytes);
}
}

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: frame_test MODEL.ecnn [FRAMES]\n");
    return 2;
  }
  const int frames = argc > 2 ? edgecnn::parse_count(argv[2], "FRAMES") : 20;
  const edgecnn::Bytes file = edgecnn::read_file(argv[1]);
  edgecnn::Program program;
  const std::string error = edgecnn::Program::open(file.data.get(), file.size, &program);
  if (!error.empty()) edgecnn::fail(error);
  edgecnn::Arrays arrays(program, {});
  if (allocations.load() == 0) edgecnn::fail("no allocation was counted: malloc is not this program's");
  for (const int threads : {1, 2}) {
    edgecnn::Context context(program, threads);
    context.run(arrays.in.data(), arrays.out.data());
    const long before = allocations.load();
    for (int i = 0; i < frames; ++i) context.run(arrays.in.data(), arrays.out.data());
    const long made = allocations.load() - before;
    std::printf("%d threads: %ld allocations in %d frames\n", threads, made, frames);
    if (made != 0) edgecnn::fail("a frame allocates");
  }
  return 0;
}

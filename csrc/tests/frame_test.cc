// frame_test MODEL.ecnn [FRAMES]
//
// Runs a model on one thread and on two, and fails where a frame allocates memory: every malloc of the
// process is counted, whoever calls it.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>

#include "runtime/context.h"
#include "tools/command_line.h"

namespace {

std::atomic<long> allocations{0};

}  // namespace

// The linker sends every call of malloc and its like here (csrc/CMakeLists.txt); operator new, which may lie
// in a shared library, is made to call them.
extern "C" {
void* __real_malloc(size_t bytes);
void* __real_calloc(size_t count, size_t bytes);
void* __real_realloc(void* block, size_t bytes);
void* __real_aligned_alloc(size_t alignment, size_t bytes);

void* __wrap_malloc(size_t bytes) {
  ++allocations;
  return __real_malloc(bytes);
}
void* __wrap_calloc(size_t count, size_t bytes) {
  ++allocations;
  return __real_calloc(count, bytes);
}
void* __wrap_realloc(void* block, size_t bytes) {
  ++allocations;
  return __real_realloc(block, bytes);
}
void* __wrap_aligned_alloc(size_t alignment, size_t bytes) {
  ++allocations;
  return __real_aligned_alloc(alignment, bytes);
}
}

void* operator new(size_t bytes) {
  void* block = std::malloc(bytes);
  if (!block) throw std::bad_alloc();
  return block;
}
void* operator new[](size_t bytes) { return operator new(bytes); }
void operator delete(void* block) noexcept { std::free(block); }
void operator delete[](void* block) noexcept { std::free(block); }
void operator delete(void* block, size_t) noexcept { std::free(block); }
void operator delete[](void* block, size_t) noexcept { std::free(block); }

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
  if (allocations.load() == 0) edgecnn::fail("no allocation was counted: malloc is not wrapped");
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

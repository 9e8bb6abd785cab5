// Large blocks of memory, from the C library or from an application's allocator.
#ifndef EDGECNN_RUNTIME_MEMORY_H_
#define EDGECNN_RUNTIME_MEMORY_H_

#include <cstddef>
#include <cstdint>

namespace edgecnn {

// The C library where allocate is null. allocate returns null where there is no memory.
struct Allocator {
  void* user = nullptr;
  void* (*allocate)(void* user, size_t bytes, size_t alignment) = nullptr;
  void (*release)(void* user, void* block) = nullptr;
};

// Zeroed, 64-byte aligned memory, with kTailBytes behind it that kernels may read. The C library's is
// provided by the system page by page as it is first touched. Throws std::bad_alloc.
class Block {
 public:
  Block() = default;
  explicit Block(uint64_t bytes, const Allocator& allocator = {});
  ~Block();
  Block(Block&& other) noexcept;
  Block& operator=(Block&& other) noexcept;

  char* get() const { return aligned_; }

 private:
  Allocator allocator_;
  void* memory_ = nullptr;
  char* aligned_ = nullptr;
};

}  // namespace edgecnn

#endif  // EDGECNN_RUNTIME_MEMORY_H_

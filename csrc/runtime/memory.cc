#include "runtime/memory.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

#include "algo/step.h"

namespace edgecnn {

// Zero, so that nothing another model computed can be seen through a new arena.
Block::Block(uint64_t bytes, const Allocator& allocator) : allocator_(allocator) {
  if (bytes > std::numeric_limits<size_t>::max() - kTailBytes - kAlignment) throw std::bad_alloc();
  const size_t room = static_cast<size_t>(bytes) + kTailBytes + kAlignment;
  memory_ =
      allocator_.allocate ? allocator_.allocate(allocator_.user, room, kAlignment) : std::calloc(room, 1);
  if (!memory_) throw std::bad_alloc();
  if (allocator_.allocate) std::memset(memory_, 0, room);
  const size_t past = reinterpret_cast<uintptr_t>(memory_) % kAlignment;
  aligned_ = static_cast<char*>(memory_) + (past ? kAlignment - past : 0);
}

Block::~Block() {
  if (!memory_) return;
  if (allocator_.allocate) {
    if (allocator_.release) allocator_.release(allocator_.user, memory_);
  } else {
    std::free(memory_);
  }
}

Block::Block(Block&& other) noexcept
    : allocator_(other.allocator_),
      memory_(std::exchange(other.memory_, nullptr)),
      aligned_(std::exchange(other.aligned_, nullptr)) {}

Block& Block::operator=(Block&& other) noexcept {
  std::swap(allocator_, other.allocator_);
  std::swap(memory_, other.memory_);
  std::swap(aligned_, other.aligned_);
  return *this;
}

}  // namespace edgecnn

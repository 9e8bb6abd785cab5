// Memory between two pages that must not be touched, to catch every access outside of an operand.
#ifndef EDGECNN_TESTS_GUARDED_H_
#define EDGECNN_TESTS_GUARDED_H_

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace edgecnn {
namespace testing {

class GuardedMemory {
 public:
  explicit GuardedMemory(size_t capacity) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    capacity_ = (capacity + page - 1) / page * page;
    bytes_ = capacity_ + 2 * page;
    void* base = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) std::abort();
    base_ = static_cast<char*>(base);
    body_ = base_ + page;
    if (mprotect(base_, page, PROT_NONE) != 0 || mprotect(body_ + capacity_, page, PROT_NONE) != 0)
      std::abort();
  }
  ~GuardedMemory() { munmap(base_, bytes_); }
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;

  // Where `bytes` bytes end `slack` bytes before the page behind. They and their surroundings are set to
  // `fill`.
  char* at_end(size_t bytes, size_t slack, unsigned char fill) {
    const size_t filled = checked(bytes + slack);
    std::memset(body_ + capacity_ - filled, fill, filled);
    return body_ + capacity_ - slack - bytes;
  }
  // Where they start right after the page before.
  char* at_start(size_t bytes, unsigned char fill) {
    std::memset(body_, fill, checked(bytes));
    return body_;
  }

 private:
  static constexpr size_t kSurroundings = 4096;

  size_t checked(size_t bytes) const {
    if (bytes > capacity_) std::abort();
    return bytes + kSurroundings < capacity_ ? bytes + kSurroundings : capacity_;
  }

  char* base_;
  char* body_;
  size_t capacity_;
  size_t bytes_;
};

}  // namespace testing
}  // namespace edgecnn

#endif  // EDGECNN_TESTS_GUARDED_H_

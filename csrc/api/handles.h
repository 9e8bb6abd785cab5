// What the opaque handles of edgecnn.h are.
#ifndef EDGECNN_API_HANDLES_H_
#define EDGECNN_API_HANDLES_H_

#include <atomic>
#include <memory>
#include <vector>

#include "api/pictures.h"
#include "edgecnn/edgecnn.h"
#include "runtime/context.h"
#include "runtime/memory.h"
#include "runtime/metadata.h"
#include "runtime/program.h"

namespace edgecnn {

// A file as memory.
class Mapping {
 public:
  Mapping() = default;
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  // nullptr, or what went wrong.
  const char* open(int fd);

  const void* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

// What contexts share; alive while the handle or a context is.
struct Model {
  Mapping mapping;
  Block copy;
  Program program;
  Metadata metadata;
  std::unique_ptr<PictureModel> pictures;
};

// The allocator of a caller; false where it is not complete.
bool read_allocator(const ecnn_allocator* given, Allocator* allocator);

}  // namespace edgecnn

struct ecnn_model {
  std::shared_ptr<const edgecnn::Model> shared;
};

struct ecnn_context {
  ecnn_context(std::shared_ptr<const edgecnn::Model> shared, int threads, const edgecnn::Allocator& allocator,
               const edgecnn::Parallel& parallel);

  const std::shared_ptr<const edgecnn::Model> model;
  std::vector<edgecnn::Block> blocks;  // of inputs, then outputs
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
  edgecnn::Context context;
  edgecnn::PictureWorker pictures;
  std::vector<double> milliseconds;
  std::atomic<bool> busy{false};
};

#endif  // EDGECNN_API_HANDLES_H_

// Models: opened from files or memory, and described.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "api/handles.h"
#include "api/status.h"

namespace edgecnn {
namespace {

ecnn_status status_of(Refusal refusal) {
  switch (refusal) {
    case Refusal::kVersion:
      return ECNN_ERROR_VERSION;
    case Refusal::kTarget:
      return ECNN_ERROR_TARGET;
    case Refusal::kFormat:
      break;
  }
  return ECNN_ERROR_FORMAT;
}

// Checks the bytes that `model` already owns or borrows, and makes the handle.
ecnn_status finish(std::shared_ptr<Model> model, const void* data, size_t bytes, const std::string& name,
                   ecnn_model** handle) {
  Refusal refusal = Refusal::kFormat;
  std::string error = Program::open(data, bytes, &model->program, true, &refusal);
  if (error.empty()) {
    refusal = Refusal::kFormat;
    error = read_metadata(model->program, &model->metadata);
  }
  if (!error.empty()) return fail(status_of(refusal), name + ": " + error);
  model->pictures = std::make_unique<PictureModel>(model->metadata);
  *handle = new ecnn_model{std::move(model)};
  return ECNN_OK;
}

ecnn_status open_fd(int fd, const std::string& name, ecnn_model** handle) {
  auto model = std::make_shared<Model>();
  if (const char* error = model->mapping.open(fd)) return fail(ECNN_ERROR_FILE, name + ": " + error);
  const void* data = model->mapping.data();
  const size_t size = model->mapping.size();
  return finish(std::move(model), data, size, name, handle);
}

ecnn_status describe_tensor(const std::vector<TensorInfo>& tensors, int32_t index, uint64_t bytes,
                            ecnn_tensor* tensor) {
  const TensorInfo& info = tensors[static_cast<size_t>(index)];
  ecnn_tensor known{};
  known.name = info.name.c_str();
  known.type = static_cast<ecnn_type>(info.type);
  known.rank = static_cast<int32_t>(info.shape.size());
  std::copy(info.shape.begin(), info.shape.end(), known.shape);
  known.bytes = bytes;
  if (!write_struct(known, tensor))
    return fail(ECNN_ERROR_ARGUMENT, "the size of the ecnn_tensor is not set");
  return ECNN_OK;
}

static_assert(kMaxRank == ECNN_MAX_RANK);

}  // namespace

Mapping::~Mapping() {
  if (data_) munmap(data_, size_);
}

const char* Mapping::open(int fd) {
  struct stat status;
  if (fstat(fd, &status) != 0) return std::strerror(errno);
  if (!S_ISREG(status.st_mode)) return "not a regular file";
  if (status.st_size <= 0) return "the file is empty";
  void* data = mmap(nullptr, static_cast<size_t>(status.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
  if (data == MAP_FAILED) return std::strerror(errno);
  data_ = data;
  size_ = static_cast<size_t>(status.st_size);
  return nullptr;
}

bool read_allocator(const ecnn_allocator* given, Allocator* allocator) {
  if (!given) return true;
  ecnn_allocator known{};
  if (!read_struct(given, &known) || !known.allocate || !known.release) return false;
  *allocator = {known.user, known.allocate, known.release};
  return true;
}

}  // namespace edgecnn

using edgecnn::fail;
using edgecnn::guarded;

ecnn_status ecnn_model_open(const char* path, ecnn_model** model) {
  return guarded([&] {
    if (!path || !model) return fail(ECNN_ERROR_ARGUMENT, "ecnn_model_open: an argument is null");
    *model = nullptr;
    // Not blocking, so that a pipe cannot hold up the caller.
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return fail(ECNN_ERROR_FILE, std::string(path) + ": " + std::strerror(errno));
    struct Closer {
      int fd;
      ~Closer() { close(fd); }
    } closer{fd};
    return edgecnn::open_fd(fd, path, model);
  });
}

ecnn_status ecnn_model_open_fd(int fd, ecnn_model** model) {
  return guarded([&] {
    if (!model) return fail(ECNN_ERROR_ARGUMENT, "ecnn_model_open_fd: the place for the model is null");
    *model = nullptr;
    return edgecnn::open_fd(fd, "file descriptor " + std::to_string(fd), model);
  });
}

ecnn_status ecnn_model_open_memory(const void* data, size_t bytes, const ecnn_allocator* allocator,
                                   ecnn_model** model) {
  return guarded([&] {
    if (!data || !model) return fail(ECNN_ERROR_ARGUMENT, "ecnn_model_open_memory: an argument is null");
    *model = nullptr;
    edgecnn::Allocator known;
    if (!edgecnn::read_allocator(allocator, &known)) {
      return fail(ECNN_ERROR_ARGUMENT, "ecnn_model_open_memory: the allocator is not complete");
    }
    auto shared = std::make_shared<edgecnn::Model>();
    if (reinterpret_cast<uintptr_t>(data) % edgecnn::kAlignment) {
      shared->copy = edgecnn::Block(bytes, known);
      data = std::memcpy(shared->copy.get(), data, bytes);
    }
    return edgecnn::finish(std::move(shared), data, bytes, "model in memory", model);
  });
}

void ecnn_model_close(ecnn_model* model) { delete model; }

ecnn_status ecnn_model_describe(const ecnn_model* model, ecnn_model_info* info) {
  if (!model || !info) return fail(ECNN_ERROR_ARGUMENT, "ecnn_model_describe: an argument is null");
  const edgecnn::Model& m = *model->shared;
  const edgecnn::Program& program = m.program;
  ecnn_model_info known{};
  known.name = m.metadata.name.c_str();
  known.target = program.target().name;
  known.input_count = program.input_count();
  known.output_count = program.output_count();
  known.step_count = static_cast<int32_t>(program.steps().size());
  known.class_count = m.pictures->classes;
  known.label_count = static_cast<int32_t>(m.metadata.labels.size());
  known.weights_bytes = program.constants_bytes();
  known.thread_bytes = program.scratch_bytes();
  known.context_bytes = program.arena_bytes() + program.scratch_bytes();
  for (int i = 0; i < program.input_count(); ++i) known.context_bytes += program.input_bytes(i);
  for (int i = 0; i < program.output_count(); ++i) known.context_bytes += program.output_bytes(i);
  if (!edgecnn::write_struct(known, info)) {
    return fail(ECNN_ERROR_ARGUMENT, "ecnn_model_describe: the size of the ecnn_model_info is not set");
  }
  return ECNN_OK;
}

const char* ecnn_model_label(const ecnn_model* model, int32_t class_id) {
  if (!model || class_id < 0) return nullptr;
  const std::vector<std::string>& labels = model->shared->metadata.labels;
  return static_cast<size_t>(class_id) < labels.size() ? labels[static_cast<size_t>(class_id)].c_str()
                                                       : nullptr;
}

ecnn_status ecnn_model_input(const ecnn_model* model, int32_t index, ecnn_tensor* tensor) {
  if (!model || !tensor) return fail(ECNN_ERROR_ARGUMENT, "ecnn_model_input: an argument is null");
  const edgecnn::Model& m = *model->shared;
  if (index < 0 || index >= m.program.input_count()) {
    return fail(ECNN_ERROR_ARGUMENT, "ecnn_model_input: there is no such input");
  }
  return edgecnn::describe_tensor(m.metadata.inputs, index, m.program.input_bytes(index), tensor);
}

ecnn_status ecnn_model_output(const ecnn_model* model, int32_t index, ecnn_tensor* tensor) {
  if (!model || !tensor) return fail(ECNN_ERROR_ARGUMENT, "ecnn_model_output: an argument is null");
  const edgecnn::Model& m = *model->shared;
  if (index < 0 || index >= m.program.output_count()) {
    return fail(ECNN_ERROR_ARGUMENT, "ecnn_model_output: there is no such output");
  }
  return edgecnn::describe_tensor(m.metadata.outputs, index, m.program.output_bytes(index), tensor);
}

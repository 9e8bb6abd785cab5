// Owners for the handles of edgecnn.h, for C++17. They throw nothing of their own and need no exceptions: an
// object that could not be made is false, functions return a status, and ecnn_last_error() says what was
// wrong.
//
//   ecnn::Model model("detector.ecnn");
//   ecnn::Context context(model);
//   ecnn::Boxes boxes(100);
//   if (!context || context.detect(ecnn::image(pixels, 640, 480, ECNN_BGR), &boxes)) puts(ecnn_last_error());
//   for (const ecnn_box& box : boxes) ...
#ifndef EDGECNN_EDGECNN_HPP_
#define EDGECNN_EDGECNN_HPP_

#include <memory>
#include <vector>

#include "edgecnn/edgecnn.h"

namespace ecnn {

// A picture whose rows follow each other at `stride` bytes (0: without gaps).
inline ecnn_image image(const void* data, int32_t width, int32_t height, ecnn_pixel_format format,
                        ptrdiff_t stride = 0) {
  return {sizeof(ecnn_image), data, width, height, stride, format, nullptr, 0};
}

inline ecnn_detect_options detect_options() { return ECNN_DETECT_DEFAULTS; }

class Model {
 public:
  explicit Model(const char* path) {
    ecnn_model* model = nullptr;
    ecnn_model_open(path, &model);
    handle_.reset(model);
  }
  explicit Model(int fd) {
    ecnn_model* model = nullptr;
    ecnn_model_open_fd(fd, &model);
    handle_.reset(model);
  }
  Model(const void* data, size_t bytes, const ecnn_allocator* allocator = nullptr) {
    ecnn_model* model = nullptr;
    ecnn_model_open_memory(data, bytes, allocator, &model);
    handle_.reset(model);
  }

  explicit operator bool() const { return handle_ != nullptr; }
  ecnn_model* get() const { return handle_.get(); }

  ecnn_model_info info() const {  // all 0 where the model is false
    ecnn_model_info info{};
    info.size = sizeof(info);
    ecnn_model_describe(get(), &info);
    return info;
  }
  ecnn_tensor input(int32_t index = 0) const { return tensor(ecnn_model_input, index); }
  ecnn_tensor output(int32_t index = 0) const { return tensor(ecnn_model_output, index); }

  // "" where the model does not tell.
  const char* label(int32_t class_id) const {
    const char* text = ecnn_model_label(get(), class_id);
    return text ? text : "";
  }

 private:
  struct Close {
    void operator()(ecnn_model* model) const { ecnn_model_close(model); }
  };
  ecnn_tensor tensor(ecnn_status (*describe)(const ecnn_model*, int32_t, ecnn_tensor*), int32_t index) const {
    ecnn_tensor tensor{};
    tensor.size = sizeof(tensor);
    describe(get(), index, &tensor);
    return tensor;
  }
  std::unique_ptr<ecnn_model, Close> handle_;
};

// Room for a number of results, and those that the last call found.
template <class T>
class Results {
 public:
  explicit Results(size_t capacity) : room_(capacity) {}
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const T* begin() const { return room_.data(); }
  const T* end() const { return room_.data() + size_; }
  const T& operator[](size_t i) const { return room_[i]; }

 private:
  friend class Context;
  std::vector<T> room_;
  size_t size_ = 0;
};
using Boxes = Results<ecnn_box>;
using Classes = Results<ecnn_class>;
using Profile = Results<ecnn_step_time>;

// Keeps its model alive by itself.
class Context {
 public:
  explicit Context(const Model& model, int32_t threads = 1, const ecnn_allocator* allocator = nullptr,
                   const ecnn_parallel* parallel = nullptr) {
    const ecnn_context_options options = {sizeof(options), threads, allocator, parallel};
    ecnn_context* context = nullptr;
    if (model) ecnn_context_create(model.get(), &options, &context);
    handle_.reset(context);
  }

  explicit operator bool() const { return handle_ != nullptr; }
  ecnn_context* get() const { return handle_.get(); }

  template <class T = float>
  T* input(int32_t index = 0) {
    return static_cast<T*>(ecnn_context_input(get(), index));
  }
  template <class T = float>
  const T* output(int32_t index = 0) const {
    return static_cast<const T*>(ecnn_context_output(get(), index));
  }

  ecnn_status run() { return ecnn_run(get()); }
  ecnn_status profile(Profile* rows) {
    return ecnn_profile(get(), rows->room_.data(), rows->room_.size(), &rows->size_);
  }
  ecnn_status detect(const ecnn_image& image, Boxes* boxes,
                     const ecnn_detect_options& options = detect_options()) {
    return ecnn_detect(get(), &image, &options, boxes->room_.data(), boxes->room_.size(), &boxes->size_);
  }
  ecnn_status classify(const ecnn_image& image, Classes* classes) {
    return ecnn_classify(get(), &image, classes->room_.data(), classes->room_.size(), &classes->size_);
  }

 private:
  struct Destroy {
    void operator()(ecnn_context* context) const { ecnn_context_destroy(context); }
  };
  std::unique_ptr<ecnn_context, Destroy> handle_;
};

}  // namespace ecnn

#endif  // EDGECNN_EDGECNN_HPP_

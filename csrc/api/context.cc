// Contexts: arrays in, arrays out; pictures in, boxes or classes out.
#include "api/handles.h"
#include "api/status.h"

namespace edgecnn {
namespace {

constexpr int32_t kMaxThreads = 256;

// One thread at a time uses a context; another is told so.
class Turn {
 public:
  explicit Turn(ecnn_context* context) : context_(context) {
    bool free = false;
    mine_ = context->busy.compare_exchange_strong(free, true, std::memory_order_acquire);
  }
  ~Turn() {
    if (mine_) context_->busy.store(false, std::memory_order_release);
  }
  bool mine() const { return mine_; }

 private:
  ecnn_context* context_;
  bool mine_;
};

ecnn_status busy() {
  return fail(ECNN_ERROR_BUSY, "another thread is using this context; make one for each thread");
}

std::vector<Block> make_blocks(const Program& program, const Allocator& allocator) {
  std::vector<Block> blocks;
  for (int i = 0; i < program.input_count(); ++i) blocks.emplace_back(program.input_bytes(i), allocator);
  for (int i = 0; i < program.output_count(); ++i) blocks.emplace_back(program.output_bytes(i), allocator);
  return blocks;
}

void run(ecnn_context* c) { c->context.run(c->inputs.data(), c->outputs.data()); }

// A picture that can go into the model: an empty string, or why not.
std::string check_picture(const PictureModel& model, const std::string& error, const ecnn_image* given,
                          ecnn_image* image, ecnn_status* status) {
  *status = ECNN_ERROR_UNSUPPORTED;
  if (!model.input_error.empty()) return model.input_error;
  if (!error.empty()) return error;
  *status = ECNN_ERROR_ARGUMENT;
  if (!read_struct(given, image)) return "the size of the ecnn_image is not set";
  const char* wrong = check_image(*image);
  return wrong ? wrong : "";
}

const char* check_options(const ecnn_detect_options& o) {
  if (!(o.confidence >= 0 && o.confidence <= 1)) return "confidence lies between 0 and 1";
  if (!(o.iou >= 0 && o.iou <= 1)) return "iou lies between 0 and 1";
  if (o.max_boxes < 1) return "max_boxes is at least 1";
  if (!o.classes && o.class_count) return "classes is null";
  return nullptr;
}

}  // namespace
}  // namespace edgecnn

using edgecnn::fail;
using edgecnn::guarded;

ecnn_context::ecnn_context(std::shared_ptr<const edgecnn::Model> shared, int threads,
                           const edgecnn::Allocator& allocator, const edgecnn::Parallel& parallel)
    : model(std::move(shared)),
      blocks(edgecnn::make_blocks(model->program, allocator)),
      context(model->program, threads, allocator, parallel),
      pictures(*model->pictures),
      milliseconds(model->program.steps().size()) {
  const auto input_count = static_cast<size_t>(model->program.input_count());
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (i < input_count) {
      inputs.push_back(blocks[i].get());
    } else {
      outputs.push_back(blocks[i].get());
    }
  }
}

ecnn_status ecnn_context_create(ecnn_model* model, const ecnn_context_options* options,
                                ecnn_context** context) {
  return guarded([&]() -> ecnn_status {
    if (!model || !context) return fail(ECNN_ERROR_ARGUMENT, "ecnn_context_create: an argument is null");
    *context = nullptr;
    ecnn_context_options known{};
    if (options && !edgecnn::read_struct(options, &known)) {
      return fail(ECNN_ERROR_ARGUMENT, "ecnn_context_create: the size of the options is not set");
    }
    if (known.threads < 0 || known.threads > edgecnn::kMaxThreads) {
      return fail(ECNN_ERROR_ARGUMENT, "ecnn_context_create: there are 1 to 256 threads");
    }
    edgecnn::Allocator allocator;
    if (!edgecnn::read_allocator(known.allocator, &allocator)) {
      return fail(ECNN_ERROR_ARGUMENT, "ecnn_context_create: the allocator is not complete");
    }
    ecnn_parallel parallel{};
    if (known.parallel && (!edgecnn::read_struct(known.parallel, &parallel) || !parallel.run)) {
      return fail(ECNN_ERROR_ARGUMENT, "ecnn_context_create: the parallel callback is not complete");
    }
    *context = new ecnn_context(model->shared, known.threads, allocator, {parallel.user, parallel.run});
    return ECNN_OK;
  });
}

void ecnn_context_destroy(ecnn_context* context) { delete context; }

void* ecnn_context_input(ecnn_context* context, int32_t index) {
  if (!context || index < 0 || index >= context->model->program.input_count()) return nullptr;
  return context->blocks[static_cast<size_t>(index)].get();
}

const void* ecnn_context_output(const ecnn_context* context, int32_t index) {
  if (!context || index < 0 || index >= context->model->program.output_count()) return nullptr;
  return context->outputs[static_cast<size_t>(index)];
}

ecnn_status ecnn_run(ecnn_context* context) {
  return guarded([&]() -> ecnn_status {
    if (!context) return fail(ECNN_ERROR_ARGUMENT, "ecnn_run: the context is null");
    const edgecnn::Turn turn(context);
    if (!turn.mine()) return edgecnn::busy();
    edgecnn::run(context);
    return ECNN_OK;
  });
}

ecnn_status ecnn_profile(ecnn_context* context, ecnn_step_time* rows, size_t capacity, size_t* count) {
  return guarded([&]() -> ecnn_status {
    if (!context || !count || (!rows && capacity)) {
      return fail(ECNN_ERROR_ARGUMENT, "ecnn_profile: an argument is null");
    }
    *count = 0;
    const edgecnn::Turn turn(context);
    if (!turn.mine()) return edgecnn::busy();
    context->context.run(context->inputs.data(), context->outputs.data(), context->milliseconds.data());
    const edgecnn::Metadata& metadata = context->model->metadata;
    const auto& steps = context->model->program.steps();
    for (size_t i = 0; i < std::min(capacity, steps.size()); ++i) {
      const edgecnn::StepInfo& step = metadata.steps[i];
      const edgecnn::LayerInfo& layer = metadata.layers[step.layer];
      rows[i] = {layer.name.c_str(), layer.op.c_str(), steps[i].kernel->name, context->milliseconds[i],
                 step.bytes};
      ++*count;
    }
    return ECNN_OK;
  });
}

ecnn_status ecnn_detect(ecnn_context* context, const ecnn_image* image, const ecnn_detect_options* options,
                        ecnn_box* boxes, size_t capacity, size_t* count) {
  return guarded([&]() -> ecnn_status {
    if (!context || !image || !count || (!boxes && capacity)) {
      return fail(ECNN_ERROR_ARGUMENT, "ecnn_detect: an argument is null");
    }
    *count = 0;
    const edgecnn::PictureModel& model = *context->model->pictures;
    ecnn_image picture{};
    ecnn_status status;
    const std::string error = edgecnn::check_picture(model, model.detector_error, image, &picture, &status);
    if (!error.empty()) return fail(status, "ecnn_detect: " + error);
    ecnn_detect_options known = ECNN_DETECT_DEFAULTS;
    if (options && !edgecnn::read_struct(options, &known)) {
      return fail(ECNN_ERROR_ARGUMENT, "ecnn_detect: the size of the options is not set");
    }
    if (const char* wrong = edgecnn::check_options(known)) {
      return fail(ECNN_ERROR_ARGUMENT, std::string("ecnn_detect: ") + wrong);
    }
    const edgecnn::Turn turn(context);
    if (!turn.mine()) return edgecnn::busy();
    context->pictures.load(picture, static_cast<float*>(ecnn_context_input(context, 0)));
    edgecnn::run(context);
    *count = context->pictures.detect(context->outputs.data(), known, boxes, capacity);
    return ECNN_OK;
  });
}

ecnn_status ecnn_classify(ecnn_context* context, const ecnn_image* image, ecnn_class* classes,
                          size_t capacity, size_t* count) {
  return guarded([&]() -> ecnn_status {
    if (!context || !image || !count || (!classes && capacity)) {
      return fail(ECNN_ERROR_ARGUMENT, "ecnn_classify: an argument is null");
    }
    *count = 0;
    const edgecnn::PictureModel& model = *context->model->pictures;
    ecnn_image picture{};
    ecnn_status status;
    const std::string error = edgecnn::check_picture(model, model.classifier_error, image, &picture, &status);
    if (!error.empty()) return fail(status, "ecnn_classify: " + error);
    const edgecnn::Turn turn(context);
    if (!turn.mine()) return edgecnn::busy();
    context->pictures.load(picture, static_cast<float*>(ecnn_context_input(context, 0)));
    edgecnn::run(context);
    *count = context->pictures.classify(static_cast<const float*>(context->outputs[0]), classes, capacity);
    return ECNN_OK;
  });
}

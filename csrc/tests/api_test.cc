// api_test DETECTOR.ecnn CLASSIFIER.ecnn
//
// The C API as an application uses it, and as no application should. tests/test_c_api.py makes the models and
// compares boxes with Python's.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "edgecnn/edgecnn.hpp"

namespace {

int failures = 0;

void check(bool right, const char* what, int line) {
  if (right) return;
  std::fprintf(stderr, "line %d: %s (last error: %s)\n", line, what, ecnn_last_error());
  ++failures;
}
#define CHECK(condition) check(condition, #condition, __LINE__)
#define CHECK_ERROR(expression, status, text) \
  CHECK((expression) == (status) && std::strstr(ecnn_last_error(), text) != nullptr)

constexpr int kWidth = 97, kHeight = 61;

std::vector<uint8_t> noise(size_t size) {
  std::vector<uint8_t> bytes(size);
  uint32_t state = 1;
  for (uint8_t& b : bytes) b = static_cast<uint8_t>((state = state * 1664525 + 1013904223) >> 24);
  return bytes;
}

std::string read(const char* path) {
  std::string content;
  if (std::FILE* file = std::fopen(path, "rb")) {
    char part[4096];
    for (size_t n; (n = std::fread(part, 1, sizeof(part), file)) > 0;) content.append(part, n);
    std::fclose(file);
  }
  return content;
}

// What a context finds on a picture of noise with a threshold that some candidates pass.
std::vector<ecnn_box> found(ecnn_context* context) {
  const std::vector<uint8_t> pixels = noise(kWidth * kHeight * 3);
  const ecnn_image image = ecnn::image(pixels.data(), kWidth, kHeight, ECNN_RGB);
  ecnn_detect_options options = ECNN_DETECT_DEFAULTS;
  options.confidence = .01f;
  std::vector<ecnn_box> boxes(50);
  size_t count = 0;
  CHECK(ecnn_detect(context, &image, &options, boxes.data(), boxes.size(), &count) == ECNN_OK);
  boxes.resize(count);
  return boxes;
}

bool same(const std::vector<ecnn_box>& a, const std::vector<ecnn_box>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(ecnn_box)) == 0;
}

// Memory of an application that counts, and has only so much.
struct Memory {
  std::atomic<long> blocks{0};
  std::atomic<long> left{1000};
  ecnn_allocator callbacks = {sizeof(ecnn_allocator), this, allocate, release};

  static void* allocate(void* user, size_t bytes, size_t alignment) {
    auto* memory = static_cast<Memory*>(user);
    if (memory->left-- <= 0) return nullptr;
    ++memory->blocks;
    void* block = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    std::memset(block, 0xA5, bytes);
    return block;
  }
  static void release(void* user, void* block) {
    --static_cast<Memory*>(user)->blocks;
    std::free(block);
  }
};

// Threads of an application: here new ones each time, in the wrong order.
void run_parallel(void* user, int32_t count, void (*task)(void*, int32_t), void* argument) {
  ++*static_cast<int*>(user);
  std::vector<std::thread> threads;
  for (int32_t i = count; i-- > 1;) threads.emplace_back(task, argument, i);
  task(argument, 0);
  for (std::thread& thread : threads) thread.join();
}

void test_opening(const char* path) {
  const std::string content = read(path);
  const ecnn::Model model(path);
  CHECK(bool(model));
  const std::vector<ecnn_box> expected = found(ecnn::Context(model).get());
  CHECK(!expected.empty());

  const int fd = open(path, O_RDONLY);
  const ecnn::Model of_fd(fd);
  close(fd);
  CHECK(same(found(ecnn::Context(of_fd).get()), expected));

  std::vector<char> room(content.size() + 65);
  for (const size_t shift : {size_t{0}, size_t{1}}) {
    char* at = room.data() + (64 - reinterpret_cast<uintptr_t>(room.data()) % 64) % 64 + shift;
    std::memcpy(at, content.data(), content.size());
    Memory memory;
    {
      const ecnn::Model in_memory(at, content.size(), &memory.callbacks);
      CHECK(memory.blocks == static_cast<long>(shift));  // a copy where it is not aligned
      CHECK(same(found(ecnn::Context(in_memory).get()), expected));
    }
    CHECK(memory.blocks == 0);
  }

  ecnn_model* none = nullptr;
  CHECK_ERROR(ecnn_model_open(nullptr, &none), ECNN_ERROR_ARGUMENT, "null");
  CHECK_ERROR(ecnn_model_open(path, nullptr), ECNN_ERROR_ARGUMENT, "null");
  CHECK_ERROR(ecnn_model_open("/no/such/file", &none), ECNN_ERROR_FILE, "/no/such/file: No such file");
  CHECK_ERROR(ecnn_model_open("/", &none), ECNN_ERROR_FILE, "not a regular file");
  CHECK_ERROR(ecnn_model_open("/dev/null", &none), ECNN_ERROR_FILE, "not a regular file");
  CHECK_ERROR(ecnn_model_open_fd(-1, &none), ECNN_ERROR_FILE, "Bad file descriptor");
  CHECK_ERROR(ecnn_model_open_memory("ECNN", 4, nullptr, &none), ECNN_ERROR_FORMAT, "too short");
  std::string other = content;
  other[4] = 9;
  CHECK_ERROR(ecnn_model_open_memory(other.data(), other.size(), nullptr, &none), ECNN_ERROR_VERSION,
              "version 9 of the format, this library reads version 2: install a newer edgecnn");
  other = content;
  std::memcpy(&other[8], "armv0\0\0\0\0\0\0\0\0\0\0", 16);
  CHECK_ERROR(ecnn_model_open_memory(other.data(), other.size(), nullptr, &none), ECNN_ERROR_TARGET,
              "edgecnn convert MODEL -o MODEL.ecnn --target ");
  other = content;
  other[other.size() / 2] = static_cast<char>(other[other.size() / 2] ^ 1);
  CHECK_ERROR(ecnn_model_open_memory(other.data(), other.size(), nullptr, &none), ECNN_ERROR_FORMAT,
              "checksum");
  CHECK(none == nullptr);
  ecnn_model_close(nullptr);
}

void test_describing(const char* path) {
  const ecnn::Model model(path);
  const ecnn_model_info info = model.info();
  CHECK(info.input_count == 1 && info.output_count >= 1 && info.class_count > 0 && info.step_count > 0);
  CHECK(info.weights_bytes > 0 && info.context_bytes > 0);
  const ecnn_tensor input = model.input();
  uint64_t bytes = sizeof(float);
  for (int32_t i = 0; i < input.rank; ++i) bytes *= static_cast<uint64_t>(input.shape[i]);
  CHECK(input.type == ECNN_FLOAT32 && input.rank == 4 && input.bytes == bytes && *input.name);
  CHECK(*model.output().name);
  CHECK(model.label(0) && !ecnn_model_label(model.get(), -1) && !ecnn_model_label(model.get(), 1 << 30));
  ecnn_tensor tensor{};
  CHECK_ERROR(ecnn_model_input(model.get(), 0, &tensor), ECNN_ERROR_ARGUMENT, "size");
  tensor.size = sizeof(tensor);
  CHECK_ERROR(ecnn_model_input(model.get(), 1, &tensor), ECNN_ERROR_ARGUMENT, "no such input");
  CHECK_ERROR(ecnn_model_output(model.get(), -1, &tensor), ECNN_ERROR_ARGUMENT, "no such output");

  // A program of another age: a structure that ends early is not written past its end.
  ecnn_model_info early{};
  early.size = offsetof(ecnn_model_info, input_count);
  early.input_count = -7;
  CHECK(ecnn_model_describe(model.get(), &early) == ECNN_OK);
  CHECK(std::strcmp(early.target, info.target) == 0 && early.input_count == -7);

  ecnn_cpu cpu{};
  cpu.size = sizeof(cpu);
  CHECK(ecnn_cpu_report(&cpu) == ECNN_OK && cpu.physical_cores >= 1 && cpu.l1d_bytes > 0);
  CHECK(std::strstr(cpu.targets, cpu.target) == cpu.targets && std::strstr(cpu.targets, "portable"));
  CHECK(ecnn_abi_version() == ECNN_ABI_VERSION && *ecnn_version());
}

void test_contexts(const char* path) {
  ecnn::Model model(path);
  const std::vector<ecnn_box> expected = found(ecnn::Context(model).get());
  for (const int threads : {2, 3}) CHECK(same(found(ecnn::Context(model, threads).get()), expected));

  Memory memory;
  int calls = 0;
  const ecnn_parallel parallel = {sizeof(parallel), &calls, run_parallel};
  {
    const ecnn::Context context(model, 3, &memory.callbacks, &parallel);
    CHECK(memory.blocks >= 4);  // arena, scratch, input, output
    CHECK(same(found(context.get()), expected));
    CHECK(calls > 0);
  }
  CHECK(memory.blocks == 0);
  for (long left = 0; left < 4; ++left) {
    memory.left = left;
    CHECK(!ecnn::Context(model, 1, &memory.callbacks));
    CHECK(std::strstr(ecnn_last_error(), "memory"));
    CHECK(memory.blocks == 0);
  }

  // Several threads, a context each, one model; closed before its contexts.
  std::vector<ecnn::Context> contexts;
  for (int i = 0; i < 3; ++i) contexts.emplace_back(model, 1 + i % 2);
  model = ecnn::Model("/no/such/file");
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (ecnn::Context& context : contexts) {
    threads.emplace_back([&] {
      for (int i = 0; i < 3; ++i) wrong += !same(found(context.get()), expected);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);

  ecnn_context* none = nullptr;
  CHECK_ERROR(ecnn_context_create(nullptr, nullptr, &none), ECNN_ERROR_ARGUMENT, "null");
  const ecnn::Model again(path);
  ecnn_context_options options = {sizeof(options), 1000, nullptr, nullptr};
  CHECK_ERROR(ecnn_context_create(again.get(), &options, &none), ECNN_ERROR_ARGUMENT, "threads");
  options = {0, 1, nullptr, nullptr};
  CHECK_ERROR(ecnn_context_create(again.get(), &options, &none), ECNN_ERROR_ARGUMENT, "size");
  const ecnn_allocator half = {sizeof(half), nullptr, Memory::allocate, nullptr};
  options = {sizeof(options), 1, &half, nullptr};
  CHECK_ERROR(ecnn_context_create(again.get(), &options, &none), ECNN_ERROR_ARGUMENT, "allocator");
  ecnn_context_destroy(nullptr);
}

// A context that is in use says so to a second thread.
void test_busy(const char* path) {
  struct Blocked {
    ecnn_context* context = nullptr;
    ecnn_status seen = ECNN_OK;
  } blocked;
  ecnn_parallel parallel = {sizeof(parallel), &blocked,
                            [](void* user, int32_t count, void (*task)(void*, int32_t), void* argument) {
                              auto* b = static_cast<Blocked*>(user);
                              b->seen = ecnn_run(b->context);
                              for (int32_t i = 0; i < count; ++i) task(argument, i);
                            }};
  ecnn::Context context(ecnn::Model(path), 2, nullptr, &parallel);
  blocked.context = context.get();
  CHECK(context.run() == ECNN_OK && blocked.seen == ECNN_ERROR_BUSY);
}

void test_arrays(const char* path) {
  const ecnn::Model model(path);
  ecnn::Context context(model);
  CHECK(reinterpret_cast<uintptr_t>(context.input()) % 64 == 0);
  CHECK(!context.input(1) && !context.input(-1) && !context.output(99) && !ecnn_context_input(nullptr, 0));
  for (size_t i = 0; i < model.input().bytes / sizeof(float); ++i) context.input()[i] = .5f;
  CHECK(context.run() == ECNN_OK);
  const size_t bytes = model.output().bytes;
  const std::string first(reinterpret_cast<const char*>(context.output()), bytes);
  ecnn::Profile rows(static_cast<size_t>(model.info().step_count));
  CHECK(context.profile(&rows) == ECNN_OK && rows.size() == static_cast<size_t>(model.info().step_count));
  for (const ecnn_step_time& row : rows)
    CHECK(*row.layer && *row.kernel && row.milliseconds >= 0 && row.bytes > 0);
  CHECK(std::memcmp(first.data(), context.output(), bytes) == 0);
  ecnn::Profile few(1);
  CHECK(context.profile(&few) == ECNN_OK && few.size() == 1);
  CHECK_ERROR(ecnn_run(nullptr), ECNN_ERROR_ARGUMENT, "null");
}

void test_pictures(const char* detector, const char* classifier) {
  ecnn::Context context{ecnn::Model(detector)};
  const std::vector<uint8_t> pixels = noise(kWidth * kHeight * 4);
  ecnn::Boxes boxes(10);
  const auto status = [&](ecnn_image image) { return context.detect(image, &boxes); };
  const ecnn_image good = ecnn::image(pixels.data(), kWidth, kHeight, ECNN_GREY);
  for (int32_t format = ECNN_GREY; format <= ECNN_YUYV; ++format) {
    ecnn_image image = good;
    image.format = format;
    CHECK(status(image) == ECNN_OK);
  }
  ecnn_image image = good;
  image.format = ECNN_YUYV + 1;
  CHECK_ERROR(status(image), ECNN_ERROR_ARGUMENT, "unknown pixel format");
  image = good;
  image.width = 0;
  CHECK_ERROR(status(image), ECNN_ERROR_ARGUMENT, "pixels a side");
  image = good;
  image.height = 1 << 30;
  CHECK_ERROR(status(image), ECNN_ERROR_ARGUMENT, "pixels a side");
  image = good;
  image.width = image.height = 1 << 20;
  CHECK_ERROR(status(image), ECNN_ERROR_ARGUMENT, "at most 2^28 pixels");
  image = good;
  image.data = nullptr;
  CHECK_ERROR(status(image), ECNN_ERROR_ARGUMENT, "without data");
  image = good;
  image.stride = 1 - kWidth;
  CHECK_ERROR(status(image), ECNN_ERROR_ARGUMENT, "stride");
  image = good;
  image.size = 0;
  CHECK_ERROR(status(image), ECNN_ERROR_ARGUMENT, "size");
  image = good;
  image.format = ECNN_NV12;
  image.stride = -128;
  CHECK_ERROR(status(image), ECNN_ERROR_ARGUMENT, "chroma");

  ecnn_detect_options options = ECNN_DETECT_DEFAULTS;
  options.iou = 2;
  CHECK_ERROR(context.detect(good, &boxes, options), ECNN_ERROR_ARGUMENT, "iou");
  options = ECNN_DETECT_DEFAULTS;
  options.class_count = 1;
  CHECK_ERROR(context.detect(good, &boxes, options), ECNN_ERROR_ARGUMENT, "classes");
  const std::vector<ecnn_box> all = found(context.get());
  options = ECNN_DETECT_DEFAULTS;
  options.confidence = .01f;
  options.classes = &all[0].class_id;
  options.class_count = 1;
  const std::vector<uint8_t> rgb = noise(kWidth * kHeight * 3);
  CHECK(context.detect(ecnn::image(rgb.data(), kWidth, kHeight, ECNN_RGB), &boxes, options) == ECNN_OK);
  CHECK(!boxes.empty() && std::memcmp(boxes.begin(), all.data(), sizeof(ecnn_box)) == 0);
  for (const ecnn_box& box : boxes) CHECK(box.class_id == all[0].class_id);

  ecnn::Context classes_of{ecnn::Model(classifier)};
  ecnn::Classes classes(3);
  CHECK(classes_of.classify(good, &classes) == ECNN_OK && classes.size() == 3);
  CHECK(classes[0].probability >= classes[1].probability && classes[1].probability >= classes[2].probability);
  CHECK_ERROR(context.classify(good, &classes), ECNN_ERROR_UNSUPPORTED, "not a classifier");
  CHECK_ERROR(classes_of.detect(good, &boxes), ECNN_ERROR_UNSUPPORTED, "it has no head");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: api_test DETECTOR.ecnn CLASSIFIER.ecnn\n");
    return 2;
  }
  test_opening(argv[1]);
  test_describing(argv[1]);
  test_contexts(argv[1]);
  test_busy(argv[1]);
  test_arrays(argv[1]);
  test_pictures(argv[1], argv[2]);
  std::printf("api_test: %d failures\n", failures);
  return failures ? 1 : 0;
}

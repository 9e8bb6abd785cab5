// .ecnn files of any content through the C API: opened, described, run, and given a picture.
//
// With libFuzzer (EDGECNN_FUZZ, see tests/fuzz/run.py) it invents them; without, it runs the files it is
// given.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "edgecnn/edgecnn.hpp"
#include "runtime/program.h"

namespace {

constexpr uint64_t kMostMemory = uint64_t{4} << 20;  // of a context that is run
constexpr double kMostWork = 3e7;

// So that the fuzzer need not guess checksums, nor the size in the header.
void mend(std::vector<char>* file) {
  if (file->size() < sizeof(edgecnn::FileHeader)) return;
  edgecnn::FileHeader h;
  std::memcpy(&h, file->data(), sizeof(h));
  h.file_bytes = file->size();
  const size_t begin = sizeof(h);
  if (h.constants_offset <= file->size() && h.constants_bytes <= file->size() - h.constants_offset) {
    const size_t end = std::max<size_t>(begin, h.constants_offset + h.constants_bytes);
    h.constants_checksum = edgecnn::crc32(file->data() + begin, end - begin);
    h.checksum = edgecnn::crc32(file->data() + end, file->size() - end);
  }
  std::memcpy(file->data(), &h, sizeof(h));
}

// At most so many operations: no step reads more than all its inputs for one output.
double work_of(const std::vector<char>& file) {
  edgecnn::FileHeader h;
  std::memcpy(&h, file.data(), sizeof(h));
  double work = 0;
  for (uint32_t i = 0; i < h.step_count; ++i) {
    edgecnn::StepRecord r;
    std::memcpy(&r, file.data() + h.steps_offset + i * sizeof(r), sizeof(r));
    double inputs = 1;
    for (int k = 0; k < r.input_count; ++k) inputs += static_cast<double>(r.inputs[k].bytes);
    work += inputs * static_cast<double>(r.outputs[0].bytes) / 16;
  }
  return work;
}

void use(const std::vector<char>& file) {
  const ecnn::Model model(file.data(), file.size());
  if (!model) return;
  const ecnn_model_info info = model.info();
  for (int32_t i = 0; i < info.input_count; ++i) model.input(i);
  for (int32_t i = 0; i < info.output_count; ++i) model.output(i);
  for (int32_t i = 0; i < info.label_count; ++i) model.label(i);
  if (info.context_bytes > kMostMemory || work_of(file) > kMostWork) return;
  ecnn::Context context(model);
  if (!context) return;
  context.run();
  static const std::vector<uint8_t> pixels(32 * 32 * 4, 77);
  ecnn::Boxes boxes(20);
  ecnn::Classes classes(5);
  ecnn_detect_options options = ecnn::detect_options();
  options.confidence = 0;
  context.detect(ecnn::image(pixels.data(), 31, 29, ECNN_NV12), &boxes, options);
  context.classify(ecnn::image(pixels.data(), 32, 32, ECNN_BGRA), &classes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<char> file(data, data + size);
  use(file);
  mend(&file);
  use(file);
  return 0;
}

#ifndef EDGECNN_FUZZER
int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    std::FILE* file = std::fopen(argv[i], "rb");
    if (!file) return std::fprintf(stderr, "cannot read %s\n", argv[i]), 1;
    std::vector<uint8_t> content;
    for (int c; (c = std::fgetc(file)) != EOF;) content.push_back(static_cast<uint8_t>(c));
    std::fclose(file);
    LLVMFuzzerTestOneInput(content.data(), content.size());
  }
  std::printf("%d files\n", argc - 1);
  return 0;
}
#endif

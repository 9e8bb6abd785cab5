// ecnn-run MODEL.ecnn [--input FILE]... [--output FILE]... [--loops N] [--threads N]
//
// Runs a compiled model without Python: what boards and QEMU run. Inputs are raw little-endian arrays in the
// layout of the model (zeros where none is given); outputs are written likewise. Prints the time of each
// loop's frame: minimum and median. On ARM each frame stands between two hints, which edgecnn.forecast's
// plugin looks for and hardware ignores.
#include <algorithm>
#include <chrono>

#include "runtime/context.h"
#include "tools/command_line.h"

namespace {

void mark_begin() {
#if defined(__aarch64__)
  __asm__ volatile("hint #96" ::: "memory");
#endif
}

void mark_end() {
#if defined(__aarch64__)
  __asm__ volatile("hint #97" ::: "memory");
#endif
}

}  // namespace

int main(int argc, char** argv) {
  using edgecnn::fail;
  std::string model;
  std::vector<std::string> input_files, output_files;
  int loops = 1, threads = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option.rfind("--", 0) != 0) {
      model = option;
      continue;
    }
    if (i + 1 >= argc) fail(option + " takes a value");
    const char* value = argv[++i];
    if (option == "--input") {
      input_files.push_back(value);
    } else if (option == "--output") {
      output_files.push_back(value);
    } else if (option == "--loops") {
      loops = edgecnn::parse_count(value, option);
    } else if (option == "--threads") {
      threads = edgecnn::parse_count(value, option);
    } else {
      fail("unknown option " + option);
    }
  }
  if (model.empty()) {
    std::fprintf(
        stderr,
        "usage: ecnn-run MODEL.ecnn [--input FILE]... [--output FILE]... [--loops N] [--threads N]\n");
    return 2;
  }

  const edgecnn::Bytes file = edgecnn::read_file(model);
  edgecnn::Program program;
  const std::string error = edgecnn::Program::open(file.data.get(), file.size, &program);
  if (!error.empty()) fail(model + ": " + error);
  edgecnn::Arrays arrays(program, input_files);
  if (output_files.size() > arrays.outputs.size()) fail("more files than outputs");

  edgecnn::Context context(program, threads);
  std::vector<double> times;
  times.reserve(static_cast<size_t>(loops));  // nothing is allocated between frames
  for (int i = 0; i < loops; ++i) {
    const auto start = std::chrono::steady_clock::now();
    mark_begin();
    context.run(arrays.in.data(), arrays.out.data());
    mark_end();
    times.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(times.begin(), times.end());
  std::printf("target %s, %d threads, %d frames: min %.3f ms, median %.3f ms\n", program.target().name,
              context.threads(), loops, times.front(), times[times.size() / 2]);
  for (size_t i = 0; i < output_files.size(); ++i) {
    edgecnn::write_file(output_files[i], arrays.outputs[i].data(), arrays.outputs[i].size());
  }
  return 0;
}

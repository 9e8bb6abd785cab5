// ecnn-run MODEL.ecnn [--input FILE]... [--output FILE]... [--loops N] [--threads N]
//
// Runs a compiled model without Python: what boards and QEMU run. Inputs are raw little-endian arrays in the
// layout of the model (zeros where none is given); outputs are written likewise. Prints the time of each
// loop's frame: minimum and median.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "runtime/context.h"

namespace {

struct Bytes {
  std::unique_ptr<char, void (*)(void*)> data{nullptr, std::free};
  size_t size = 0;
};

[[noreturn]] void fail(const std::string& message) {
  std::fprintf(stderr, "ecnn-run: %s\n", message.c_str());
  std::exit(1);
}

Bytes read_file(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (!file) fail("cannot read " + path);
  std::fseek(file, 0, SEEK_END);
  const long size = std::ftell(file);
  std::rewind(file);
  Bytes bytes;
  if (size < 0) fail("cannot read " + path);
  bytes.size = static_cast<size_t>(size);
  const size_t room = (bytes.size + edgecnn::kAlignment) / edgecnn::kAlignment * edgecnn::kAlignment;
  bytes.data.reset(static_cast<char*>(std::aligned_alloc(edgecnn::kAlignment, room)));
  if (!bytes.data || std::fread(bytes.data.get(), 1, bytes.size, file) != bytes.size)
    fail("cannot read " + path);
  std::fclose(file);
  return bytes;
}

void write_file(const std::string& path, const std::vector<char>& bytes) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  const bool written = file && std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  if (!file || std::fclose(file) != 0 || !written) fail("cannot write " + path);
}

int parse_count(const char* text, const char* option) {
  char* end = nullptr;
  const long value = std::strtol(text, &end, 10);
  if (*end || value < 1 || value > 1000000) fail(std::string(option) + " takes a number of at least 1");
  return static_cast<int>(value);
}

}  // namespace

int main(int argc, char** argv) {
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
      loops = parse_count(value, "--loops");
    } else if (option == "--threads") {
      threads = parse_count(value, "--threads");
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

  const Bytes file = read_file(model);
  edgecnn::Program program;
  const std::string error = edgecnn::Program::open(file.data.get(), file.size, &program);
  if (!error.empty()) fail(model + ": " + error);

  std::vector<std::vector<char>> inputs, outputs;
  std::vector<const void*> in;
  std::vector<void*> out;
  for (int i = 0; i < program.input_count(); ++i) inputs.emplace_back(program.input_bytes(i));
  for (int i = 0; i < program.output_count(); ++i) outputs.emplace_back(program.output_bytes(i));
  if (input_files.size() > inputs.size() || output_files.size() > outputs.size())
    fail("more files than inputs or outputs");
  for (size_t i = 0; i < input_files.size(); ++i) {
    const Bytes data = read_file(input_files[i]);
    if (data.size != inputs[i].size()) {
      fail(input_files[i] + " holds " + std::to_string(data.size) + " bytes, the input takes " +
           std::to_string(inputs[i].size()));
    }
    std::memcpy(inputs[i].data(), data.data.get(), data.size);
  }
  for (const auto& block : inputs) in.push_back(block.data());
  for (auto& block : outputs) out.push_back(block.data());

  edgecnn::Context context(program, threads);
  std::vector<double> times;
  for (int i = 0; i < loops; ++i) {
    const auto start = std::chrono::steady_clock::now();
    context.run(in.data(), out.data());
    times.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(times.begin(), times.end());
  std::printf("target %s, %d threads, %d frames: min %.3f ms, median %.3f ms\n", program.target().name,
              context.threads(), loops, times.front(), times[times.size() / 2]);
  for (size_t i = 0; i < output_files.size(); ++i) write_file(output_files[i], outputs[i]);
  return 0;
}

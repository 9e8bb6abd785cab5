// What the command line tools share: files, counts, and how they end when something is wrong.
#ifndef EDGECNN_TOOLS_COMMAND_LINE_H_
#define EDGECNN_TOOLS_COMMAND_LINE_H_

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "runtime/program.h"

namespace edgecnn {

struct Bytes {
  std::unique_ptr<char, void (*)(void*)> data{nullptr, std::free};
  size_t size = 0;
};

[[noreturn]] inline void fail(const std::string& message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  std::exit(1);
}

// The content of a file, aligned as Program::open asks for it.
inline Bytes read_file(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (!file) fail("cannot read " + path);
  std::fseek(file, 0, SEEK_END);
  const long size = std::ftell(file);
  std::rewind(file);
  Bytes bytes;
  if (size < 0) fail("cannot read " + path);
  bytes.size = static_cast<size_t>(size);
  const size_t room = (bytes.size + kAlignment) / kAlignment * kAlignment;
  bytes.data.reset(static_cast<char*>(std::aligned_alloc(kAlignment, room)));
  if (!bytes.data || std::fread(bytes.data.get(), 1, bytes.size, file) != bytes.size)
    fail("cannot read " + path);
  std::fclose(file);
  return bytes;
}

inline void write_file(const std::string& path, const char* data, size_t size) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  const bool written = file && std::fwrite(data, 1, size, file) == size;
  if (!file || std::fclose(file) != 0 || !written) fail("cannot write " + path);
}

inline int parse_count(const char* text, const std::string& option) {
  char* end = nullptr;
  const long value = std::strtol(text, &end, 10);
  if (*end || value < 1 || value > 1000000) fail(option + " takes a number of at least 1");
  return static_cast<int>(value);
}

// The arrays that a program takes and gives. Inputs are read from files, in order; the rest is zeros.
struct Arrays {
  std::vector<std::vector<char>> inputs, outputs;
  std::vector<const void*> in;
  std::vector<void*> out;

  Arrays(const Program& program, const std::vector<std::string>& files) {
    for (int i = 0; i < program.input_count(); ++i) inputs.emplace_back(program.input_bytes(i));
    for (int i = 0; i < program.output_count(); ++i) outputs.emplace_back(program.output_bytes(i));
    if (files.size() > inputs.size()) fail("more files than inputs");
    for (size_t i = 0; i < files.size(); ++i) {
      const Bytes data = read_file(files[i]);
      if (data.size != inputs[i].size()) {
        fail(files[i] + " holds " + std::to_string(data.size) + " bytes, the input takes " +
             std::to_string(inputs[i].size()));
      }
      std::memcpy(inputs[i].data(), data.data.get(), data.size);
    }
    for (const auto& block : inputs) in.push_back(block.data());
    for (auto& block : outputs) out.push_back(block.data());
  }
};

}  // namespace edgecnn

#endif  // EDGECNN_TOOLS_COMMAND_LINE_H_

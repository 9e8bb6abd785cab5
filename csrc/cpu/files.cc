#include "cpu/files.h"

#include <cstdio>

namespace edgecnn {

std::string read_text(const std::string& path) {
  constexpr size_t kMaxBytes = 1 << 20;
  std::string text;
  std::FILE* file = std::fopen(path.c_str(), "re");
  if (!file) return text;
  char block[4096];
  while (text.size() < kMaxBytes) {
    const size_t count = std::fread(block, 1, sizeof(block), file);
    if (count == 0) break;
    text.append(block, count);
  }
  std::fclose(file);
  return text;
}

std::string read_line(const std::string& path) {
  const std::string text = read_text(path);
  return text.substr(0, text.find('\n'));
}

}  // namespace edgecnn

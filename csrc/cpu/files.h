// Small files in which the operating system describes the machine (/proc, /sys).
#ifndef EDGECNN_CPU_FILES_H_
#define EDGECNN_CPU_FILES_H_

#include <string>

namespace edgecnn {

// The text of a file, at most 1 MiB of it; empty where it cannot be read.
std::string read_text(const std::string& path);

// The first line of a file, without its end.
std::string read_line(const std::string& path);

}  // namespace edgecnn

#endif  // EDGECNN_CPU_FILES_H_

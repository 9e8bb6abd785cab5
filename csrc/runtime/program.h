// A program: the compiled form of a model, and the .ecnn file that holds it (version 2; docs/ecnn.md).
//
// The planner (edgecnn/plan/program.py) writes these bytes, whether they go to a file or straight to the
// executor. All numbers are little-endian. Layout of the file:
//
//   FileHeader                136 bytes
//   constants                 packed weights, 64-byte aligned like each operand in them; kTailBytes behind.
//                             First, so that the planner can write each as soon as it is packed
//   IoRecord[input_count]     the graph's inputs, then
//   IoRecord[output_count]
//   StepRecord[step_count]    in order of execution
//   parameters                the <Name>Params of the steps (runtime/steps.inc), 4-byte aligned
//   metadata                  UTF-8 JSON: names, shapes and dtypes of inputs and outputs, names of layers,
//                             labels, heads, preprocessing; read by applications, not by the executor
//
// The header says where each section begins.
//
// Opening a program checks every number in it: what Program::open accepts cannot make a kernel touch memory
// outside the arena, the constants, or the caller's buffers.
#ifndef EDGECNN_RUNTIME_PROGRAM_H_
#define EDGECNN_RUNTIME_PROGRAM_H_

#include <cstdint>
#include <string>
#include <vector>

#include "targets/target.h"

namespace edgecnn {

constexpr char kMagic[4] = {'E', 'C', 'N', 'N'};
constexpr uint16_t kMajorVersion = 2;
constexpr uint16_t kMinorVersion = 0;

struct FileHeader {
  char magic[4];
  uint16_t major, minor;
  char target[16];  // name, padded with zeros
  uint32_t lanes, nr;
  uint64_t file_bytes;
  uint32_t checksum;  // CRC-32 (IEEE 802.3) of everything behind the constants
  uint32_t step_count, input_count, output_count;
  uint64_t arena_bytes;
  uint64_t io_offset, steps_offset;
  uint64_t params_offset, params_bytes;
  uint64_t constants_offset, constants_bytes;
  uint64_t metadata_offset, metadata_bytes;
  uint32_t constants_checksum;  // of everything from the end of the header to the end of the constants
  uint32_t stamp;               // a note of whoever keeps the file; no reader checks it
};
static_assert(sizeof(FileHeader) == 136);

struct IoRecord {
  uint64_t bytes;
};

enum class Space : uint32_t { kNone = 0, kArena = 1, kConstant = 2, kInput = 3, kOutput = 4 };

struct Operand {
  uint32_t space;
  uint32_t index;  // of the input or output
  uint64_t offset, bytes;
};

struct StepRecord {
  uint16_t kind;
  uint8_t input_count, output_count;
  uint32_t params_offset;
  uint64_t work;  // estimated operations; the executor gives small steps to one thread
  Operand inputs[kMaxStepInputs];
  Operand outputs[kMaxStepOutputs];
};
static_assert(sizeof(StepRecord) == 16 + 24 * (kMaxStepInputs + kMaxStepOutputs));

// Why a file was refused, for those who treat these cases differently.
enum class Refusal { kFormat, kVersion, kTarget };

// Immutable; shared by any number of contexts. Borrows the bytes it was opened on.
class Program {
 public:
  struct Step {
    const StepKernel* kernel;
    const void* params;
    const StepRecord* record;
    int64_t items;
    uint64_t scratch_bytes;
  };

  // Checks `bytes` (64-byte aligned, alive as long as the program) and fills `program`. Returns an empty
  // string, or what is wrong with them. Without `check_constants`, for those who made the bytes themselves,
  // the weights are not read, so that a mapped file costs nothing until it runs; wrong weights give wrong
  // results, but never a wrong access. With it, a small file cannot ask for much memory either.
  static std::string open(const void* bytes, size_t size, Program* program, bool check_constants = true,
                          Refusal* refusal = nullptr);

  const Target& target() const { return *target_; }
  const std::vector<Step>& steps() const { return steps_; }
  const char* constants() const { return constants_; }
  uint64_t arena_bytes() const { return header_->arena_bytes; }
  uint64_t constants_bytes() const { return header_->constants_bytes; }
  uint64_t scratch_bytes() const { return scratch_bytes_; }
  int input_count() const { return static_cast<int>(header_->input_count); }
  int output_count() const { return static_cast<int>(header_->output_count); }
  uint64_t input_bytes(int i) const { return io_[i].bytes; }
  uint64_t output_bytes(int i) const { return io_[header_->input_count + i].bytes; }
  std::string metadata() const { return std::string(metadata_, header_->metadata_bytes); }

 private:
  const FileHeader* header_ = nullptr;
  const IoRecord* io_ = nullptr;
  const char* constants_ = nullptr;
  const char* metadata_ = nullptr;
  const Target* target_ = nullptr;
  std::vector<Step> steps_;
  uint64_t scratch_bytes_ = 0;
};

// CRC-32 as in zlib.
uint32_t crc32(const void* data, size_t size);

}  // namespace edgecnn

#endif  // EDGECNN_RUNTIME_PROGRAM_H_

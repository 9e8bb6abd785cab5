#include "runtime/program.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "cpu/features.h"
#include "runtime/validate.h"

namespace edgecnn {
namespace {

// Arena, inputs, outputs and the scratch space of a thread may take so much together. A file that nobody
// vouches for may ask for so much at all, and so much for each of its own bytes.
constexpr uint64_t kMaxMemory = sizeof(void*) == 4 ? uint64_t{1} << 30 : uint64_t{16} << 30;
constexpr uint64_t kMemoryAtAll = uint64_t{256} << 20;
constexpr uint64_t kMemoryPerByte = 1024;
constexpr uint64_t kMaxMetadata = uint64_t{8} << 20;
constexpr uint32_t kMaxSteps = 1 << 16;
constexpr uint32_t kMaxIo = 256;

bool inside(uint64_t offset, uint64_t bytes, uint64_t size) {
  return offset <= size && bytes <= size - offset;
}

size_t params_size(StepKind kind) {
  switch (kind) {
#define EC_STEP(Name, id, fields) \
  case StepKind::k##Name:         \
    return sizeof(Name##Params);
#include "runtime/steps.inc"
#undef EC_STEP
  }
  return 0;
}

const StepKernel* find_kernel(const Target& target, uint16_t kind) {
  for (int i = 0; i < target.kernel_count; ++i) {
    if (static_cast<uint16_t>(target.kernels[i].kind) == kind) return &target.kernels[i];
  }
  return nullptr;
}

std::string step_error(uint32_t index, const std::string& what) {
  return "step " + std::to_string(index) + ": " + what;
}

// What to do about a file that is for another machine.
std::string how_to_make_one() {
  return std::string("make one that it can: edgecnn convert MODEL -o MODEL.ecnn --target ") +
         best_target().name;
}

// Not constexpr: made at the first use, they are not in the library, which is to be small.
std::array<std::array<uint32_t, 256>, 8> crc_tables() {
  std::array<std::array<uint32_t, 256>, 8> t;
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ (value & 1 ? 0xEDB88320u : 0u);
    t[0][i] = value;
  }
  for (size_t k = 1; k < 8; ++k) {
    for (uint32_t i = 0; i < 256; ++i) t[k][i] = (t[k - 1][i] >> 8) ^ t[0][t[k - 1][i] & 255];
  }
  return t;
}

}  // namespace

// Eight bytes a turn (Kounavis and Berry: Novel Table Lookup-Based Algorithms for High-Performance CRC
// Generation, 2008): table k takes a byte k places further on.
uint32_t crc32(const void* data, size_t size) {
  static const auto tables = crc_tables();
  uint32_t crc = ~0u;
  const auto* p = static_cast<const unsigned char*>(data);
  for (; size >= 8; size -= 8, p += 8) {
    uint32_t low, high;
    std::memcpy(&low, p, 4);
    std::memcpy(&high, p + 4, 4);
    low ^= crc;
    crc = tables[7][low & 255] ^ tables[6][(low >> 8) & 255] ^ tables[5][(low >> 16) & 255] ^
          tables[4][low >> 24] ^ tables[3][high & 255] ^ tables[2][(high >> 8) & 255] ^
          tables[1][(high >> 16) & 255] ^ tables[0][high >> 24];
  }
  for (; size > 0; --size) crc = tables[0][(crc ^ *p++) & 255] ^ (crc >> 8);
  return ~crc;
}

std::string Program::open(const void* bytes, size_t size, Program* program, bool check_constants,
                          Refusal* refusal) {
  Refusal ignored;
  if (!refusal) refusal = &ignored;
  *refusal = Refusal::kFormat;
  const char* base = static_cast<const char*>(bytes);
  if (reinterpret_cast<uintptr_t>(bytes) % kAlignment) return "the buffer is not 64-byte aligned";
  if (size < sizeof(FileHeader)) return "too short for a header";
  const auto* h = reinterpret_cast<const FileHeader*>(base);
  if (std::memcmp(h->magic, kMagic, sizeof(kMagic)) != 0) return "not an .ecnn file (wrong magic number)";
  if (h->major != kMajorVersion) {
    *refusal = Refusal::kVersion;
    return "made for version " + std::to_string(h->major) + " of the format, this library reads version " +
           std::to_string(kMajorVersion) +
           (h->major > kMajorVersion ? ": install a newer edgecnn" : ": convert the model again");
  }
  if (h->file_bytes != size) {
    return "truncated or grown: " + std::to_string(size) + " bytes, the header says " +
           std::to_string(h->file_bytes);
  }
  if (!inside(h->constants_offset, h->constants_bytes, size)) return "a section lies outside the file";
  const uint64_t constants_end =
      std::max<uint64_t>(sizeof(FileHeader), h->constants_offset + h->constants_bytes);
  if (crc32(base + constants_end, size - constants_end) != h->checksum ||
      (check_constants &&
       crc32(base + sizeof(FileHeader), constants_end - sizeof(FileHeader)) != h->constants_checksum)) {
    return "damaged: a checksum does not match";
  }
  if (std::memchr(h->target, 0, sizeof(h->target)) == nullptr)
    return "the name of its target is not terminated";
  for (const char* c = h->target; *c; ++c) {
    if (*c < ' ' || *c > '~') return "the name of its target is damaged";
  }
  const Target* target = find_target(h->target);
  if (!target || !cpu_supports(*target)) {
    *refusal = Refusal::kTarget;
    return std::string("made for target '") + h->target + "', which this machine cannot run; " +
           how_to_make_one();
  }
  if (h->lanes != static_cast<uint32_t>(target->lanes) || h->nr != static_cast<uint32_t>(target->nr)) {
    return "its weights are packed in another layout than this library's; convert the model again";
  }
  if (h->step_count > kMaxSteps || h->input_count > kMaxIo || h->output_count > kMaxIo)
    return "too many steps or tensors";
  if (h->metadata_bytes > kMaxMetadata) return "its metadata are larger than any model needs";
  const uint64_t most_memory =
      check_constants
          ? std::min(kMaxMemory, kMemoryAtAll + kMemoryPerByte * std::min<uint64_t>(size, kMaxMemory))
          : kMaxMemory;
  if (h->arena_bytes > most_memory)
    return "asks for an arena of " + std::to_string(h->arena_bytes) + " bytes";
  const uint64_t io_bytes = (uint64_t{h->input_count} + h->output_count) * sizeof(IoRecord);
  const uint64_t step_bytes = uint64_t{h->step_count} * sizeof(StepRecord);
  if (!inside(h->io_offset, io_bytes, size) || !inside(h->steps_offset, step_bytes, size) ||
      !inside(h->params_offset, h->params_bytes, size) ||
      !inside(h->metadata_offset, h->metadata_bytes, size)) {
    return "a section lies outside the file";
  }
  if (h->io_offset % 8 || h->steps_offset % 8 || h->params_offset % 4 || h->constants_offset % kAlignment) {
    return "a section is not aligned";
  }
  // Kernels may read kTailBytes past their weights.
  if (h->constants_bytes && !inside(h->constants_offset, h->constants_bytes + kTailBytes, size)) {
    return "the constants are not followed by the slack that kernels may read";
  }

  Program p;
  p.header_ = h;
  p.io_ = reinterpret_cast<const IoRecord*>(base + h->io_offset);
  p.constants_ = base + h->constants_offset;
  p.metadata_ = base + h->metadata_offset;
  p.target_ = target;
  uint64_t memory = h->arena_bytes;
  for (uint32_t i = 0; i < h->input_count + h->output_count; ++i) {
    if (p.io_[i].bytes > most_memory - memory) {
      return "has a tensor of " + std::to_string(p.io_[i].bytes) + " bytes, which makes " +
             "more memory than a file of this size may ask for";
    }
    memory += p.io_[i].bytes;
  }
  const auto* records = reinterpret_cast<const StepRecord*>(base + h->steps_offset);
  p.steps_.reserve(h->step_count);

  const auto space_bytes = [&](const Operand& o) -> uint64_t {
    switch (static_cast<Space>(o.space)) {
      case Space::kArena:
        return h->arena_bytes;
      case Space::kConstant:
        return h->constants_bytes;
      case Space::kInput:
        return o.index < h->input_count ? p.input_bytes(static_cast<int>(o.index)) : 0;
      case Space::kOutput:
        return o.index < h->output_count ? p.output_bytes(static_cast<int>(o.index)) : 0;
      case Space::kNone:
        break;
    }
    return 0;
  };

  for (uint32_t i = 0; i < h->step_count; ++i) {
    const StepRecord& r = records[i];
    const StepKernel* kernel = find_kernel(*target, r.kind);
    if (!kernel) return step_error(i, "unknown kind " + std::to_string(r.kind));
    const size_t bytes_of_params = params_size(kernel->kind);
    if (r.params_offset % 4 || !inside(r.params_offset, bytes_of_params, h->params_bytes)) {
      return step_error(i, "its parameters lie outside their section");
    }
    if (r.input_count > kMaxStepInputs || r.output_count != kMaxStepOutputs)
      return step_error(i, "number of operands");
    OperandSizes sizes;
    sizes.inputs = r.input_count;
    sizes.lanes = target->lanes;
    sizes.nr = target->nr;
    for (int k = 0; k < kMaxStepInputs; ++k) {
      const Operand& o = r.inputs[k];
      if ((static_cast<Space>(o.space) == Space::kNone) != (o.bytes == 0) && k < r.input_count) {
        return step_error(i, "an operand without a place");
      }
      if (k >= r.input_count || static_cast<Space>(o.space) == Space::kNone) continue;
      if (!inside(o.offset, o.bytes, space_bytes(o)) || o.offset % 4)
        return step_error(i, "an input lies outside its space");
      if (static_cast<Space>(o.space) == Space::kOutput) return step_error(i, "reads a graph output");
      // Nobody promises bytes behind the caller's buffers, and these are the kinds that never read any.
      if (static_cast<Space>(o.space) == Space::kInput && kernel->kind != StepKind::kCopy &&
          kernel->kind != StepKind::kFirstConv && kernel->kind != StepKind::kFirstWinograd &&
          kernel->kind != StepKind::kFirstDwPw) {
        return step_error(i, "reads a graph input without copying it first");
      }
      sizes.input_bytes[k] = static_cast<int64_t>(o.bytes);
    }
    const Operand& out = r.outputs[0];
    const auto out_space = static_cast<Space>(out.space);
    if ((out_space != Space::kArena && out_space != Space::kOutput) || out.offset % 4 ||
        !inside(out.offset, out.bytes, space_bytes(out))) {
      return step_error(i, "its output lies outside its space");
    }
    sizes.output_bytes[0] = static_cast<int64_t>(out.bytes);
    const void* params = base + h->params_offset + r.params_offset;
    if (const char* wrong = validate_step(kernel->kind, params, sizes)) {
      return step_error(i, std::string(kernel->name) + ": " + wrong);
    }
    const uint64_t scratch = kernel->scratch_bytes(params);
    if (scratch > most_memory - memory) return step_error(i, "asks for too much scratch memory");
    p.scratch_bytes_ = std::max(p.scratch_bytes_, scratch);
    p.steps_.push_back({kernel, params, &r, kernel->items(params), scratch});
  }
  *program = std::move(p);
  return "";
}

}  // namespace edgecnn

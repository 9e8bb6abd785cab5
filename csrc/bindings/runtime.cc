// Programs, contexts, and what the planner needs to know of the kernels.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "cpu/caches.h"
#include "cpu/cores.h"
#include "cpu/features.h"
#include "cpu/peak.h"
#include "runtime/context.h"
#include "runtime/program.h"

namespace py = pybind11;

namespace edgecnn {
namespace {

constexpr int kMaxThreads = 256;

// A program and the bytes it lives on: a copy of its own, or the array it was given.
struct LoadedProgram {
  std::unique_ptr<char, void (*)(void*)> copy{nullptr, std::free};
  py::object owner;
  Program program;
};

std::shared_ptr<LoadedProgram> load_program(const py::buffer& buffer, bool copy, bool check_constants) {
  const py::buffer_info info = buffer.request();
  if (info.ndim != 1 || info.itemsize != 1 || (info.shape[0] > 1 && info.strides[0] != 1)) {
    throw py::value_error("a program is a contiguous block of bytes");
  }
  const size_t size = static_cast<size_t>(info.size);
  auto loaded = std::make_shared<LoadedProgram>();
  const void* bytes = info.ptr;
  if (copy) {
    const size_t room = (size + kAlignment) / kAlignment * kAlignment;
    loaded->copy.reset(static_cast<char*>(std::aligned_alloc(kAlignment, room)));
    if (!loaded->copy) throw std::bad_alloc();
    bytes = std::memcpy(loaded->copy.get(), info.ptr, size);
  } else {
    loaded->owner = buffer;
  }
  std::string error;
  {
    const py::gil_scoped_release release;
    error = Program::open(bytes, size, &loaded->program, check_constants);
  }
  if (!error.empty()) throw py::value_error(error);
  return loaded;
}

std::vector<uint64_t> io_bytes(const Program& program, bool inputs) {
  std::vector<uint64_t> bytes;
  const int count = inputs ? program.input_count() : program.output_count();
  for (int i = 0; i < count; ++i) bytes.push_back(inputs ? program.input_bytes(i) : program.output_bytes(i));
  return bytes;
}

// Runs a program on numpy arrays.
class Runner {
 public:
  Runner(std::shared_ptr<LoadedProgram> loaded, int threads)
      : loaded_(std::move(loaded)), context_(loaded_->program, check_threads(threads)) {}

  int threads() const { return context_.threads(); }

  void run(const std::vector<py::buffer>& inputs, const std::vector<py::buffer>& outputs) {
    run(inputs, outputs, nullptr);
  }

  // As run(); returns the milliseconds of each step.
  std::vector<double> profile(const std::vector<py::buffer>& inputs, const std::vector<py::buffer>& outputs) {
    std::vector<double> milliseconds(loaded_->program.steps().size());
    run(inputs, outputs, milliseconds.data());
    return milliseconds;
  }

 private:
  static int check_threads(int threads) {
    if (threads < 1 || threads > kMaxThreads) throw py::value_error("threads out of range");
    return threads;
  }

  // The address of a C-contiguous buffer of exactly `bytes` bytes.
  static void* address(const py::buffer& buffer, uint64_t bytes, bool writable) {
    const py::buffer_info info = buffer.request(writable);
    py::ssize_t expected = info.itemsize;
    for (py::ssize_t d = info.ndim; d-- > 0; expected *= info.shape[d]) {
      if (info.shape[d] != 1 && info.strides[d] != expected)
        throw py::value_error("a buffer is not contiguous");
    }
    if (static_cast<uint64_t>(info.size * info.itemsize) != bytes) {
      throw py::value_error("a buffer of " + std::to_string(info.size * info.itemsize) + " bytes where " +
                            std::to_string(bytes) + " are needed");
    }
    return info.ptr;
  }

  void run(const std::vector<py::buffer>& inputs, const std::vector<py::buffer>& outputs,
           double* milliseconds) {
    const Program& program = loaded_->program;
    if (static_cast<int>(inputs.size()) != program.input_count() ||
        static_cast<int>(outputs.size()) != program.output_count()) {
      throw py::value_error("wrong number of inputs or outputs");
    }
    std::vector<const void*> in;
    std::vector<void*> out;
    for (int i = 0; i < program.input_count(); ++i)
      in.push_back(address(inputs[i], program.input_bytes(i), false));
    for (int i = 0; i < program.output_count(); ++i)
      out.push_back(address(outputs[i], program.output_bytes(i), true));
    const py::gil_scoped_release release;
    context_.run(in.data(), out.data(), milliseconds);
  }

  std::shared_ptr<LoadedProgram> loaded_;
  Context context_;
};

// {step name: (number in the file, [(field, "i" | "f" | "d"), ...])}: int32, float32, int32[6].
py::dict step_schema() {
  py::dict schema;
  py::list fields;
#define EC_FIELD_INT(name) fields.append(py::make_tuple(#name, "i"));
#define EC_FIELD_FLOAT(name) fields.append(py::make_tuple(#name, "f"));
#define EC_FIELD_DIMS(name) fields.append(py::make_tuple(#name, "d"));
#define EC_STEP(Name, id, list_of_fields) \
  fields = py::list();                    \
  list_of_fields(EC_FIELD_INT, EC_FIELD_FLOAT, EC_FIELD_DIMS) schema[#Name] = py::make_tuple(id, fields);
#include "runtime/steps.inc"
#undef EC_STEP
#undef EC_FIELD_INT
#undef EC_FIELD_FLOAT
#undef EC_FIELD_DIMS
  return schema;
}

// {"unary": {name: number}, "binary": ..., "reduce": ...}
py::dict function_numbers() {
  py::dict unary, binary, reduce;
#define EC_UNARY(name, id) unary[#name] = id;
#define EC_BINARY(name, id) binary[#name] = id;
#define EC_REDUCE(name, id) reduce[#name] = id;
#include "runtime/functions.inc"
#undef EC_UNARY
#undef EC_BINARY
#undef EC_REDUCE
  py::dict all;
  all["unary"] = unary;
  all["binary"] = binary;
  all["reduce"] = reduce;
  return all;
}

py::list targets() {
  py::list result;
  int count = 0;
  const Target* const* compiled = compiled_targets(&count);
  for (int i = 0; i < count; ++i) {
    py::dict target;
    target["name"] = compiled[i]->name;
    target["lanes"] = compiled[i]->lanes;
    target["mr"] = compiled[i]->mr;
    target["nr"] = compiled[i]->nr;
    target["supported"] = cpu_supports(*compiled[i]);
    result.append(target);
  }
  return result;
}

std::string core_name(uint64_t midr) {
  const CoreDesign* design = find_core_design(midr);
  if (design) return design->name;
  char text[32];
  std::snprintf(text, sizeof(text), "MIDR 0x%08llx", static_cast<unsigned long long>(midr));
  return text;
}

// {name of the core design: how many of these cores}
py::dict name_cores(const std::vector<uint64_t>& midrs) {
  py::dict names;
  for (const uint64_t midr : midrs) {
    const py::str name(core_name(midr));
    names[name] = names.contains(name) ? names[name].cast<int>() + 1 : 1;
  }
  return names;
}

py::tuple cache_sizes(const CacheSizes& sizes) { return py::make_tuple(sizes.l1d_bytes, sizes.l2_bytes); }

py::dict cpu_info() {
  py::dict info;
  info["target"] = best_target().name;
  info["physical_cores"] = available_physical_cores(false);
  info["fast_cores"] = available_physical_cores(true);
  if (!host_midrs().empty()) info["core_designs"] = name_cores(host_midrs());
  info["l1d_bytes"] = host_cache_sizes().l1d_bytes;
  info["l2_bytes"] = host_cache_sizes().l2_bytes;
  return info;
}

bool runs_here(const std::string& target) {
  int count = 0;
  const Target* const* compiled = compiled_targets(&count);
  for (int i = 0; i < count; ++i) {
    if (target == compiled[i]->name) return cpu_supports(*compiled[i]);
  }
  return false;
}

}  // namespace

void bind_runtime(py::module_& m) {
  m.attr("FILE_VERSION") = py::make_tuple(kMajorVersion, kMinorVersion);
  m.attr("MAX_DIMS") = kMaxDims;
  m.attr("MAX_STEP_INPUTS") = kMaxStepInputs;
  m.attr("MAX_STEP_OUTPUTS") = kMaxStepOutputs;
  m.attr("TAIL_BYTES") = kTailBytes;
  m.attr("ALIGNMENT") = kAlignment;
  m.def("step_schema", step_schema,
        "{step: (number, [(field, type), ...])}; types: i int32, f float32, d int32[6]");
  m.def("function_numbers", function_numbers, "{'unary' | 'binary' | 'reduce': {name: number}}");
  m.def("targets", targets, "The compiled targets, best first: name, lanes, mr, nr, supported");
  m.def("cpu_info", cpu_info,
        "The best target for this CPU, the physical cores that this process may use, cache sizes in bytes");
  // The parts of cpu_info, for machines described by files.
  m.def(
      "name_cores", [](const std::string& cpuinfo) { return name_cores(midrs_of_cpuinfo(cpuinfo)); },
      py::arg("cpuinfo"), "{core design: how many} of the text of an ARM machine's /proc/cpuinfo");
  m.def(
      "read_cache_sizes",
      [](const std::string& cpu_folder, const std::string& cpuinfo) {
        const std::vector<uint64_t> midrs = midrs_of_cpuinfo(cpuinfo);
        return cache_sizes(read_cache_sizes(cpu_folder, midrs.empty() ? 0 : midrs[0]));
      },
      py::arg("cpu_folder"), py::arg("cpuinfo") = "", "(L1 data, L2 of one core) in bytes");
  m.def(
      "measure_fma_peak",
      [](const std::string& target, int threads) -> std::optional<double> {
        const FmaChains chains = runs_here(target) ? fma_chains_of(target.c_str()) : nullptr;
        if (!chains) return std::nullopt;
        return measure_fma_peak(chains, std::max(threads, 1));
      },
      py::arg("target"), py::arg("threads") = 1, py::call_guard<py::gil_scoped_release>(),
      "GFLOP/s of independent multiply-adds of a target; None for one that does not run here");
  m.def(
      "measure_bandwidth",
      [](int threads, size_t bytes) { return measure_bandwidth(std::max(threads, 1), bytes); },
      py::arg("threads"), py::arg("bytes"), py::call_guard<py::gil_scoped_release>(),
      "GB/s of a triad over three arrays of so many bytes together");
  m.def("check_forced_core", check_forced_core,
        "The complaint about the value of EDGECNN_UARCH, or an empty string");
  m.def("fast_cpus", fast_cpus, py::arg("cpu_folder"), py::arg("cpus"),
        "Those of these processors that are not slow ones beside faster ones");
  m.def("count_physical_cores", count_physical_cores, py::arg("cpu_folder"), py::arg("cpus"),
        "Physical cores that these processors belong to");
  py::class_<LoadedProgram, std::shared_ptr<LoadedProgram>>(m, "Program", "A checked program (.ecnn)")
      .def(py::init(&load_program), py::arg("bytes"), py::arg("copy") = true,
           py::arg("check_constants") = true,
           "Checks the bytes; ValueError says what is wrong. Without a copy they must be 64-byte aligned and "
           "never change")
      .def_property_readonly("metadata", [](const LoadedProgram& p) { return p.program.metadata(); })
      .def_property_readonly("step_count", [](const LoadedProgram& p) { return p.program.steps().size(); })
      .def_property_readonly("input_bytes", [](const LoadedProgram& p) { return io_bytes(p.program, true); })
      .def_property_readonly("output_bytes",
                             [](const LoadedProgram& p) { return io_bytes(p.program, false); })
      .def_property_readonly("target", [](const LoadedProgram& p) { return p.program.target().name; })
      .def_property_readonly("arena_bytes", [](const LoadedProgram& p) { return p.program.arena_bytes(); })
      .def_property_readonly("constants_bytes",
                             [](const LoadedProgram& p) { return p.program.constants_bytes(); })
      .def_property_readonly("scratch_bytes",
                             [](const LoadedProgram& p) { return p.program.scratch_bytes(); });
  py::class_<Runner>(m, "Context", "Runs a program: arena, scratch memory and threads")
      .def(py::init<std::shared_ptr<LoadedProgram>, int>(), py::arg("program"), py::arg("threads"))
      .def_property_readonly("threads", &Runner::threads)
      .def("run",
           py::overload_cast<const std::vector<py::buffer>&, const std::vector<py::buffer>&>(&Runner::run),
           py::arg("inputs"), py::arg("outputs"),
           "Runs on C-contiguous arrays, in graph order; the GIL is released")
      .def("profile", &Runner::profile, py::arg("inputs"), py::arg("outputs"),
           "As run; milliseconds of each step");
}

}  // namespace edgecnn

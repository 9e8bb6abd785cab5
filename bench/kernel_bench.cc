// Times each step of a compiled model by itself: what bench/kernels.py runs.
//
//   kernel_bench MODEL.ecnn [--input FILE]... [--dump FOLDER] [--milliseconds N] [--threads N]
//
// The steps run in order, each on what those before it made, and each is then repeated on the same operands,
// which stay in the caches as far as they fit. With --dump the output of step i is written to FOLDER/i: its
// operand as it lies in memory. Prints lines for a program to read:
//
//   peak TARGET GFLOP/s          measured multiply-adds of the program's instruction set
//   bandwidth GB/s               measured triad, from memory
//   step INDEX KERNEL MIN MEDIAN RUNS       milliseconds
#include <algorithm>
#include <chrono>

#include "cpu/peak.h"
#include "runtime/context.h"
#include "tools/command_line.h"

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kFewestRuns = 5, kMostRuns = 20000;
constexpr size_t kTriadBytes = size_t{192} << 20;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

}  // namespace

int main(int argc, char** argv) {
  using edgecnn::fail;
  std::string model, dump;
  std::vector<std::string> input_files;
  int milliseconds = 100, threads = 1;
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
    } else if (option == "--dump") {
      dump = value;
    } else if (option == "--milliseconds") {
      milliseconds = edgecnn::parse_count(value, option);
    } else if (option == "--threads") {
      threads = edgecnn::parse_count(value, option);
    } else {
      fail("unknown option " + option);
    }
  }
  if (model.empty()) {
    std::fprintf(stderr,
                 "usage: kernel_bench MODEL.ecnn [--input FILE]... [--dump FOLDER] [--milliseconds N] "
                 "[--threads N]\n");
    return 2;
  }

  const edgecnn::Bytes file = edgecnn::read_file(model);
  edgecnn::Program program;
  const std::string error = edgecnn::Program::open(file.data.get(), file.size, &program);
  if (!error.empty()) fail(model + ": " + error);
  edgecnn::Arrays arrays(program, input_files);
  edgecnn::Context context(program, threads);

  const edgecnn::FmaChains chains = edgecnn::fma_chains_of(program.target().name);
  if (!chains) fail(std::string("no measured peak for ") + program.target().name);
  std::printf("peak %s %.3f\n", program.target().name, edgecnn::measure_fma_peak(chains, threads));
  std::printf("bandwidth %.3f\n", edgecnn::measure_bandwidth(threads, kTriadBytes));

  for (size_t i = 0; i < program.steps().size(); ++i) {
    const edgecnn::Program::Step& step = program.steps()[i];
    const edgecnn::StepArgs args = context.resolve(i, arrays.in.data(), arrays.out.data());
    const size_t size = static_cast<size_t>(step.record->outputs[0].bytes);
    char* output = static_cast<char*>(args.out[0]);
    context.run_step(i, args);
    // Repetitions of a step that works in place go on from their own results.
    const std::vector<char> after(output, output + size);
    if (!dump.empty()) edgecnn::write_file(dump + "/" + std::to_string(i), after.data(), size);
    std::vector<double> times;
    const Clock::time_point begin = Clock::now();
    while (times.size() < kFewestRuns ||
           (times.size() < kMostRuns && milliseconds_since(begin) < milliseconds)) {
      const Clock::time_point start = Clock::now();
      context.run_step(i, args);
      times.push_back(milliseconds_since(start));
    }
    std::memcpy(output, after.data(), size);
    std::sort(times.begin(), times.end());
    std::printf("step %zu %s %.6f %.6f %zu\n", i, step.kernel->name, times.front(), times[times.size() / 2],
                times.size());
  }
  return 0;
}

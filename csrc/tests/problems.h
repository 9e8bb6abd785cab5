// Random small instances of steps with their right answers by plain loops in double precision.
#ifndef EDGECNN_TESTS_PROBLEMS_H_
#define EDGECNN_TESTS_PROBLEMS_H_

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "algo/step.h"
#include "runtime/validate.h"

namespace edgecnn {
namespace testing {

struct Problem {
  StepKind kind;
  std::vector<int32_t> params;            // the bits of <Name>Params
  std::vector<std::vector<char>> inputs;  // the bytes of each operand
  int element_bytes = 4;                  // of the output
  std::vector<double> want;           // one for each element of the output; empty where only safety is tested
  std::vector<bool> written;          // whether the step writes this element
  bool exact = false;                 // 4- or 8-byte integers, or floats to the bit
  double relative = 0, absolute = 0;  // tolerance, unless exact
  size_t output_bytes = 0;
  size_t slack = 0;  // behind each input

  template <class P>
  void set(StepKind k, const P& p) {
    kind = k;
    params.resize(sizeof(P) / 4);
    std::memcpy(params.data(), &p, sizeof(P));
  }

  OperandSizes sizes(int lanes, int nr) const {
    OperandSizes s;
    s.inputs = static_cast<int>(inputs.size());
    for (size_t i = 0; i < inputs.size(); ++i) s.input_bytes[i] = static_cast<int64_t>(inputs[i].size());
    s.output_bytes[0] = static_cast<int64_t>(output_bytes);
    s.lanes = lanes;
    s.nr = nr;
    return s;
  }
};

using Random = std::mt19937;

inline int pick(Random& random, int low, int high) {
  return low + static_cast<int>(random() % static_cast<unsigned>(high - low + 1));
}

using MakeProblem = Problem (*)(Random& random, int lanes);

struct ProblemKind {
  const char* name;
  MakeProblem make;
};

// Every kind of step but convolutions and matrix products, with answers; and those, without.
const std::vector<ProblemKind>& answered_problems();
const std::vector<ProblemKind>& unanswered_problems();

}  // namespace testing
}  // namespace edgecnn

#endif  // EDGECNN_TESTS_PROBLEMS_H_

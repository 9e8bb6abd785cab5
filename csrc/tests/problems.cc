#include "tests/problem_parts.h"

namespace edgecnn {
namespace testing {

const std::vector<ProblemKind>& answered_problems() {
  static const std::vector<ProblemKind> kinds = {
      {"MaxPool", max_pool}, {"AvgPool", avg_pool},     {"Unary", unary},    {"Binary", binary},
      {"Softmax", softmax},  {"Reduce", reduce},        {"ArgMax", arg_max}, {"Lrn", lrn},
      {"Copy", copy},        {"Copy", large_transpose}, {"Pad", pad},        {"Resize", resize},
      {"Cast", cast},
  };
  return kinds;
}

const std::vector<ProblemKind>& unanswered_problems() {
  static const std::vector<ProblemKind> kinds = {{"Conv", conv},
                                                 {"FirstConv", first_conv},
                                                 {"FirstWinograd", first_winograd},
                                                 {"DwConv", dwconv},
                                                 {"DwPw", dwpw},
                                                 {"PwDwPw", pwdwpw},
                                                 {"FirstDwPw", firstdwpw},
                                                 {"ConvTranspose", conv_transpose},
                                                 {"MatMul", matmul},
                                                 {"Winograd", winograd},
                                                 {"Strassen", strassen}};
  return kinds;
}

}  // namespace testing
}  // namespace edgecnn

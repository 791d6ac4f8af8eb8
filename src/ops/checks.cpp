#include "ops/checks.h"

#include <c10/util/Exception.h>

#include <string>

namespace signalllm::ops {

void check_dense(
    std::string_view op,
    std::string_view argument,
    const at::Tensor& tensor) {
  TORCH_CHECK(
      tensor.layout() == at::kStrided,
      op,
      ": ",
      argument,
      " is ",
      tensor.layout(),
      "; a dense tensor is needed (to_dense())");
}

void check_level_from(std::string_view op, int64_t level, int64_t least) {
  TORCH_CHECK(
      level >= least && level <= kMaxLevels,
      op,
      ": level ",
      level,
      " is not allowed; 0 to ",
      kMaxLevels,
      least < 0 ? ", or -1 for the largest useful level" : "");
}

void check_levels_of(
    std::string_view op,
    std::string_view argument,
    size_t count) {
  TORCH_CHECK(
      count <= kMaxLevels + 1,
      op,
      ": ",
      argument,
      " has ",
      count,
      " entries, of ",
      count - 1,
      " levels; allowed are 0 to ",
      kMaxLevels,
      " levels");
}

void check_alike(
    std::string_view op,
    std::string_view argument,
    at::TensorList tensors) {
  check_levels_of(op, argument, tensors.size());
  const auto type = tensors.empty() ? at::kFloat : tensors[0].scalar_type();
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto& t = tensors[i];
    if (t.layout() != at::kStrided) { // names cost time: only for messages
      check_dense(op, std::string(argument) + "[" + std::to_string(i) + "]", t);
    }
    TORCH_CHECK(
        t.scalar_type() == type,
        op,
        ": ",
        argument,
        "[",
        i,
        "] is ",
        t.scalar_type(),
        "; it must be like ",
        argument,
        "[0], ",
        type);
  }
}

} // namespace signalllm::ops

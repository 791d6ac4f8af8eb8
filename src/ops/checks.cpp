#include "ops/checks.h"

#include <c10/util/Exception.h>

#include <string>

namespace signalllm::ops {
namespace {

std::string entry(std::string_view list, size_t index) {
  return std::string(list) + "[" + std::to_string(index) + "]";
}

bool is_like(
    const at::Tensor& tensor,
    at::IntArrayRef sizes,
    const at::Tensor& like) {
  return tensor.sizes() == sizes &&
      tensor.scalar_type() == like.scalar_type() &&
      tensor.device() == like.device();
}

} // namespace

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
      check_dense(op, entry(argument, i), t);
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

void check_like(
    std::string_view op,
    std::string_view argument,
    const at::Tensor& tensor,
    at::IntArrayRef sizes,
    std::string_view like_name,
    const at::Tensor& like) {
  check_dense(op, argument, tensor);
  TORCH_CHECK(
      is_like(tensor, sizes, like),
      op,
      ": ",
      argument,
      " must be like ",
      like_name,
      ", ",
      like.scalar_type(),
      " ",
      sizes,
      " on ",
      like.device(),
      ", got ",
      tensor.scalar_type(),
      " ",
      tensor.sizes(),
      " on ",
      tensor.device());
}

void check_all_like_first(
    std::string_view op,
    std::string_view argument,
    at::TensorList tensors) {
  for (size_t i = 1; i < tensors.size(); ++i) {
    const auto& first = tensors[0];
    if (!is_like(tensors[i], first.sizes(), first)) {
      check_like(
          op,
          entry(argument, i),
          tensors[i],
          first.sizes(),
          entry(argument, 0),
          first);
    }
  }
}

} // namespace signalllm::ops

#include <signalllm/functional/packing.h>

#include <ATen/Functions.h>
#include <ATen/WrapDimUtils.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <numeric>

namespace signalllm::functional {

at::Tensor pack(at::TensorList coeffs, int64_t dim) {
  TORCH_CHECK(
      !coeffs.empty(), "pack: coeffs is empty; it must hold at least cA");
  return at::cat(coeffs, dim);
}

std::vector<at::Tensor>
unpack(const at::Tensor& packed, at::IntArrayRef lengths, int64_t dim) {
  const int64_t axis = at::maybe_wrap_dim(dim, packed.dim());
  const bool positive = std::all_of(
      lengths.begin(), lengths.end(), [](int64_t n) { return n >= 0; });
  const auto sum = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
  TORCH_CHECK(
      positive && sum == packed.size(axis),
      "unpack: lengths ",
      lengths,
      " are not allowed; they must be at least 0 and add up to ",
      packed.size(axis),
      ", the length of packed along dim ",
      dim);
  return packed.split_with_sizes(lengths, axis);
}

} // namespace signalllm::functional

#include "bank/transform.h"
#include "causal/causal_filter.h"

#include "ops/causal_filter.h"

#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

namespace signalllm::cuda {
namespace {

/// Whether the kernel takes this: otherwise plain ATen.
bool takes(const at::Tensor& x, const at::Tensor& taps, int64_t parts) {
  const auto type = x.scalar_type();
  return type != at::kDouble && x.numel() > 0 &&
      x.size(2) / parts % (16 / static_cast<int64_t>(x.element_size())) == 0 &&
      taps.size(1) <= kCausalFilterTaps && x.size(0) < 65536 &&
      x.size(1) < int64_t{65535} * kCausalFilterRows && x.size(2) < (1 << 24);
}

at::Tensor aligned(const at::Tensor& x) {
  const auto y = x.contiguous();
  return reinterpret_cast<uintptr_t>(y.const_data_ptr()) % 16 == 0 ? y
                                                                   : y.clone();
}

CausalFilterParams
params(const at::Tensor& x, const at::Tensor& taps, int64_t parts) {
  CausalFilterParams p;
  p.taps = taps.const_data_ptr<float>();
  p.batch = x.size(0);
  p.length = static_cast<int>(x.size(1));
  p.channels = static_cast<int>(x.size(2));
  p.width = static_cast<int>(x.size(2) / parts);
  p.count = static_cast<int>(taps.size(1));
  return p;
}

at::Tensor
causal_filter(const at::Tensor& input, const at::Tensor& taps, int64_t parts) {
  ops::check_causal_filter("causal_filter", input, taps, parts);
  if (!takes(input, taps, parts)) {
    return ops::composite::causal_filter(input, taps, parts);
  }
  const c10::cuda::CUDAGuard guard(input.device());
  const auto x = aligned(input);
  const auto w = taps.to(at::kFloat).contiguous();
  auto sizes = x.sizes().vec();
  if (parts > 1) {
    sizes.back() /= parts;
    sizes.insert(sizes.begin(), parts);
  }
  auto out = at::empty(sizes, x.options());
  auto p = params(x, w, parts);
  p.input = x.const_data_ptr();
  p.output = out.mutable_data_ptr();
  C10_CUDA_CHECK(launch(p, dtype_of(x.scalar_type()), current_stream()));
  return out;
}

std::tuple<at::Tensor, at::Tensor> causal_filter_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& taps,
    int64_t parts) {
  ops::check_causal_filter("causal_filter_backward", input, taps, parts);
  if (!takes(input, taps, parts) || grad.numel() != input.numel() ||
      grad.dim() != (parts > 1 ? 4 : 3) ||
      grad.scalar_type() != input.scalar_type()) {
    return ops::composite::causal_filter_backward(grad, input, taps, parts);
  }
  const c10::cuda::CUDAGuard guard(input.device());
  const auto g = aligned(grad), x = aligned(input);
  const auto w = taps.to(at::kFloat).contiguous();
  auto out = at::empty(x.sizes(), x.options());
  const auto chunks =
      x.size(0) * ((x.size(1) + kCausalFilterRows - 1) / kCausalFilterRows);
  auto shares = at::empty({chunks, w.size(1), x.size(2)}, w.options());
  auto p = params(x, w, parts);
  p.input = g.const_data_ptr();
  p.output = out.mutable_data_ptr();
  p.signal = x.const_data_ptr();
  p.shares = shares.mutable_data_ptr<float>();
  C10_CUDA_CHECK(launch(p, dtype_of(x.scalar_type()), current_stream()));
  return {out, shares.sum(0).t().to(taps.scalar_type()).contiguous()};
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, CUDA, m) {
  m.impl("causal_filter", &causal_filter);
  m.impl("causal_filter_backward", &causal_filter_backward);
}

} // namespace signalllm::cuda

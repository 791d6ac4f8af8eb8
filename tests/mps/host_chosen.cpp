// Operators whose kernel torch chooses by the device: the Linux build never
// chooses MPS's, so the host-backed MPS takes them over whole.
#include "mps/host_device.h"
#include "mps/host_mps.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>
#include <torch/library.h>

#include <array>
#include <limits>

namespace signalllm::host_mps {
namespace {

using at::Tensor;

// ---- Attention --------------------------------------------------------------
// As there: without gradients and dropout the fused kernel, else the
// composition of products and a softmax.

/// A mask to add, as torch makes it before it chooses: the composition would
/// add a boolean one as 0 and 1.
std::optional<Tensor> added(
    const std::optional<Tensor>& mask,
    at::ScalarType type) {
  if (!mask || mask->scalar_type() != at::kBool) {
    return mask;
  }
  return at::zeros_like(*mask, mask->options().dtype(type))
      .masked_fill_(
          mask->logical_not(), -std::numeric_limits<double>::infinity());
}

Tensor attention(
    const Tensor& q,
    const Tensor& k,
    const Tensor& v,
    const std::optional<Tensor>& mask,
    double dropout,
    bool causal,
    std::optional<double> scale,
    bool gqa) {
  check_rules("scaled_dot_product_attention", {q, k, v, mask, dropout, causal});
  const bool graph = at::GradMode::is_enabled() &&
      (q.requires_grad() || k.requires_grad() || v.requires_grad());
  if (!graph && dropout == 0) {
    ++counters().operators["_scaled_dot_product_attention_math_for_mps"];
    TORCH_CHECK(
        k.device() == q.device() && v.device() == q.device() &&
            (!mask || mask->device() == q.device()),
        "Expected all tensors to be on the same device, in "
        "scaled_dot_product_attention");
    return to_device(at::scaled_dot_product_attention(
        on_cpu(q),
        on_cpu(k),
        on_cpu(v),
        mask ? std::optional<Tensor>(on_cpu(*mask)) : std::nullopt,
        dropout,
        causal,
        scale,
        gqa));
  }
  return std::get<0>(at::_scaled_dot_product_attention_math(
      q,
      k,
      v,
      added(mask, q.scalar_type()),
      dropout,
      causal,
      std::nullopt,
      scale,
      gqa));
}

// ---- Convolution ------------------------------------------------------------
void check_together(const Tensor& a, const Tensor& b) {
  TORCH_CHECK(
      a.device() == b.device(),
      "Expected all tensors to be on the same device, in convolution");
}

Tensor convolution(
    const Tensor& input,
    const Tensor& weight,
    const std::optional<Tensor>& bias,
    at::IntArrayRef stride,
    at::IntArrayRef padding,
    at::IntArrayRef dilation,
    bool transposed,
    at::IntArrayRef output_padding,
    int64_t groups) {
  check_rules("convolution_overrideable", {input, weight});
  check_together(input, weight);
  ++counters().operators["_mps_convolution"];
  return to_device(at::convolution(
      on_cpu(input),
      on_cpu(weight),
      bias ? std::optional<Tensor>(on_cpu(*bias)) : std::nullopt,
      stride,
      padding,
      dilation,
      transposed,
      output_padding,
      groups));
}

std::tuple<Tensor, Tensor, Tensor> convolution_backward(
    const Tensor& gradient,
    const Tensor& input,
    const Tensor& weight,
    at::IntArrayRef stride,
    at::IntArrayRef padding,
    at::IntArrayRef dilation,
    bool transposed,
    at::IntArrayRef output_padding,
    int64_t groups,
    std::array<bool, 3> mask) {
  check_rules("convolution_backward_overrideable", {gradient, input, weight});
  check_together(input, weight);
  ++counters().operators["mps_convolution_backward"];
  const auto [gi, gw, gb] = at::convolution_backward(
      on_cpu(gradient),
      on_cpu(input),
      on_cpu(weight),
      at::OptionalIntArrayRef(at::IntArrayRef(
          {weight.size(0) * (transposed ? groups : int64_t{1})})),
      stride,
      padding,
      dilation,
      transposed,
      output_padding,
      groups,
      mask);
  const auto back = [](const Tensor& t) {
    return t.defined() ? to_device(t) : t;
  };
  return {back(gi), back(gw), back(gb)};
}

TORCH_LIBRARY_IMPL(aten, MPS, m) {
  m.impl("scaled_dot_product_attention", attention);
  m.impl("convolution_overrideable", convolution);
  m.impl("convolution_backward_overrideable", convolution_backward);
}

TORCH_LIBRARY_IMPL(aten, AutogradMPS, m) {
  m.impl("scaled_dot_product_attention", attention);
}

} // namespace
} // namespace signalllm::host_mps

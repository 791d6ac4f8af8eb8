#include <signalllm/nn/frequency_domain_attention.h>

#include "nn/dense_attention.h"
#include "nn/projection.h"
#include "ops/long_product.h"

#include <signalllm/ops/fft_conv.h>

#include <ATen/OpMathType.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/complex.h>
#include <ATen/ops/fft_irfft.h>
#include <ATen/ops/ones.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <algorithm>
#include <cmath>

namespace signalllm {

FrequencyDomainAttentionOptions::FrequencyDomainAttentionOptions(
    int64_t dim,
    int64_t num_heads)
    : dim_(dim), num_heads_(num_heads) {}

FrequencyDomainAttentionImpl::FrequencyDomainAttentionImpl(
    const FrequencyDomainAttentionOptions& options_)
    : options(options_) {
  if (options.width() == 0) {
    options.width(options.dim());
  }
  const auto heads = options.num_heads();
  TORCH_CHECK(
      options.dim() >= 1 && heads >= 1 && options.width() >= 1 &&
          options.width() % heads == 0 &&
          (!options.rotary() || options.width() / heads % 2 == 0),
      "FrequencyDomainAttention: width ",
      options.width(),
      " cannot be divided into ",
      heads,
      " heads of equal",
      options.rotary() ? ", even" : "",
      " size");
  TORCH_CHECK(
      options.taps() >= 2 && options.taps() % 2 == 0,
      "FrequencyDomainAttention: taps is ",
      options.taps(),
      ", it must be even and at least 2");
  reset();
}

void FrequencyDomainAttentionImpl::reset() {
  const auto inner = options.width();
  in_proj = register_module("in_proj", projection(options.dim(), 3 * inner));
  out_proj = register_module("out_proj", projection(inner, options.dim()));
  response = register_parameter(
      "response", torch::empty({2, options.taps() / 2 + 1, 2 * inner}));
  if (options.rotary()) {
    rotary = register_module(
        "rotary",
        SignalPositionalEncoding(
            SignalPositionalEncodingOptions(inner / options.num_heads())
                .kind(PositionKind::Rotary)));
  }
  if (options.ricker()) {
    ricker = register_module(
        "ricker",
        SignalPositionalEncoding(
            SignalPositionalEncodingOptions(options.num_heads())
                .kind(PositionKind::Ricker)));
  }
  reset_parameters();
}

void FrequencyDomainAttentionImpl::reset_parameters() {
  torch::NoGradGuard no_grad;
  in_proj->reset_parameters();
  out_proj->reset_parameters();
  response.normal_(0, options.response_std());
  if (ricker) {
    ricker->reset_parameters();
  }
}

void FrequencyDomainAttentionImpl::pretty_print(std::ostream& stream) const {
  stream << "signalllm::FrequencyDomainAttention(dim=" << options.dim()
         << ", num_heads=" << options.num_heads()
         << ", width=" << options.width() << ", taps=" << options.taps()
         << ", rotary=" << std::boolalpha << options.rotary()
         << ", ricker=" << options.ricker() << ", causal=" << options.causal()
         << ")";
}

void FrequencyDomainAttentionImpl::check(const torch::Tensor& input) const {
  TORCH_CHECK(
      input.dim() == 3 && input.size(2) == options.dim(),
      "FrequencyDomainAttention: input has shape ",
      input.sizes(),
      ", it must be [batch, length, ",
      options.dim(),
      "]");
}

torch::Tensor FrequencyDomainAttentionImpl::kernel() const {
  const auto wide = response.to(at::toOpMathType(response.scalar_type()));
  return at::fft_irfft(
      at::complex(wide.select(0, 0), wide.select(0, 1)), options.taps(), 0);
}

torch::Tensor FrequencyDomainAttentionImpl::filtered(
    const torch::Tensor& queries_and_keys) const {
  // Autocast would take the filter's products to half precision.
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(
      c10::autocast_dispatch_keyset);
  const auto taps = kernel();
  const auto length = std::min(taps.size(0), queries_and_keys.size(1));
  return queries_and_keys +
      ops::fft_conv(
             queries_and_keys.contiguous(),
             options.causal() ? taps : taps.slice(0, 0, length),
             std::nullopt,
             options.causal());
}

torch::Tensor FrequencyDomainAttentionImpl::forward(
    const torch::Tensor& input) {
  check(input);
  const auto projected = ops::linear(input, in_proj->weight);
  const auto both = 2 * options.width();
  return attend(
      filtered(projected.slice(2, 0, both)), projected.slice(2, both), nullptr);
}

torch::Tensor FrequencyDomainAttentionImpl::forward_incremental(
    const torch::Tensor& input,
    FrequencyDomainAttentionState& state) {
  TORCH_CHECK(
      options.causal(),
      "FrequencyDomainAttention::forward_incremental: only with causal(true)");
  check(input);
  const auto projected = in_proj->forward(input);
  const auto both = 2 * options.width();
  auto raw = projected.slice(2, 0, both);
  if (state.history.defined()) {
    raw = at::cat({state.history, raw}, 1);
  }
  const auto known = raw.size(1);
  state.history =
      raw.slice(1, std::max<int64_t>(0, known - options.taps() + 1)).detach();
  return attend(
      filtered(raw).slice(1, known - input.size(1)),
      projected.slice(2, both),
      &state);
}

torch::Tensor FrequencyDomainAttentionImpl::attend(
    const torch::Tensor& queries_and_keys,
    const torch::Tensor& values,
    FrequencyDomainAttentionState* state) {
  const auto batch = values.size(0);
  const auto length = values.size(1);
  const auto heads = options.num_heads();
  const auto size = options.width() / heads;
  const int64_t past = state && state->keys.defined() ? state->keys.size(2) : 0;
  auto parts = queries_and_keys.reshape({batch, length, 2, heads, size})
                   .permute({2, 0, 3, 1, 4})
                   .contiguous();
  if (options.rotary()) {
    parts = rotary->forward(parts, past);
  }
  auto k = parts.select(0, 1);
  auto v =
      values.reshape({batch, length, heads, size}).transpose(1, 2).contiguous();
  std::optional<torch::Tensor> mask;
  if (state) {
    if (past > 0) {
      k = at::cat({state->keys, k}, 2);
      v = at::cat({state->values, v}, 2);
    }
    state->keys = k.detach();
    state->values = v.detach();
    if (past > 0 && length > 1) {
      mask = at::ones({length, past + length}, k.options().dtype(at::kBool))
                 .tril(past);
    }
  }
  // A single new position sees everything.
  bool triangle = options.causal() && past == 0 && length > 1;
  if (ricker) {
    auto bias = ricker->bias(length, past + length, past);
    if (options.causal() && length > 1) {
      const auto later =
          at::ones({length, past + length}, bias.options().dtype(at::kBool))
              .triu(past + 1);
      bias = bias.masked_fill(later, -INFINITY);
    }
    mask = bias.to(k.scalar_type());
    triangle = false;
  }
  const auto y = dense_attention(parts.select(0, 0), k, v, mask, triangle);
  return ops::linear(
      y.transpose(1, 2).reshape({batch, length, options.width()}),
      out_proj->weight);
}

} // namespace signalllm

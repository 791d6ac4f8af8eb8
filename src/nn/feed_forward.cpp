#include <signalllm/nn/feed_forward.h>

#include <signalllm/ops/squared_relu.h>

#include "names.h"
#include "nn/projection.h"
#include "nn/squared_relu_linear.h"
#include "ops/long_product.h"
#include "ops/metal.h"

#include <ATen/OpMathType.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/fft_irfft.h>
#include <ATen/ops/fft_rfft.h>
#include <ATen/ops/full.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/relu.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <cmath>
#include <numbers>

namespace signalllm {

namespace {

/// The orthonormal real Fourier basis of an odd length n as rows: constant,
/// cosines, sines of harmonics 1 to (n - 1) / 2.
at::Tensor odd_basis(int64_t n, const at::TensorOptions& like) {
  const auto integer = like.dtype(at::kLong);
  const auto harmonics = at::arange(1, (n + 1) / 2, integer).unsqueeze(1);
  const auto angle =
      (harmonics * at::arange(n, integer)).remainder(n).to(like.dtype()) *
      (2 * std::numbers::pi / static_cast<double>(n));
  const auto scale = std::sqrt(2 / static_cast<double>(n));
  return at::cat(
      {at::full({1, n}, 1 / std::sqrt(static_cast<double>(n)), like),
       angle.cos() * scale,
       angle.sin() * scale});
}

constexpr Name<SpectralKind> kSpectralKinds[] = {
    {SpectralKind::None, "none"},
    {SpectralKind::Channel, "channel"},
    {SpectralKind::CausalTime, "causal_time"},
    {SpectralKind::CausalWavelet, "causal_wavelet"},
};

} // namespace

const char* to_string(SpectralKind kind) {
  return name_of(kSpectralKinds, kind);
}

SpectralKind parse_spectral_kind(const std::string& name) {
  return parse_name(kSpectralKinds, "parse_spectral_kind", "a kind", name);
}

namespace {

constexpr Name<Activation> kActivations[] = {
    {Activation::Gelu, "gelu"},
    {Activation::SquaredRelu, "squared_relu"},
};

} // namespace

const char* to_string(Activation activation) {
  return name_of(kActivations, activation);
}

Activation parse_activation(const std::string& name) {
  return parse_name(kActivations, "parse_activation", "an activation", name);
}

SpectralFeedForwardOptions::SpectralFeedForwardOptions(int64_t dim)
    : dim_(dim) {}

SpectralFeedForwardImpl::SpectralFeedForwardImpl(
    const SpectralFeedForwardOptions& options_)
    : options(options_) {
  TORCH_CHECK(
      options.dim() >= 1 && options.hidden() >= 0,
      "SpectralFeedForward: dim is ",
      options.dim(),
      " and hidden ",
      options.hidden(),
      ", dim must be at least 1 and hidden not negative");
  TORCH_CHECK(
      options.dropout() >= 0 && options.dropout() < 1,
      "SpectralFeedForward: dropout is ",
      options.dropout(),
      ", it must be at least 0 and below 1");
  if (options.hidden() == 0) {
    options.hidden(4 * options.dim());
  }
  reset();
}

void SpectralFeedForwardImpl::reset() {
  in_proj =
      register_module("in_proj", projection(options.dim(), options.hidden()));
  out_proj =
      register_module("out_proj", projection(options.hidden(), options.dim()));
  if (options.kind() == SpectralKind::Channel) {
    gain = register_parameter("gain", torch::empty({options.hidden() / 2 + 1}));
  } else if (options.kind() != SpectralKind::None) {
    filter = register_module(
        "filter",
        CausalFilter(CausalFilterOptions(options.hidden())
                         .kind(
                             options.kind() == SpectralKind::CausalTime
                                 ? FilterKind::Short
                                 : FilterKind::Wavelet)
                         .taps(options.taps())
                         .wavelet(options.wavelet())
                         .levels(options.levels())
                         .filters(options.filters())));
  }
  reset_parameters();
}

void SpectralFeedForwardImpl::reset_parameters() {
  torch::NoGradGuard no_grad;
  in_proj->reset_parameters();
  out_proj->reset_parameters();
  if (gain.defined()) {
    gain.fill_(1);
  }
  if (filter) {
    filter->reset_parameters();
  }
}

void SpectralFeedForwardImpl::pretty_print(std::ostream& stream) const {
  stream << "signalllm::SpectralFeedForward(dim=" << options.dim()
         << ", hidden=" << options.hidden()
         << ", kind=" << to_string(options.kind())
         << ", activation=" << to_string(options.activation()) << ")";
}

torch::Tensor SpectralFeedForwardImpl::folded_weight() const {
  const auto& weight = out_proj->weight;
  if (!gain.defined()) {
    return weight;
  }
  // Outside autocast: the FFT of a small matrix, in full precision.
  c10::impl::ExcludeDispatchKeyGuard guard(c10::autocast_dispatch_keyset);
  auto wide = at::toOpMathType(weight.scalar_type());
  const auto n = options.hidden();
  if (weight.is_mps() && n % 2 != 0) {
    // Where an inverse real FFT of odd length comes back reversed.
    const auto basis =
        odd_basis(n, weight.options().dtype(wide).requires_grad(false));
    const auto gains = at::cat({gain, gain.slice(0, 1)}).to(wide);
    return ops::product(ops::product(weight.to(wide), basis.t()) * gains, basis)
        .to(weight.scalar_type());
  }
  auto spectrum = at::fft_rfft(weight.to(wide)) * gain.to(wide);
  return at::fft_irfft(spectrum, n).to(weight.scalar_type());
}

void SpectralFeedForwardImpl::check(const torch::Tensor& input) const {
  TORCH_CHECK(
      input.dim() == 3 && input.size(2) == options.dim(),
      "SpectralFeedForward: input has shape ",
      input.sizes(),
      ", it must be [batch, length, ",
      options.dim(),
      "]");
}

torch::Tensor SpectralFeedForwardImpl::forward(const torch::Tensor& input) {
  check(input);
  auto hidden = ops::linear(input, in_proj->weight);
  if (filter) {
    hidden = filter->fused(hidden);
  }
  return finish(hidden, folded_weight());
}

torch::Tensor SpectralFeedForwardImpl::forward_incremental(
    const torch::Tensor& input,
    SpectralFeedForwardState& state) {
  check(input);
  if (!state.weight.defined()) {
    state.weight = folded_weight();
  }
  auto hidden = ops::linear(input, in_proj->weight);
  if (filter) {
    hidden = filter->forward_incremental(hidden, state.filter);
  }
  return finish(hidden, state.weight);
}

torch::Tensor SpectralFeedForwardImpl::finish(
    torch::Tensor hidden,
    const torch::Tensor& weight) {
  const bool drops = options.dropout() > 0 && is_training();
  if (options.activation() == Activation::SquaredRelu && hidden.is_cuda() &&
      !drops) {
    return squared_relu_linear(hidden, weight.to(hidden.scalar_type()));
  }
  if (options.activation() == Activation::Gelu) {
    hidden = at::gelu(hidden);
  } else if (ops::on_gpu(hidden)) {
    hidden = ops::squared_relu(hidden);
  } else {
    hidden = at::relu(hidden);
    hidden = hidden * hidden; // a power would be float32 under autocast
  }
  if (drops) {
    hidden = at::dropout(hidden, options.dropout(), /*train=*/true);
  }
  return ops::linear(hidden, weight);
}

} // namespace signalllm

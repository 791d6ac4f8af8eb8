#include <signalllm/nn/fourier_convolution_attention.h>

#include <signalllm/ops/fourier_taps.h>
#include <signalllm/ops/rms_norm.h>

#include "nn/fourier_waves.h"
#include "nn/projection.h"
#include "nn/rms_norm.h"
#include "ops/fft_conv.h"
#include "ops/gated_fft_conv.h"
#include "ops/long_product.h"
#include "ops/metal.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/exp2.h>
#include <ATen/ops/linspace.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace signalllm {

FourierConvolutionAttentionOptions::FourierConvolutionAttentionOptions(
    int64_t dim)
    : dim_(dim) {}

namespace {

/// Autocast would take the kernel's small products to half precision.
struct NoAutocast {
  c10::impl::ExcludeDispatchKeyGuard guard{c10::autocast_dispatch_keyset};
};

} // namespace

FourierConvolutionAttentionImpl::FourierConvolutionAttentionImpl(
    const FourierConvolutionAttentionOptions& options_)
    : options(options_) {
  auto positive = [](const char* name, int64_t value) {
    TORCH_CHECK(
        value >= 1,
        "FourierConvolutionAttention: ",
        name,
        " is ",
        value,
        ", it must be at least 1");
  };
  positive("dim", options.dim());
  if (options.width() == 0) {
    options.width(options.dim());
  }
  positive("width", options.width());
  positive("max_length", options.max_length());
  TORCH_CHECK(
      options.terms() >= 0,
      "FourierConvolutionAttention: terms is ",
      options.terms(),
      ", it must not be negative");
  if (options.max_decay() == 0) {
    options.max_decay(
        options.min_decay() * static_cast<double>(options.max_length()));
  }
  TORCH_CHECK(
      options.min_decay() > 0 && options.max_decay() >= options.min_decay(),
      "FourierConvolutionAttention: the decay range is ",
      options.min_decay(),
      " to ",
      options.max_decay(),
      ", it must be positive and ascending");
  TORCH_CHECK(
      options.dropout() >= 0 && options.dropout() < 1,
      "FourierConvolutionAttention: dropout is ",
      options.dropout(),
      ", it must be at least 0 and below 1");
  reset();
}

void FourierConvolutionAttentionImpl::reset() {
  auto inner = options.width();
  in_proj = register_module("in_proj", projection(options.dim(), 3 * inner));
  out_proj = register_module("out_proj", projection(inner, options.dim()));
  filter = register_module(
      "filter",
      CausalFilter(CausalFilterOptions(3 * inner)
                       .kind(options.filter())
                       .taps(options.taps())
                       .wavelet(options.wavelet())
                       .levels(options.levels())
                       .filters(options.filters())));
  kernel_terms = register_parameter(
      "kernel_terms", torch::empty({2 * options.terms() + 1, inner}));
  log_decay = register_parameter("log_decay", torch::empty({inner}));
  skip = register_parameter("skip", torch::empty({inner}));
  frequency = register_buffer("frequency", torch::empty({inner}));
  reset_parameters();
}

void FourierConvolutionAttentionImpl::reset_parameters() {
  torch::NoGradGuard no_grad;
  in_proj->reset_parameters();
  out_proj->reset_parameters();
  filter->reset_parameters();
  kernel_terms.normal_(0, options.coefficient_std());
  log_decay.copy_(at::linspace(
      std::log(options.min_decay()),
      std::log(options.max_decay()),
      options.width()));
  skip.fill_(1);
  const auto octave =
      (log_decay - std::log(options.min_decay())) / std::numbers::ln2;
  frequency.copy_(
      at::exp2(octave.round().clamp(0, static_cast<double>(octaves())))
          .round());
}

int64_t FourierConvolutionAttentionImpl::octaves() const {
  const auto most =
      options.max_length() / std::max<int64_t>(options.terms(), 1);
  return options.constant_q() && options.terms() > 0 && most > 1
      ? static_cast<int64_t>(std::log2(most))
      : 0;
}

torch::Tensor FourierConvolutionAttentionImpl::rows() const {
  const auto count = options.terms() + 1;
  const auto integer = frequency.options().dtype(at::kLong);
  const auto octave = frequency.to(at::kFloat).log2().round().to(at::kLong);
  return at::arange(count, integer).unsqueeze(1) + octave * count;
}

void FourierConvolutionAttentionImpl::pretty_print(std::ostream& stream) const {
  if (auto* twin = this->twin()) {
    return twin->pretty_print(stream);
  }
  stream << "signalllm::FourierConvolutionAttention(dim=" << options.dim()
         << ", width=" << options.width()
         << ", max_length=" << options.max_length()
         << ", terms=" << options.terms() << ", normalize=" << std::boolalpha
         << options.normalize() << ", constant_q=" << options.constant_q()
         << ", filter=" << to_string(options.filter())
         << ", causal=" << options.causal() << ")";
}

torch::Tensor FourierConvolutionAttentionImpl::kernel(int64_t length) const {
  const auto make = [&] {
    return ops::fourier_taps(
        kernel_terms, log_decay, frequency, length, options.max_length());
  };
  // What inference mode makes cannot take part in a graph later.
  return is_training() || at::GradMode::is_enabled() ||
          c10::InferenceMode::is_enabled()
      ? make()
      : cache_.get({kernel_terms, log_decay, frequency}, length, make);
}

void FourierConvolutionAttentionImpl::train(bool on) {
  cache_.clear();
  Swappable::train(on);
}

torch::Tensor FourierConvolutionAttentionImpl::forward(
    const torch::Tensor& input) {
  if (auto* twin = this->twin()) {
    return twin->forward(input);
  }
  TORCH_CHECK(
      input.dim() == 3 && input.size(2) == options.dim(),
      "FourierConvolutionAttention: input has shape ",
      input.sizes(),
      ", it must be [batch, length, ",
      options.dim(),
      "]");
  return ops::linear(
      normalize(mix(ops::linear(input, in_proj->weight))), out_proj->weight);
}

torch::Tensor FourierConvolutionAttentionImpl::normalize(
    const torch::Tensor& mixed) const {
  NoAutocast no_autocast; // which would make it float32
  auto normal = mixed;
  if (options.normalize()) {
    const bool fused =
        is_twin() && ops::on_gpu(mixed) && ops::has_kernels(mixed);
    normal = fused ? ops::rms_norm(mixed, kRmsEpsilon) : rms_norm(mixed);
  }
  return options.dropout() > 0
      ? at::dropout(normal, options.dropout(), is_training())
      : normal;
}

torch::Tensor FourierConvolutionAttentionImpl::mix(
    const torch::Tensor& projected) {
  auto parts = filter->forward(projected).chunk(3, -1);
  return convolve(parts[0], parts[1], parts[2]);
}

torch::Tensor FourierConvolutionAttentionImpl::convolve(
    const torch::Tensor& q,
    const torch::Tensor& k,
    const torch::Tensor& v) const {
  NoAutocast no_autocast;
  const auto taps = kernel(q.size(1));
  const auto wide = taps.scalar_type();
  if (options.causal()) {
    return ops::composite::gated_fft_conv(v, k, q, taps, skip.to(wide));
  }
  const auto y = ops::composite::fft_conv(
      k.to(wide) * v.to(wide), taps, skip.to(wide), /*causal=*/false);
  return (q.to(wide) * y).to(q.scalar_type());
}

} // namespace signalllm

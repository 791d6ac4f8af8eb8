#include <signalllm/nn/fourier_convolution_attention.h>

#include "ops/fft_conv.h"
#include "ops/gated_fft_conv.h"

#include <ATen/OpMathType.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/zeros.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

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

/// cos and sin of pi m t / n for t < length and m = 0..terms, `[length, terms
/// + 1]`. The product m t is reduced as an integer, exact for any t.
std::pair<at::Tensor, at::Tensor>
waves(int64_t length, int64_t terms, int64_t n, const at::TensorOptions& like) {
  auto integer = like.dtype(at::kLong);
  auto t = at::arange(length, integer).unsqueeze(1);
  auto m = at::arange(terms + 1, integer);
  auto angle = (t * m).remainder(2 * n).to(like.dtype()) *
      (std::numbers::pi / static_cast<double>(n));
  return {angle.cos(), angle.sin()};
}

/// exp(-lambda t / n) for t < length, `[length, channels]`.
at::Tensor decay(
    const at::Tensor& log_decay,
    int64_t length,
    int64_t n,
    const at::TensorOptions& like) {
  auto t = at::arange(length, like).unsqueeze(1) / static_cast<double>(n);
  return (-t * log_decay.to(like.dtype()).exp()).exp();
}

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
  reset();
}

void FourierConvolutionAttentionImpl::reset() {
  auto inner = options.width();
  in_proj = register_module(
      "in_proj",
      torch::nn::Linear(
          torch::nn::LinearOptions(options.dim(), 3 * inner).bias(false)));
  out_proj = register_module(
      "out_proj",
      torch::nn::Linear(
          torch::nn::LinearOptions(inner, options.dim()).bias(false)));
  filter = register_module(
      "filter",
      CausalFilter(CausalFilterOptions(3 * inner)
                       .kind(options.filter())
                       .taps(options.taps())
                       .wavelet(options.wavelet())
                       .levels(options.levels())));
  kernel_terms = register_parameter(
      "kernel_terms", torch::empty({2 * options.terms() + 1, inner}));
  log_decay = register_parameter("log_decay", torch::empty({inner}));
  skip = register_parameter("skip", torch::empty({inner}));
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
}

void FourierConvolutionAttentionImpl::pretty_print(std::ostream& stream) const {
  if (auto* twin = this->twin()) {
    return twin->pretty_print(stream);
  }
  stream << "signalllm::FourierConvolutionAttention(dim=" << options.dim()
         << ", width=" << options.width()
         << ", max_length=" << options.max_length()
         << ", terms=" << options.terms() << ", normalize=" << std::boolalpha
         << options.normalize() << ", filter=" << to_string(options.filter())
         << ", causal=" << options.causal() << ")";
}

torch::Tensor FourierConvolutionAttentionImpl::kernel(int64_t length) const {
  NoAutocast no_autocast;
  auto like = kernel_terms.options()
                  .dtype(at::toOpMathType(kernel_terms.scalar_type()))
                  .requires_grad(false);
  auto n = options.max_length();
  auto [cosine, sine] = waves(length, options.terms(), n, like);
  auto basis = at::cat({cosine, sine.slice(1, 1)}, 1);
  auto series = basis.matmul(kernel_terms.to(like.dtype()));
  return series * decay(log_decay, length, n, like);
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
  return out_proj->forward(normalize(mix(in_proj->forward(input))));
}

torch::Tensor FourierConvolutionAttentionImpl::normalize(
    const torch::Tensor& mixed) const {
  if (!options.normalize()) {
    return mixed;
  }
  NoAutocast no_autocast;
  const auto wide = mixed.to(at::toOpMathType(mixed.scalar_type()));
  const auto power = wide.square().mean(-1, /*keepdim=*/true);
  return (wide * (power + 1e-6).rsqrt()).to(mixed.scalar_type());
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

torch::Tensor FourierConvolutionAttentionImpl::forward_incremental(
    const torch::Tensor& input,
    FourierConvolutionState& state) {
  if (auto* twin = this->twin()) {
    return twin->forward_incremental(input, state);
  }
  TORCH_CHECK(
      options.causal(),
      "FourierConvolutionAttention::forward_incremental: only with "
      "causal(true)");
  auto projected = in_proj->forward(input);
  auto parts =
      filter->forward_incremental(projected, state.filter).chunk(3, -1);
  return out_proj->forward(
      normalize(recur(parts[0], parts[1], parts[2], state)));
}

// With z_m = exp((-lambda + i pi m) / N) a channel's past is s_m = sum_tau
// z_m^(now - tau) u(tau). After k more positions it has become z_m^k s_m and
// gives sum_m a_m Re + b_m Im of that; what is new in between is an ordinary
// convolution. So any number of positions costs a few small products.
torch::Tensor FourierConvolutionAttentionImpl::recur(
    const torch::Tensor& q,
    const torch::Tensor& k,
    const torch::Tensor& v,
    FourierConvolutionState& state) const {
  NoAutocast no_autocast;
  auto wide = at::toOpMathType(q.scalar_type());
  auto like = q.options().dtype(wide).requires_grad(false);
  auto length = q.size(1);
  auto terms = options.terms();
  auto n = options.max_length();
  auto u = k.to(wide) * v.to(wide);
  auto [cosine, sine] = waves(length + 1, terms, n, like);
  auto fade = decay(log_decay, length + 1, n, like);
  auto weights = kernel_terms.to(wide);
  auto a = weights.slice(0, 0, terms + 1);
  auto b = at::cat(
      {at::zeros({1, options.width()}, like), weights.slice(0, terms + 1)});

  auto y = length == 1
      ? u * (a.sum(0) + skip.to(wide))
      : ops::composite::fft_conv(
            u, kernel(length).to(wide), skip.to(wide), /*causal=*/true);

  // The new positions' own share of the new state.
  auto faded = u * fade.slice(0, 0, length).flip(0);
  auto real = cosine.slice(0, 0, length).flip(0).t().matmul(faded);
  auto imaginary = sine.slice(0, 0, length).flip(0).t().matmul(faded);
  if (state.real.defined()) {
    const auto& p = state.real;
    const auto& s = state.imaginary;
    y = y +
        fade.slice(0, 1) *
            (cosine.slice(0, 1).matmul(a * p + b * s) +
             sine.slice(0, 1).matmul(b * p - a * s));
    auto turn_cosine = cosine.select(0, length).unsqueeze(1);
    auto turn_sine = sine.select(0, length).unsqueeze(1);
    auto last = fade.select(0, length);
    real = real + last * (turn_cosine * p - turn_sine * s);
    imaginary = imaginary + last * (turn_sine * p + turn_cosine * s);
  }
  state.real = real.detach();
  state.imaginary = imaginary.detach();
  return (q.to(wide) * y).to(q.scalar_type());
}

} // namespace signalllm

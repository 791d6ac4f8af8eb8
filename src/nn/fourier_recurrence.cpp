#include <signalllm/nn/fourier_convolution_attention.h>

#include "nn/fourier_waves.h"
#include "ops/fft_conv.h"
#include "ops/long_product.h"

#include <ATen/OpMathType.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

namespace signalllm {

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
  if (ops::is_long(input, {input.size(1)})) {
    std::vector<at::Tensor> parts;
    for (const auto& part : input.split(ops::long_inner / 2, 1)) {
      parts.push_back(forward_incremental(part, state));
    }
    return at::cat(parts, 1);
  }
  auto projected = in_proj->forward(input);
  auto parts =
      filter->forward_incremental(projected, state.filter).chunk(3, -1);
  const auto mixed = input.size(1) == 1
      ? step(parts[0], parts[1], parts[2], state)
      : recur(parts[0], parts[1], parts[2], state);
  return out_proj->forward(normalize(mixed));
}

torch::Tensor FourierConvolutionAttentionImpl::step(
    const torch::Tensor& q,
    const torch::Tensor& k,
    const torch::Tensor& v,
    FourierConvolutionState& state) const {
  // Which would take small products to half precision.
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(
      c10::autocast_dispatch_keyset);
  const auto wide = at::toOpMathType(q.scalar_type());
  const auto like = q.options().dtype(wide).requires_grad(false);
  const auto terms = options.terms();
  if (!state.sums.defined()) {
    state.sums = at::zeros({q.size(0), 2, terms + 1, options.width()}, like);
  }
  if (!state.weights.defined()) {
    const at::NoGradGuard no_grad;
    const auto n = options.max_length();
    const auto [cosine, sine] = fourier::waves(2, terms, octaves(), n, like);
    const auto index = rows();
    const auto fade = fourier::decay(log_decay, 2, n, like).select(0, 1);
    const auto turn = [&](const at::Tensor& wave) {
      return fourier::collect(
                 wave.select(0, 1).unsqueeze(1).expand({-1, options.width()}),
                 index) *
          fade;
    };
    state.cosine = turn(cosine);
    const auto turned = turn(sine);
    state.sine = at::stack({-turned, turned});
    const auto weights = kernel_terms.to(wide);
    state.weights = at::stack(
        {weights.slice(0, 0, terms + 1),
         at::cat(
             {at::zeros({1, options.width()}, like),
              weights.slice(0, terms + 1)})});
    state.skip = skip.to(wide);
  }
  const auto u = k.to(wide) * v.to(wide);
  const auto& s = state.sums;
  const auto swapped = s.flip(1);
  s.mul_(state.cosine).addcmul_(swapped, state.sine);
  s.select(1, 0).add_(u.detach());
  const auto y = (s * state.weights).sum({1, 2}).unsqueeze(1);
  return (q.to(wide) * at::addcmul(y, u, state.skip)).to(q.scalar_type());
}

// With z_m = exp((-lambda + i pi m s) / N) a channel's past is s_m = sum_tau
// z_m^(now - tau) u(tau). After k more positions it has become z_m^k s_m and
// gives sum_m a_m Re + b_m Im of that; what is new in between is an ordinary
// convolution. So any number of positions costs a few small products.
torch::Tensor FourierConvolutionAttentionImpl::recur(
    const torch::Tensor& q,
    const torch::Tensor& k,
    const torch::Tensor& v,
    FourierConvolutionState& state) const {
  // Which would take small products to half precision.
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(
      c10::autocast_dispatch_keyset);
  auto wide = at::toOpMathType(q.scalar_type());
  auto like = q.options().dtype(wide).requires_grad(false);
  auto length = q.size(1);
  auto terms = options.terms();
  auto n = options.max_length();
  auto u = k.to(wide) * v.to(wide);
  auto [cosine, sine] = fourier::waves(length + 1, terms, octaves(), n, like);
  const auto index = rows();
  const auto count = cosine.size(1);
  auto fade = fourier::decay(log_decay, length + 1, n, like);
  auto weights = kernel_terms.to(wide);
  auto a = weights.slice(0, 0, terms + 1);
  auto b = at::cat(
      {at::zeros({1, options.width()}, like), weights.slice(0, terms + 1)});

  auto y = ops::composite::fft_conv(
      u, kernel(length).to(wide), skip.to(wide), /*causal=*/true);

  // The new positions' own share of the new state.
  auto faded = u * fade.slice(0, 0, length).flip(0);
  const auto share = [&](const at::Tensor& wave) {
    return fourier::collect(
        wave.slice(0, 0, length).flip(0).t().matmul(faded), index);
  };
  auto real = share(cosine);
  auto imaginary = share(sine);
  if (state.sums.defined()) {
    const auto p = state.sums.select(1, 0);
    const auto s = state.sums.select(1, 1);
    y = y +
        fade.slice(0, 1) *
            (cosine.slice(0, 1).matmul(
                 fourier::spread(a * p + b * s, index, count)) +
             sine.slice(0, 1).matmul(
                 fourier::spread(b * p - a * s, index, count)));
    const auto turn = [&](const at::Tensor& wave) {
      return fourier::collect(
          wave.select(0, length).unsqueeze(1).expand({count, index.size(1)}),
          index);
    };
    auto turn_cosine = turn(cosine);
    auto turn_sine = turn(sine);
    auto last = fade.select(0, length);
    real = real + last * (turn_cosine * p - turn_sine * s);
    imaginary = imaginary + last * (turn_sine * p + turn_cosine * s);
  }
  state.sums = at::stack({real, imaginary}, 1).detach();
  return (q.to(wide) * y).to(q.scalar_type());
}

} // namespace signalllm

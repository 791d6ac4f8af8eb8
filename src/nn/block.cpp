#include <signalllm/nn/block.h>

#include <signalllm/ops/layer_norm.h>

#include "names.h"

#include <ATen/autocast_mode.h>
#include <c10/core/ScalarType.h>

#include <algorithm>
#include <cmath>
#include <tuple>

namespace signalllm {

namespace {

constexpr Name<AttentionKind> kAttentions[] = {
    {AttentionKind::Wavelet, "wavelet"},
    {AttentionKind::Frequency, "frequency"},
};

} // namespace

const char* to_string(AttentionKind kind) {
  return name_of(kAttentions, kind);
}

AttentionKind parse_attention_kind(const std::string& name) {
  return parse_name(kAttentions, "parse_attention_kind", "an attention", name);
}

WaveletTransformerBlockOptions::WaveletTransformerBlockOptions(
    int64_t dim,
    int64_t heads)
    : dim_(dim), heads_(heads) {}

namespace {

/// Under autocast its dtype, to which what follows a norm would cast.
at::ScalarType normed_type(const torch::Tensor& x) {
  const auto device = x.device().type();
  return at::autocast::is_autocast_enabled(device) &&
          x.scalar_type() != at::kDouble
      ? at::autocast::get_autocast_dtype(device)
      : x.scalar_type();
}

torch::Tensor normed(torch::nn::LayerNormImpl& norm, const torch::Tensor& x) {
  const auto type = normed_type(x);
  return x.is_cuda()
      ? ops::layer_norm(x, norm.weight, norm.bias, norm.options.eps(), type)
      : norm.forward(x).to(type);
}

/// The sum, and that normed.
std::tuple<torch::Tensor, torch::Tensor> add_normed(
    torch::nn::LayerNormImpl& norm,
    const torch::Tensor& x,
    const torch::Tensor& branch) {
  if (x.is_cuda() &&
      at::promoteTypes(x.scalar_type(), branch.scalar_type()) ==
          x.scalar_type()) {
    return ops::add_layer_norm(
        x, branch, norm.weight, norm.bias, norm.options.eps(), normed_type(x));
  }
  const auto sum = x + branch;
  return {sum, normed(norm, sum)};
}

/// What the chosen attention does not have would change nothing.
void check_attention_options(const WaveletTransformerBlockOptions& options) {
  const auto refuse = [&](bool given, const char* name, auto shown) {
    TORCH_CHECK(
        !given,
        "WaveletTransformerBlock: ",
        name,
        " is ",
        shown,
        ", but attention=",
        to_string(options.attention()),
        " has no such option; it belongs to attention=",
        options.attention() == AttentionKind::Wavelet ? "frequency"
                                                      : "wavelet");
  };
  if (options.attention() == AttentionKind::Wavelet) {
    refuse(options.ricker(), "ricker", "true");
    return;
  }
  const WaveletTransformerBlockOptions standard(1, 1);
  refuse(options.qk_norm().value_or(false), "qk_norm", "true");
  refuse(options.window() != standard.window(), "window", options.window());
  refuse(options.opened() != standard.opened(), "opened", options.opened());
  refuse(
      options.attention_filter() != standard.attention_filter(),
      "attention_filter",
      to_string(options.attention_filter()));
}

} // namespace

int64_t WaveletTransformerBlockOptions::attention_width() const {
  auto attending =
      std::llround(attention_fraction() * static_cast<double>(heads()));
  return attending * (dim() / heads());
}

bool WaveletTransformerBlockOptions::has_qk_norm() const {
  return qk_norm().value_or(attention() == AttentionKind::Wavelet);
}

WaveletTransformerBlockImpl::WaveletTransformerBlockImpl(
    const WaveletTransformerBlockOptions& options_)
    : options(options_) {
  TORCH_CHECK(
      options.heads() >= 1 && options.dim() >= 1 &&
          options.dim() % options.heads() == 0,
      "WaveletTransformerBlock: dim ",
      options.dim(),
      " cannot be divided into ",
      options.heads(),
      " heads of equal size");
  TORCH_CHECK(
      options.attention_fraction() >= 0 && options.attention_fraction() <= 1,
      "WaveletTransformerBlock: attention_fraction is ",
      options.attention_fraction(),
      ", allowed are 0 to 1");
  check_attention_options(options);
  options.qk_norm(options.has_qk_norm());
  reset();
}

void WaveletTransformerBlockImpl::reset() {
  auto dim = options.dim();
  auto attending = options.attention_width();
  mixer_norm = register_module(
      "mixer_norm", torch::nn::LayerNorm(torch::nn::LayerNormOptions({dim})));
  const auto attending_heads = attending / (dim / options.heads());
  if (attending > 0 && options.attention() == AttentionKind::Frequency) {
    frequency = register_module(
        "frequency",
        FrequencyDomainAttention(
            FrequencyDomainAttentionOptions(dim, attending_heads)
                .width(attending)
                .rotary(options.rotary())
                .ricker(options.ricker())
                .causal(options.causal())));
  } else if (attending > 0) {
    attention = register_module(
        "attention",
        WaveletAttention(WaveletAttentionOptions(dim, attending_heads)
                             .width(attending)
                             .filter(options.attention_filter())
                             .wavelet(options.wavelet())
                             .levels(options.levels())
                             .filters(options.filters())
                             .rotary(options.rotary())
                             .qk_norm(*options.qk_norm())
                             .window(options.window())
                             .opened(options.opened())
                             .max_length(options.max_length())
                             .causal(options.causal())));
  }
  if (attending < dim) {
    fourier = register_module(
        "fourier",
        FourierConvolutionAttention(
            FourierConvolutionAttentionOptions(dim)
                .width(dim - attending)
                .max_length(options.max_length())
                .terms(options.terms())
                .normalize(options.fourier_norm())
                .constant_q(options.constant_q())
                .dropout(options.mixer_dropout())
                .filter(options.fourier_filter())
                .wavelet(options.wavelet())
                .levels(std::max<int64_t>(options.levels(), 0))
                .filters(options.filters())
                .causal(options.causal())));
  }
  feed_forward_norm = register_module(
      "feed_forward_norm",
      torch::nn::LayerNorm(torch::nn::LayerNormOptions({dim})));
  feed_forward = register_module(
      "feed_forward",
      SpectralFeedForward(SpectralFeedForwardOptions(dim)
                              .hidden(options.ffn_multiple() * dim)
                              .kind(options.feed_forward())
                              .wavelet(options.wavelet())
                              .levels(std::max<int64_t>(options.levels(), 0))
                              .filters(options.filters())
                              .activation(options.activation())
                              .dropout(options.hidden_dropout())));
  dropout = register_module("dropout", torch::nn::Dropout(options.dropout()));
}

void WaveletTransformerBlockImpl::pretty_print(std::ostream& stream) const {
  stream << "signalllm::WaveletTransformerBlock(dim=" << options.dim()
         << ", heads=" << options.heads()
         << ", attention_width=" << options.attention_width()
         << ", dropout=" << options.dropout() << ", causal=" << std::boolalpha
         << options.causal() << ")";
}

torch::Tensor WaveletTransformerBlockImpl::forward(const torch::Tensor& input) {
  auto u = normed(*mixer_norm, input);
  torch::Tensor mixed;
  const auto add = [&](auto& mixer) {
    if (mixer) {
      const auto y = mixer->forward(u);
      mixed = mixed.defined() ? mixed + y : y;
    }
  };
  add(attention);
  add(frequency);
  add(fourier);
  const auto [x, v] =
      add_normed(*feed_forward_norm, input, dropout->forward(mixed));
  return x + dropout->forward(feed_forward->forward(v));
}

torch::Tensor WaveletTransformerBlockImpl::forward_incremental(
    const torch::Tensor& input,
    WaveletTransformerBlockState& state) {
  return continued(input, state, nullptr);
}

torch::Tensor WaveletTransformerBlockImpl::forward_next(
    const torch::Tensor& input,
    WaveletTransformerBlockState& state,
    const NextPosition& position) {
  TORCH_CHECK(
      !frequency,
      "WaveletTransformerBlock::forward_next: attention=frequency continues a "
      "sequence by forward_incremental only");
  return continued(input, state, &position);
}

bool WaveletTransformerBlockImpl::advance(
    WaveletTransformerBlockState& state,
    int64_t positions) const {
  return attention && attention->advance(state.attention, positions);
}

torch::Tensor WaveletTransformerBlockImpl::continued(
    const torch::Tensor& input,
    WaveletTransformerBlockState& state,
    const NextPosition* position) {
  const auto u = normed(*mixer_norm, input);
  torch::Tensor mixed;
  const auto add = [&](const torch::Tensor& y) {
    mixed = mixed.defined() ? mixed + y : y;
  };
  if (attention) {
    add(position ? attention->forward_next(u, state.attention, *position)
                 : attention->forward_incremental(u, state.attention));
  }
  if (frequency) {
    add(frequency->forward_incremental(u, state.frequency));
  }
  if (fourier) {
    add(fourier->forward_incremental(u, state.fourier));
  }
  const auto [x, v] = add_normed(*feed_forward_norm, input, mixed);
  return x + feed_forward->forward_incremental(v, state.feed_forward);
}

} // namespace signalllm

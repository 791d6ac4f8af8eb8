#include <signalllm/nn/flops.h>

#include <signalllm/nn/model.h>
#include <signalllm/wavelet.h>

#include <torch/nn/modules/linear.h>

#include <algorithm>
#include <cmath>

namespace signalllm {
namespace {

double keys_seen(int64_t length, int64_t window, bool causal) {
  return causal ? mean_keys(length, window) : static_cast<double>(length);
}

double filter_flops(const CausalFilterOptions& options) {
  const auto channels = static_cast<double>(options.channels());
  if (options.kind() == FilterKind::Short) {
    return 2 * channels * static_cast<double>(options.taps());
  }
  if (options.kind() == FilterKind::None) {
    return 0;
  }
  const auto taps =
      static_cast<double>(wavelets_of_levels(options.wavelet())[0].length());
  const auto levels = static_cast<double>(options.levels());
  return 2 * channels * (2 * taps * levels + levels + 2);
}

/// Of the module itself, without its children.
double own_flops(const torch::nn::Module& module, int64_t length) {
  const auto number = [](auto value) { return static_cast<double>(value); };
  if (const auto* linear = module.as<torch::nn::LinearImpl>()) {
    return 2 * number(linear->weight.numel());
  }
  if (const auto* model = module.as<SignalLLMImpl>()) {
    return 2 * number(model->options.vocab_size() * model->options.dim());
  }
  if (const auto* wavelet = module.as<WaveletAttentionImpl>()) {
    const auto& options = wavelet->options;
    const auto children = options.window() > 0 ? 2 * options.opened() : 0;
    return 4 * number(options.width()) *
        (keys_seen(length, options.window(), options.causal()) +
         number(children));
  }
  if (const auto* frequency = module.as<FrequencyDomainAttentionImpl>()) {
    const auto& options = frequency->options;
    // Queries and keys pass a filter first.
    return 4 * number(options.width()) *
        (keys_seen(length, 0, options.causal()) + number(options.taps()));
  }
  if (const auto* fourier = module.as<FourierConvolutionAttentionImpl>()) {
    return 15 * number(fourier->options.width()) *
        std::log2(2 * number(length));
  }
  if (const auto* filter = module.as<CausalFilterImpl>()) {
    return filter_flops(filter->options);
  }
  return 0;
}

double forward_flops(const torch::nn::Module& module, int64_t length) {
  auto flops = own_flops(module, length);
  const auto* model = module.as<SignalLLMImpl>();
  for (const auto& child : module.children()) {
    if (!model || child != model->blocks.ptr()) {
      flops += forward_flops(*child, length);
    }
  }
  if (model) { // a block as often as it runs
    for (const auto run :
         block_runs(model->options.layers(), model->options.passes())) {
      flops += forward_flops(*model->blocks->ptr(run), length);
    }
  }
  return flops;
}

} // namespace

double mean_keys(int64_t length, int64_t window) {
  if (window <= 0 || length <= window) {
    return static_cast<double>(length + 1) / 2;
  }
  double total = 0;
  for (int64_t chunk = 0; chunk * window < length; ++chunk) {
    const auto queries = std::min(window, length - chunk * window);
    int64_t behind = chunk > 0 ? window : 0;
    // As tree::Layout has it: of a level the nodes that end where the level
    // below begins.
    for (int64_t level = 1; (chunk >> level) > 0; ++level) {
      behind += (chunk >> (level - 1)) % 2 != 0 ? window : window / 2;
    }
    total += static_cast<double>(queries * behind) +
        static_cast<double>(queries * (queries + 1)) / 2;
  }
  return total / static_cast<double>(length);
}

double training_flops(const torch::nn::Module& model, int64_t length) {
  return 3 * forward_flops(model, length);
}

} // namespace signalllm

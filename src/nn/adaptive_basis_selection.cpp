#include <signalllm/nn/adaptive_basis_selection.h>

#include "ops/long_product.h"

#include <ATen/ops/cat.h>

#include <algorithm>

namespace signalllm {

AdaptiveBasisSelectionOptions::AdaptiveBasisSelectionOptions(int64_t channels)
    : channels_(channels) {}

AdaptiveBasisSelectionImpl::AdaptiveBasisSelectionImpl(
    const AdaptiveBasisSelectionOptions& options_)
    : options(options_) {
  TORCH_CHECK(
      options.channels() >= 1,
      "AdaptiveBasisSelection: channels is ",
      options.channels(),
      ", it must be at least 1");
  TORCH_CHECK(
      !options.wavelets().empty(),
      "AdaptiveBasisSelection: wavelets is empty, at least one is needed");
  TORCH_CHECK(
      options.level() >= 0,
      "AdaptiveBasisSelection: level is ",
      options.level(),
      ", it must not be negative");
  reset();
}

void AdaptiveBasisSelectionImpl::reset() {
  const auto bases = static_cast<int64_t>(options.wavelets().size());
  transforms = register_module("transforms", torch::nn::ModuleList());
  for (const auto& name : options.wavelets()) {
    transforms->push_back(
        WaveletTransform(WaveletTransformOptions(Wavelet(name))
                             .level(options.level())
                             // Exists for every length.
                             .mode("symmetric")
                             .causal(options.causal())));
  }
  gate = register_module("gate", torch::nn::Linear(options.channels(), bases));
  gains = register_parameter(
      "gains", torch::empty({bases, options.level() + 1, options.channels()}));
  reset_parameters();
}

void AdaptiveBasisSelectionImpl::reset_parameters() {
  torch::NoGradGuard no_grad;
  gate->reset_parameters();
  gate->bias.zero_();
  gains.fill_(1);
}

void AdaptiveBasisSelectionImpl::pretty_print(std::ostream& stream) const {
  stream << "signalllm::AdaptiveBasisSelection(channels=" << options.channels()
         << ", wavelets=";
  for (size_t i = 0; i < options.wavelets().size(); ++i) {
    stream << (i > 0 ? "," : "") << options.wavelets()[i];
  }
  stream << ", level=" << options.level() << ", causal=" << std::boolalpha
         << options.causal() << ")";
}

void AdaptiveBasisSelectionImpl::check(const torch::Tensor& input) const {
  TORCH_CHECK(
      input.dim() == 3 && input.size(2) == options.channels(),
      "AdaptiveBasisSelection: input has shape ",
      input.sizes(),
      ", it must be [batch, length, ",
      options.channels(),
      "]");
}

torch::Tensor AdaptiveBasisSelectionImpl::weights(const torch::Tensor& input) {
  return ops::linear(input, gate->weight, gate->bias).softmax(-1);
}

torch::Tensor AdaptiveBasisSelectionImpl::forward(const torch::Tensor& input) {
  check(input);
  const auto share = weights(input);
  torch::Tensor sum;
  for (size_t b = 0; b < transforms->size(); ++b) {
    auto* transform = transforms[b]->as<WaveletTransformImpl>();
    auto coefficients = transform->forward(input);
    for (size_t j = 0; j < coefficients.size(); ++j) {
      const auto gain = gains.select(0, static_cast<int64_t>(b))
                            .select(0, static_cast<int64_t>(j));
      coefficients[j] = coefficients[j] * gain;
    }
    const auto y = transform->inverse(coefficients, input.size(1)) *
        share.narrow(2, static_cast<int64_t>(b), 1);
    sum = sum.defined() ? sum + y : y;
  }
  return sum;
}

torch::Tensor AdaptiveBasisSelectionImpl::forward_incremental(
    const torch::Tensor& input,
    AdaptiveBasisSelectionState& state) {
  TORCH_CHECK(
      options.causal(),
      "AdaptiveBasisSelection::forward_incremental: only with causal(true)");
  check(input);
  int64_t taps = 1;
  for (const auto& name : options.wavelets()) {
    taps = std::max(taps, Wavelet(name).length());
  }
  const auto reach = (taps - 1) * ((int64_t{1} << options.level()) - 1);
  const auto all =
      state.history.defined() ? at::cat({state.history, input}, 1) : input;
  const auto known = all.size(1);
  state.history = all.slice(1, std::max<int64_t>(0, known - reach)).detach();
  return forward(all).slice(1, known - input.size(1));
}

} // namespace signalllm

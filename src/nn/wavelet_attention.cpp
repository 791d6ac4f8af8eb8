#include <signalllm/nn/wavelet_attention.h>

#include "nn/projection.h"
#include "ops/long_product.h"

#include <signalllm/wavelet.h>

#include <algorithm>
#include <cmath>

namespace signalllm {

WaveletAttentionOptions::WaveletAttentionOptions(int64_t dim, int64_t num_heads)
    : dim_(dim), num_heads_(num_heads) {}

namespace {

/// Levels after which the filter bank sees `length` positions back.
int64_t useful_levels(int64_t length, int64_t taps) {
  auto reach = static_cast<double>(length - 1) / static_cast<double>(taps - 1);
  return static_cast<int64_t>(std::ceil(std::log2(reach + 1)));
}

} // namespace

WaveletAttentionImpl::WaveletAttentionImpl(
    const WaveletAttentionOptions& options_)
    : options(options_) {
  TORCH_CHECK(
      options.dim() >= 1,
      "WaveletAttention: dim is ",
      options.dim(),
      ", it must be at least 1");
  if (options.width() == 0) {
    options.width(options.dim());
  }
  auto heads = options.num_heads();
  TORCH_CHECK(
      heads >= 1 && options.width() >= 1 && options.width() % heads == 0 &&
          (!options.rotary() || options.width() / heads % 2 == 0),
      "WaveletAttention: width ",
      options.width(),
      " cannot be divided into ",
      heads,
      " heads of equal",
      options.rotary() ? ", even" : "",
      " size");
  TORCH_CHECK(
      options.max_length() >= 1,
      "WaveletAttention: max_length is ",
      options.max_length(),
      ", it must be at least 1");
  TORCH_CHECK(
      options.levels() >= -1,
      "WaveletAttention: levels is ",
      options.levels(),
      ", it must be at least 0, or -1 for as many as max_length has use for");
  TORCH_CHECK(
      options.window() >= 0 && options.window() % 2 == 0 &&
          (options.window() == 0 || options.causal()),
      "WaveletAttention: window is ",
      options.window(),
      ", it must be even, and 0 unless causal");
  TORCH_CHECK(
      options.opened() >= 0 && options.opened() <= options.window(),
      "WaveletAttention: opened is ",
      options.opened(),
      ", allowed are 0 to the window, ",
      options.window());
  if (options.levels() == -1) {
    options.levels(useful_levels(
        options.max_length(),
        wavelets_of_levels(options.wavelet())[0].length()));
  }
  reset();
}

void WaveletAttentionImpl::reset() {
  auto inner = options.width();
  in_proj = register_module("in_proj", projection(options.dim(), 3 * inner));
  out_proj = register_module("out_proj", projection(inner, options.dim()));
  filter = register_module(
      "filter",
      CausalFilter(CausalFilterOptions(3 * inner)
                       .kind(options.filter())
                       .wavelet(options.wavelet())
                       .levels(options.levels())
                       .filters(options.filters())
                       .shared(options.shared_filters())));
  if (options.rotary()) {
    rotary = register_module(
        "rotary",
        SignalPositionalEncoding(
            SignalPositionalEncodingOptions(inner / options.num_heads())
                .kind(PositionKind::Rotary)));
  }
}

void WaveletAttentionImpl::reset_parameters() {
  in_proj->reset_parameters();
  out_proj->reset_parameters();
  filter->reset_parameters();
}

void WaveletAttentionImpl::pretty_print(std::ostream& stream) const {
  if (auto* twin = this->twin()) {
    return twin->pretty_print(stream);
  }
  stream << "signalllm::WaveletAttention(";
  print_options(stream);
}

void WaveletAttentionImpl::print_options(std::ostream& stream) const {
  stream << "dim=" << options.dim() << ", num_heads=" << options.num_heads()
         << ", width=" << options.width()
         << ", filter=" << to_string(options.filter())
         << ", rotary=" << std::boolalpha << options.rotary()
         << ", causal=" << options.causal();
  if (options.qk_norm()) {
    stream << ", qk_norm=true";
  }
  if (options.window() > 0) {
    stream << ", window=" << options.window()
           << ", opened=" << options.opened();
  }
  stream << ")";
}

torch::Tensor WaveletAttentionImpl::forward(const torch::Tensor& input) {
  if (auto* twin = this->twin()) {
    return twin->forward(input);
  }
  TORCH_CHECK(
      input.dim() == 3 && input.size(2) == options.dim(),
      "WaveletAttention: input has shape ",
      input.sizes(),
      ", it must be [batch, length, ",
      options.dim(),
      "]");
  return ops::linear(
      mix(ops::linear(input, in_proj->weight)), out_proj->weight);
}

torch::Tensor WaveletAttentionImpl::mix(const torch::Tensor& projected) {
  return attend(filter->forward(projected));
}

} // namespace signalllm

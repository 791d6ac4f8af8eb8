#include <signalllm/nn/causal_filter.h>

#include "ops/causal_filter.h"
#include "ops/causal_wavelet_filter.h"

#include <signalllm/ops/causal_filter.h>
#include <signalllm/ops/causal_wavelet_filter.h>
#include <signalllm/wavelet.h>

#include <ATen/OpMathType.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/zeros.h>

#include <numbers>

namespace signalllm {

const char* to_string(FilterKind kind) {
  switch (kind) {
    case FilterKind::None:
      return "none";
    case FilterKind::Short:
      return "short";
    case FilterKind::Wavelet:
      return "wavelet";
  }
  TORCH_INTERNAL_ASSERT(false);
}

FilterKind parse_filter_kind(const std::string& name) {
  for (auto kind : {FilterKind::None, FilterKind::Short, FilterKind::Wavelet}) {
    if (name == to_string(kind)) {
      return kind;
    }
  }
  TORCH_CHECK(
      false,
      "parse_filter_kind: '",
      name,
      "' is not a filter, allowed are none, short and wavelet");
}

CausalFilterOptions::CausalFilterOptions(int64_t channels)
    : channels_(channels) {}

namespace {

/// sum_k filter[..., k] past_and_now[t - dilation k] for the last `length` t.
at::Tensor dilated(
    const at::Tensor& past_and_now,
    const at::Tensor& filter,
    int64_t dilation,
    int64_t length) {
  auto end = past_and_now.size(1);
  at::Tensor sum;
  for (int64_t k = 0; k < filter.size(-1); ++k) {
    auto stop = end - dilation * k;
    auto shifted = past_and_now.slice(1, stop - length, stop);
    auto tap = filter.select(-1, k);
    sum = k == 0 ? shifted * tap : at::addcmul(sum, shifted, tap);
  }
  return sum;
}

} // namespace

CausalFilterImpl::CausalFilterImpl(const CausalFilterOptions& options_)
    : options(options_) {
  TORCH_CHECK(
      options.channels() >= 1,
      "CausalFilter: channels is ",
      options.channels(),
      ", it must be at least 1");
  TORCH_CHECK(
      options.taps() >= 1,
      "CausalFilter: taps is ",
      options.taps(),
      ", it must be at least 1");
  TORCH_CHECK(
      options.levels() >= 0 && options.levels() <= 30,
      "CausalFilter: levels is ",
      options.levels(),
      ", allowed are 0 to 30");
  reset();
}

void CausalFilterImpl::reset() {
  auto channels = options.channels();
  if (options.kind() == FilterKind::Short) {
    taps = register_parameter("taps", torch::empty({channels, options.taps()}));
  } else if (options.kind() == FilterKind::Wavelet) {
    auto count = Wavelet(options.wavelet()).length() / 2;
    angles = register_parameter(
        "angles",
        options.shared() ? torch::empty({count})
                         : torch::empty({channels, count}));
    bands = register_parameter(
        "bands", torch::empty({channels, options.levels() + 2}));
  }
  reset_parameters();
}

void CausalFilterImpl::reset_parameters() {
  torch::NoGradGuard no_grad;
  if (taps.defined()) {
    taps.normal_(0, options.noise());
    taps.select(1, 0).add_(1);
  }
  if (angles.defined()) {
    angles.copy_(torch::tensor(
        Wavelet(options.wavelet()).angles(), torch::dtype(torch::kDouble)));
    bands.normal_(0, options.band_std());
    bands.select(1, 0).fill_(1);
  }
}

void CausalFilterImpl::pretty_print(std::ostream& stream) const {
  stream << "signalllm::CausalFilter(channels=" << options.channels()
         << ", kind=" << to_string(options.kind());
  if (options.kind() == FilterKind::Short) {
    stream << ", taps=" << options.taps();
  } else if (options.kind() == FilterKind::Wavelet) {
    stream << ", wavelet=" << options.wavelet()
           << ", levels=" << options.levels();
  }
  stream << ")";
}

std::pair<torch::Tensor, torch::Tensor> CausalFilterImpl::filters(
    const torch::TensorOptions& like) const {
  TORCH_CHECK(
      options.kind() == FilterKind::Wavelet,
      "CausalFilter::filters: only the kind wavelet has them, this is ",
      to_string(options.kind()));
  auto [lo, hi] = lattice_filters(angles.to(like));
  constexpr auto scale = 1 / std::numbers::sqrt2;
  return {lo * scale, hi * scale};
}

void CausalFilterImpl::check(const torch::Tensor& input) const {
  TORCH_CHECK(
      input.dim() == 3 && input.size(2) == options.channels(),
      "CausalFilter: input has shape ",
      input.sizes(),
      ", it must be [batch, length, ",
      options.channels(),
      "]");
}

torch::Tensor CausalFilterImpl::forward(const torch::Tensor& input) {
  check(input);
  const auto wide = at::toOpMathType(input.scalar_type());
  switch (options.kind()) {
    case FilterKind::None:
      return input;
    case FilterKind::Short:
      return ops::composite::causal_filter(input, taps.to(wide), 1);
    case FilterKind::Wavelet: {
      const auto [lo, hi] = filters(input.options().dtype(wide));
      return ops::composite::causal_wavelet_filter(
          input, lo, hi, bands.to(wide), 1);
    }
  }
  TORCH_INTERNAL_ASSERT(false);
}

torch::Tensor CausalFilterImpl::fused(const torch::Tensor& input) {
  if (options.kind() == FilterKind::None) {
    return forward(input);
  }
  check(input);
  const auto wide = at::toOpMathType(input.scalar_type());
  if (options.kind() == FilterKind::Short) {
    return ops::causal_filter(input, taps.to(wide));
  }
  const auto [lo, hi] = filters(input.options().dtype(wide));
  return ops::causal_wavelet_filter(input, lo, hi, bands.to(wide), 1);
}

std::vector<torch::Tensor> CausalFilterImpl::fused_parts(
    const torch::Tensor& input,
    int64_t parts) {
  if (options.kind() != FilterKind::Short || parts == 1) {
    return fused(input).chunk(parts, -1);
  }
  check(input);
  const auto wide = at::toOpMathType(input.scalar_type());
  return ops::causal_filter(input, taps.to(wide), parts).unbind(0);
}

torch::Tensor CausalFilterImpl::forward_incremental(
    const torch::Tensor& input,
    CausalFilterState& state) {
  check(input);
  if (options.kind() == FilterKind::None) {
    return input;
  }
  const auto x = input.to(at::toOpMathType(input.scalar_type()));
  const auto y = options.kind() == FilterKind::Short
      ? short_incremental(x, state)
      : wavelet_incremental(x, state);
  return y.to(input.scalar_type());
}

torch::Tensor CausalFilterImpl::short_incremental(
    const torch::Tensor& x,
    CausalFilterState& state) const {
  const auto past = options.taps() - 1;
  if (state.history.empty()) {
    state.weights = {taps.detach().to(x.scalar_type()).t().contiguous()};
    state.history = {at::zeros({x.size(0), past + 1, x.size(2)}, x.options())};
  }
  const auto& pending = state.history[0];
  const auto& rows = state.weights[0];
  const auto length = x.size(1);
  auto sums = length == 1 ? at::addcmul(pending, x, rows)
                          : dilated(
                                at::constant_pad_nd(x, {0, 0, past, past}),
                                rows.t(),
                                1,
                                length + past);
  if (length > 1) {
    sums.slice(1, 0, past).add_(pending.slice(1, 0, past));
  }
  pending.slice(1, 0, past)
      .copy_(sums.slice(1, length, length + past).detach());
  return sums.slice(1, 0, length);
}

torch::Tensor CausalFilterImpl::wavelet_incremental(
    const torch::Tensor& x,
    CausalFilterState& state) const {
  const auto length = x.size(1);
  if (state.weights.empty()) {
    const auto [lo, hi] = filters(x.options());
    state.weights = {
        lo.detach(), hi.detach(), bands.detach().to(x.scalar_type())};
    for (int64_t level = 0; level < options.levels(); ++level) {
      const auto reach = (lo.size(-1) - 1) << level;
      state.history.push_back(
          at::zeros({x.size(0), reach, x.size(2)}, x.options()));
    }
  }
  const auto& lo_filter = state.weights[0];
  const auto& hi_filter = state.weights[1];
  const auto& weight = state.weights[2];
  auto sum = x * weight.select(1, 0);
  auto lo = x;
  for (int64_t level = 0; level < options.levels(); ++level) {
    const auto dilation = int64_t{1} << level;
    const auto& history = state.history[static_cast<size_t>(level)];
    const auto all = at::cat({history, lo}, 1);
    history.copy_(all.slice(1, length).detach());
    const auto hi = dilated(all, hi_filter, dilation, length);
    sum = at::addcmul(sum, hi, weight.select(1, level + 1));
    lo = dilated(all, lo_filter, dilation, length);
  }
  return at::addcmul(sum, lo, weight.select(1, options.levels() + 1));
}

} // namespace signalllm

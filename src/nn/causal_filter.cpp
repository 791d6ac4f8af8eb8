#include <signalllm/nn/causal_filter.h>

#include "constants.h"
#include "nn/level_filters.h"
#include "ops/causal_filter.h"
#include "ops/causal_wavelet_filter.h"

#include <signalllm/ops/causal_filter.h>
#include <signalllm/ops/causal_wavelet_filter.h>

#include <ATen/OpMathType.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <numbers>
#include <numeric>

namespace signalllm {

CausalFilterOptions::CausalFilterOptions(int64_t channels)
    : channels_(channels) {}

namespace {

constexpr auto dc_gain_one = 1 / std::numbers::sqrt2;

/// What `of` gives for each wavelet as a tensor `[...]`, or `[J, ...]` for more
/// than one, in float64.
template <typename Of>
at::Tensor of_levels(const std::vector<Wavelet>& wavelets, Of of) {
  std::vector<at::Tensor> rows;
  for (const auto& wavelet : wavelets) {
    rows.push_back(torch::tensor(of(wavelet), torch::dtype(torch::kDouble)));
  }
  return rows.size() == 1 ? rows[0] : at::stack(rows);
}

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
    wavelets_ = wavelets_of_levels(options.wavelet());
    TORCH_CHECK(
        !by_level() ||
            static_cast<int64_t>(wavelets_.size()) == options.levels(),
        "CausalFilter: wavelet '",
        options.wavelet(),
        "' names ",
        wavelets_.size(),
        " for ",
        options.levels(),
        " levels; one for all, or one for each");
    const auto taps_of_one = wavelets_[0].length();
    std::vector<int64_t> shape;
    if (by_level()) {
      shape.push_back(options.levels());
    }
    if (options.filters() == FilterTraining::Fixed) {
      shape.push_back(taps_of_one);
      low = register_buffer("low", torch::empty(shape));
      high = register_buffer("high", torch::empty(shape));
    } else {
      if (options.filters() == FilterTraining::Learned && !options.shared()) {
        shape.push_back(channels);
      }
      shape.push_back(taps_of_one / 2);
      angles = register_parameter("angles", torch::empty(shape));
    }
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
  if (low.defined()) {
    const auto rows = [&](auto of) { return of_levels(wavelets_, of); };
    low.copy_(rows([](const Wavelet& w) { return w.rec_lo(); }) * dc_gain_one);
    // With the lattice's sign, so that all trainings start alike.
    high.copy_(
        rows([](const Wavelet& w) { return w.rec_hi(); }) * -dc_gain_one);
  }
  if (angles.defined()) {
    auto first = first_angles();
    const auto sums = first.sum(-1).reshape({-1});
    sums_.assign(
        sums.const_data_ptr<double>(),
        sums.const_data_ptr<double>() + sums.numel());
    if (angles.dim() > first.dim()) { // every channel's own
      first = first.unsqueeze(-2);
    }
    angles.copy_(first);
  }
  if (bands.defined()) {
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
    if (options.filters() != FilterTraining::Learned) {
      stream << ", filters=" << to_string(options.filters());
    }
  }
  stream << ")";
}

std::pair<torch::Tensor, torch::Tensor> CausalFilterImpl::filters(
    const torch::TensorOptions& like) const {
  TORCH_CHECK(
      options.kind() == FilterKind::Wavelet,
      "CausalFilter::filters: only the kind wavelet has them, this is ",
      to_string(options.kind()));
  if (low.defined()) {
    return {low.to(like), high.to(like)};
  }
  auto [lo, hi] = lattice_filters(lattice_angles().to(like));
  return {lo * dc_gain_one, hi * dc_gain_one};
}

torch::Tensor CausalFilterImpl::first_angles() const {
  return of_levels(wavelets_, [](const Wavelet& w) { return w.angles(); });
}

torch::Tensor CausalFilterImpl::lattice_angles() const {
  if (options.filters() != FilterTraining::Lattice || angles.size(-1) == 1) {
    return angles;
  }
  const auto wide = angles.to(at::toOpMathType(angles.scalar_type()));
  auto wanted = constant(sums_, wide.options().requires_grad(false));
  if (by_level()) {
    wanted = wanted.unsqueeze(-1);
  }
  return wide +
      (wanted - wide.sum(-1, /*keepdim=*/true)) /
      static_cast<double>(angles.size(-1));
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
      return by_level()
          ? level_filters(
                input, lo, hi, bands.to(wide), ops::composite::causal_filter)
          : ops::composite::causal_wavelet_filter(
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
  return by_level()
      ? level_filters(input, lo, hi, bands.to(wide), ops::causal_filter)
      : ops::causal_wavelet_filter(input, lo, hi, bands.to(wide), 1);
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
    const auto of_level = [&](const at::Tensor& bank) {
      return by_level() ? bank.select(0, level) : bank;
    };
    const auto& history = state.history[static_cast<size_t>(level)];
    const auto all = at::cat({history, lo}, 1);
    history.copy_(all.slice(1, length).detach());
    const auto hi = dilated(all, of_level(hi_filter), dilation, length);
    sum = at::addcmul(sum, hi, weight.select(1, level + 1));
    lo = dilated(all, of_level(lo_filter), dilation, length);
  }
  return at::addcmul(sum, lo, weight.select(1, options.levels() + 1));
}

} // namespace signalllm

#include <signalllm/functional/lifting.h>

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <utility>
#include <vector>

// With e[n] = sum_m he[m] x[2n + m], o likewise and the synthesis
// x[p] = sum_k ge[p - 2k] e[k] + go[p - 2k] o[k], a step o -= P e is
// ho[m] -= sum_j p_j he[m - 2j] and ge[m] += sum_j p_j go[m + 2j]; a step
// e += U o the same with the letters and the signs exchanged.

namespace signalllm::functional {
namespace {

/// Taps first, first + 1, ..: a filter with its place.
struct Placed {
  at::Tensor taps; // [..., n]
  int64_t first = 0;

  int64_t last() const {
    return first + taps.size(-1);
  }
  /// The taps from `from` to `to`, zeros where there are none.
  at::Tensor window(int64_t from, int64_t to) const {
    return at::constant_pad_nd(taps, {first - from, to - last()});
  }
};

/// y[m] + sum_j weights[.., j] x[m - shifts_j], shifts from `shift` on in
/// steps of `step`.
Placed add(
    const Placed& y,
    const Placed& x,
    const at::Tensor& weights,
    int64_t shift,
    int64_t step) {
  const int64_t count = weights.size(-1);
  const int64_t other = shift + step * (count - 1);
  const int64_t first = std::min(y.first, x.first + std::min(shift, other));
  const int64_t last = std::max(y.last(), x.last() + std::max(shift, other));
  auto sum = y.window(first, last);
  for (int64_t j = 0; j < count; ++j) {
    const int64_t by = shift + step * j;
    const Placed moved{x.taps, x.first + by};
    sum = sum + weights.narrow(-1, j, 1) * moved.window(first, last);
  }
  return {sum, first};
}

std::vector<double> numbers(const at::Tensor& filter) {
  const auto f = filter.contiguous();
  return {f.const_data_ptr<double>(), f.const_data_ptr<double>() + f.numel()};
}

} // namespace

FilterBank lifting_filters(const at::Tensor& steps, const at::Tensor& scale) {
  TORCH_CHECK(
      (steps.dim() == 2 || steps.dim() == 3) && steps.size(-1) >= 1 &&
          steps.size(-2) >= 1,
      "lifting_filters: steps is ",
      steps.sizes(),
      "; allowed: [count, width] or [channels, count, width], count and width "
      "at least 1");
  const bool per_channel = steps.dim() == 3;
  TORCH_CHECK(
      scale.dim() == 0 || scale.numel() == 1 ||
          (per_channel && scale.dim() == 1 && scale.size(0) == steps.size(0)),
      "lifting_filters: scale is ",
      scale.sizes(),
      "; allowed: one value, or [channels] beside steps [channels, count, "
      "width]");
  const int64_t count = steps.size(-2), width = steps.size(-1);
  const auto one = per_channel ? at::ones({steps.size(0), 1}, steps.options())
                               : at::ones({1}, steps.options());
  Placed he{one, 0}, ho{one, 1}, ge{one, 0}, go{one, 1};
  for (int64_t i = 0; i < count; ++i) {
    const auto step = steps.select(-2, i);
    if (i % 2 == 0) {
      const int64_t begin = -2 * ((width - 1) / 2);
      ho = add(ho, he, -step, begin, 2);
      ge = add(ge, go, step, -begin, -2);
    } else {
      const int64_t begin = -2 * (width / 2);
      he = add(he, ho, step, begin, 2);
      go = add(go, ge, -step, -begin, -2);
    }
  }
  // Tap j of an analysis filter is m = 2s + 1 - j, tap t of a synthesis filter
  // m = t - taps + 2 + 2s: both are the window [2s + 2 - taps, 2s + 2).
  const auto all = {he, ho, ge, go};
  int64_t first = 0, last = 0;
  for (const auto& f : all) {
    first = std::min(first, f.first);
    last = std::max(last, f.last());
  }
  const int64_t end = (last + 1) / 2 * 2;
  const int64_t begin = first - (end - first) % 2;
  const auto k = scale.to(steps.scalar_type());
  const auto factor = per_channel && k.numel() > 1 ? k.unsqueeze(-1) : k;
  return {
      (he.window(begin, end) * factor).flip(-1),
      (ho.window(begin, end) / factor).flip(-1),
      ge.window(begin, end) / factor,
      go.window(begin, end) * factor};
}

Wavelet
lifting_wavelet(const at::Tensor& steps, double scale, std::string name) {
  TORCH_CHECK(
      steps.dim() == 2,
      "lifting_wavelet: steps is ",
      steps.sizes(),
      "; allowed: [count, width]");
  TORCH_CHECK(scale != 0, "lifting_wavelet: scale is 0; it must not be");
  const auto bank = lifting_filters(
      steps.detach().to(at::kCPU, at::kDouble),
      at::scalar_tensor(scale, at::kDouble));
  return Wavelet::from_filters(
      numbers(bank.dec_lo),
      numbers(bank.dec_hi),
      numbers(bank.rec_lo),
      numbers(bank.rec_hi),
      std::move(name));
}

} // namespace signalllm::functional

#include <signalllm/functional/threshold.h>

#include <signalllm/functional.h>

#include "ops/signal.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/WrapDimUtils.h>
#include <c10/util/Exception.h>

#include <cmath>

namespace signalllm::functional {
namespace {

enum class Shrinking { soft, hard, garrote };

Shrinking parse_kind(std::string_view op, std::string_view kind) {
  if (kind == "soft") {
    return Shrinking::soft;
  }
  if (kind == "hard") {
    return Shrinking::hard;
  }
  TORCH_CHECK(
      kind == "garrote",
      op,
      ": kind '",
      kind,
      "' is unknown; allowed: soft, hard, garrote");
  return Shrinking::garrote;
}

void check_value(std::string_view op, double value) {
  TORCH_CHECK(value >= 0, op, ": value ", value, " is not allowed; at least 0");
}

at::Tensor
shrink(const at::Tensor& x, const at::Tensor& value, Shrinking kind) {
  const auto magnitude = x.abs();
  switch (kind) {
    case Shrinking::soft:
      return x.sign() * (magnitude - value).clamp_min(0);
    case Shrinking::hard:
      return at::where(magnitude >= value, x, at::zeros_like(x));
    case Shrinking::garrote: {
      // The quotient only where it is wanted: 0 has no gradient there.
      const auto kept = magnitude > value;
      const auto safe = at::where(kept, x, at::ones_like(x));
      return at::where(kept, x - value * value / safe, at::zeros_like(x));
    }
  }
  return x;
}

} // namespace

at::Tensor threshold(
    const at::Tensor& input,
    const at::Tensor& value,
    std::string_view kind) {
  return shrink(input, value, parse_kind("threshold", kind));
}

at::Tensor
threshold(const at::Tensor& input, double value, std::string_view kind) {
  const auto parsed = parse_kind("threshold", kind);
  check_value("threshold", value);
  return shrink(input, at::scalar_tensor(value, input.options()), parsed);
}

at::Tensor noise_level(const at::Tensor& detail, int64_t dim) {
  constexpr double kNormalMedian = 0.6745;
  const int64_t axis = at::maybe_wrap_dim(dim, detail.dim());
  const int64_t n = detail.size(axis);
  TORCH_CHECK(
      n >= 1, "noise_level: detail is empty along dim ", dim, "; at least 1");
  const auto magnitude =
      detail.to(ops::accumulate_type(detail.scalar_type())).abs();
  const auto middle = [&](int64_t k) {
    return std::get<0>(at::kthvalue(magnitude, k, axis, true));
  };
  auto median = middle((n + 1) / 2);
  if (n % 2 == 0) {
    median = (median + middle(n / 2 + 1)) / 2;
  }
  return median / kNormalMedian;
}

at::Tensor denoise(
    const at::Tensor& input,
    const Wavelet& wavelet,
    int64_t level,
    std::string_view kind,
    std::optional<double> value,
    std::string_view mode,
    int64_t dim) {
  const auto parsed = parse_kind("denoise", kind);
  if (value) {
    check_value("denoise", *value);
  }
  const auto type = ops::accumulate_type(input.scalar_type());
  auto coeffs = wavedec(input.to(type), wavelet, level, mode, dim);
  const int64_t length = input.size(dim);
  at::Tensor limit;
  if (value) {
    limit = at::scalar_tensor(*value, coeffs[0].options());
  } else if (coeffs.size() > 1) {
    limit = noise_level(coeffs.back(), dim) *
        std::sqrt(2 * std::log(static_cast<double>(length)));
  }
  for (size_t i = 1; i < coeffs.size(); ++i) {
    coeffs[i] = shrink(coeffs[i], limit, parsed);
  }
  return waverec(coeffs, wavelet, mode, dim, length).to(input.scalar_type());
}

} // namespace signalllm::functional

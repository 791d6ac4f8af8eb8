#include <signalllm/functional.h>

#include "constants.h"
#include "ops/signal.h"

#include <ATen/TensorOperators.h>
#include <c10/util/Exception.h>

namespace signalllm::functional {
namespace {

/// Filters are kept in the dtype that sums are.
at::TensorOptions filter_options(const at::Tensor& input) {
  return input.options().dtype(ops::accumulate_type(input.scalar_type()));
}

int64_t wrapped(int64_t dim, const at::Tensor& t) {
  return dim < 0 ? dim + t.dim() : dim;
}

} // namespace

int64_t max_level(int64_t length, int64_t taps) {
  TORCH_CHECK(
      length >= 0 && taps >= 2,
      "max_level: length ",
      length,
      " and taps ",
      taps,
      " are not allowed; length >= 0, taps >= 2");
  return ops::max_level(length, taps);
}

int64_t max_level(int64_t length, const Wavelet& wavelet) {
  return max_level(length, wavelet.length());
}

int64_t dwt_coeff_len(int64_t length, int64_t taps, std::string_view mode) {
  return wavedec_lengths(length, taps, 1, mode)[0];
}

std::vector<int64_t> wavedec_lengths(
    int64_t length,
    int64_t taps,
    int64_t level,
    std::string_view mode) {
  TORCH_CHECK(
      length >= 1 && taps >= 2,
      "wavedec_lengths: length ",
      length,
      " and taps ",
      taps,
      " are not allowed; length >= 1, taps >= 2");
  const auto lengths = ops::analysis_lengths(
      "wavedec_lengths",
      ops::parse_mode("wavedec_lengths", mode),
      length,
      taps,
      level);
  std::vector<int64_t> out{lengths.back()};
  for (size_t l = lengths.size() - 1; l > 0; --l) {
    out.push_back(lengths[l]);
  }
  return out;
}

std::pair<at::Tensor, at::Tensor> dwt(
    const at::Tensor& input,
    const Wavelet& wavelet,
    std::string_view mode,
    int64_t dim) {
  auto coeffs = wavedec(input, wavelet, 1, mode, dim);
  return {std::move(coeffs[0]), std::move(coeffs[1])};
}

at::Tensor idwt(
    const at::Tensor& approximation,
    const at::Tensor& detail,
    const Wavelet& wavelet,
    std::string_view mode,
    int64_t dim,
    std::optional<int64_t> length) {
  return waverec({approximation, detail}, wavelet, mode, dim, length);
}

std::vector<at::Tensor> wavedec(
    const at::Tensor& input,
    const Wavelet& wavelet,
    int64_t level,
    std::string_view mode,
    int64_t dim) {
  const auto lo = constant(wavelet.dec_lo(), filter_options(input));
  const auto hi = constant(wavelet.dec_hi(), filter_options(input));
  return ops::wavedec(input, lo, hi, level, mode, dim);
}

at::Tensor waverec(
    at::TensorList coeffs,
    const Wavelet& wavelet,
    std::string_view mode,
    int64_t dim,
    std::optional<int64_t> length) {
  TORCH_CHECK(
      !coeffs.empty(), "waverec: coeffs is empty; it must hold at least cA");
  const auto lo = constant(wavelet.rec_lo(), filter_options(coeffs[0]));
  const auto hi = constant(wavelet.rec_hi(), filter_options(coeffs[0]));
  const auto y = ops::waverec(coeffs, lo, hi, mode, dim);
  if (!length.has_value()) {
    return y;
  }
  const int64_t axis = wrapped(dim, y);
  TORCH_CHECK(
      *length == y.size(axis) || *length == y.size(axis) - 1,
      "waverec: length ",
      *length,
      " does not fit these coefficients; allowed: ",
      y.size(axis) - 1,
      " or ",
      y.size(axis));
  return y.narrow(axis, 0, *length);
}

std::vector<at::Tensor> swt(
    const at::Tensor& input,
    const Wavelet& wavelet,
    int64_t level,
    int64_t dim) {
  const auto lo = constant(wavelet.dec_lo(), filter_options(input));
  const auto hi = constant(wavelet.dec_hi(), filter_options(input));
  return ops::swt(input, lo, hi, level, dim);
}

at::Tensor iswt(at::TensorList coeffs, const Wavelet& wavelet, int64_t dim) {
  TORCH_CHECK(
      !coeffs.empty(), "iswt: coeffs is empty; it must hold at least cA");
  const auto lo = constant(wavelet.rec_lo(), filter_options(coeffs[0]));
  const auto hi = constant(wavelet.rec_hi(), filter_options(coeffs[0]));
  return ops::iswt(coeffs, lo, hi, dim);
}

at::Tensor causal_waverec(at::TensorList coeffs) {
  TORCH_CHECK(
      !coeffs.empty(),
      "causal_waverec: coeffs is empty; it must hold at least a_J");
  auto y = coeffs[0];
  for (const auto& d : coeffs.slice(1)) {
    y = y + d;
  }
  return y;
}

} // namespace signalllm::functional

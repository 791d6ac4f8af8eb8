#include <signalllm/functional.h>

#include "constants.h"
#include "ops/signal.h"

#include <ATen/TensorOperators.h>
#include <c10/util/Exception.h>

#include <cmath>

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

namespace {

/// What `modwt` is behind `swt` at the same level: each level's filters are
/// centred there, so that they reach taps / 2 dilations ahead.
at::Tensor delayed(
    const at::Tensor& coefficient,
    int64_t level,
    int64_t taps,
    int64_t dim,
    bool back) {
  const int64_t length = coefficient.size(dim);
  if (length == 0) {
    return coefficient; // the operator says what is wrong
  }
  int64_t shift = 0, dilation = 1 % length;
  for (int64_t l = 0; l < level; ++l) {
    shift = (shift + taps / 2 % length * dilation) % length;
    dilation = 2 * dilation % length;
  }
  return shift == 0 ? coefficient
                    : coefficient.roll(back ? -shift : shift, dim);
}

/// A filter from its last tap to its first, times `factor`.
at::Tensor reversed(
    const std::vector<double>& filter,
    double factor,
    const at::Tensor& like) {
  std::vector<double> taps(filter.rbegin(), filter.rend());
  for (auto& tap : taps) {
    tap *= factor;
  }
  return constant(taps, filter_options(like));
}

} // namespace

std::vector<at::Tensor> modwt(
    const at::Tensor& input,
    const Wavelet& wavelet,
    int64_t level,
    int64_t dim) {
  const double scale = std::sqrt(0.5);
  auto out = ops::swt(
      input,
      reversed(wavelet.dec_lo(), scale, input),
      reversed(wavelet.dec_hi(), scale, input),
      level,
      dim);
  const auto levels = static_cast<int64_t>(out.size()) - 1;
  for (int64_t i = 0; i <= levels; ++i) {
    out[i] = delayed(
        out[i], i == 0 ? levels : levels - i + 1, wavelet.length(), dim, false);
  }
  return out;
}

at::Tensor imodwt(at::TensorList coeffs, const Wavelet& wavelet, int64_t dim) {
  TORCH_CHECK(
      !coeffs.empty(), "imodwt: coeffs is empty; it must hold at least V_J");
  const auto levels = static_cast<int64_t>(coeffs.size()) - 1;
  std::vector<at::Tensor> ahead;
  for (int64_t i = 0; i <= levels; ++i) {
    ahead.push_back(delayed(
        coeffs[i],
        i == 0 ? levels : levels - i + 1,
        wavelet.length(),
        dim,
        true));
  }
  const double scale = std::sqrt(2.0); // iswt halves
  return ops::iswt(
      ahead,
      reversed(wavelet.rec_lo(), scale, coeffs[0]),
      reversed(wavelet.rec_hi(), scale, coeffs[0]),
      dim);
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

#include <signalllm/nn/wavelet_transform.h>

#include "constants.h"
#include "ops/causal_wavedec.h"
#include "ops/metal.h"
#include "ops/wavedec.h"
#include "ops/waverec.h"
#include "text.h"

#include <signalllm/functional.h>

#include <ATen/OpMathType.h>

#include <algorithm>
#include <numbers>

namespace signalllm {

WaveletTransformOptions::WaveletTransformOptions(Wavelet wavelet)
    : wavelet_(std::move(wavelet)) {}

namespace {

at::TensorOptions wide(const at::TensorOptions& like) {
  return like.dtype(at::toOpMathType(like.dtype().toScalarType()));
}

at::Tensor causal_low_pass(const at::Tensor& rec_lo) {
  return rec_lo * (1 / std::numbers::sqrt2);
}

} // namespace

WaveletTransformImpl::WaveletTransformImpl(
    const WaveletTransformOptions& options_)
    : options(options_) {
  TORCH_CHECK(
      options.level() >= (options.causal() ? 0 : -1),
      "WaveletTransform: level is ",
      options.level(),
      options.causal() ? ", it must not be negative with causal(true)"
                       : ", it must be at least -1");
  TORCH_CHECK(
      std::find(modes().begin(), modes().end(), options.mode()) !=
          modes().end(),
      "WaveletTransform: mode '",
      options.mode(),
      "' is unknown; did you mean '",
      nearest(options.mode(), modes()),
      "'? Allowed: ",
      join(modes()));
  TORCH_CHECK(
      options.channels() >= 0 && (options.learned() || options.channels() == 0),
      "WaveletTransform: channels is ",
      options.channels(),
      ", filters of one's own per channel need learned(true)");
  reset();
}

void WaveletTransformImpl::reset() {
  if (!options.learned()) {
    return;
  }
  const auto count = options.wavelet().length() / 2;
  angles = register_parameter(
      "angles",
      options.channels() == 0 ? torch::empty({count})
                              : torch::empty({options.channels(), count}));
  reset_parameters();
}

void WaveletTransformImpl::reset_parameters() {
  torch::NoGradGuard no_grad;
  if (angles.defined()) {
    angles.copy_(torch::tensor(
        options.wavelet().angles(), torch::dtype(torch::kDouble)));
  }
}

void WaveletTransformImpl::print(std::ostream& stream, const char* name) const {
  stream << "signalllm::" << name << "(wavelet=" << options.wavelet().name()
         << ", level=" << options.level();
  if (!options.causal()) {
    stream << ", mode=" << options.mode();
  }
  stream << ", causal=" << std::boolalpha << options.causal()
         << ", learned=" << options.learned() << ")";
}

void WaveletTransformImpl::pretty_print(std::ostream& stream) const {
  if (const auto* twin = this->twin()) {
    return twin->pretty_print(stream);
  }
  print(stream, "WaveletTransform");
}

std::pair<torch::Tensor, torch::Tensor> WaveletTransformImpl::analysis(
    const torch::TensorOptions& like) const {
  if (!angles.defined()) {
    const auto& wavelet = options.wavelet();
    return {
        constant(wavelet.dec_lo(), wide(like)),
        constant(wavelet.dec_hi(), wide(like))};
  }
  const auto [lo, hi] = lattice_filters(angles.to(wide(like)));
  return {lo.flip(-1), hi.flip(-1)};
}

std::pair<torch::Tensor, torch::Tensor> WaveletTransformImpl::synthesis(
    const torch::TensorOptions& like) const {
  if (!angles.defined()) {
    const auto& wavelet = options.wavelet();
    return {
        constant(wavelet.rec_lo(), wide(like)),
        constant(wavelet.rec_hi(), wide(like))};
  }
  return lattice_filters(angles.to(wide(like)));
}

std::vector<torch::Tensor> WaveletTransformImpl::forward(
    const torch::Tensor& input) {
  if (auto* twin = this->twin()) {
    return twin->forward(input);
  }
  if (options.causal()) {
    const auto lo = causal_low_pass(synthesis(input.options()).first);
    return ops::composite::causal_wavedec(
        input, lo, options.level(), options.dim());
  }
  const auto [lo, hi] = analysis(input.options());
  return ops::composite::wavedec(
      input, lo, hi, options.level(), options.mode(), options.dim());
}

torch::Tensor WaveletTransformImpl::inverse(
    const std::vector<torch::Tensor>& coefficients,
    int64_t length) {
  if (auto* twin = this->twin()) {
    return twin->inverse(coefficients, length);
  }
  return invert(coefficients, length, ops::composite::waverec);
}

torch::Tensor WaveletTransformImpl::invert(
    const std::vector<torch::Tensor>& coefficients,
    int64_t length,
    Waverec waverec) const {
  TORCH_CHECK(
      !coefficients.empty(),
      "WaveletTransform::inverse: there are no coefficients");
  torch::Tensor signal;
  if (options.causal()) {
    signal = functional::causal_waverec(coefficients);
  } else {
    const auto [lo, hi] = synthesis(coefficients[0].options());
    signal = waverec(coefficients, lo, hi, options.mode(), options.dim());
  }
  const auto given = signal.size(options.dim());
  TORCH_CHECK(
      length == given || (!options.causal() && length == given - 1),
      "WaveletTransform::inverse: length is ",
      length,
      ", these coefficients are of a signal of ",
      options.causal() ? "" : std::to_string(given - 1) + " or ",
      given);
  // The narrow's gradient would be a copy.
  return length == given ? signal : signal.narrow(options.dim(), 0, length);
}

void MPSWaveletTransformImpl::pretty_print(std::ostream& stream) const {
  print(stream, "MPSWaveletTransform");
}

std::vector<torch::Tensor> MPSWaveletTransformImpl::forward(
    const torch::Tensor& input) {
  if (!ops::has_kernels(input)) {
    return WaveletTransformImpl::forward(input);
  }
  if (options.causal()) {
    const auto lo = causal_low_pass(synthesis(input.options()).first);
    return ops::causal_wavedec(input, lo, options.level(), options.dim());
  }
  const auto [lo, hi] = analysis(input.options());
  return ops::wavedec(
      input, lo, hi, options.level(), options.mode(), options.dim());
}

torch::Tensor MPSWaveletTransformImpl::inverse(
    const std::vector<torch::Tensor>& coefficients,
    int64_t length) {
  const bool kernels =
      coefficients.empty() || ops::has_kernels(coefficients[0]);
  return invert(
      coefficients, length, kernels ? ops::waverec : ops::composite::waverec);
}

} // namespace signalllm

#include "bank/transform.h"
#include "convolution/fft_conv.h"
#include "convolution/fft_long_convolution.h"

#include "ops/gated_fft_conv.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

#include <algorithm>

namespace signalllm::cuda {
namespace {

/// [N, L, C] signals as rows of the sequence, [N, C, stride], between the two
/// transposing passes.
class Convolution {
 public:
  explicit Convolution(const at::Tensor& like)
      : like_(like), type_(dtype_of(like.scalar_type())), batch_(like.size(0)),
        length_(like.size(1)), channels_(like.size(2)),
        // Rows begin on 16 bytes.
        stride_((length_ + 7) / 8 * 8) {}

  /// Whether the kernels take this: otherwise cuFFT, through ATen.
  static bool takes(const at::Tensor& x) {
    return x.scalar_type() != at::kDouble && x.numel() > 0 &&
        fft_log(x.size(1)) > 0 && x.size(0) < 65536 &&
        x.numel() < (int64_t{1} << 40) && x.size(2) < (1 << 24);
  }

  /// Rows of x (times gate).
  at::Tensor rows(const at::Tensor& x, const at::Tensor& gate = {}) const {
    auto out = at::empty({batch_, channels_, stride_}, like_.options());
    TransposeParams p;
    p.in = x.const_data_ptr();
    p.gate_in = gate.defined() ? gate.const_data_ptr() : nullptr;
    p.out = out.mutable_data_ptr();
    p.batch = batch_;
    p.rows = static_cast<int>(length_);
    p.columns = static_cast<int>(channels_);
    p.in_stride = channels_;
    p.out_stride = stride_;
    C10_CUDA_CHECK(launch(p, type_, current_stream()));
    return out;
  }

  /// The inverse of `rows`.
  at::Tensor signal(const at::Tensor& rows, const at::Tensor& gate = {}) const {
    auto out = at::empty({batch_, length_, channels_}, like_.options());
    TransposeParams p;
    p.in = rows.const_data_ptr();
    p.gate_out = gate.defined() ? gate.const_data_ptr() : nullptr;
    p.out = out.mutable_data_ptr();
    p.batch = batch_;
    p.rows = static_cast<int>(channels_);
    p.columns = static_cast<int>(length_);
    p.in_stride = stride_;
    p.out_stride = channels_;
    C10_CUDA_CHECK(launch(p, type_, current_stream()));
    return out;
  }

  at::Tensor spectrum(
      const at::Tensor& kernel,
      const std::optional<at::Tensor>& skip) const {
    const int log = fft_log(length_);
    auto out = at::empty(
        {channels_, int64_t{1} << log, 2}, kernel.options().dtype(at::kFloat));
    // Rows of taps, so that the transform reads them as it reads signals.
    const int64_t taps = std::min(kernel.size(0), length_);
    const int64_t stride = (taps + 7) / 8 * 8;
    const auto k = kernel.to(at::kFloat).contiguous();
    auto rows = at::empty({channels_, stride}, k.options());
    TransposeParams turn;
    turn.in = k.const_data_ptr();
    turn.out = rows.mutable_data_ptr();
    turn.batch = 1;
    turn.rows = static_cast<int>(taps);
    turn.columns = static_cast<int>(channels_);
    turn.in_stride = channels_;
    turn.out_stride = stride;
    C10_CUDA_CHECK(launch(turn, Dtype::float32, current_stream()));
    const auto d = skip ? skip->to(at::kFloat).contiguous() : at::Tensor();
    SpectrumParams p;
    p.kernel = rows.const_data_ptr<float>();
    p.stride = stride;
    p.skip = skip ? d.const_data_ptr<float>() : nullptr;
    p.spectrum = out.mutable_data_ptr<float>();
    p.taps = static_cast<int>(taps);
    p.channels = static_cast<int>(channels_);
    C10_CUDA_CHECK(launch(p, log, current_stream()));
    return out;
  }

  /// Convolves rows into `out`, which may be the same.
  void convolve(
      const at::Tensor& rows,
      at::Tensor& out,
      at::Tensor& spectrum,
      bool causal,
      bool reversed) const {
    ConvParams p;
    p.input = rows.const_data_ptr();
    p.output = out.mutable_data_ptr();
    p.spectrum = spectrum.mutable_data_ptr<float>();
    p.batch = batch_;
    p.stride = stride_;
    p.channels = static_cast<int>(channels_);
    p.length = static_cast<int>(length_);
    p.causal = causal;
    p.reversed = reversed;
    C10_CUDA_CHECK(launch(p, type_, current_stream()));
  }

  /// (grad_kernel like `kernel`, grad_skip).
  std::pair<at::Tensor, at::Tensor> kernel_gradient(
      const at::Tensor& x,
      const at::Tensor& g,
      const at::Tensor& kernel,
      const std::optional<at::Tensor>& skip,
      bool causal) const {
    const int64_t taps = std::min(kernel.size(0), length_);
    auto out = at::empty({taps, channels_}, kernel.options().dtype(at::kFloat));
    KernelGradientParams p;
    p.input = x.const_data_ptr();
    p.grad = g.const_data_ptr();
    p.out = out.mutable_data_ptr<float>();
    p.batch = batch_;
    p.stride = stride_;
    p.channels = static_cast<int>(channels_);
    p.length = static_cast<int>(length_);
    p.taps = static_cast<int>(taps);
    p.causal = causal;
    C10_CUDA_CHECK(launch(p, type_, current_stream()));
    // The gradient of the tap at lag 0 is the skip's.
    auto gs =
        out[0].clone().to(skip ? skip->scalar_type() : kernel.scalar_type());
    if (taps < kernel.size(0)) {
      out = at::constant_pad_nd(out, {0, 0, 0, kernel.size(0) - taps});
    }
    return {out.to(kernel.scalar_type()), gs};
  }

 private:
  at::Tensor like_;
  Dtype type_;
  int64_t batch_, length_, channels_, stride_;
};

at::Tensor fft_conv(
    const at::Tensor& input,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip,
    bool causal) {
  ops::check_fft_conv("fft_conv", input, kernel, skip, causal);
  const c10::cuda::CUDAGuard guard(input.device());
  if (takes_long_convolution(input, causal)) {
    return long_convolution(input, {}, {}, kernel, skip);
  }
  if (!Convolution::takes(input)) {
    return ops::composite::fft_conv(input, kernel, skip, causal);
  }
  const Convolution conv(input);
  auto h = conv.spectrum(kernel, skip);
  auto rows = conv.rows(input.contiguous());
  conv.convolve(rows, rows, h, causal, false);
  return conv.signal(rows);
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> fft_conv_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip,
    bool causal) {
  ops::check_fft_conv("fft_conv_backward", input, kernel, skip, causal);
  const bool alike = grad.sizes() == input.sizes() &&
      grad.scalar_type() == input.scalar_type() &&
      grad.device() == input.device();
  const c10::cuda::CUDAGuard guard(input.device());
  if (alike && takes_long_convolution(input, causal)) {
    const auto [gx, gate_in, gate_out, gk, gs] =
        long_convolution_backward(grad, input, {}, {}, kernel, skip);
    return {gx, gk, gs};
  }
  if (!alike || !Convolution::takes(input)) {
    return ops::composite::fft_conv_backward(grad, input, kernel, skip, causal);
  }
  const Convolution conv(input);
  auto h = conv.spectrum(kernel, skip);
  const auto x = conv.rows(input.contiguous());
  auto g = conv.rows(grad.contiguous());
  const auto [gk, gs] = conv.kernel_gradient(x, g, kernel, skip, causal);
  conv.convolve(g, g, h, causal, true);
  return {conv.signal(g), gk, gs};
}

at::Tensor gated_fft_conv(
    const at::Tensor& input,
    const at::Tensor& gate_in,
    const at::Tensor& gate_out,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip) {
  ops::check_gated_fft_conv(
      "gated_fft_conv", input, gate_in, gate_out, kernel, skip);
  const c10::cuda::CUDAGuard guard(input.device());
  if (takes_long_convolution(input, true)) {
    return long_convolution(input, gate_in, gate_out, kernel, skip);
  }
  if (!Convolution::takes(input)) {
    return ops::composite::gated_fft_conv(
        input, gate_in, gate_out, kernel, skip);
  }
  const Convolution conv(input);
  auto h = conv.spectrum(kernel, skip);
  auto rows = conv.rows(input.contiguous(), gate_in.contiguous());
  conv.convolve(rows, rows, h, true, false);
  return conv.signal(rows, gate_out.contiguous());
}

ops::FiveTensors gated_fft_conv_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& gate_in,
    const at::Tensor& gate_out,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip) {
  ops::check_gated_fft_conv(
      "gated_fft_conv_backward", input, gate_in, gate_out, kernel, skip);
  const bool alike = grad.sizes() == input.sizes() &&
      grad.scalar_type() == input.scalar_type() &&
      grad.device() == input.device();
  const c10::cuda::CUDAGuard guard(input.device());
  if (alike && takes_long_convolution(input, true)) {
    return long_convolution_backward(
        grad, input, gate_in, gate_out, kernel, skip);
  }
  if (!alike || !Convolution::takes(input)) {
    return ops::composite::gated_fft_conv_backward(
        grad, input, gate_in, gate_out, kernel, skip);
  }
  const Convolution conv(input);
  auto h = conv.spectrum(kernel, skip);
  const auto dy = grad.contiguous(), x = input.contiguous();
  const auto u = conv.rows(x, gate_in.contiguous());
  auto g = conv.rows(dy, gate_out.contiguous());
  const auto [gk, gs] = conv.kernel_gradient(u, g, kernel, skip, true);
  auto y = u;
  conv.convolve(u, y, h, true, false);
  const auto grad_out = conv.signal(y, dy);
  conv.convolve(g, g, h, true, true);
  return {
      conv.signal(g, gate_in.contiguous()),
      conv.signal(g, x),
      grad_out,
      gk,
      gs};
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, CUDA, m) {
  m.impl("fft_conv", &fft_conv);
  m.impl("fft_conv_backward", &fft_conv_backward);
  m.impl("gated_fft_conv", &gated_fft_conv);
  m.impl("gated_fft_conv_backward", &gated_fft_conv_backward);
}

} // namespace signalllm::cuda

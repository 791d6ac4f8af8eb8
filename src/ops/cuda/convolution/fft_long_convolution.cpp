#include "fft_long_convolution.h"
#include "fft_long.h"
#include "ops/cuda/bank/transform.h"

#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAException.h>

#include <algorithm>

namespace signalllm::cuda {
namespace {

constexpr int64_t kScratchBytes = 32 << 20;

class LongConvolution {
 public:
  LongConvolution(
      const at::Tensor& input,
      const at::Tensor& kernel,
      const std::optional<at::Tensor>& skip,
      int64_t arrays)
      : type_(dtype_of(input.scalar_type())), batch_(input.size(0)),
        length_(input.size(1)), channels_(input.size(2)),
        log_(fft_long_log(length_)), taps_(std::min(kernel.size(0), length_)),
        kernel_(kernel.narrow(0, 0, taps_).to(at::kFloat).contiguous()),
        skip_(skip ? skip->to(at::kFloat).contiguous() : at::Tensor()) {
    const int64_t bytes = int64_t{8} << log_; // of a channel's row
    const int64_t fits = kScratchBytes / (bytes * arrays * (batch_ + 1));
    group_ = std::min(
        std::max<int64_t>(fits / kColumnTile, 1) * kColumnTile, channels_);
  }

  int64_t group() const {
    return group_;
  }
  int64_t channels() const {
    return channels_;
  }
  int64_t taps() const {
    return taps_;
  }
  /// [entries][group][n][2].
  at::Tensor scratch(int64_t entries) const {
    return at::empty(
        {entries, group_, int64_t{1} << log_, 2}, kernel_.options());
  }

  /// The columns of a signal's group of channels from `first` on.
  ColumnsParams columns(const at::Tensor& rows, int64_t first) const {
    ColumnsParams p;
    p.rows = static_cast<float*>(rows.data_ptr());
    p.batch = batch_;
    p.channels = static_cast<int>(channels_);
    p.first = static_cast<int>(first);
    p.count = count(first);
    p.length = p.limit = static_cast<int>(length_);
    // Each of the two inverse passes is unscaled.
    p.scale = 1.f / static_cast<float>(int64_t{1} << log_);
    return p;
  }
  void in(const ColumnsParams& p) const {
    C10_CUDA_CHECK(columns_in(p, log_, type_, current_stream()));
  }
  void out(const ColumnsParams& p) const {
    C10_CUDA_CHECK(columns_out(p, log_, type_, current_stream()));
  }

  RowsParams rows(const at::Tensor& spectrum, int64_t first) const {
    RowsParams p;
    p.spectrum = static_cast<float*>(spectrum.data_ptr());
    p.batch = static_cast<int>(batch_);
    p.count = count(first);
    return p;
  }
  int log() const {
    return log_;
  }

  void transform_kernel(const at::Tensor& spectrum, int64_t first) const {
    auto p = columns(spectrum, first);
    p.input = kernel_.const_data_ptr();
    p.skip = skip_.defined() ? skip_.const_data_ptr<float>() : nullptr;
    p.batch = 1;
    p.length = p.limit = static_cast<int>(taps_);
    C10_CUDA_CHECK(columns_in(p, log_, Dtype::float32, current_stream()));
    C10_CUDA_CHECK(
        rows_spectrum(rows(spectrum, first), log_, current_stream()));
  }
  /// Value i is the gradient of tap length - 1 - i.
  void kernel_gradient(
      const at::Tensor& gradient,
      at::Tensor& out,
      int64_t first) const {
    auto p = columns(gradient, first);
    p.output = out.mutable_data_ptr();
    p.batch = 1;
    p.limit = static_cast<int>(taps_);
    p.reversed = true;
    C10_CUDA_CHECK(columns_out(p, log_, Dtype::float32, current_stream()));
  }

 private:
  int count(int64_t first) const {
    return static_cast<int>(std::min(group_, channels_ - first));
  }

  Dtype type_;
  int64_t batch_, length_, channels_;
  int log_;
  int64_t taps_;
  at::Tensor kernel_, skip_;
  int64_t group_ = 0;
};

const void* data(const at::Tensor& t) {
  return t.defined() ? t.const_data_ptr() : nullptr;
}
at::Tensor contiguous(const at::Tensor& t) {
  return t.defined() ? t.contiguous() : t;
}

} // namespace

bool takes_long_convolution(const at::Tensor& input, bool causal) {
  return causal && input.scalar_type() != at::kDouble && input.numel() > 0 &&
      fft_long_log(input.size(1)) > 0 && input.size(0) < 65536 &&
      input.numel() < (int64_t{1} << 40) && input.size(2) < (1 << 20);
}

at::Tensor long_convolution(
    const at::Tensor& input,
    const at::Tensor& gate_in,
    const at::Tensor& gate_out,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip) {
  const LongConvolution conv(input, kernel, skip, 1);
  const auto x = input.contiguous();
  const auto before = contiguous(gate_in), after = contiguous(gate_out);
  auto out = at::empty(x.sizes(), x.options());
  const auto rows = conv.scratch(x.size(0)), spectrum = conv.scratch(1);
  for (int64_t c = 0; c < conv.channels(); c += conv.group()) {
    conv.transform_kernel(spectrum, c);
    auto p = conv.columns(rows, c);
    p.input = x.const_data_ptr();
    p.gate = data(before);
    conv.in(p);
    auto r = conv.rows(spectrum, c);
    r.rows = p.rows;
    C10_CUDA_CHECK(rows_convolve(r, conv.log(), current_stream()));
    p.gate = data(after);
    p.output = out.mutable_data_ptr();
    conv.out(p);
  }
  return out;
}

ops::FiveTensors long_convolution_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& gate_in,
    const at::Tensor& gate_out,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip) {
  const LongConvolution conv(input, kernel, skip, 2);
  const auto x = input.contiguous(), dy = grad.contiguous();
  const auto before = contiguous(gate_in), after = contiguous(gate_out);
  const bool gated = before.defined();
  const auto like = [&] { return at::empty(x.sizes(), x.options()); };
  auto gx = like();
  auto gbefore = gated ? like() : at::Tensor();
  auto gafter = gated ? like() : at::Tensor();
  auto gk = at::empty(
      {conv.taps(), conv.channels()}, kernel.options().dtype(at::kFloat));
  const auto rows = conv.scratch(x.size(0)), other = conv.scratch(x.size(0));
  const auto spectrum = conv.scratch(1), gradient = conv.scratch(1);
  for (int64_t c = 0; c < conv.channels(); c += conv.group()) {
    conv.transform_kernel(spectrum, c);
    auto u = conv.columns(rows, c);
    u.input = x.const_data_ptr();
    u.gate = data(before);
    conv.in(u);
    auto g = conv.columns(other, c);
    g.input = dy.const_data_ptr();
    g.gate = data(after);
    g.reversed = true;
    conv.in(g);
    auto r = conv.rows(spectrum, c);
    r.rows = u.rows;
    r.other = g.rows;
    r.gradient = static_cast<float*>(gradient.data_ptr());
    r.both = gated;
    C10_CUDA_CHECK(rows_backward(r, conv.log(), current_stream()));
    conv.kernel_gradient(gradient, gk, c);
    g.gate = data(before);
    g.output = gx.mutable_data_ptr();
    if (gated) {
      g.other_gate = x.const_data_ptr();
      g.other_output = gbefore.mutable_data_ptr();
      u.gate = dy.const_data_ptr();
      u.output = gafter.mutable_data_ptr();
      conv.out(u);
    }
    conv.out(g);
  }
  // The gradient of the tap at lag 0 is the skip's.
  auto gs = gk[0].clone().to(skip ? skip->scalar_type() : kernel.scalar_type());
  if (conv.taps() < kernel.size(0)) {
    gk = at::constant_pad_nd(gk, {0, 0, 0, kernel.size(0) - conv.taps()});
  }
  return {gx, gbefore, gafter, gk.to(kernel.scalar_type()), gs};
}

} // namespace signalllm::cuda

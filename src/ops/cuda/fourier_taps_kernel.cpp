#include "bank/transform.h"
#include "convolution/fourier_taps.h"

#include "ops/fourier_taps.h"

#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

namespace signalllm::cuda {
namespace {

using at::Tensor;

/// Whether the kernels take this: otherwise plain ATen.
bool takes(const Tensor& terms, int64_t length, int64_t period) {
  constexpr int64_t most = int64_t{1} << 30;
  return terms.scalar_type() != at::kDouble && terms.size(1) > 0 &&
      terms.size(1) < 32 * int64_t{65535} && terms.size(0) < 65535 &&
      terms.numel() < most && length < most && period <= kTapsPeriod;
}

/// A call's tensors, kept alive, and its parameters.
struct Call {
  Tensor terms, log_decay, frequency, waves;
  FourierTapsParams p;

  Call(
      const Tensor& terms_,
      const Tensor& log_decay_,
      const Tensor& frequency_,
      int64_t length,
      int64_t period)
      : terms(terms_.to(at::kFloat).contiguous()),
        log_decay(log_decay_.to(at::kFloat).contiguous()) {
    const auto type = frequency_.scalar_type();
    if (at::isFloatingType(type) && type != at::kDouble) {
      frequency = frequency_.to(at::kFloat).contiguous();
      p.frequency = frequency.const_data_ptr<float>();
    } else {
      frequency = frequency_.round().to(at::kLong).contiguous();
      p.whole = frequency.const_data_ptr<int64_t>();
    }
    p.terms = terms.const_data_ptr<float>();
    p.log_decay = log_decay.const_data_ptr<float>();
    p.length = static_cast<int>(length);
    p.channels = static_cast<int>(terms.size(1));
    p.terms_count = static_cast<int>(terms.size(0) / 2);
    p.period = period;
    waves =
        at::empty({kTapsPlanes, p.terms_count, p.channels, 4}, terms.options());
    p.waves = waves.mutable_data_ptr<float>();
  }
};

Tensor fourier_taps(
    const Tensor& terms,
    const Tensor& log_decay,
    const Tensor& frequency,
    c10::SymInt symbolic,
    int64_t period) {
  ops::check_fourier_taps("fourier_taps", terms, log_decay, frequency, period);
  const int64_t length = symbolic.guard_int(__FILE__, __LINE__);
  if (length < 1 || !takes(terms, length, period)) {
    return ops::composite::fourier_taps(
        terms, log_decay, frequency, length, period);
  }
  const c10::cuda::CUDAGuard guard(terms.device());
  Call call(terms, log_decay, frequency, length, period);
  auto out = at::empty({length, terms.size(1)}, call.terms.options());
  call.p.taps = out.mutable_data_ptr<float>();
  C10_CUDA_CHECK(launch(call.p, current_stream()));
  return out;
}

std::tuple<Tensor, Tensor> fourier_taps_backward(
    const Tensor& grad,
    const Tensor& terms,
    const Tensor& log_decay,
    const Tensor& frequency,
    int64_t period) {
  ops::check_fourier_taps(
      "fourier_taps_backward", terms, log_decay, frequency, period);
  if (grad.dim() != 2 || grad.size(0) < 1 || grad.size(1) != terms.size(1) ||
      grad.device() != terms.device() || grad.is_complex() ||
      !takes(terms, grad.size(0), period)) {
    return ops::composite::fourier_taps_backward(
        grad, terms, log_decay, frequency, period);
  }
  const c10::cuda::CUDAGuard guard(terms.device());
  Call call(terms, log_decay, frequency, grad.size(0), period);
  auto& p = call.p;
  const auto g = grad.to(at::kFloat).contiguous();
  p.grad = g.const_data_ptr<float>();
  p.splits = fourier_taps_splits(p.length, p.channels);
  const auto shares = at::empty(
      {p.splits, fourier_taps_chunks(p.terms_count), kTapsRows, p.channels},
      call.terms.options());
  auto grad_terms = at::empty(call.terms.sizes(), call.terms.options());
  auto grad_log_decay = at::empty(call.log_decay.sizes(), call.terms.options());
  p.shares = shares.mutable_data_ptr<float>();
  p.grad_terms = grad_terms.mutable_data_ptr<float>();
  p.grad_log_decay = grad_log_decay.mutable_data_ptr<float>();
  C10_CUDA_CHECK(launch_backward(p, current_stream()));
  return {
      grad_terms.to(terms.scalar_type()),
      grad_log_decay.to(log_decay.scalar_type())};
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, CUDA, m) {
  m.impl("fourier_taps", &fourier_taps);
  m.impl("fourier_taps_backward", &fourier_taps_backward);
}

} // namespace signalllm::cuda

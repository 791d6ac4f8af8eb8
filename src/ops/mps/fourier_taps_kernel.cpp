// One launch each way. Terms, decays and frequencies of several dtypes are made
// float32 first.
#include "ops/fourier_taps.h"
#include "ops/mps/library.h"

#include <ATen/Functions.h>
#include <torch/library.h>

namespace signalllm::mps {
namespace {

/// As in fourier_taps.metal, with kTapsRun, kTapsChannels and kTapsThreads.
struct FourierTaps {
  int32_t length, channels, terms, period;
};
constexpr int64_t run_length = 8, channel_block = 8;
constexpr uint64_t most_threads = 256;

struct Call {
  Kernel kernel;
  FourierTaps p{};
  at::Tensor terms, log_decay, frequency;
};

Call prepare(
    const char* name,
    const at::Tensor& terms,
    const at::Tensor& log_decay,
    const at::Tensor& frequency,
    int64_t length,
    int64_t period) {
  constexpr int64_t most = int64_t{1} << 30;
  Call call;
  const auto channels = terms.size(1);
  if (length < 1 || length >= most || period >= most || channels < 1 ||
      terms.numel() >= most || length * channels >= most) {
    return call;
  }
  const bool one_type = log_decay.scalar_type() == terms.scalar_type() &&
      frequency.scalar_type() == terms.scalar_type();
  const auto type = one_type ? terms.scalar_type() : at::kFloat;
  call.kernel = kernel(name, type);
  call.p = {
      static_cast<int32_t>(length),
      static_cast<int32_t>(channels),
      static_cast<int32_t>(terms.size(0) / 2),
      static_cast<int32_t>(period)};
  const auto plain = [&](const at::Tensor& t) {
    return t.to(type).contiguous();
  };
  call.terms = plain(terms);
  call.log_decay = plain(log_decay);
  call.frequency = plain(frequency);
  return call;
}

at::Tensor fourier_taps(
    const at::Tensor& terms,
    const at::Tensor& log_decay,
    const at::Tensor& frequency,
    c10::SymInt symbolic,
    int64_t period) {
  ops::check_fourier_taps("fourier_taps", terms, log_decay, frequency, period);
  const int64_t length = symbolic.guard_int(__FILE__, __LINE__);
  const auto call =
      prepare("fourier_taps", terms, log_decay, frequency, length, period);
  if (!call.kernel) {
    return ops::composite::fourier_taps(
        terms, log_decay, frequency, length, period);
  }
  auto out =
      at::empty({length, terms.size(1)}, terms.options().dtype(at::kFloat));
  Grid grid;
  grid.threads = std::min<uint64_t>(
      most_threads, call.kernel->getMaxThreadsPerThreadgroup());
  const auto runs = (length + run_length - 1) / run_length;
  grid.x = (runs * terms.size(1) + grid.threads - 1) / grid.threads;
  launch(
      call.kernel,
      grid,
      out,
      call.terms,
      call.log_decay,
      call.frequency,
      call.p);
  return out;
}

std::tuple<at::Tensor, at::Tensor> fourier_taps_backward(
    const at::Tensor& grad,
    const at::Tensor& terms,
    const at::Tensor& log_decay,
    const at::Tensor& frequency,
    int64_t period) {
  constexpr auto name = "fourier_taps_backward";
  ops::check_fourier_taps(name, terms, log_decay, frequency, period);
  const bool usual = grad.dim() == 2 && grad.size(1) == terms.size(1) &&
      grad.scalar_type() == at::kFloat && grad.device() == terms.device();
  const auto call = usual
      ? prepare(name, terms, log_decay, frequency, grad.size(0), period)
      : Call();
  if (!call.kernel) {
    return ops::composite::fourier_taps_backward(
        grad, terms, log_decay, frequency, period);
  }
  const auto like = [](const at::Tensor& t) {
    return at::empty(t.sizes(), t.options());
  };
  auto dterms = like(call.terms), dlog_decay = like(call.log_decay);
  Grid grid;
  grid.x = (call.p.channels + channel_block - 1) / channel_block;
  grid.y = call.p.terms + 2;
  grid.threads = most_threads;
  launch(
      call.kernel,
      grid,
      dterms,
      dlog_decay,
      grad.contiguous(),
      call.terms,
      call.log_decay,
      call.frequency,
      call.p);
  return {
      dterms.to(terms.scalar_type()), dlog_decay.to(log_decay.scalar_type())};
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, MPS, m) {
  m.impl("fourier_taps", &fourier_taps);
  m.impl("fourier_taps_backward", &fourier_taps_backward);
}

} // namespace signalllm::mps

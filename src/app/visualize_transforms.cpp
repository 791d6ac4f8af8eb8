#include "app/observe.h"
#include "app/visualize.h"

#include <signalllm/nn/block.h>
#include <signalllm/optimize.h>

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <numbers>
#include <vector>

namespace signalllm::app {
namespace {

constexpr int64_t lengths[] = {64, 128, 256, 512, 1024};
constexpr int64_t batch = 8, channels = 128;
constexpr const char* wavelets[] = {"haar", "db4", "sym8", "bior4.4"};

WaveletTransformOptions decimated(const char* wavelet) {
  return WaveletTransformOptions(wavelet).level(3).causal(false);
}

/// A chirp that ends at a sixth of the sampling rate, a step and a click.
at::Tensor test_signal(int64_t length) {
  const auto t = at::arange(length, at::kDouble) / length;
  const auto rise = static_cast<double>(length) / 12;
  auto x = (2 * std::numbers::pi * (2 * t + (rise - 1) * t * t)).sin();
  x.slice(0, length * 5 / 8).add_(1.5);
  x[length / 4].add_(2);
  return x.to(at::kFloat).view({1, length, 1});
}

Json show_signal(int64_t length) {
  const auto x = test_signal(length);
  MPSWaveletTransform transform(decimated("db4"));
  const auto coefficients = transform->forward(x);
  const auto back = transform->inverse(coefficients, length);
  Json bands = Json::array(); // [cA3, cD3, cD2, cD1]
  for (const auto& band : coefficients) {
    bands.push_back(numbers(band.flatten()));
  }
  return {
      {"length", length},
      {"signal", numbers(x.flatten())},
      {"bands", bands},
      {"error", numbers((back - x).flatten())}};
}

double reconstruction_error(
    const std::shared_ptr<WaveletTransformImpl>& transform,
    const at::Tensor& x) {
  const auto back = transform->inverse(transform->forward(x), x.size(1));
  return (back - x).abs().max().item<double>();
}

Json show_errors(c10::Device device) {
  Json rows = Json::array();
  for (const auto length : lengths) {
    const auto x = at::randn({batch, length, channels}).to(device);
    for (const auto* wavelet : wavelets) {
      WaveletTransform standard(decimated(wavelet));
      MPSWaveletTransform optimized(decimated(wavelet));
      rows.push_back(
          {{"wavelet", wavelet},
           {"length", length},
           {"standard", reconstruction_error(standard.ptr(), x)},
           {"optimized", reconstruction_error(optimized.ptr(), x)}});
    }
  }
  return rows;
}

using Call = std::function<at::Tensor()>;

/// Seconds of `count` calls, until a number of the last one is here.
double time_of(const Call& call, int64_t count) {
  const auto start = std::chrono::steady_clock::now();
  at::Tensor last;
  for (int64_t i = 0; i < count; ++i) {
    last = call();
  }
  last.flatten()[0].item<float>(); // waits for the device
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
      .count();
}

/// Median seconds of each call. Every round has all of them, so that what else
/// the machine does hits all alike.
std::vector<double> median_seconds(
    const std::vector<Call>& calls,
    double seconds) {
  std::vector<int64_t> counts;
  for (const auto& call : calls) {
    time_of(call, 1);
    const auto once = std::max(time_of(call, 1), 1e-7);
    counts.push_back(
        std::clamp<int64_t>(static_cast<int64_t>(0.001 / once), 1, 1000));
  }
  std::vector<std::vector<double>> times(calls.size());
  double spent = 0;
  do {
    for (std::size_t i = 0; i < calls.size(); ++i) {
      const auto time = time_of(calls[i], counts[i]);
      times[i].push_back(time / static_cast<double>(counts[i]));
      spent += time;
    }
  } while (spent < seconds || times[0].size() < 3);
  std::vector<double> medians;
  for (auto& list : times) {
    std::nth_element(list.begin(), list.begin() + list.size() / 2, list.end());
    medians.push_back(list[list.size() / 2]);
  }
  return medians;
}

/// There and back, without gradients and with.
std::pair<Call, Call> calls_of(
    const std::shared_ptr<WaveletTransformImpl>& transform,
    const at::Tensor& x) {
  const auto leaf = x.clone().requires_grad_();
  const auto both = [transform](const at::Tensor& input) {
    return transform->inverse(transform->forward(input), input.size(1));
  };
  return {
      [both, x] {
        const at::NoGradGuard no_grad;
        return both(x);
      },
      [both, leaf, x] {
        leaf.mutable_grad() = at::Tensor();
        both(leaf).backward(x);
        return leaf.grad();
      }};
}

Json show_times(c10::Device device, double seconds) {
  Json rows = Json::array();
  for (const auto length : lengths) {
    const auto x = at::randn({batch, length, channels}).to(device);
    WaveletTransform standard(decimated("db4"));
    MPSWaveletTransform optimized(decimated("db4"));
    const auto a = calls_of(standard.ptr(), x);
    const auto b = calls_of(optimized.ptr(), x);
    const auto forward = median_seconds({a.first, b.first}, seconds / 2);
    const auto both = median_seconds({a.second, b.second}, seconds / 2);
    rows.push_back(
        {{"length", length},
         {"standard", forward[0]},
         {"optimized", forward[1]},
         {"standard_gradients", both[0]},
         {"optimized_gradients", both[1]}});
  }
  return rows;
}

/// Operators of a call and of its gradients.
Json operators_of(const Call& call) {
  call().sum().backward(); // what is set up once
  at::Tensor y;
  const auto forward = count_operators([&] { y = call(); });
  const auto gradient = at::ones_like(y);
  const auto backward = count_operators([&] { y.backward(gradient); });
  return {{"forward", forward}, {"backward", backward}};
}

/// `forward` of the module and of its optimized copy.
template <typename Impl, typename Forward>
Json compare_operators(
    const char* name,
    const std::shared_ptr<Impl>& standard,
    const Forward& forward) {
  const auto optimized = std::dynamic_pointer_cast<Impl>(standard->clone());
  optimize_for_mps(
      std::static_pointer_cast<torch::nn::Module>(optimized), at::kCPU);
  return {
      {"name", name},
      {"standard", operators_of([&] { return forward(*standard); })},
      {"optimized", operators_of([&] { return forward(*optimized); })}};
}

Json show_operators() {
  const auto x = at::randn({2, 256, 64}).requires_grad_();
  const auto both = [&](WaveletTransformImpl& transform) {
    return transform.inverse(transform.forward(x), x.size(1));
  };
  const auto forward = [&](auto& module) { return module.forward(x); };
  return {
      compare_operators(
          "WaveletTransform\nthere and back",
          WaveletTransform(decimated("db4")).ptr(),
          both),
      compare_operators(
          "WaveletTransform\ncausal, there and back",
          WaveletTransform(WaveletTransformOptions("db4").level(3)).ptr(),
          both),
      compare_operators(
          "WaveletAttention\nwavelet filter",
          WaveletAttention(WaveletAttentionOptions(64, 4)).ptr(),
          forward),
      compare_operators(
          "FourierConvolution-\nAttention",
          FourierConvolutionAttention(FourierConvolutionAttentionOptions(64))
              .ptr(),
          forward),
      compare_operators(
          "WaveletTransformer-\nBlock",
          WaveletTransformerBlock(WaveletTransformerBlockOptions(64, 4)).ptr(),
          forward)};
}

} // namespace

Json numbers(const at::Tensor& tensor) {
  if (tensor.dim() > 1) {
    Json rows = Json::array();
    for (const auto& row : tensor.unbind()) {
      rows.push_back(numbers(row));
    }
    return rows;
  }
  const auto values = tensor.detach().to(at::kCPU, at::kDouble).contiguous();
  const auto* first = values.const_data_ptr<double>();
  return std::vector<double>(first, first + values.numel());
}

Json show_transforms(c10::Device device, double seconds) {
  Json signals = Json::array();
  for (const auto length : lengths) {
    signals.push_back(show_signal(length));
  }
  return {
      {"signals", signals},
      {"errors", show_errors(device)},
      {"times", show_times(device, seconds)},
      {"operators", show_operators()}};
}

} // namespace signalllm::app

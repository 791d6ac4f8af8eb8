#pragma once

#include <gtest/gtest.h>

#include <torch/csrc/autograd/autograd.h>
#include <torch/nn/module.h>
#include <torch/serialize.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

namespace signalllm::test {

inline double max_error(const torch::Tensor& a, const torch::Tensor& b) {
  return (a.to(torch::kDouble) - b.to(torch::kDouble))
      .abs()
      .max()
      .item<double>();
}

inline void
expect_close(const torch::Tensor& a, const torch::Tensor& b, double tolerance) {
  ASSERT_EQ(a.sizes(), b.sizes());
  EXPECT_LE(max_error(a, b), tolerance);
}

template <typename Printable>
std::string printed(const Printable& value) {
  std::ostringstream stream;
  stream << value;
  return stream.str();
}

/// The message of the c10::Error that `call` throws, "" if it does not.
inline std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  }
  return "";
}

/// Compares autograd with central differences at some entries of each leaf.
/// Everything in float64.
inline void expect_gradients(
    const std::function<torch::Tensor()>& function,
    const std::vector<torch::Tensor>& leaves,
    double tolerance = 1e-6) {
  torch::Tensor weight;
  const auto loss = [&] {
    const auto y = function();
    if (!weight.defined()) {
      weight = torch::rand_like(y.detach()) + 0.5;
    }
    return (y * weight).sum();
  };
  const auto gradients = torch::autograd::grad(
      {loss()}, leaves, {}, std::nullopt, false, /*allow_unused=*/true);
  torch::NoGradGuard no_grad;
  constexpr double step = 1e-5;
  for (size_t leaf = 0; leaf < leaves.size(); ++leaf) {
    auto flat = leaves[leaf].view({-1});
    const auto gradient = gradients[leaf].defined()
        ? gradients[leaf].reshape({-1})
        : torch::zeros_like(flat);
    const auto stride = std::max<int64_t>(1, flat.numel() / 7);
    for (int64_t i = 0; i < flat.numel(); i += stride) {
      const auto value = flat[i].item<double>();
      flat[i] = value + step;
      const auto above = loss().item<double>();
      flat[i] = value - step;
      const auto below = loss().item<double>();
      flat[i] = value;
      const auto expected = (above - below) / (2 * step);
      EXPECT_NEAR(
          gradient[i].item<double>(),
          expected,
          tolerance * std::max(1.0, std::abs(expected)))
          << "leaf " << leaf << ", entry " << i;
    }
  }
}

/// How far an output may move when later inputs change: rounding where an FFT
/// is involved (the design's contract), nothing elsewhere.
inline double
causal_tolerance(at::ScalarType type, const torch::Tensor& output, bool fft) {
  if (!fft) {
    return 0;
  }
  if (type == torch::kDouble) {
    return 1e-12;
  }
  const auto largest = output.abs().max().item<double>();
  return type == torch::kFloat ? 1e-5 * std::max(1.0, largest)
                               : largest * 0x1p-7;
}

/// No output of `function`, `[B, T, ...]` to the same, before a change of the
/// inputs may move. `change` gives other inputs of the same shape.
inline void expect_causal(
    const std::function<torch::Tensor(const torch::Tensor&)>& function,
    const torch::Tensor& input,
    const std::function<torch::Tensor(const torch::Tensor&)>& change,
    bool fft) {
  torch::NoGradGuard no_grad;
  const auto length = input.size(1);
  const auto before = function(input);
  const auto tolerance = causal_tolerance(before.scalar_type(), before, fft);
  for (const int64_t t : {int64_t{1}, length / 3, length / 2, length - 1}) {
    if (t < 1 || t >= length) {
      continue;
    }
    auto other = input.clone();
    other.slice(1, t).copy_(change(input.slice(1, t)));
    const auto after = function(other);
    EXPECT_LE(max_error(before.slice(1, 0, t), after.slice(1, 0, t)), tolerance)
        << "inputs changed from " << t << " of " << length;
    // The test sees something: later outputs do move.
    EXPECT_GT(max_error(before.slice(1, t), after.slice(1, t)), 0.0);
  }
}

inline void expect_causal(
    const std::function<torch::Tensor(const torch::Tensor&)>& function,
    const torch::Tensor& input,
    bool fft) {
  expect_causal(
      function,
      input,
      [](const torch::Tensor& x) { return torch::randn_like(x) * 3; },
      fft);
}

/// `torch::save` and `torch::load` into a module with other parameters, and
/// `clone()`: same function, tensors of its own.
template <typename Holder>
void expect_save_and_clone(
    Holder& module,
    const std::function<torch::Tensor(typename Holder::ContainedType&)>& run) {
  torch::NoGradGuard no_grad;
  const auto expected = run(*module);
  auto copy = Holder(std::dynamic_pointer_cast<typename Holder::ContainedType>(
      module->clone()));
  ASSERT_EQ(copy->parameters().size(), module->parameters().size());
  expect_close(run(*copy), expected, 0);
  for (auto& parameter : copy->parameters()) {
    parameter.add_(torch::randn_like(parameter));
  }
  expect_close(run(*module), expected, 0);
  std::stringstream stream;
  torch::save(module, stream);
  torch::load(copy, stream);
  expect_close(run(*copy), expected, 0);
}

} // namespace signalllm::test

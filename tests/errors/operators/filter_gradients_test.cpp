// Wrong inputs of the operators for the gradients of filters.

#include "errors/page.h"

#include "ops/causal_wavedec.h"
#include "ops/causal_wavelet_filter.h"
#include "ops/swt.h"
#include "ops/wavedec.h"
#include "ops/waverec.h"

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

namespace signalllm::test {
namespace {

// Kernels read both with the places of one: memory of the other's end.
TEST(FilterGradientErrors, Refused) {
  const auto x = at::zeros({2, 9, 3}), taps = at::zeros({4});
  const auto more = at::zeros({4, 9, 3}), w = at::zeros({1, 4});
  const auto d = at::zeros({2, 6, 3});
  using namespace ops::detail;
  expect_refused(
      "backward",
      {
          SIGNALLLM_WRONG(
              "an input of a larger batch",
              wavedec_backward_filters({d, d}, more, taps, taps, "zero", -2),
              "wavedec_backward_filters",
              "input",
              "[4, 9, 3]",
              "[2, 9, 3]"),
          SIGNALLLM_WRONG(
              "an input of another dtype",
              wavedec_backward_filters(
                  {d, d}, x.to(at::kDouble), taps, taps, "zero", -2),
              "wavedec_backward_filters",
              "input",
              "Double",
              "Float"),
          SIGNALLLM_WRONG(
              "a gradient that is too short",
              waverec_backward_filters(
                  at::zeros({2, 9, 3}), {d, d}, taps, taps, "zero", -2),
              "waverec_backward_filters",
              "grad",
              "[2, 9, 3]",
              "[2, 10, 3]"),
          SIGNALLLM_WRONG(
              "an input of a larger batch",
              swt_backward_filters({x, x}, more, taps, taps, -2),
              "swt_backward_filters",
              "input",
              "[4, 9, 3]",
              "[2, 9, 3]"),
          SIGNALLLM_WRONG(
              "an input of a smaller batch",
              causal_wavedec_backward_filter({more, more}, x, taps, -2),
              "causal_wavedec_backward_filter",
              "input",
              "[2, 9, 3]",
              "[4, 9, 3]"),
          SIGNALLLM_WRONG(
              "gradients of two lengths",
              causal_wavedec_backward_filter({x, d}, x, taps, -2),
              "causal_wavedec_backward_filter",
              "grads[1]",
              "[2, 6, 3]",
              "[2, 9, 3]"),
          SIGNALLLM_WRONG(
              "a gradient of a smaller batch",
              causal_wavelet_filter_backward_filters(
                  x, more, taps, taps, w, -2),
              "causal_wavelet_filter_backward_filters",
              "grad",
              "[2, 9, 3]",
              "[4, 9, 3]"),
          SIGNALLLM_WRONG(
              "a gradient of another dtype",
              causal_wavelet_filter_backward_filters(
                  x.to(at::kHalf), x, taps, taps, w, -2),
              "causal_wavelet_filter_backward_filters",
              "grad",
              "Half",
              "Float"),
      });
}

} // namespace
} // namespace signalllm::test

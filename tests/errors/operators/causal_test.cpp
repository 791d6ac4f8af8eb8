// Wrong inputs of the causal operators and the convolutions.

#include "errors/page.h"

#include <signalllm/ops/causal_filter.h>
#include <signalllm/ops/causal_wavedec.h>
#include <signalllm/ops/causal_wavelet_filter.h>
#include <signalllm/ops/fft_conv.h>
#include <signalllm/ops/fourier_taps.h>
#include <signalllm/ops/gated_fft_conv.h>

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

namespace signalllm::test {
namespace {

TEST(CausalErrors, Refused) {
  const auto x = at::zeros({2, 9, 3}), taps = at::zeros({3});
  const auto kernel = at::zeros({9, 3});
  using namespace ops;
  expect_refused(
      "causal",
      {
          SIGNALLLM_WRONG(
              "level below 0",
              causal_wavedec(x, taps, -1),
              "causal_wavedec",
              "level",
              "-1",
              "0 to 61"),
          SIGNALLLM_WRONG(
              "length 0",
              causal_wavedec(at::zeros({2, 0, 3}), taps, 1),
              "causal_wavedec",
              "input",
              "length 0",
              "at least 1"),
          SIGNALLLM_WRONG(
              "a filter for another number of channels",
              causal_wavedec(x, at::zeros({4, 3}), 1),
              "causal_wavedec",
              "lo",
              "[4, 3]",
              "3 channels"),
          SIGNALLLM_WRONG(
              "a read-out of the wrong shape",
              causal_wavelet_filter(x, taps, taps, at::zeros({2, 4})),
              "causal_wavelet_filter",
              "weight",
              "[2, 4]",
              "J + 2"),
          SIGNALLLM_WRONG(
              "a read-out of another dtype",
              causal_wavelet_filter(
                  x, taps, taps, at::zeros({1, 4}, at::kDouble)),
              "causal_wavelet_filter",
              "weight",
              "Double",
              "Float"),
          SIGNALLLM_WRONG(
              "filters of two lengths",
              causal_wavelet_filter(x, taps, at::zeros({2}), at::zeros({1, 4})),
              "causal_wavelet_filter",
              "lo",
              "hi",
              "[3]",
              "[2]"),
          SIGNALLLM_WRONG(
              "rank 2",
              fft_conv(at::zeros({9, 3}), kernel),
              "fft_conv",
              "input",
              "[9, 3]",
              "[N, L, C]"),
          SIGNALLLM_WRONG(
              "an input of whole numbers",
              fft_conv(x.to(at::kInt), kernel),
              "fft_conv",
              "input",
              "Int",
              "floating point"),
          SIGNALLLM_WRONG(
              "length 0",
              fft_conv(at::zeros({2, 0, 3}), kernel),
              "fft_conv",
              "input",
              "length 0",
              "at least 1"),
          SIGNALLLM_WRONG(
              "a sparse kernel",
              fft_conv(x, kernel.to_sparse()),
              "fft_conv",
              "kernel",
              "Sparse",
              "to_dense()"),
          SIGNALLLM_WRONG(
              "a kernel for another number of channels",
              fft_conv(x, at::zeros({9, 4})),
              "fft_conv",
              "kernel",
              "[9, 4]",
              "[K, C]",
              "3 channels"),
          SIGNALLLM_WRONG(
              "a kernel of another dtype",
              fft_conv(x, kernel.to(at::kDouble)),
              "fft_conv",
              "kernel",
              "Double",
              "the input's"),
          SIGNALLLM_WRONG(
              "a kernel on another device",
              fft_conv(x, kernel.to(at::kMeta)),
              "fft_conv",
              "kernel",
              "meta",
              "cpu"),
          SIGNALLLM_WRONG(
              "a circular kernel longer than the signal",
              fft_conv(x, at::zeros({10, 3}), {}, /*causal=*/false),
              "fft_conv",
              "kernel",
              "10",
              "at most the input's 9"),
          SIGNALLLM_WRONG(
              "a skip of the wrong shape",
              fft_conv(x, kernel, at::zeros({4})),
              "fft_conv",
              "skip",
              "[4]",
              "3 channels"),
          SIGNALLLM_WRONG(
              "a gate of another shape",
              gated_fft_conv(x, at::zeros({2, 9, 2}), x, kernel),
              "gated_fft_conv",
              "gate_in",
              "[2, 9, 2]",
              "[2, 9, 3]"),
          SIGNALLLM_WRONG(
              "a gate of another dtype",
              gated_fft_conv(x, x, x.to(at::kDouble), kernel),
              "gated_fft_conv",
              "gate_out",
              "Double",
              "Float"),
          SIGNALLLM_WRONG(
              "an even number of terms",
              fourier_taps(
                  at::zeros({4, 3}), at::zeros({3}), at::zeros({3}), 9, 8),
              "fourier_taps",
              "terms",
              "[4, 3]",
              "[2M + 1, C]"),
          SIGNALLLM_WRONG(
              "decays of other channels",
              fourier_taps(kernel, at::zeros({2}), at::zeros({3}), 9, 8),
              "fourier_taps",
              "log_decay",
              "[2]",
              "3"),
          SIGNALLLM_WRONG(
              "no taps",
              fourier_taps(kernel, at::zeros({3}), at::zeros({3}), 0, 8),
              "fourier_taps",
              "length",
              "0",
              "1"),
          SIGNALLLM_WRONG(
              "no unit of time",
              fourier_taps(kernel, at::zeros({3}), at::zeros({3}), 9, 0),
              "fourier_taps",
              "period",
              "0",
              "1"),
      });
}

} // namespace
} // namespace signalllm::test

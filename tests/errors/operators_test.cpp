// Wrong inputs of the operators, the wavelets and the functions on them.

#include "errors/page.h"

#include <signalllm/functional.h>
#include <signalllm/ops/attention_heads.h>
#include <signalllm/ops/tree_attention.h>

#include "ops/causal_wavedec.h"
#include "ops/causal_wavelet_filter.h"
#include "ops/swt.h"
#include "ops/wavedec.h"
#include "ops/waverec.h"

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

namespace signalllm::test {
namespace {

TEST(OperatorErrors, Decimated) {
  const auto x = at::zeros({2, 9, 3}), taps = at::zeros({4});
  const auto odd = at::zeros({3}), haar = at::zeros({2});
  const auto a = at::zeros({2, 5, 3}), d = at::zeros({2, 6, 3});
  using ops::wavedec;
  using ops::waverec;
  expect_refused(
      "decimated",
      {
          SIGNALLLM_WRONG(
              "odd taps",
              wavedec(x, odd, odd, 1),
              "wavedec",
              "dec_lo",
              "3 taps",
              "even"),
          SIGNALLLM_WRONG(
              "no taps",
              wavedec(x, at::zeros({0}), at::zeros({0}), 1),
              "wavedec",
              "dec_lo",
              "0"),
          SIGNALLLM_WRONG(
              "filters of two lengths",
              wavedec(x, taps, haar, 1),
              "wavedec",
              "dec_lo",
              "dec_hi",
              "[4]",
              "[2]",
              "one shape"),
          SIGNALLLM_WRONG(
              "level below -1",
              wavedec(x, taps, taps, -2),
              "wavedec",
              "level",
              "-2",
              "0 to 61, or -1"),
          SIGNALLLM_WRONG(
              "more levels than 64 bits can count",
              wavedec(x, taps, taps, 64, "zero"),
              "wavedec",
              "level",
              "64",
              "0 to 61"),
          SIGNALLLM_WRONG(
              "the same on the device meta",
              wavedec(
                  x.to(at::kMeta),
                  taps.to(at::kMeta),
                  taps.to(at::kMeta),
                  1000000),
              "wavedec",
              "level",
              "1000000",
              "0 to 61"),
          SIGNALLLM_WRONG(
              "a sparse input",
              wavedec(x.to_sparse(), taps, taps, 1),
              "wavedec",
              "input",
              "Sparse",
              "to_dense()"),
          SIGNALLLM_WRONG(
              "more coefficients than levels",
              waverec(std::vector<at::Tensor>(63, x), taps, taps),
              "waverec",
              "coeffs",
              "62 levels",
              "0 to 61"),
          SIGNALLLM_WRONG(
              "unknown mode",
              wavedec(x, taps, taps, 1, "reflekt"),
              "wavedec",
              "mode",
              "'reflekt'",
              "'reflect'",
              "antireflect"),
          SIGNALLLM_WRONG(
              "length 0",
              wavedec(at::zeros({2, 0, 3}), taps, taps, 1),
              "wavedec",
              "input",
              "length 0",
              "at least 1"),
          SIGNALLLM_WRONG(
              "length 1 with reflect",
              wavedec(at::zeros({2, 1, 3}), taps, taps, 1, "reflect"),
              "wavedec",
              "mode reflect",
              "length 1",
              "another mode"),
          SIGNALLLM_WRONG(
              "length 1 with antireflect",
              wavedec(at::zeros({2, 1, 3}), taps, taps, 1, "antireflect"),
              "wavedec",
              "mode antireflect",
              "length 1",
              "another mode"),
          SIGNALLLM_WRONG(
              "length 1 with reflect at a deeper level",
              wavedec(at::zeros({2, 2, 3}), haar, haar, 3, "reflect"),
              "wavedec",
              "mode reflect",
              "level 2",
              "fewer levels"),
          SIGNALLLM_WRONG(
              "an axis that is not there",
              wavedec(x, taps, taps, 1, "zero", 5),
              "wavedec",
              "dim 5",
              "rank 3",
              "-3 to 2"),
          SIGNALLLM_WRONG(
              "rank 1 without dim=-1",
              wavedec(at::zeros({9}), taps, taps, 1),
              "wavedec",
              "dim -2",
              "rank 1",
              "dim=-1"),
          SIGNALLLM_WRONG(
              "a scalar",
              wavedec(at::zeros({}), taps, taps, 1),
              "wavedec",
              "input",
              "scalar",
              "rank 1 or more"),
          SIGNALLLM_WRONG(
              "an input of whole numbers",
              wavedec(x.to(at::kLong), taps, taps, 1),
              "wavedec",
              "input",
              "Long",
              "floating point"),
          SIGNALLLM_WRONG(
              "filters of another dtype",
              wavedec(x, taps.to(at::kDouble), taps.to(at::kDouble), 1),
              "wavedec",
              "dec_lo",
              "Double",
              "the input's dtype"),
          SIGNALLLM_WRONG(
              "half-precision filters beside a float32 input",
              wavedec(x, taps.to(at::kHalf), taps.to(at::kHalf), 1),
              "wavedec",
              "dec_lo",
              "Half",
              "the input's dtype"),
          SIGNALLLM_WRONG(
              "filters for another number of channels",
              wavedec(x, at::zeros({2, 4}), at::zeros({2, 4}), 1),
              "wavedec",
              "dec_lo",
              "[2, 4]",
              "[channels, taps]",
              "3 channels"),
          SIGNALLLM_WRONG(
              "filters on another device",
              wavedec(x, taps.to(at::kMeta), taps.to(at::kMeta), 1),
              "wavedec",
              "dec_lo",
              "meta",
              "cpu"),
          SIGNALLLM_WRONG(
              "no coefficients", waverec({}, taps, taps), "waverec", "empty"),
          SIGNALLLM_WRONG(
              "coefficients that do not fit each other",
              waverec({a, at::zeros({2, 3, 3})}, taps, taps),
              "waverec",
              "5",
              "3"),
          SIGNALLLM_WRONG(
              "coefficients of other channels",
              waverec({d, at::zeros({2, 6, 4})}, taps, taps),
              "waverec",
              "[2, 6, 4]",
              "[2, 6, 3]"),
          SIGNALLLM_WRONG(
              "coefficients of two dtypes",
              waverec({d, d.to(at::kDouble)}, taps, taps),
              "waverec",
              "coeffs[1]",
              "Double",
              "Float"),
          SIGNALLLM_WRONG(
              "unknown mode",
              waverec({d, d}, taps, taps, "symetric"),
              "waverec",
              "mode",
              "'symetric'",
              "'symmetric'",
              "periodic"),
          SIGNALLLM_WRONG(
              "odd taps",
              waverec({d, d}, odd, odd),
              "waverec",
              "rec_lo",
              "3 taps",
              "even"),
      });
}

TEST(OperatorErrors, Stationary) {
  const auto x = at::zeros({2, 9, 3}), taps = at::zeros({4});
  const auto odd = at::zeros({3});
  using ops::iswt;
  using ops::swt;
  expect_refused(
      "stationary",
      {
          SIGNALLLM_WRONG(
              "odd taps",
              swt(x, odd, odd, 1),
              "swt",
              "dec_lo",
              "3 taps",
              "even"),
          SIGNALLLM_WRONG(
              "level below -1",
              swt(x, taps, taps, -2),
              "swt",
              "level",
              "-2",
              "0 to 61, or -1"),
          SIGNALLLM_WRONG(
              "length 0",
              swt(at::zeros({2, 0, 3}), taps, taps, 1),
              "swt",
              "input",
              "length 0",
              "at least 1"),
          SIGNALLLM_WRONG(
              "an input of whole numbers",
              swt(x.to(at::kLong), taps, taps, 1),
              "swt",
              "input",
              "Long",
              "floating point"),
          SIGNALLLM_WRONG(
              "filters on another device",
              swt(x, taps.to(at::kMeta), taps.to(at::kMeta), 1),
              "swt",
              "dec_lo",
              "meta",
              "cpu"),
          SIGNALLLM_WRONG(
              "no coefficients",
              iswt({}, taps, taps),
              "iswt",
              "coeffs",
              "empty",
              "at least cA"),
          SIGNALLLM_WRONG(
              "coefficients that do not fit each other",
              iswt({x, at::zeros({2, 8, 3})}, taps, taps),
              "iswt",
              "coeffs[1]",
              "[2, 8, 3]",
              "[2, 9, 3]"),
          SIGNALLLM_WRONG(
              "coefficients of two dtypes, the filters' the second",
              iswt({x.to(at::kDouble), x}, taps, taps),
              "iswt",
              "coeffs[1]",
              "Float",
              "Double"),
          SIGNALLLM_WRONG(
              "odd taps",
              iswt({x, x}, odd, odd),
              "iswt",
              "rec_lo",
              "3 taps",
              "even"),
      });
}

TEST(OperatorErrors, Causal) {
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

// Kernels read both with the places of one: memory of the other's end.
TEST(OperatorErrors, Backward) {
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

TEST(OperatorErrors, Tree) {
  const auto q = at::zeros({1, 2, 9, 4});
  using ops::attention_heads;
  using ops::tree_attention;
  expect_refused(
      "tree",
      {
          SIGNALLLM_WRONG(
              "rank 3",
              tree_attention(at::zeros({2, 9, 4}), q, q, 4),
              "tree_attention",
              "query",
              "[batch, heads, length, size]",
              "rank 3"),
          SIGNALLLM_WRONG(
              "whole numbers",
              tree_attention(q.to(at::kLong), q, q, 4),
              "tree_attention",
              "query",
              "Long",
              "floating point"),
          SIGNALLLM_WRONG(
              "keys of another dtype",
              tree_attention(q, q.to(at::kDouble), q, 4),
              "tree_attention",
              "key",
              "Double",
              "Float"),
          SIGNALLLM_WRONG(
              "values on another device",
              tree_attention(q, q, q.to(at::kMeta), 4),
              "tree_attention",
              "value",
              "meta",
              "cpu"),
          SIGNALLLM_WRONG(
              "keys of another length",
              tree_attention(q, at::zeros({1, 2, 8, 4}), q, 4),
              "tree_attention",
              "[1, 2, 9, 4]",
              "[1, 2, 8, 4]",
              "one [batch, heads, length, size]"),
          SIGNALLLM_WRONG(
              "length 0",
              tree_attention(
                  at::zeros({1, 2, 0, 4}),
                  at::zeros({1, 2, 0, 4}),
                  at::zeros({1, 2, 0, 4}),
                  4),
              "tree_attention",
              "[1, 2, 0, 4]",
              "length >= 1"),
          SIGNALLLM_WRONG(
              "an odd window",
              tree_attention(q, q, q, 3),
              "tree_attention",
              "window is 3",
              "even"),
          SIGNALLLM_WRONG(
              "channels for no three times the heads",
              attention_heads(at::zeros({2, 9, 8}), 2),
              "attention_heads",
              "multiple of 6",
              "[2, 9, 8]"),
          SIGNALLLM_WRONG(
              "heads of odd width to turn",
              attention_heads(at::zeros({2, 9, 18}), 2, 10000.0),
              "attention_heads",
              "multiple of 12",
              "[2, 9, 18]"),
      });
}

TEST(OperatorErrors, Wavelets) {
  const auto x = at::zeros({2, 9, 3});
  namespace F = functional;
  expect_refused(
      "wavelets",
      {
          SIGNALLLM_WRONG(
              "unknown wavelet",
              Wavelet("dbb4"),
              "Wavelet",
              "name",
              "'dbb4'",
              "'db4'",
              "coif"),
          SIGNALLLM_WRONG(
              "unknown wavelet",
              F::wavedec(x, "har"),
              "Wavelet",
              "'har'",
              "'haar'",
              "bior"),
          SIGNALLLM_WRONG(
              "unknown family",
              wavelist("dob"),
              "wavelist",
              "family",
              "'dob'",
              "haar, db"),
          SIGNALLLM_WRONG(
              "odd taps",
              Wavelet::from_filters({1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}),
              "Wavelet::from_filters",
              "3, 3, 3, 3",
              "even"),
          SIGNALLLM_WRONG(
              "filters of two lengths",
              Wavelet::from_filters({1, 1}, {1, 1}, {1, 1}, {1, 1, 1, 1}),
              "Wavelet::from_filters",
              "2, 2, 2, 4",
              "one even number"),
          SIGNALLLM_WRONG(
              "no angles",
              Wavelet::from_angles({}),
              "Wavelet::from_angles",
              "angles",
              "empty",
              "at least one"),
          SIGNALLLM_WRONG(
              "the angles of a biorthogonal wavelet",
              Wavelet("bior2.2").angles(),
              "Wavelet::angles",
              "'bior2.2'",
              "only orthogonal"),
          SIGNALLLM_WRONG(
              "whole numbers for angles",
              lattice_filters(at::zeros({3}, at::kLong)),
              "lattice_filters",
              "angles",
              "Long",
              "floating point"),
          SIGNALLLM_WRONG(
              "level below -1",
              F::wavedec(x, "db2", -2),
              "wavedec",
              "level",
              "-2",
              "0 to 61, or -1"),
          SIGNALLLM_WRONG(
              "a length that is not the signal's",
              F::waverec(F::wavedec(x, "db2", 1), "db2", "reflect", -2, 8),
              "waverec",
              "length",
              "8",
              "9 or 10"),
          SIGNALLLM_WRONG(
              "no coefficients",
              F::waverec({}, "db2"),
              "waverec",
              "coeffs",
              "empty",
              "at least cA"),
          SIGNALLLM_WRONG(
              "no coefficients",
              F::causal_waverec({}),
              "causal_waverec",
              "coeffs",
              "empty",
              "at least a_J"),
          SIGNALLLM_WRONG(
              "a negative length",
              F::max_level(-1, 4),
              "max_level",
              "length",
              "-1",
              "length >= 0"),
          SIGNALLLM_WRONG(
              "unknown mode",
              F::dwt_coeff_len(9, 4, "zeros"),
              "wavedec_lengths",
              "mode",
              "'zeros'",
              "'zero'",
              "periodization"),
      });
}

} // namespace
} // namespace signalllm::test

// Wrong inputs of the wavelets and of the functions on them.

#include "errors/page.h"

#include <signalllm/functional.h>
#include <signalllm/wavelet.h>

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

namespace signalllm::test {
namespace {

TEST(WaveletErrors, Refused) {
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

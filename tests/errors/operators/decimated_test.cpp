// Wrong inputs of the decimated transforms.

#include "errors/page.h"

#include <signalllm/ops/wavedec.h>
#include <signalllm/ops/waverec.h>

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

namespace signalllm::test {
namespace {

TEST(DecimatedErrors, Refused) {
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

} // namespace
} // namespace signalllm::test

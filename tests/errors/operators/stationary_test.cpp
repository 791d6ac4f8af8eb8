// Wrong inputs of the stationary transforms.

#include "errors/page.h"

#include <signalllm/ops/iswt.h>
#include <signalllm/ops/swt.h>

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

namespace signalllm::test {
namespace {

TEST(StationaryErrors, Refused) {
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

} // namespace
} // namespace signalllm::test

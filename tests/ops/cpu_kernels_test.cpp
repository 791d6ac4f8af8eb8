// The CPU kernels against the composite path: the dispatcher's operators on
// CPU tensors, and signalllm::ops::composite on the same values.
#include "ops/causal_wavedec.h"
#include "ops/causal_wavelet_filter.h"
#include "ops/cpu_cases.h"
#include "ops/swt.h"
#include "ops/waverec.h"

#include <signalllm/ops/causal_wavedec.h>
#include <signalllm/ops/causal_wavelet_filter.h>
#include <signalllm/ops/iswt.h>
#include <signalllm/ops/swt.h>
#include <signalllm/ops/wavedec.h>
#include <signalllm/ops/waverec.h>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

using namespace signalllm;
using namespace signalllm::ops;
using namespace signalllm::test;

namespace {

void check_wavelets(const CpuCase& k) {
  SCOPED_TRACE(k.name());
  const auto x = k.values(k.shape);
  const auto lo = k.filter(k.taps), hi = k.filter(k.taps, true);
  const int64_t n = k.shape[1];
  const auto coeffs = wavedec(x, lo, hi, k.level, k.mode);
  expect_agrees(
      k, "wavedec", coeffs, {x, lo, hi}, [&](const Tensors& t, auto mode) {
        return composite::wavedec(t[0], t[1], t[2], k.level, mode, -2);
      });
  Tensors grads;
  std::vector<int64_t> lengths;
  for (const auto& c : coeffs) {
    grads.push_back(k.values(c.sizes()));
    lengths.push_back(c.size(1));
  }
  expect_agrees(
      k,
      "wavedec_backward_input",
      {ops::detail::wavedec_backward_input(grads, lo, hi, n, k.mode, -2)},
      joined({lo, hi}, grads),
      [&](const Tensors& t, auto mode) {
        return Tensors{composite::wavedec_backward_input(
            at::TensorList(t).slice(2), t[0], t[1], n, mode, -2)};
      });
  expect_agrees(
      k,
      "wavedec_backward_filters",
      listed(
          ops::detail::wavedec_backward_filters(grads, x, lo, hi, k.mode, -2)),
      joined({x, lo, hi}, grads),
      [&](const Tensors& t, auto mode) {
        return listed(composite::wavedec_backward_filters(
            at::TensorList(t).slice(3), t[0], t[1], t[2], mode, -2));
      });
  if (k.mode != "periodization" && lengths[0] < k.taps / 2) {
    return;
  }
  const auto y = waverec(grads, lo, hi, k.mode);
  expect_agrees(
      k,
      "waverec",
      {y},
      joined({lo, hi}, grads),
      [&](const Tensors& t, auto mode) {
        return Tensors{composite::waverec(
            at::TensorList(t).slice(2), t[0], t[1], mode, -2)};
      });
  const auto gy = k.values(y.sizes());
  expect_agrees(
      k,
      "waverec_backward_input",
      ops::detail::waverec_backward_input(
          gy, lo, hi, c10::fromIntArrayRefSlow(lengths), k.mode, -2),
      {gy, lo, hi},
      [&](const Tensors& t, auto mode) {
        return composite::waverec_backward_input(
            t[0], t[1], t[2], lengths, mode, -2);
      });
  expect_agrees(
      k,
      "waverec_backward_filters",
      listed(
          ops::detail::waverec_backward_filters(gy, grads, lo, hi, k.mode, -2)),
      joined({gy, lo, hi}, grads),
      [&](const Tensors& t, auto mode) {
        return listed(composite::waverec_backward_filters(
            t[0], at::TensorList(t).slice(3), t[1], t[2], mode, -2));
      });
}

void check_causal(const CpuCase& k) {
  SCOPED_TRACE(k.name());
  const auto x = k.values(k.shape);
  const auto lo = k.filter(k.taps), hi = k.filter(k.taps);
  const auto out = causal_wavedec(x, lo, k.level);
  // A detail is a difference, which a filter of negative taps makes a sum; the
  // approximations' signs alternate then.
  const auto negative = -lo.abs();
  expect_agrees(
      k,
      "causal_wavedec",
      out,
      {x, lo},
      {x.abs(), negative},
      [&](const Tensors& t, auto) {
        return composite::causal_wavedec(t[0], t[1], k.level, -2);
      });
  Tensors grads, alternating;
  for (const auto& c : out) {
    grads.push_back(k.values(c.sizes()));
    const auto size = grads.back().abs();
    alternating.push_back(alternating.size() % 2 == 0 ? size : -size);
  }
  expect_agrees(
      k,
      "causal_wavedec_backward_input",
      {ops::detail::causal_wavedec_backward_input(grads, lo, -2)},
      joined({lo}, grads),
      joined({negative}, alternating),
      [&](const Tensors& t, auto) {
        return Tensors{composite::causal_wavedec_backward_input(
            at::TensorList(t).slice(1), t[0], -2)};
      });
  expect_agrees(
      k,
      "causal_wavedec_backward_filter",
      {ops::detail::causal_wavedec_backward_filter(grads, x, lo, -2)},
      joined({x, lo}, grads),
      joined({x.abs(), negative}, alternating),
      [&](const Tensors& t, auto) {
        return Tensors{composite::causal_wavedec_backward_filter(
            at::TensorList(t).slice(2), t[0], t[1], -2)};
      });
  const auto w =
      at::randn({k.per_channel ? k.shape.back() : 1, k.level + 2}, at::kDouble)
          .to(lo.scalar_type());
  expect_agrees(
      k,
      "causal_wavelet_filter",
      {causal_wavelet_filter(x, lo, hi, w)},
      {x, lo, hi, w},
      [&](const Tensors& t, auto) {
        return Tensors{
            composite::causal_wavelet_filter(t[0], t[1], t[2], t[3], -2)};
      });
  const auto gy = k.values(x.sizes());
  expect_agrees(
      k,
      "causal_wavelet_filter_backward_input",
      {ops::detail::causal_wavelet_filter_backward_input(gy, lo, hi, w, -2)},
      {gy, lo, hi, w},
      [&](const Tensors& t, auto) {
        return Tensors{composite::causal_wavelet_filter_backward_input(
            t[0], t[1], t[2], t[3], -2)};
      });
  const auto [a, b, c] =
      ops::detail::causal_wavelet_filter_backward_filters(gy, x, lo, hi, w, -2);
  expect_agrees(
      k,
      "causal_wavelet_filter_backward_filters",
      {a, b, c},
      {gy, x, lo, hi, w},
      [&](const Tensors& t, auto) {
        const auto [d, e, f] =
            composite::causal_wavelet_filter_backward_filters(
                t[0], t[1], t[2], t[3], t[4], -2);
        return Tensors{d, e, f};
      });
}

void check_stationary(const CpuCase& k) {
  SCOPED_TRACE(k.name());
  const auto x = k.values(k.shape);
  const auto lo = k.filter(k.taps), hi = k.filter(k.taps, true);
  const auto coeffs = swt(x, lo, hi, k.level);
  expect_agrees(k, "swt", coeffs, {x, lo, hi}, [&](const Tensors& t, auto) {
    return composite::swt(t[0], t[1], t[2], k.level, -2);
  });
  Tensors grads;
  for (const auto& c : coeffs) {
    grads.push_back(k.values(c.sizes()));
  }
  expect_agrees(
      k,
      "iswt",
      {iswt(grads, lo, hi)},
      joined({lo, hi}, grads),
      [&](const Tensors& t, auto) {
        return Tensors{
            composite::iswt(at::TensorList(t).slice(2), t[0], t[1], -2)};
      });
  expect_agrees(
      k,
      "swt_backward_filters",
      listed(ops::detail::swt_backward_filters(grads, x, lo, hi, -2)),
      joined({x, lo, hi}, grads),
      [&](const Tensors& t, auto) {
        return listed(composite::swt_backward_filters(
            at::TensorList(t).slice(3), t[0], t[1], t[2], -2));
      });
}

constexpr int64_t kChannels[] = {1, 3, 16, 17, 40, 130};
constexpr int64_t kFew[] = {1, 2, 3, 4, 5, 8, 9, 15};
constexpr at::ScalarType kTypes[] =
    {at::kDouble, at::kFloat, at::kBFloat16, at::kHalf};

} // namespace

TEST(CpuKernels, WaveletsAgreeWithTheCompositePath) {
  constexpr int64_t kTaps[] = {2, 8, 4, 14, 6, 20};
  const c10::AutoGradMode guard(false);
  for (int64_t n = 1; n <= 70; ++n) {
    for (size_t m = 0; m < modes().size(); ++m) {
      const auto& mode = modes()[m];
      const int64_t i = n * 9 + static_cast<int64_t>(m) + n / 6;
      if (n == 1 && (mode == "reflect" || mode == "antireflect")) {
        continue;
      }
      // Extrapolation over many taps loses what the dtype has.
      const bool grows = mode == "smooth" || mode == "antireflect";
      // Level 4 is far beyond the maximum of most of these lengths.
      CpuCase k{
          {2, n, kChannels[i % 6]},
          std::string(mode),
          kTaps[(i / 2) % 6],
          grows || n == 1 ? 1 : 1 + i % 4,
          grows ? kTypes[i % 2] : kTypes[i % 4],
          i % 5 == 0};
      check_wavelets(k);
      // A single signal of few channels is computed along the sequence.
      k.shape = {1, n, kFew[i % 8]};
      k.named = i % 3 == 0 && !k.per_channel;
      check_wavelets(k);
      ASSERT_FALSE(HasFatalFailure());
    }
  }
}

TEST(CpuKernels, TilesAgreeWithTheCompositePath) {
  const c10::AutoGradMode guard(false);
  for (const char* mode :
       {"reflect", "zero", "symmetric", "periodic", "periodization"}) {
    check_wavelets({{1, 9001, 33}, mode, 8, 3, at::kFloat, false});
    check_wavelets({{2, 3000, 130}, mode, 12, 5, at::kDouble, false});
    check_wavelets({{1, 9000, 20}, mode, 4, 6, at::kBFloat16, true});
    check_wavelets({{2, 3001, 32}, mode, 20, 4, at::kFloat, false, true});
    ASSERT_FALSE(HasFatalFailure());
  }
}

TEST(CpuKernels, FewChannelsAgreeWithTheCompositePath) {
  const c10::AutoGradMode guard(false);
  int64_t i = 0;
  for (const char* mode :
       {"reflect", "zero", "symmetric", "periodic", "periodization"}) {
    check_wavelets({{1, 150001, 1}, mode, 8, 5, at::kFloat, false, true});
    check_wavelets({{1, 70000, 1}, mode, 20, 3, at::kDouble, false});
    for (const int64_t channels : kFew) {
      check_wavelets(
          {{2, 1500 + i, channels},
           mode,
           8,
           2 + i % 3,
           kTypes[i % 4],
           i % 3 == 0});
      check_wavelets(
          {{3, 200 + i, channels}, mode, 6, 1 + i % 4, kTypes[i % 2], false});
      // Short signals are computed side by side, in groups that do not divide.
      check_wavelets(
          {{67, 20 + 3 * i, channels},
           mode,
           8,
           1 + i % 3,
           kTypes[i % 4],
           i % 2 == 0});
      ASSERT_FALSE(HasFatalFailure());
      ++i;
    }
  }
}

TEST(CpuKernels, StridedInputsGiveWhatTheirCopiesGive) {
  const c10::AutoGradMode guard(false);
  const auto lo = at::randn({8}), hi = at::randn({8});
  const auto base = at::randn({3, 5, 2, 260});
  const auto expect_equal = [](const Tensors& a, const Tensors& b) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      EXPECT_TRUE(a[i].equal(b[i])) << i;
    }
  };
  for (const auto& x :
       {base.select(2, 1).transpose(1, 2), // the sequence contiguous
        base.select(2, 1).slice(2, 0, 260, 2).transpose(1, 2),
        base.select(2, 0).narrow(1, 2, 1).transpose(1, 2),
        base.permute({0, 3, 1, 2}).flatten(0, 0).select(3, 1)}) {
    ASSERT_FALSE(x.is_contiguous());
    const auto copy = x.contiguous();
    expect_equal(wavedec(x, lo, hi, 3), wavedec(copy, lo, hi, 3));
    expect_equal(swt(x, lo, hi, 3), swt(copy, lo, hi, 3));
  }
}

TEST(CpuKernels, TheLastAxisAgreesWithTheCompositePath) {
  const c10::AutoGradMode guard(false);
  const CpuCase k{{3, 5, 260}, "symmetric", 8, 3, at::kFloat, false};
  const auto x = k.values(k.shape);
  const auto lo = k.filter(8), hi = k.filter(8);
  const auto coeffs = wavedec(x, lo, hi, 3, k.mode, -1);
  expect_agrees(
      k, "wavedec", coeffs, {x, lo, hi}, [&](const Tensors& t, auto mode) {
        return composite::wavedec(t[0], t[1], t[2], 3, mode, -1);
      });
  expect_agrees(
      k,
      "waverec",
      {waverec(coeffs, lo, hi, k.mode, -1)},
      joined({lo, hi}, coeffs),
      [&](const Tensors& t, auto mode) {
        return Tensors{composite::waverec(
            at::TensorList(t).slice(2), t[0], t[1], mode, -1)};
      });
  expect_agrees(
      k,
      "swt",
      swt(x, lo, hi, 3, -1),
      {x, lo, hi},
      [&](const Tensors& t, auto) {
        return composite::swt(t[0], t[1], t[2], 3, -1);
      });
}

TEST(CpuKernels, StationaryAgreesWithTheCompositePath) {
  const c10::AutoGradMode guard(false);
  constexpr int64_t kTaps[] = {2, 8, 4, 14, 6, 20};
  for (int64_t n = 1; n <= 70; ++n) {
    for (int64_t j = 0; j < 2; ++j) {
      const int64_t i = 2 * n + j + n / 6;
      const bool few = i % 2 == 0;
      const bool per_channel = i % 5 == 0;
      check_stationary(
          {{few ? 1 : 2, n, few ? kFew[i / 2 % 8] : kChannels[i % 6]},
           "swt",
           kTaps[i / 3 % 6],
           1 + i / 2 % 5,
           kTypes[i / 7 % 4],
           per_channel,
           !per_channel && i % 3 == 0});
      ASSERT_FALSE(HasFatalFailure());
    }
  }
  for (const auto type : kTypes) {
    check_stationary({{1, 9001, 33}, "swt", 8, 3, type, false, true});
    check_stationary({{2, 5000, 17}, "swt", 4, 5, type, true});
    check_stationary({{1, 300001, 1}, "swt", 8, 3, type, false});
    check_stationary({{2, 20011, 3}, "swt", 6, 4, type, true});
    check_stationary({{3, 1000, 5}, "swt", 8, 7, type, false});
    ASSERT_FALSE(HasFatalFailure());
  }
}

TEST(CpuKernels, CausalAgreesWithTheCompositePath) {
  const c10::AutoGradMode guard(false);
  for (int64_t n = 1; n <= 40; ++n) {
    for (int64_t j = 0; j < 3; ++j) {
      const int64_t i = 3 * n + j + n / 6;
      check_causal(
          {{2, n, kChannels[i % 6]},
           "causal",
           1 + i % 7,
           i % 5,
           kTypes[i % 4],
           i % 3 == 0});
      ASSERT_FALSE(HasFatalFailure());
    }
  }
  check_causal({{1, 5000, 40}, "causal", 4, 5, at::kFloat, false});
}

TEST(CpuKernels, ThreadsDoNotChangeABit) {
  const int before = at::get_num_threads();
  const auto x = at::randn({1, 4000, 96});
  const auto lo = at::randn({8}), hi = at::randn({8});
  std::vector<at::Tensor> results[2];
  for (int i = 0; i < 2; ++i) {
    at::set_num_threads(i == 0 ? 1 : 2);
    auto& r = results[i];
    r = wavedec(x, lo, hi, 4);
    const auto coeffs = r;
    r.push_back(waverec(coeffs, lo, hi));
    r.push_back(ops::detail::wavedec_backward_input(
        coeffs, lo, hi, 4000, "reflect", -2));
    const auto [glo, ghi] =
        ops::detail::wavedec_backward_filters(coeffs, x, lo, hi, "reflect", -2);
    r.push_back(glo);
    r.push_back(ghi);
    r.push_back(causal_wavedec(x, lo, 3)[0]);
    const auto s = swt(x, lo, hi, 3);
    r.insert(r.end(), s.begin(), s.end());
    r.push_back(iswt(s, lo, hi));
    const auto [slo, shi] = ops::detail::swt_backward_filters(s, x, lo, hi, -2);
    r.push_back(slo);
    r.push_back(shi);
    const auto mono = wavedec(x.flatten(1).unsqueeze(2), lo, hi, 4);
    r.insert(r.end(), mono.begin(), mono.end());
    r.push_back(waverec(mono, lo, hi));
  }
  at::set_num_threads(before);
  for (size_t i = 0; i < results[0].size(); ++i) {
    EXPECT_TRUE(at::equal(results[0][i], results[1][i])) << i;
  }
}

TEST(CpuKernels, OutGivesTheSameAndRefusesTheRest) {
  const auto x = at::randn({2, 33, 20});
  const auto lo = at::randn({4}), hi = at::randn({4});
  const auto coeffs = wavedec(x, lo, hi, 2);
  std::vector<at::Tensor> out;
  for (const auto& c : coeffs) {
    out.push_back(at::empty_like(c));
  }
  wavedec_out(out, x, lo, hi, 2);
  for (size_t i = 0; i < out.size(); ++i) {
    EXPECT_TRUE(at::equal(out[i], coeffs[i]));
  }
  auto y = at::empty({2, 34, 20});
  waverec_out(y, coeffs, lo, hi);
  EXPECT_TRUE(at::equal(y, waverec(coeffs, lo, hi)));

  auto wrong = out;
  wrong[1] = at::empty({2, 5, 20});
  EXPECT_THROW(wavedec_out(wrong, x, lo, hi, 2), c10::Error);
  wrong[1] = out[1].to(at::kDouble);
  EXPECT_THROW(wavedec_out(wrong, x, lo, hi, 2), c10::Error);
  wrong[1] = at::empty({2, 20, out[1].size(1)}).transpose(1, 2);
  EXPECT_THROW(wavedec_out(wrong, x, lo, hi, 2), c10::Error);
  wrong[1] = wrong[0]; // two outputs of one shape in one memory
  EXPECT_THROW(wavedec_out(wrong, x, lo, hi, 2), c10::Error);
  EXPECT_THROW(wavedec_out({out[0]}, x, lo, hi, 2), c10::Error);
  auto short_y = at::empty({2, 33, 20});
  EXPECT_THROW(waverec_out(short_y, coeffs, lo, hi), c10::Error);
  const auto wants = x.clone().requires_grad_();
  EXPECT_THROW(wavedec_out(out, wants, lo, hi, 2), c10::Error);
  const c10::AutoGradMode guard(false);
  EXPECT_NO_THROW(wavedec_out(out, wants, lo, hi, 2));
}

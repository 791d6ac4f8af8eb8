// The CPU kernels against the composite path: the dispatcher's operators on
// CPU tensors, and signalllm::ops::composite on the same values.
#include "ops/causal_wavedec.h"
#include "ops/causal_wavelet_filter.h"
#include "ops/swt.h"
#include "ops/waverec.h"

#include <signalllm/ops/causal_wavedec.h>
#include <signalllm/ops/causal_wavelet_filter.h>
#include <signalllm/ops/iswt.h>
#include <signalllm/ops/swt.h>
#include <signalllm/ops/wavedec.h>
#include <signalllm/ops/waverec.h>
#include <signalllm/wavelet.h>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <map>

using namespace signalllm;
using namespace signalllm::ops;

namespace {

double tolerance(at::ScalarType type) {
  return type == at::kDouble ? 1e-12
      : type == at::kFloat   ? 2e-5
      : type == at::kHalf    ? 2e-3
                             : 2e-2;
}

void expect_close(
    const at::Tensor& ours,
    const at::Tensor& reference,
    const std::string& what) {
  ASSERT_EQ(ours.sizes(), reference.sizes()) << what;
  ASSERT_EQ(ours.scalar_type(), reference.scalar_type()) << what;
  if (ours.numel() == 0) {
    return;
  }
  const auto r = reference.to(at::kDouble);
  const double error = (ours.to(at::kDouble) - r).abs().max().item<double>();
  const double scale = 1 + r.abs().max().item<double>();
  ASSERT_LE(error, tolerance(ours.scalar_type()) * scale) << what;
}

void expect_all_close(
    const std::vector<at::Tensor>& ours,
    const std::vector<at::Tensor>& reference,
    const std::string& what) {
  ASSERT_EQ(ours.size(), reference.size()) << what;
  for (size_t i = 0; i < ours.size(); ++i) {
    expect_close(ours[i], reference[i], what + " " + std::to_string(i));
  }
}

struct Case {
  std::vector<int64_t> shape;
  std::string mode;
  int64_t taps, level;
  at::ScalarType type;
  bool per_channel;
  bool named = false; // a wavelet's filters, which may be a lattice

  std::string name() const {
    return (named ? "wavelet " : "") + mode + " " +
        c10::str(at::IntArrayRef(shape)) + " taps " + std::to_string(taps) +
        " level " + std::to_string(level) + " " + c10::toString(type) +
        (per_channel ? " per channel" : "");
  }
  at::Tensor filter(int64_t count, bool high = false) const {
    if (named) {
      const std::map<int64_t, const char*> names{
          {2, "haar"},
          {4, "db2"},
          {6, "bior2.2"},
          {8, "sym4"},
          {12, "coif2"},
          {14, "db7"},
          {20, "db10"}};
      const Wavelet wavelet(names.at(count));
      return at::tensor(high ? wavelet.dec_hi() : wavelet.dec_lo(), at::kDouble)
          .to(type == at::kHalf ? at::kFloat : type);
    }
    const auto f = per_channel ? at::randn({shape.back(), count}, at::kDouble)
                               : at::randn({count}, at::kDouble);
    // Half inputs meet float filters in every other case.
    const auto own = type == at::kHalf || (type == at::kBFloat16 && level % 2)
        ? at::kFloat
        : type;
    return (f / std::sqrt(double(count))).to(own);
  }
  at::Tensor values(at::IntArrayRef sizes) const {
    return at::randn(sizes, at::kDouble).to(type);
  }
};

void check_wavelets(const Case& k) {
  SCOPED_TRACE(k.name());
  const auto x = k.values(k.shape);
  const auto lo = k.filter(k.taps), hi = k.filter(k.taps, true);
  const int64_t n = k.shape[1];
  const auto coeffs = wavedec(x, lo, hi, k.level, k.mode);
  expect_all_close(
      coeffs, composite::wavedec(x, lo, hi, k.level, k.mode, -2), "wavedec");
  std::vector<at::Tensor> grads;
  std::vector<int64_t> lengths;
  for (const auto& c : coeffs) {
    grads.push_back(k.values(c.sizes()));
    lengths.push_back(c.size(1));
  }
  expect_close(
      ops::detail::wavedec_backward_input(grads, lo, hi, n, k.mode, -2),
      composite::wavedec_backward_input(grads, lo, hi, n, k.mode, -2),
      "wavedec_backward_input");
  const auto [glo, ghi] =
      ops::detail::wavedec_backward_filters(grads, x, lo, hi, k.mode, -2);
  const auto [clo, chi] =
      composite::wavedec_backward_filters(grads, x, lo, hi, k.mode, -2);
  expect_all_close({glo, ghi}, {clo, chi}, "wavedec_backward_filters");
  if (k.mode != "periodization" && lengths[0] < k.taps / 2) {
    return;
  }
  const auto y = waverec(grads, lo, hi, k.mode);
  expect_close(y, composite::waverec(grads, lo, hi, k.mode, -2), "waverec");
  const auto gy = k.values(y.sizes());
  expect_all_close(
      ops::detail::waverec_backward_input(
          gy, lo, hi, c10::fromIntArrayRefSlow(lengths), k.mode, -2),
      composite::waverec_backward_input(gy, lo, hi, lengths, k.mode, -2),
      "waverec_backward_input");
  const auto [rlo, rhi] =
      ops::detail::waverec_backward_filters(gy, grads, lo, hi, k.mode, -2);
  const auto [slo, shi] =
      composite::waverec_backward_filters(gy, grads, lo, hi, k.mode, -2);
  expect_all_close({rlo, rhi}, {slo, shi}, "waverec_backward_filters");
}

void check_causal(const Case& k) {
  SCOPED_TRACE(k.name());
  const auto x = k.values(k.shape);
  const auto lo = k.filter(k.taps), hi = k.filter(k.taps);
  const auto out = causal_wavedec(x, lo, k.level);
  expect_all_close(
      out, composite::causal_wavedec(x, lo, k.level, -2), "causal_wavedec");
  std::vector<at::Tensor> grads;
  for (const auto& c : out) {
    grads.push_back(k.values(c.sizes()));
  }
  expect_close(
      ops::detail::causal_wavedec_backward_input(grads, lo, -2),
      composite::causal_wavedec_backward_input(grads, lo, -2),
      "causal_wavedec_backward_input");
  expect_close(
      ops::detail::causal_wavedec_backward_filter(grads, x, lo, -2),
      composite::causal_wavedec_backward_filter(grads, x, lo, -2),
      "causal_wavedec_backward_filter");
  const auto w =
      at::randn({k.per_channel ? k.shape.back() : 1, k.level + 2}, at::kDouble)
          .to(lo.scalar_type());
  expect_close(
      causal_wavelet_filter(x, lo, hi, w),
      composite::causal_wavelet_filter(x, lo, hi, w, -2),
      "causal_wavelet_filter");
  const auto gy = k.values(x.sizes());
  expect_close(
      ops::detail::causal_wavelet_filter_backward_input(gy, lo, hi, w, -2),
      composite::causal_wavelet_filter_backward_input(gy, lo, hi, w, -2),
      "causal_wavelet_filter_backward_input");
  const auto [a, b, c] =
      ops::detail::causal_wavelet_filter_backward_filters(gy, x, lo, hi, w, -2);
  const auto [d, e, f] =
      composite::causal_wavelet_filter_backward_filters(gy, x, lo, hi, w, -2);
  expect_all_close(
      {a, b, c}, {d, e, f}, "causal_wavelet_filter_backward_filters");
}

void check_stationary(const Case& k) {
  SCOPED_TRACE(k.name());
  const auto x = k.values(k.shape);
  const auto lo = k.filter(k.taps), hi = k.filter(k.taps, true);
  const auto coeffs = swt(x, lo, hi, k.level);
  expect_all_close(coeffs, composite::swt(x, lo, hi, k.level, -2), "swt");
  std::vector<at::Tensor> grads;
  for (const auto& c : coeffs) {
    grads.push_back(k.values(c.sizes()));
  }
  expect_close(iswt(grads, lo, hi), composite::iswt(grads, lo, hi, -2), "iswt");
  const auto [glo, ghi] =
      ops::detail::swt_backward_filters(grads, x, lo, hi, -2);
  const auto [clo, chi] = composite::swt_backward_filters(grads, x, lo, hi, -2);
  expect_all_close({glo, ghi}, {clo, chi}, "swt_backward_filters");
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
      Case k{
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

TEST(CpuKernels, StridedInputsAgreeWithTheCompositePath) {
  const c10::AutoGradMode guard(false);
  const auto lo = at::randn({8}), hi = at::randn({8});
  const auto base = at::randn({3, 5, 2, 260});
  for (const auto& x :
       {base.select(2, 1).transpose(1, 2), // the sequence contiguous
        base.select(2, 1).slice(2, 0, 260, 2).transpose(1, 2),
        base.select(2, 0).narrow(1, 2, 1).transpose(1, 2),
        base.permute({0, 3, 1, 2}).flatten(0, 0).select(3, 1)}) {
    ASSERT_FALSE(x.is_contiguous());
    expect_all_close(
        wavedec(x, lo, hi, 3),
        composite::wavedec(x, lo, hi, 3, "reflect", -2),
        "wavedec");
    expect_all_close(
        swt(x, lo, hi, 3), composite::swt(x, lo, hi, 3, -2), "swt");
  }
  // The sequence last, as [batch, channels, length].
  const auto x = at::randn({3, 5, 260});
  const auto coeffs = wavedec(x, lo, hi, 3, "symmetric", -1);
  expect_all_close(
      coeffs, composite::wavedec(x, lo, hi, 3, "symmetric", -1), "wavedec");
  expect_close(
      waverec(coeffs, lo, hi, "symmetric", -1),
      composite::waverec(coeffs, lo, hi, "symmetric", -1),
      "waverec");
  expect_all_close(
      swt(x, lo, hi, 3, -1), composite::swt(x, lo, hi, 3, -1), "swt");
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

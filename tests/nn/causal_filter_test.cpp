#include "support.h"

#include <signalllm/nn/causal_filter.h>

using namespace signalllm;
using namespace signalllm::test;

struct CausalFilterTest : SeedingFixture {
  static std::vector<CausalFilterOptions> kinds() {
    return {
        CausalFilterOptions(6).kind(FilterKind::None),
        CausalFilterOptions(6),
        CausalFilterOptions(6).taps(1),
        CausalFilterOptions(6).kind(FilterKind::Wavelet).levels(0),
        CausalFilterOptions(6).kind(FilterKind::Wavelet).levels(3),
        CausalFilterOptions(6)
            .kind(FilterKind::Wavelet)
            .wavelet("db4")
            .levels(4)
            .shared(true)};
  }
};

TEST_F(CausalFilterTest, ShortAgreesWithALoop) {
  CausalFilter f(3);
  f->to(torch::kDouble);
  const auto x = torch::randn({2, 7, 3}, torch::kDouble);
  auto expected = torch::zeros_like(x);
  for (int64_t t = 0; t < 7; ++t) {
    for (int64_t k = 0; k < 3 && k <= t; ++k) {
      expected.select(1, t) += x.select(1, t - k) * f->taps.select(1, k);
    }
  }
  expect_close(f->forward(x), expected, 1e-14);
}

TEST_F(CausalFilterTest, WaveletAgreesWithALoop) {
  CausalFilter f(CausalFilterOptions(3).kind(FilterKind::Wavelet).levels(3));
  f->to(torch::kDouble);
  torch::NoGradGuard no_grad;
  f->angles.normal_();
  const auto x = torch::randn({2, 17, 3}, torch::kDouble);
  const auto [h0, h1] = f->filters(torch::dtype(torch::kDouble));
  auto y = x * f->bands.select(1, 0);
  auto lo = x;
  for (int64_t j = 0; j < 3; ++j) {
    auto hi = torch::zeros_like(x);
    auto next = torch::zeros_like(x);
    for (int64_t t = 0; t < 17; ++t) {
      for (int64_t k = 0; k < h0.size(1) && (k << j) <= t; ++k) {
        hi.select(1, t) += lo.select(1, t - (k << j)) * h1.select(1, k);
        next.select(1, t) += lo.select(1, t - (k << j)) * h0.select(1, k);
      }
    }
    y = y + hi * f->bands.select(1, j + 1);
    lo = next;
  }
  y = y + lo * f->bands.select(1, 4);
  expect_close(f->forward(x), y, 1e-12);
  expect_close(f->fused(x), y, 1e-12);
}

TEST_F(CausalFilterTest, IncrementalEqualsForwardHoweverItIsCut) {
  for (const auto& options : kinds()) {
    CausalFilter f(options);
    f->to(torch::kDouble);
    const auto x = torch::randn({2, 40, 6}, torch::kDouble);
    const auto whole = f->forward(x);
    expect_close(f->fused(x), whole, 1e-12);
    for (const int64_t parts : {1, 3}) {
      expect_close(torch::cat(f->fused_parts(x, parts), 2), whole, 1e-12);
    }
    CausalFilterState state;
    std::vector<torch::Tensor> parts;
    int64_t at = 0;
    for (const int64_t length : {1, 1, 7, 2, 20, 9}) {
      parts.push_back(
          f->forward_incremental(x.slice(1, at, at + length), state));
      at += length;
    }
    expect_close(torch::cat(parts, 1), whole, 1e-12);
  }
}

TEST_F(CausalFilterTest, LooksAtNoLaterInput) {
  for (const auto& options : kinds()) {
    for (const auto type : {torch::kFloat, torch::kBFloat16}) {
      for (const int64_t length : {2, 16, 37}) {
        CausalFilter f(options);
        f->to(type);
        const auto x = torch::randn({2, length, 6}).to(type);
        expect_causal(
            [&](const torch::Tensor& in) { return f->forward(in); }, x, false);
        expect_causal(
            [&](const torch::Tensor& in) { return f->fused(in); }, x, false);
      }
    }
  }
}

TEST_F(CausalFilterTest, StartsNearTheIdentity) {
  const auto x = torch::randn({2, 30, 6});
  for (const auto& options : kinds()) {
    const auto y = CausalFilter(options)->forward(x);
    EXPECT_LT(((y - x).norm() / x.norm()).item<double>(), 0.5);
  }
}

TEST_F(CausalFilterTest, Gradients) {
  for (const auto& options : kinds()) {
    CausalFilter f(options);
    f->to(torch::kDouble);
    const auto x = torch::randn({1, 9, 6}, torch::kDouble).requires_grad_();
    auto leaves = f->parameters();
    leaves.push_back(x);
    expect_gradients([&] { return f->forward(x).tanh(); }, leaves);
    expect_gradients([&] { return f->fused(x).tanh(); }, leaves);
    expect_gradients(
        [&] {
          const auto y = f->fused_parts(x, 3);
          return (y[0] * y[1]).tanh() + y[2];
        },
        leaves);
  }
}

TEST_F(CausalFilterTest, SavesClonesAndPrints) {
  const auto x = torch::randn({2, 12, 6});
  for (const auto& options : kinds()) {
    CausalFilter f(options);
    expect_save_and_clone(f, [&](CausalFilterImpl& m) { return m.forward(x); });
  }
  EXPECT_EQ(
      printed(CausalFilter(kinds()[1])),
      "signalllm::CausalFilter(channels=6, kind=short, taps=3)");
  EXPECT_EQ(
      printed(CausalFilter(kinds()[4])),
      "signalllm::CausalFilter(channels=6, kind=wavelet, wavelet=db2, "
      "levels=3)");
}

TEST_F(CausalFilterTest, NamesItsKinds) {
  for (const auto kind :
       {FilterKind::None, FilterKind::Short, FilterKind::Wavelet}) {
    EXPECT_EQ(parse_filter_kind(to_string(kind)), kind);
  }
  EXPECT_NE(
      message_of([] {
        parse_filter_kind("long");
      }).find("allowed are none, short and wavelet"),
      std::string::npos);
}

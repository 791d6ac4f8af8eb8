#include "support.h"

#include <signalllm/nn/causal_filter.h>

#include <cmath>

using namespace signalllm;
using namespace signalllm::test;

struct CausalFilterTest : testing::Test {
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
            .shared(true),
        wavelets("bior2.2", FilterTraining::Fixed),
        wavelets("db4", FilterTraining::Lattice),
        wavelets("haar", FilterTraining::Lattice),
        wavelets(by_level, FilterTraining::Learned),
        wavelets(by_level, FilterTraining::Learned).shared(true),
        wavelets(by_level, FilterTraining::Lattice),
        wavelets("db3;bior2.2;rbio2.2", FilterTraining::Fixed)};
  }

  static CausalFilterOptions wavelets(
      const std::string& names,
      FilterTraining filters) {
    return CausalFilterOptions(6)
        .kind(FilterKind::Wavelet)
        .wavelet(names)
        .levels(3)
        .filters(filters);
  }
  static constexpr const char* by_level = "db3;lattice(0.4 1.2 -0.9);coif1";
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

TEST_F(CausalFilterTest, BanksOfTheLevelsAgreeWithALoop) {
  for (const auto training :
       {FilterTraining::Fixed,
        FilterTraining::Learned,
        FilterTraining::Lattice}) {
    CausalFilter f(wavelets(by_level, training));
    f->to(torch::kDouble);
    torch::NoGradGuard no_grad;
    if (f->angles.defined()) {
      f->angles.normal_();
    }
    const auto [h0, h1] = f->filters(torch::dtype(torch::kDouble));
    ASSERT_EQ(h0.size(0), 3);
    // Shorter than the reach of the levels, odd, and long.
    for (const int64_t length : {1, 3, 8, 29}) {
      const auto x = torch::randn({2, length, 6}, torch::kDouble);
      auto y = x * f->bands.select(1, 0);
      auto lo = x;
      for (int64_t j = 0; j < 3; ++j) {
        auto hi = torch::zeros_like(x), next = torch::zeros_like(x);
        for (int64_t t = 0; t < length; ++t) {
          for (int64_t k = 0; k < h0.size(-1) && (k << j) <= t; ++k) {
            const auto past = lo.select(1, t - (k << j));
            hi.select(1, t) += past * h1[j].select(-1, k);
            next.select(1, t) += past * h0[j].select(-1, k);
          }
        }
        y = y + hi * f->bands.select(1, j + 1);
        lo = next;
      }
      y = y + lo * f->bands.select(1, 4);
      expect_close(f->forward(x), y, 1e-12);
      expect_close(f->fused(x), y, 1e-12);
    }
  }
}

TEST_F(CausalFilterTest, AllTrainingsOfFiltersStartAtTheWavelet) {
  for (const auto* names : {"haar", "db4", by_level}) {
    const auto wanted = wavelets_of_levels(names);
    for (const auto training :
         {FilterTraining::Fixed,
          FilterTraining::Learned,
          FilterTraining::Lattice}) {
      const CausalFilter f(wavelets(names, training).shared(true));
      auto [lo, hi] = f->filters(torch::dtype(torch::kDouble));
      lo = lo.view({-1, lo.size(-1)});
      hi = hi.view({-1, hi.size(-1)});
      ASSERT_EQ(lo.size(0), static_cast<int64_t>(wanted.size()));
      for (size_t level = 0; level < wanted.size(); ++level) {
        const auto [low, high] = wanted[level].synthesis(torch::kDouble);
        const auto row = static_cast<int64_t>(level);
        expect_close(lo[row] * std::sqrt(2.0), low, 1e-6);
        expect_close(hi[row] * -std::sqrt(2.0), high, 1e-6);
      }
    }
  }
}

/// A step of training that moves some of all that can move by 0.1.
static void learn(CausalFilterImpl& f) {
  const auto x = torch::randn({2, 30, 6});
  f.zero_grad();
  f.fused(x).roll(1, 1).mul(x).sum().backward();
  torch::NoGradGuard no_grad;
  for (auto& parameter : f.parameters()) {
    const auto largest = parameter.grad().abs().max();
    EXPECT_GT(largest.item<double>(), 0);
    parameter -= 0.1 * parameter.grad() / largest;
  }
}

TEST_F(CausalFilterTest, ALatticeStaysAWaveletWhileItLearns) {
  for (const auto* names : {"db4", by_level}) {
    CausalFilter f(wavelets(names, FilterTraining::Lattice));
    const auto start = f->angles.detach().clone();
    for (int step = 0; step < 5; ++step) {
      learn(*f);
    }
    EXPECT_GT(max_error(f->angles.detach(), start), 0.01);
    const auto angles = f->lattice_angles()
                            .detach()
                            .to(torch::kDouble)
                            .view({-1, f->angles.size(-1)});
    const auto begun = wavelets_of_levels(names);
    for (int64_t level = 0; level < angles.size(0); ++level) {
      const auto row = angles[level].contiguous();
      const auto now = Wavelet::from_angles(
          {row.const_data_ptr<double>(),
           row.const_data_ptr<double>() + row.numel()});
      EXPECT_LT(now.reconstruction_error(), 1e-12);
      EXPECT_TRUE(now.is_orthogonal(1e-12));
      // The gain at frequency 0 stays that of the start, sqrt(2) of a wavelet.
      const auto gain = [](const Wavelet& of) {
        return of.synthesis(torch::kDouble).first.sum().item<double>();
      };
      EXPECT_NEAR(gain(now), gain(begun[static_cast<size_t>(level)]), 1e-5);
    }
  }
  CausalFilter single(wavelets("haar", FilterTraining::Lattice));
  learn(*single); // one angle may move
  EXPECT_GT(
      max_error(single->angles, CausalFilter(single->options)->angles), 0);
}

TEST_F(CausalFilterTest, FixedFiltersStay) {
  CausalFilter f(wavelets("bior2.2", FilterTraining::Fixed));
  EXPECT_EQ(f->named_parameters().keys(), std::vector<std::string>{"bands"});
  const auto low = f->low.clone(), bands = f->bands.detach().clone();
  learn(*f);
  expect_close(f->low, low, 0);
  EXPECT_GT(max_error(f->bands.detach(), bands), 0);
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
  EXPECT_EQ(
      printed(CausalFilter(wavelets("db4", FilterTraining::Fixed))),
      "signalllm::CausalFilter(channels=6, kind=wavelet, wavelet=db4, "
      "levels=3, filters=fixed)");
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
  for (const auto training :
       {FilterTraining::Fixed,
        FilterTraining::Learned,
        FilterTraining::Lattice}) {
    EXPECT_EQ(parse_filter_training(to_string(training)), training);
  }
  EXPECT_NE(
      message_of([] {
        parse_filter_training("free");
      }).find("allowed are fixed, learned and lattice"),
      std::string::npos);
  EXPECT_NE(
      message_of([] {
        CausalFilter(wavelets("db2;db2", FilterTraining::Fixed));
      }).find("names 2 for 3 levels"),
      std::string::npos);
  EXPECT_NE(
      message_of([] {
        wavelets_of_levels("db2;haar");
      }).find("filters of 4 and of 2 taps"),
      std::string::npos);
  EXPECT_NE(
      message_of([] {
        CausalFilter(wavelets("bior2.2", FilterTraining::Lattice));
      }).find("not orthogonal"),
      std::string::npos);
}

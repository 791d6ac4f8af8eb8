// wavedec and waverec on torch::kMPS: tensors go through wrapper and dispatcher
// to the Metal text. The reference is the composite path in float64.
#include "mps/metal_cases.h"
#include "ops/mps/tile_plan.h"
#include "ops/wavedec_out.h"
#include "ops/waverec_out.h"

#include <signalllm/nn/wavelet_transform.h>
#include <signalllm/ops/wavedec.h>
#include <signalllm/ops/waverec.h>
#include <signalllm/wavelet.h>

using namespace signalllm;
using namespace signalllm::ops;
using namespace signalllm::test;

namespace {

using Tensors = std::vector<at::Tensor>;

Tensors on_mps(const Tensors& tensors) {
  Tensors out;
  for (const auto& t : tensors) {
    out.push_back(test::on_mps(t));
  }
  return out;
}
using test::on_mps;

Tensors wide(const Tensors& tensors) {
  Tensors out;
  for (const auto& t : tensors) {
    out.push_back(test::wide(t));
  }
  return out;
}
using test::wide;

/// Sums in float32, then one rounding to the dtype, where the value is none
/// that the dtype lacks.
void expect_near(
    const at::Tensor& ours,
    const at::Tensor& reference,
    const char* what,
    double slack = 1) {
  ASSERT_TRUE(ours.is_mps()) << what;
  ASSERT_EQ(ours.sizes(), reference.sizes()) << what;
  ASSERT_TRUE(ours.is_contiguous()) << what;
  const auto type = ours.scalar_type();
  const double relative = type == at::kFloat ? 1e-5
      : type == at::kHalf                    ? 1e-3
                                             : 8e-3;
  const auto most = type == at::kHalf ? 65504. : 3e38;
  const auto held = reference.abs() < 0.9 * most;
  const auto shown = at::where(held, reference, 0);
  EXPECT_LE(
      max_error(at::where(held, ours.cpu().to(at::kDouble), 0), shown),
      slack * relative * (1 + shown.abs().max().item<double>()))
      << what;
}

void expect_near(
    const Tensors& ours,
    const Tensors& reference,
    const char* what,
    double slack = 1) {
  ASSERT_EQ(ours.size(), reference.size()) << what;
  for (size_t i = 0; i < ours.size(); ++i) {
    expect_near(ours[i], reference[i], what, slack);
  }
}

struct BankCase {
  std::vector<int64_t> shape;
  int64_t dim;
  std::string mode;
  int64_t taps, level;
  at::ScalarType type, filter_type;
  bool per_channel = false;
  int64_t analyses = 1, syntheses = 1; // launches of one way

  std::string name() const {
    std::string n = mode;
    for (const auto size : shape) {
      n += "_" + std::to_string(size);
    }
    return n + "_dim" + std::to_string(dim) + "_taps" + std::to_string(taps) +
        "_level" + std::to_string(level) + "_" + c10::toString(type) +
        (per_channel ? "_per_channel" : "");
  }
  at::Tensor filter() const {
    const auto f = per_channel ? at::randn({shape.back(), taps}, at::kDouble)
                               : at::randn({taps}, at::kDouble);
    return (f / std::sqrt(double(taps))).to(filter_type);
  }
  at::Tensor values(at::IntArrayRef sizes) const {
    return at::randn(sizes, at::kDouble).to(type);
  }
};

/// Every operator of both transforms, with its launches.
void check(const BankCase& k) {
  SCOPED_TRACE(k.name());
  const at::NoGradGuard guard;
  // Lines through two values, as far beyond them as the filter is long, make
  // small errors large.
  const double slack = k.mode == "smooth" ? 1 + k.taps / 2.0 : 1;
  const auto near = [&](const auto& a, const auto& b, const char* what) {
    expect_near(a, b, what, slack);
  };
  const auto x = k.values(k.shape);
  const auto lo = k.filter(), hi = k.filter();
  const auto mx = on_mps(x), mlo = on_mps(lo), mhi = on_mps(hi);
  const auto wx = wide(x), wlo = wide(lo), whi = wide(hi);
  const int64_t n = x.size(k.dim);
  // Where they are more than two, one way runs ahead of the other.
  const auto most = std::max(k.analyses, k.syntheses);
  const auto with_filters = most == 1 ? 2 : 2 * most + 1;

  const Launches forward;
  const auto coeffs = wavedec(mx, mlo, mhi, k.level, k.mode, k.dim);
  forward.expect(k.analyses);
  near(
      coeffs,
      composite::wavedec(wx, wlo, whi, k.level, k.mode, k.dim),
      "wavedec");

  Tensors grads;
  std::vector<int64_t> lengths;
  for (const auto& c : coeffs) {
    grads.push_back(k.values(c.sizes()));
    lengths.push_back(c.size(k.dim));
  }
  const auto mgrads = on_mps(grads), wgrads = wide(grads);
  const Launches input_only;
  const auto dx =
      ops::detail::wavedec_backward_input(mgrads, mlo, mhi, n, k.mode, k.dim);
  input_only.expect(k.syntheses);
  const auto expected_dx =
      composite::wavedec_backward_input(wgrads, wlo, whi, n, k.mode, k.dim);
  near(dx, expected_dx, "wavedec_backward_input");

  const Launches both;
  const auto [bx, blo, bhi] =
      ops::detail::wavedec_backward(mgrads, mx, mlo, mhi, k.mode, k.dim);
  EXPECT_LE(both.all(), with_filters);
  EXPECT_EQ(both.all(), both.metal());
  near(bx, expected_dx, "wavedec_backward");
  const auto [elo, ehi] =
      composite::wavedec_backward_filters(wgrads, wx, wlo, whi, k.mode, k.dim);
  near(Tensors{blo, bhi}, Tensors{elo, ehi}, "wavedec_backward: filters");
  const auto [flo, fhi] = ops::detail::wavedec_backward_filters(
      mgrads, mx, mlo, mhi, k.mode, k.dim);
  EXPECT_TRUE(flo.cpu().equal(blo.cpu()) && fhi.cpu().equal(bhi.cpu()));

  if (k.mode != "periodization" && lengths[0] < k.taps / 2) {
    return; // waverec refuses
  }
  const Launches inverse;
  const auto y = waverec(mgrads, mlo, mhi, k.mode, k.dim);
  inverse.expect(k.syntheses);
  near(y, composite::waverec(wgrads, wlo, whi, k.mode, k.dim), "waverec");

  const auto gy = k.values(y.sizes());
  const auto mgy = on_mps(gy), wgy = wide(gy);
  const Launches coefficients_only;
  const auto dc = ops::detail::waverec_backward_input(
      mgy, mlo, mhi, c10::fromIntArrayRefSlow(lengths), k.mode, k.dim);
  coefficients_only.expect(k.analyses);
  const auto expected_dc =
      composite::waverec_backward_input(wgy, wlo, whi, lengths, k.mode, k.dim);
  near(dc, expected_dc, "waverec_backward_input");

  const Launches inverse_both;
  const auto [rc, rlo, rhi] =
      ops::detail::waverec_backward(mgy, mgrads, mlo, mhi, k.mode, k.dim);
  EXPECT_LE(inverse_both.all(), with_filters);
  EXPECT_EQ(inverse_both.all(), inverse_both.metal());
  near(rc, expected_dc, "waverec_backward");
  const auto [slo, shi] =
      composite::waverec_backward_filters(wgy, wgrads, wlo, whi, k.mode, k.dim);
  near(Tensors{rlo, rhi}, Tensors{slo, shi}, "waverec_backward: filters");
  const auto [tlo, thi] = ops::detail::waverec_backward_filters(
      mgy, mgrads, mlo, mhi, k.mode, k.dim);
  EXPECT_TRUE(tlo.cpu().equal(rlo.cpu()) && thi.cpu().equal(rhi.cpu()));
}

/// Fewer levels where the mode cannot extend a single value.
int64_t allowed_level(
    const std::string& mode,
    int64_t length,
    int64_t taps,
    int64_t level) {
  int64_t allowed = 0;
  const auto m = parse_mode("", mode);
  while (allowed < level &&
         (length > 1 || (mode != "reflect" && mode != "antireflect"))) {
    length = coefficient_length(m, length, taps);
    ++allowed;
  }
  return allowed;
}

// ---- Every mode at every short length
// -----------------------------------------
class WavedecMetal
    : public testing::TestWithParam<std::tuple<std::string, int64_t>> {};

TEST_P(WavedecMetal, AgreesWithFloat64) {
  const auto& [mode, n] = GetParam();
  constexpr int64_t taps[] = {2, 8, 20, 4, 40, 6, 10};
  constexpr int64_t channels[] = {1, 3, 8, 18};
  constexpr at::ScalarType types[] = {
      at::kFloat, at::kBFloat16, at::kFloat, at::kHalf};
  const auto i = n * 9 + static_cast<int64_t>(parse_mode("", mode));
  BankCase k{
      {1 + i % 2, n, channels[i % 4]},
      -2,
      mode,
      taps[i % 7],
      1 + i % 5,
      types[i % 4],
      types[i % 4],
      i % 3 == 0};
  if (k.type != at::kFloat && i / 4 % 2 == 0) {
    k.filter_type = at::kFloat;
  }
  k.level = allowed_level(mode, n, k.taps, k.level);
  if (k.level > 0) {
    check(k);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Short,
    WavedecMetal,
    testing::Combine(
        testing::ValuesIn(modes()),
        testing::Range<int64_t>(1, 71)),
    [](const auto& info) {
      return std::get<0>(info.param) + "_" +
          std::to_string(std::get<1>(info.param));
    });

// ---- Other shapes
// -------------------------------------------------------------
class WavedecShapesMetal : public testing::TestWithParam<std::string> {};

TEST_P(WavedecShapesMetal, ManyTiles) {
  const auto mode = GetParam();
  check({{1, 1500, 5}, -2, mode, 8, 3, at::kFloat, at::kFloat});
  check({{1, 400, 40}, -2, mode, 2, 4, at::kBFloat16, at::kFloat, true});
  check({{1, 7000}, -1, mode, 8, 3, at::kFloat, at::kFloat});
  check({{1, 900, 4}, -2, mode, 40, 3, at::kHalf, at::kHalf, true});
}

TEST_P(WavedecShapesMetal, AnyDim) {
  const auto mode = GetParam();
  check({{23, 2, 3}, 0, mode, 8, 2, at::kFloat, at::kFloat, true});
  check({{2, 30, 2, 3}, 1, mode, 4, 2, at::kFloat, at::kFloat, true});
  check({{2, 3, 41}, -1, mode, 6, 3, at::kHalf, at::kFloat});
  check({{37}, 0, mode, 2, 4, at::kBFloat16, at::kBFloat16});
}

TEST_P(WavedecShapesMetal, MoreThanATileHolds) {
  const auto mode = GetParam();
  // An analysis' halo of 38 rows doubles with every level; a synthesis' of 20
  // does not.
  BankCase k{{1, 9000}, -1, mode, 40, 8, at::kHalf, at::kFloat};
  k.analyses = 2;
  check(k);
  // A kernel has buffers for 10 levels.
  k = {{1, 3000}, -1, mode, 2, 11, at::kBFloat16, at::kFloat};
  k.analyses = k.syntheses = 2;
  check(k);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes,
    WavedecShapesMetal,
    testing::ValuesIn(modes()),
    [](const auto& info) { return info.param; });

/// The shapes above do have tiles of every kind: the first, the second and its
/// copies, the last two.
TEST(WavedecTilesMetal, AreMany) {
  for (const auto direction :
       {mps::Direction::analysis,
        mps::Direction::synthesis,
        mps::Direction::both}) {
    mps::Bank bank;
    bank.columns = bank.inner = 40;
    std::vector<int64_t> lengths{400, 200, 100, 50, 25};
    ASSERT_TRUE(mps::cut(direction, lengths, bank));
    EXPECT_GE(bank.tiles, 5);
    bank.columns = bank.inner = 1;
    bank.taps = 8;
    bank.border = mps::Border::reflect;
    lengths = {7000, 3503, 1755, 881};
    ASSERT_TRUE(mps::cut(direction, lengths, bank));
    EXPECT_GE(bank.tiles, 4);
  }
}

// ---- Strides
// ------------------------------------------------------------------
TEST(WavedecStridesMetal, CostNoCopy) {
  const at::NoGradGuard guard;
  const auto lo = at::randn({4}), hi = at::randn({4});
  const auto mlo = on_mps(lo), mhi = on_mps(hi);
  const auto base = at::randn({3, 6, 40});
  const auto there = on_mps(base);
  const auto look = [](const at::Tensor& t, int which) {
    switch (which) {
      case 0:
        return t.transpose(1, 2); // channels lie apart
      case 1:
        return t.slice(2, 1, 38, 3);
      case 2:
        return t.select(1, 2).unsqueeze(2).expand({3, 40, 5});
      default:
        return t.permute({2, 0, 1}).slice(0, 3, 20).transpose(0, 1);
    }
  };
  for (int which = 0; which < 4; ++which) {
    const auto x = look(base, which), mx = look(there, which);
    const Launches launches;
    const auto c = wavedec(mx, mlo, mhi, 2, "symmetric", 1);
    EXPECT_EQ(launches.metal(), 1) << which;
    EXPECT_EQ(host_mps::counters().operators.count("copy_"), 0u) << which;
    expect_near(
        c,
        composite::wavedec(wide(x), wide(lo), wide(hi), 2, "symmetric", 1),
        "wavedec");
  }
  // Gradients of a sum are one value seen everywhere.
  const auto c = wavedec(there, mlo, mhi, 2);
  Tensors ones, wones;
  for (const auto& t : c) {
    ones.push_back(on_mps(at::ones({})).expand(t.sizes()));
    wones.push_back(at::ones(t.sizes(), at::kDouble));
  }
  expect_near(
      ops::detail::wavedec_backward_input(ones, mlo, mhi, 6, "reflect", -2),
      composite::wavedec_backward_input(
          wones, wide(lo), wide(hi), 6, "reflect", -2),
      "wavedec_backward_input");
  // What no three steps describe is copied.
  const auto odd = at::randn({2, 3, 20, 4}), modd = on_mps(odd);
  expect_near(
      wavedec(modd.transpose(0, 1), mlo, mhi, 2),
      composite::wavedec(
          wide(odd).transpose(0, 1), wide(lo), wide(hi), 2, "reflect", -2),
      "wavedec");
}

// ---- Through autograd and the modules
// -----------------------------------------
TEST(WavedecAutogradMetal, GradientsAreThoseOfTheCpu) {
  const auto [lo, hi] = Wavelet("db4").analysis(at::kDouble);
  const auto run = [&](bool mps, bool filters) {
    const auto put = [&](const at::Tensor& t, bool grad) {
      return (mps ? on_mps(t.to(at::kFloat)) : t.clone()).requires_grad_(grad);
    };
    at::manual_seed(1);
    const auto x = put(at::randn({2, 50, 6}, at::kDouble), true);
    const auto f = put(lo, filters), g = put(hi, filters);
    const auto weight = put(at::randn({2, 50, 6}, at::kDouble), false);
    const Launches forward;
    const auto c = wavedec(x, f, g, 3, "periodization");
    const auto y = waverec(c, f, g, "periodization");
    if (mps) {
      forward.expect(2);
    }
    Tensors leaves{x};
    if (filters) {
      leaves.insert(leaves.end(), {f, g});
    }
    const Launches backward;
    auto grads = torch::autograd::grad({y}, leaves, {weight});
    if (mps) {
      EXPECT_EQ(backward.metal(), filters ? 4 : 2);
      // Both transforms' shares of the filters' gradients are added.
      EXPECT_EQ(backward.all(), filters ? 6 : 2);
    }
    return grads;
  };
  for (const bool filters : {false, true}) {
    const auto expected = run(false, filters), ours = run(true, filters);
    expect_near(ours, expected, "gradients");
  }
}

TEST(WavedecAutogradMetal, SecondGradientsRunAsPlainAten) {
  const auto x = at::randn({1, 12, 2}), f = at::randn({4});
  const auto run = [&](bool mps) {
    const auto a = (mps ? on_mps(x) : x.clone()).requires_grad_();
    const auto b = (mps ? on_mps(f) : f.clone()).requires_grad_();
    const auto c = wavedec(a, b, b, 2);
    const auto first = torch::autograd::grad(
        {c[0].pow(2).sum()}, {a, b}, {}, std::nullopt, /*create_graph=*/true);
    return torch::autograd::grad(
        {first[0].pow(2).sum() + first[1].pow(2).sum()}, {a, b});
  };
  const auto ours = run(true), expected = run(false);
  for (size_t i = 0; i < ours.size(); ++i) {
    EXPECT_LE(
        max_error(ours[i].cpu(), expected[i]),
        1e-5 * (1 + expected[i].abs().max().item<double>()));
  }
}

TEST(WavedecModuleMetal, RoundTripWithGradientsIsFourLaunches) {
  const auto options =
      WaveletTransformOptions("db4").level(3).causal(false).mode("reflect");
  WaveletTransform reference(options);
  MPSWaveletTransform fused(options);
  const auto x = at::randn({2, 64, 8});
  const auto weight = at::randn_like(x);
  const auto run = [&](auto& module, bool mps) {
    const auto input = (mps ? on_mps(x) : wide(x)).requires_grad_();
    const auto c = module->forward(input);
    const auto y = module->inverse(c, 64);
    const auto g = mps ? on_mps(weight) : wide(weight);
    const auto grads = torch::autograd::grad({y}, {input}, {g});
    return Tensors{y.detach(), grads[0]};
  };
  const auto expected = run(reference, false);
  const Launches launches;
  const auto ours = run(fused, true);
  EXPECT_EQ(launches.metal(), 4);
  EXPECT_EQ(launches.all(), 4);
  expect_near(ours, expected, "round trip");
  expect_near(ours[0], wide(x), "reconstruction");
}

TEST(WavedecModuleMetal, LearnedFiltersPerChannelGetGradients) {
  const auto options = WaveletTransformOptions("db2")
                           .level(2)
                           .causal(false)
                           .mode("periodic")
                           .learned(true)
                           .channels(3);
  MPSWaveletTransform cpu(options), mps(options);
  cpu->to(at::kDouble);
  mps->to(at::kMPS);
  const auto x = at::randn({2, 37, 3});
  const auto run = [&](MPSWaveletTransform& module, const at::Tensor& input) {
    at::Tensor loss;
    for (const auto& c : module->forward(input)) {
      const auto term = c.pow(2).mul(c).sum();
      loss = loss.defined() ? loss + term : term;
    }
    return torch::autograd::grad({loss}, {module->angles});
  };
  expect_near(run(mps, on_mps(x)), run(cpu, wide(x)), "angles");
}

// ---- The rest of the contract
// -------------------------------------------------
TEST(WavedecContractMetal, WritesIntoGivenMemory) {
  const at::NoGradGuard guard;
  const auto x = at::randn({2, 21, 3}), lo = at::randn({4}),
             hi = at::randn({4});
  const auto mx = on_mps(x), mlo = on_mps(lo), mhi = on_mps(hi);
  auto out = wavedec(mx, mlo, mhi, 2);
  const auto expected = composite::wavedec(x, lo, hi, 2, "reflect", -2);
  for (auto& t : out) {
    t.zero_();
  }
  const Launches launches;
  wavedec_out(out, mx, mlo, mhi, 2);
  launches.expect(1);
  for (size_t i = 0; i < out.size(); ++i) {
    expect_close(out[i].cpu(), expected[i], 1e-5);
  }
  auto y = at::empty({2, 22, 3}, mx.options());
  const Launches inverse;
  waverec_out(y, out, mlo, mhi);
  inverse.expect(1);
  expect_close(
      y.cpu(), composite::waverec(expected, lo, hi, "reflect", -2), 1e-4);
  EXPECT_NE(
      message_of([&] {
        auto wrong = at::empty({2, 21, 3}, mx.options());
        waverec_out(wrong, out, mlo, mhi);
      }).find("out"),
      std::string::npos);
}

TEST(WavedecContractMetal, EmptyAndLevelZero) {
  const at::NoGradGuard guard;
  const auto f = on_mps(at::randn({4}));
  const auto x = on_mps(at::randn({2, 9, 3}));
  const auto same = wavedec(x, f, f, 0);
  ASSERT_EQ(same.size(), 1u);
  EXPECT_TRUE(same[0].cpu().equal(x.cpu()));
  EXPECT_FALSE(same[0].is_alias_of(x));
  const auto none = wavedec(on_mps(at::randn({0, 9, 3})), f, f, 2);
  ASSERT_EQ(none.size(), 3u);
  EXPECT_EQ(none[0].sizes(), (std::vector<int64_t>{0, 4, 3}));
  const auto back = waverec(none, f, f);
  EXPECT_EQ(back.sizes(), (std::vector<int64_t>{0, 10, 3}));
  const auto [dx, lo, hi] = ops::detail::wavedec_backward(
      none, on_mps(at::randn({0, 9, 3})), f, f, "reflect", -2);
  EXPECT_EQ(dx.numel(), 0);
  EXPECT_EQ(lo.cpu().abs().max().item<float>(), 0);
}

TEST(WavedecContractMetal, FallsBackWhereThereIsNoKernel) {
  const at::NoGradGuard guard;
  const auto x = at::randn({2, 30, 3}), f = at::randn({8});
  mps::enable(false);
  const Launches launches;
  const auto c = wavedec(on_mps(x), on_mps(f), on_mps(f), 2);
  mps::enable(true);
  EXPECT_EQ(launches.metal(), 0);
  EXPECT_GT(launches.all(), 2);
  const auto expected = composite::wavedec(x, f, f, 2, "reflect", -2);
  for (size_t i = 0; i < c.size(); ++i) {
    expect_close(c[i].cpu(), expected[i], 1e-4);
  }
}

TEST(WavedecContractMetal, OutputsHaveMemoryOfTheirOwn) {
  const at::NoGradGuard guard;
  const auto x = on_mps(at::randn({2, 30, 3})), f = on_mps(at::randn({8}));
  const auto c = wavedec(x, f, f, 3);
  for (size_t i = 0; i < c.size(); ++i) {
    EXPECT_FALSE(c[i].is_alias_of(x));
    for (size_t j = 0; j < i; ++j) {
      EXPECT_FALSE(c[i].is_alias_of(c[j]));
    }
  }
}

} // namespace

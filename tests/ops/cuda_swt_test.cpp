// The stationary transforms: the stream's text on the host, then all kernels on
// the device, against the composite operators in float64.

#include "cuda_cases.h"
#include "cuda_causal_host.h"
#include "ops/swt.h"

#include <signalllm/ops/iswt.h>
#include <signalllm/ops/swt.h>

#include <random>

namespace signalllm::cuda {
namespace {

using Tensors = std::vector<torch::Tensor>;

class CudaSwt : public test::CudaFixture {
 protected:
  void SetUp() override {} // the host's tests need no device

  int pick(int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random_);
  }

 private:
  std::mt19937 random_{7};
};

TEST_F(CudaSwt, StreamMatchesTheCompositeOperatorsOnTheHost) {
  int taken = 0;
  for (int trial = 0; trial < 40; ++trial) {
    const int counts[] = {2, 4, 8};
    const int taps = counts[pick(0, 2)], levels = pick(1, 4);
    const int length = pick(0, 1) ? pick(1, 150) : pick(150, 900);
    const int channels = 4 * pick(1, 10);
    SCOPED_TRACE(
        std::to_string(taps) + " taps, " + std::to_string(levels) +
        " levels, length " + std::to_string(length));
    const auto filter = [&] {
      return torch::randn(
                 pick(0, 1) ? std::vector<int64_t>{taps}
                            : std::vector<int64_t>{channels, taps}) /
          taps;
    };
    const auto lo = filter(), hi = torch::randn(lo.sizes()) / taps;
    const auto wide = [](const torch::Tensor& t) {
      return t.to(torch::kDouble);
    };
    Tensors c, wide_c;
    for (int l = 0; l <= levels; ++l) {
      c.push_back(torch::randn({2, length, channels}));
      wide_c.push_back(wide(c[l]));
    }
    const bool backwards = pick(0, 1);
    const int multiprocessors = pick(1, 6);
    const auto plan = [&](CausalKind kind, CausalStreamParams& p) {
      p.kind = kind;
      p.filters = {
          lo.const_data_ptr(),
          hi.const_data_ptr(),
          taps,
          lo.dim() == 2 ? channels : 0};
      p.length = length;
      p.channels = channels;
      p.batch = 2;
      p.first = p.last = true;
      std::vector<int64_t> dilations;
      for (int l = 0; l < levels; ++l) {
        dilations.push_back(
            int64_t{1} << (descends(kind) ? levels - 1 - l : l));
      }
      const bool all =
          plan_causal_stream(
              dilations.data(), levels, multiprocessors, 227 * 1024, p) ==
          levels;
      taken += all;
      return all;
    };
    const auto near = [](const torch::Tensor& got, const torch::Tensor& want) {
      EXPECT_LE(
          test::max_error(got.to(torch::kDouble), want),
          2e-5 * (1 + want.abs().max().item<double>()));
    };
    if (CausalStreamParams p; plan(CausalKind::swt, p)) {
      Tensors got;
      for (int l = 0; l <= levels; ++l) {
        got.push_back(torch::full_like(c[0], NAN));
      }
      p.input = c[0].const_data_ptr();
      p.output = got[0].mutable_data_ptr();
      for (int l = 0; l < levels; ++l) {
        p.details[l] = got[levels - l].mutable_data_ptr();
      }
      run<CausalKind::swt, false>(p, backwards);
      const auto want =
          ops::composite::swt(wide_c[0], wide(lo), wide(hi), levels, 1);
      for (int l = 0; l <= levels; ++l) {
        near(got[l], want[l]);
      }
    }
    if (CausalStreamParams p; plan(CausalKind::iswt, p)) {
      auto y = torch::full_like(c[0], NAN);
      p.scale = 0.5f;
      p.input = c[0].const_data_ptr();
      p.output = y.mutable_data_ptr();
      for (int l = 0; l < levels; ++l) {
        p.details[l] = c[l + 1].mutable_data_ptr();
      }
      run<CausalKind::iswt, false>(p, backwards);
      near(y, ops::composite::iswt(wide_c, wide(lo), wide(hi), 1));
    }
  }
  EXPECT_GT(taken, 60);
}

TEST_F(CudaSwt, StepMatchesTheCompositeOperatorsOnTheHost) {
  for (int trial = 0; trial < 60; ++trial) {
    const int taps = 2 * pick(1, 6), length = pick(1, 300);
    const int channels = 2 * pick(1, 9);
    SCOPED_TRACE(
        std::to_string(taps) + " taps, length " + std::to_string(length));
    const bool one = pick(0, 1);
    const auto lo = one ? torch::randn({taps}, torch::kDouble)
                        : torch::randn({channels, taps}, torch::kDouble);
    const auto hi = torch::randn_like(lo);
    const auto a = torch::randn({2, length, channels}, torch::kDouble);
    const auto d = torch::randn_like(a);
    // One level of the operators has dilation 1.
    for (const auto kind : {CausalKind::swt, CausalKind::iswt}) {
      const bool inverse = kind == CausalKind::iswt;
      auto state = torch::full_like(a, NAN);
      auto detail = inverse ? d.clone() : torch::full_like(a, NAN);
      CausalStep p;
      p.kind = kind;
      p.filters = {
          lo.const_data_ptr(), hi.const_data_ptr(), taps, one ? 0 : channels};
      p.shape.batch = 2;
      p.shape.channels = channels;
      p.length = length;
      p.dilation = 1 % length;
      p.ahead = p.dilation * (taps / 2 - inverse) % length;
      p.scale = inverse ? 0.5 : 1;
      p.input = a.const_data_ptr();
      p.detail = detail.mutable_data_ptr();
      p.state = state.mutable_data_ptr();
      run_step(p);
      if (inverse) {
        test::expect_close(
            state, ops::composite::iswt({a, d}, lo, hi, 1), 1e-10);
      } else {
        const auto want = ops::composite::swt(a, lo, hi, 1, 1);
        test::expect_close(state, want[0], 1e-10);
        test::expect_close(detail, want[1], 1e-10);
      }
    }
  }
}

TEST_F(CudaSwt, MatchesTheCompositeOperatorsOnTheDevice) {
  if (!torch::globalContext().hasCUDA()) {
    GTEST_SKIP() << "no CUDA device";
  }
  for (const auto type :
       {torch::kFloat, torch::kDouble, torch::kHalf, torch::kBFloat16}) {
    for (int trial = 0; trial < 20; ++trial) {
      const int taps = 2 * pick(1, 6), levels = pick(1, 6);
      const int length = pick(0, 1) ? pick(1, 100) : pick(100, 3000);
      const int channels = pick(0, 2) ? 8 * pick(1, 12) : pick(1, 9);
      SCOPED_TRACE(
          std::to_string(taps) + " taps, " + std::to_string(levels) +
          " levels, length " + std::to_string(length) + ", channels " +
          std::to_string(channels));
      const auto on = [&](const torch::Tensor& t) {
        return t.to(type).to(torch::kCUDA);
      };
      const auto wide = [](const torch::Tensor& t) {
        return t.cpu().to(torch::kDouble);
      };
      const auto lo = on(
          (pick(0, 1) ? torch::randn({taps}) : torch::randn({channels, taps}))
              .clamp(-1, 1) /
          taps);
      const auto hi = lo.flip(-1).contiguous();
      Tensors c, wide_c;
      for (int l = 0; l <= levels; ++l) {
        c.push_back(on(torch::randn({2, length, channels})));
        wide_c.push_back(wide(c[l]));
      }
      const auto near = [&](const torch::Tensor& got,
                            const torch::Tensor& want) {
        ASSERT_EQ(got.sizes(), want.sizes());
        const double unit = type == torch::kDouble ? 1e-11
            : type == torch::kFloat                ? 5e-5
            : type == torch::kHalf                 ? 4e-3
                                                   : 2e-2;
        EXPECT_LE(
            test::max_error(wide(got), want),
            unit * (want.abs().max().item<double>() + 0.1))
            << type;
      };
      const auto got = ops::swt(c[0], lo, hi, levels, 1);
      const auto want =
          ops::composite::swt(wide_c[0], wide(lo), wide(hi), levels, 1);
      ASSERT_EQ(got.size(), want.size());
      for (size_t i = 0; i < got.size(); ++i) {
        near(got[i], want[i]);
      }
      near(
          ops::iswt(c, lo, hi, 1),
          ops::composite::iswt(wide_c, wide(lo), wide(hi), 1));
      const auto [glo, ghi] =
          ops::detail::swt_backward_filters(c, c[0], lo, hi, 1);
      const auto [wlo, whi] = ops::composite::swt_backward_filters(
          wide_c, wide_c[0], wide(lo), wide(hi), 1);
      near(glo, wlo);
      near(ghi, whi);
      if (trial == 0 && type != torch::kDouble) {
        expect_repeated([&] {
          auto out = ops::swt(c[0], lo, hi, levels, 1);
          out.push_back(ops::iswt(c, lo, hi, 1));
          return out;
        });
      }
    }
  }
}

} // namespace
} // namespace signalllm::cuda

// The causal banks' stream: its text on the host against the composite
// operators, then on the device.

#include "cuda_causal_host.h"
#include "ops/causal_wavedec.h"
#include "ops/causal_wavelet_filter.h"

#include <signalllm/ops/causal_wavedec.h>
#include <signalllm/ops/causal_wavelet_filter.h>

namespace signalllm::cuda {
namespace {

class CudaCausal : public CausalCases {};

TEST_F(CudaCausal, StreamMatchesTheCompositeOperatorsOnTheHost) {
  int taken = 0;
  for (int trial = 0; trial < 40; ++trial) {
    const auto c = random_case(5, 900);
    SCOPED_TRACE(name(c));
    const bool backwards = pick(0, 1);
    const int multiprocessors = pick(1, 6);
    const auto narrow = [](const torch::Tensor& t) {
      return t.to(torch::kFloat).contiguous();
    };
    const auto lo = narrow(c.lo), hi = narrow(c.hi), w = narrow(c.weight);
    const auto x = narrow(c.x);
    Tensors g;
    for (const auto& t : c.gradients) {
      g.push_back(narrow(t));
    }
    std::vector<int64_t> dilations;
    for (int j = 0; j < c.levels; ++j) {
      dilations.push_back(int64_t{1} << j);
    }
    const std::vector<int64_t> reversed(dilations.rbegin(), dilations.rend());
    const auto plan = [&](CausalKind kind, CausalStreamParams& p) {
      p.kind = kind;
      p.filters = {
          lo.const_data_ptr(),
          hi.const_data_ptr(),
          c.taps,
          c.lo.dim() == 2 ? c.channels : 0};
      p.length = c.length;
      p.channels = c.channels;
      p.batch = 2;
      p.weight = w.const_data_ptr();
      p.weight_channels = static_cast<int>(w.size(0));
      p.weight_stride = static_cast<int>(w.size(1));
      for (int i = 0; i < c.levels; ++i) {
        p.weights[i] = is_transposed(kind) ? c.levels - i : i + 1;
      }
      p.first = p.last = true;
      const auto& steps = is_transposed(kind) ? reversed : dilations;
      const bool all =
          plan_causal_stream(
              steps.data(), c.levels, multiprocessors, 227 * 1024, p) ==
          c.levels;
      taken += all;
      return all;
    };
    const auto unwritten = [&] { return torch::full_like(x, NAN); };

    Tensors got, states;
    for (int j = 0; j <= c.levels; ++j) {
      got.push_back(unwritten());
      states.push_back(unwritten());
    }
    states[0] = x;
    const auto want = ops::composite::causal_wavedec(c.x, c.lo, c.levels, 1);
    if (CausalStreamParams p; plan(CausalKind::analysis, p)) {
      p.input = x.const_data_ptr();
      p.output = got[0].mutable_data_ptr();
      for (int j = 0; j < c.levels; ++j) {
        p.details[j] = got[c.levels - j].mutable_data_ptr();
        p.states[j] = states[j + 1].mutable_data_ptr();
      }
      run<CausalKind::analysis, false>(p, backwards);
      for (int j = 0; j <= c.levels; ++j) {
        expect_near(got[j], want[j]);
      }
    }
    auto y = unwritten();
    if (CausalStreamParams p; plan(CausalKind::filter, p)) {
      p.input = p.signal = x.const_data_ptr();
      p.output = y.mutable_data_ptr();
      run<CausalKind::filter, false>(p, backwards);
      expect_near(
          y,
          ops::composite::causal_wavelet_filter(c.x, c.lo, c.hi, c.weight, 1));
    }
    const auto shares = [&](CausalStreamParams& p, int64_t rows) {
      auto out =
          torch::full({int64_t{p.batch} * p.segments, rows, p.channels}, NAN);
      p.shares = out.mutable_data_ptr<float>();
      for (int i = 0; i < c.levels; ++i) {
        p.states[i] = states[c.levels - 1 - i].mutable_data_ptr();
      }
      return out;
    };
    const int64_t most = (c.taps + 1) / 2 * 2;
    const auto summed = [](const torch::Tensor& columns, bool shared) {
      const auto out = columns.t();
      return shared ? out.sum(0) : out;
    };
    if (CausalStreamParams p; plan(CausalKind::analysis_transposed, p)) {
      y = unwritten();
      p.input = g[0].const_data_ptr();
      p.output = y.mutable_data_ptr();
      for (int i = 0; i < c.levels; ++i) {
        p.details[i] = g[i + 1].mutable_data_ptr();
      }
      const auto back =
          ops::composite::causal_wavedec_backward_input(c.gradients, c.lo, 1);
      run<CausalKind::analysis_transposed, false>(p, backwards);
      expect_near(y, back);
      y.fill_(NAN);
      const auto sums = shares(p, most);
      run<CausalKind::analysis_transposed, true>(p, backwards);
      expect_near(y, back);
      expect_near(
          summed(sums.sum(0).narrow(0, 0, c.taps), c.lo.dim() == 1),
          ops::composite::causal_wavedec_backward_filter(
              c.gradients, c.x, c.lo, 1));
    }
    if (CausalStreamParams p; plan(CausalKind::filter_transposed, p)) {
      y = unwritten();
      p.input = p.signal = g[0].const_data_ptr();
      p.output = y.mutable_data_ptr();
      const auto back = ops::composite::causal_wavelet_filter_backward_input(
          c.gradients[0], c.lo, c.hi, c.weight, 1);
      run<CausalKind::filter_transposed, false>(p, backwards);
      expect_near(y, back);
      y.fill_(NAN);
      const auto sums = shares(p, 2 * most + c.levels + 2);
      run<CausalKind::filter_transposed, true>(p, backwards);
      expect_near(y, back);
      const auto all = sums.sum(0);
      const auto [glo, ghi, gw] =
          ops::composite::causal_wavelet_filter_backward_filters(
              c.gradients[0], c.x, c.lo, c.hi, c.weight, 1);
      const bool shared = c.lo.dim() == 1;
      expect_near(summed(all.narrow(0, 0, c.taps), shared), glo);
      expect_near(summed(all.narrow(0, most, c.taps), shared), ghi);
      const auto rest = all.narrow(0, 2 * most, c.levels + 2);
      const auto weights = torch::cat(
          {rest.narrow(0, c.levels, 1),
           rest.narrow(0, 0, c.levels).flip(0),
           rest.narrow(0, c.levels + 1, 1)});
      expect_near(
          c.weight.size(0) == 1 ? weights.sum(1).unsqueeze(0) : weights.t(),
          gw);
    }
  }
  EXPECT_GT(taken, 100);
}

/// Several segments a sequence, channels beside a tile, levels that take more
/// than one launch; the same bits every time.
TEST_F(CudaCausal, LongSignalsOnTheDevice) {
  if (!torch::globalContext().hasCUDA()) {
    GTEST_SKIP() << "no CUDA device";
  }
  for (const auto type : types) {
    for (const int levels : {1, 5, 7, 9}) {
      const int taps = levels == 7 ? 4 : 3 + levels % 3;
      SCOPED_TRACE(std::to_string(levels) + " levels");
      const auto on = [&](const torch::Tensor& t) {
        return t.to(type).to(torch::kCUDA);
      };
      const auto x = on(values({2, 5003, 40}, type));
      const auto lo = on(torch::randn({40, taps}).clamp(-1, 1) / taps);
      const auto hi = lo.flip(-1).contiguous();
      const auto w = on(torch::randn({40, levels + 2}));
      Tensors g;
      for (int i = 0; i <= levels; ++i) {
        g.push_back(on(values({2, 5003, 40}, type)));
      }
      const auto double_of = [](const torch::Tensor& t) {
        return t.to(torch::kDouble);
      };
      Tensors wide;
      for (const auto& t : g) {
        wide.push_back(double_of(t));
      }
      // The composite operators in float64 on the device.
      const auto a = double_of(x), l = double_of(lo), h = double_of(hi),
                 v = double_of(w);
      const auto compare = [&](const Tensors& got, const Tensors& want) {
        ASSERT_EQ(got.size(), want.size());
        const double unit = type == torch::kFloat ? 5e-5
            : type == torch::kHalf                ? 4e-3
                                                  : 2e-2;
        for (size_t i = 0; i < got.size(); ++i) {
          EXPECT_LE(
              (double_of(got[i]) - want[i]).abs().max().item<double>(),
              unit * (want[i].abs().max().item<double>() + 0.1))
              << type << " result " << i;
        }
      };
      compare(
          ops::causal_wavedec(x, lo, levels, 1),
          ops::composite::causal_wavedec(a, l, levels, 1));
      compare(
          {ops::causal_wavelet_filter(x, lo, hi, w, 1)},
          {ops::composite::causal_wavelet_filter(a, l, h, v, 1)});
      const auto both = [&] {
        auto [gx, gl] = ops::detail::causal_wavedec_backward(g, x, lo, 1);
        return Tensors{gx, gl};
      };
      compare(
          both(),
          {ops::composite::causal_wavedec_backward_input(wide, l, 1),
           ops::composite::causal_wavedec_backward_filter(wide, a, l, 1)});
      const auto all = [&] {
        auto [gx, gl, gh, gw] =
            ops::detail::causal_wavelet_filter_backward(g[0], x, lo, hi, w, 1);
        return Tensors{gx, gl, gh, gw};
      };
      const auto [gl, gh, gw] =
          ops::composite::causal_wavelet_filter_backward_filters(
              wide[0], a, l, h, v, 1);
      compare(
          all(),
          {ops::composite::causal_wavelet_filter_backward_input(
               wide[0], l, h, v, 1),
           gl,
           gh,
           gw});
      expect_repeated(both);
      expect_repeated(all);
    }
  }
}

} // namespace
} // namespace signalllm::cuda

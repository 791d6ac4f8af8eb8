// The steps of the causal banks one by one, on the host.

#include "cuda_causal_host.h"
#include "ops/causal_wavedec.h"
#include "ops/causal_wavelet_filter.h"

#include <algorithm>

namespace signalllm::cuda {
namespace {

class CudaCausalStep : public CausalCases {};

/// The steps of a bank one by one, as long dilations have them.
TEST_F(CudaCausalStep, MatchesTheCompositeOperatorsOnTheHost) {
  for (int trial = 0; trial < 30; ++trial) {
    const auto c = random_case(4, 300);
    SCOPED_TRACE(name(c));
    const auto x = c.x.contiguous();
    const auto step = [&](CausalKind kind, int i) {
      CausalStep p;
      p.kind = kind;
      p.filters = {
          c.lo.const_data_ptr(),
          c.hi.const_data_ptr(),
          c.taps,
          c.lo.dim() == 2 ? c.channels : 0};
      p.shape.batch = 2;
      p.shape.channels = c.channels;
      p.length = c.length;
      p.weight = c.weight.const_data_ptr();
      p.weight_channels = static_cast<int>(c.weight.size(0));
      p.weight_stride = c.levels + 2;
      p.weight_index = is_transposed(kind) ? c.levels - i : i + 1;
      p.dilation =
          std::min(1 << (is_transposed(kind) ? c.levels - 1 - i : i), c.length);
      p.first = i == 0;
      p.last = i + 1 == c.levels;
      return p;
    };
    const auto unwritten = [&] { return torch::full_like(x, NAN); };
    const auto want = ops::composite::causal_wavedec(x, c.lo, c.levels, 1);
    auto state = x, sum = torch::Tensor();
    for (int i = 0; i < c.levels; ++i) {
      auto p = step(CausalKind::analysis, i);
      auto next = unwritten(), detail = unwritten();
      p.input = state.const_data_ptr();
      p.state = next.mutable_data_ptr();
      p.detail = detail.mutable_data_ptr();
      run_step(p);
      test::expect_close(detail, want[c.levels - i], 1e-10);
      state = next;
    }
    test::expect_close(state, want[0], 1e-10);
    state = x;
    for (int i = 0; i < c.levels; ++i) {
      auto p = step(CausalKind::filter, i);
      auto next = unwritten(), total = unwritten();
      p.input = state.const_data_ptr();
      p.state = next.mutable_data_ptr();
      p.signal = x.const_data_ptr();
      p.partial = sum.defined() ? sum.const_data_ptr() : nullptr;
      p.output = total.mutable_data_ptr();
      run_step(p);
      state = next;
      sum = total;
    }
    test::expect_close(
        sum,
        ops::composite::causal_wavelet_filter(x, c.lo, c.hi, c.weight, 1),
        1e-10);
    for (const auto kind :
         {CausalKind::analysis_transposed, CausalKind::filter_transposed}) {
      state = c.gradients[0];
      for (int i = 0; i < c.levels; ++i) {
        auto p = step(kind, i);
        auto next = unwritten();
        p.input = state.const_data_ptr();
        p.state = next.mutable_data_ptr();
        p.detail = c.gradients[i + 1].mutable_data_ptr();
        p.signal = c.gradients[0].const_data_ptr();
        run_step(p);
        state = next;
      }
      test::expect_close(
          state,
          is_filter(kind)
              ? ops::composite::causal_wavelet_filter_backward_input(
                    c.gradients[0], c.lo, c.hi, c.weight, 1)
              : ops::composite::causal_wavedec_backward_input(
                    c.gradients, c.lo, 1),
          1e-10);
    }
  }
}

} // namespace
} // namespace signalllm::cuda

// The optimized WaveletAttention on torch::kMPS, through its kernels, against
// the standard one on the CPU.
#include "mps/metal_cases.h"

#include <signalllm/nn/mps_optimized_attention.h>

using namespace signalllm;
using namespace signalllm::test;
using at::Tensor;

namespace {

using Options = WaveletAttentionOptions;

/// Output and gradients of the input and of every parameter.
std::vector<Tensor> run(WaveletAttentionImpl& module, const Tensor& from) {
  const auto x = from.detach().requires_grad_();
  auto inputs = module.parameters();
  inputs.insert(inputs.begin(), x);
  const auto y = module.forward(x);
  auto all = torch::autograd::grad({(y * y).sum()}, inputs);
  all.insert(all.begin(), y.detach());
  return all;
}

TEST(WaveletAttentionMps, IsTheStandardOne) {
  const Options plain = Options(16, 2).filter(FilterKind::Short);
  for (const auto& options :
       {plain,
        Options(plain).qk_norm(true),
        Options(plain).rotary(false),
        Options(plain).causal(false),
        Options(plain).window(4),
        Options(plain).window(4).opened(2).qk_norm(true),
        Options(plain).window(64),
        Options(300, 2).filter(FilterKind::None)}) {
    for (const int64_t length : {1, 2, 37}) {
      WaveletAttention standard(options);
      SCOPED_TRACE(printed(standard) + ", length " + std::to_string(length));
      const auto x = at::randn({2, length, options.dim()});
      const auto expected = run(*standard, x);
      MPSOptimizedAttentionImpl<WaveletAttentionImpl> twin(*standard);
      twin.to(at::kMPS);
      const auto ours = run(twin, on_mps(x));
      ASSERT_EQ(ours.size(), expected.size());
      for (size_t i = 0; i < ours.size(); ++i) {
        EXPECT_LE(
            max_error(ours[i].cpu(), expected[i]),
            1e-5 * (1 + expected[i].abs().max().item<double>()));
      }
    }
  }
}

} // namespace

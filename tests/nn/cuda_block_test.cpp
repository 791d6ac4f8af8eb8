// A block on CUDA, its modules swapped for the optimized ones, against the
// block on the CPU.

#include "ops/cuda_cases.h"

#include <signalllm/nn/block.h>
#include <signalllm/optimize.h>

namespace signalllm {
namespace {

using torch::Tensor;

class CudaBlock : public test::CudaFixture {
 protected:
  /// The output, and the gradients of input and parameters.
  static Tensors
  run(WaveletTransformerBlock& block, const Tensor& x, const Tensor& g) {
    const auto leaf = x.detach().requires_grad_();
    const auto y = block->forward(leaf);
    auto leaves = block->parameters();
    leaves.push_back(leaf);
    auto out = torch::autograd::grad(
        {y},
        leaves,
        {g},
        /*retain_graph=*/std::nullopt,
        /*create_graph=*/false,
        /*allow_unused=*/true);
    out.push_back(y.detach());
    return out;
  }
};

TEST_F(CudaBlock, IsThatOfTheCpu) {
  for (const bool qk_norm : {false, true}) {
    for (const int64_t window : {0, 16}) {
      torch::manual_seed(1);
      WaveletTransformerBlock block(WaveletTransformerBlockOptions(128, 4)
                                        .attention_fraction(0.5)
                                        .max_length(256)
                                        .qk_norm(qk_norm)
                                        .window(window));
      const auto x = torch::randn({2, 100, 128}), g = torch::randn_like(x);
      const auto want = run(block, x, g);
      optimize_for_mps(block, torch::kCUDA);
      const auto got = run(block, x.to(torch::kCUDA), g.to(torch::kCUDA));
      ASSERT_EQ(got.size(), want.size());
      for (size_t i = 0; i < want.size(); ++i) {
        ASSERT_EQ(got[i].defined(), want[i].defined()) << i;
        if (!want[i].defined()) {
          continue;
        }
        EXPECT_LE(
            test::max_error(got[i].cpu(), want[i]),
            2e-4 * (want[i].abs().max().item<double>() + 0.01))
            << i << ", norm " << qk_norm << ", window " << window;
      }
    }
  }
}

} // namespace
} // namespace signalllm

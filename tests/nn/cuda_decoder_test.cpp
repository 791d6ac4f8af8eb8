// Decoding by steps that a CUDA graph repeats, against the whole text at once.

#include "ops/cuda_cases.h"

#include <signalllm/nn/decoder.h>
#include <signalllm/optimize.h>

#include <ATen/CPUGeneratorImpl.h>

namespace signalllm {
namespace {

using torch::Tensor;

class CudaDecoder : public test::CudaFixture {
 protected:
  static SignalLLMOptions small() {
    return SignalLLMOptions(31)
        .dim(64)
        .layers(2)
        .heads(4)
        .attention_fraction(0.5)
        .max_length(64)
        .window(16);
  }
  static SignalLLM model_of(const SignalLLMOptions& options) {
    torch::manual_seed(1);
    SignalLLM model(options);
    optimize_for_mps(model, torch::kCUDA);
    model->eval();
    return model;
  }
};

TEST_F(CudaDecoder, ARecordedStepDoesWhatForwardDoes) {
  const torch::NoGradGuard no_grad;
  for (const auto& options :
       {small(),
        small().window(0),
        small().qk_norm(true).attention_filter(FilterKind::Wavelet),
        small().attention_fraction(1).feed_forward(SpectralKind::CausalTime)}) {
    for (const auto type : {torch::kFloat, torch::kBFloat16}) {
      for (const int64_t batch : {1, 3}) {
        auto model = model_of(options);
        model->to(type);
        const auto x =
            torch::randint(31, {batch, 700}, torch::kLong).to(torch::kCUDA);
        const auto whole = model->forward(x);
        auto state = model->make_state(batch);
        std::vector<Tensor> logits{
            model->forward_incremental(x.slice(1, 0, 9), state)};
        Decoder decoder(*model, std::move(state));
        for (int64_t t = 9; t < 700; ++t) {
          logits.push_back(decoder.step(x.select(1, t)).clone().unsqueeze(1));
        }
        ASSERT_TRUE(decoder.records());
        const auto most = whole.abs().max().item<double>();
        EXPECT_LE(
            test::max_error(torch::cat(logits, 1), whole),
            (type == torch::kFloat ? 1e-4 : 5e-2) * most)
            << type << ", batch " << batch;
      }
    }
  }
}

TEST_F(CudaDecoder, GeneratesWhatIsGeneratedStepByStep) {
  const torch::NoGradGuard no_grad;
  auto model = model_of(small());
  const auto prompt =
      torch::randint(31, {2, 20}, torch::kLong).to(torch::kCUDA);
  const auto text =
      model->generate(prompt, GenerateOptions().max_new_tokens(300).seed(3));
  // What was drawn is likely under the whole text's distribution: the same
  // numbers draw the same tokens from it.
  const auto logits = model->forward(text.slice(1, 0, 319)).to(torch::kCPU);
  auto generator = at::detail::createCPUGenerator(3);
  int64_t same = 0;
  for (int64_t t = 19; t < 319; ++t) {
    const auto next = sample(logits.select(1, t), {}, generator);
    same += next.eq(text.select(1, t + 1).cpu()).sum().item<int64_t>();
  }
  EXPECT_GE(same, 2 * 300 - 3); // rounding may move one across a border
}

} // namespace
} // namespace signalllm

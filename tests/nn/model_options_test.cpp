#include "support.h"

#include <signalllm/nn/model.h>

using namespace signalllm;
using namespace signalllm::test;

struct ModelOptionsTest : testing::Test {};

TEST_F(ModelOptionsTest, SurviveAsText) {
  const auto options = SignalLLMOptions(300)
                           .dim(96)
                           .heads(6)
                           .attention_fraction(1.0 / 3)
                           .dropout(0.1)
                           .rotary(false)
                           .fourier_filter(FilterKind::Wavelet)
                           .wavelet("sym4")
                           .filters(FilterTraining::Lattice)
                           .levels(-1)
                           .embedding(EmbeddingKind::Hybrid)
                           .attention(AttentionKind::Frequency)
                           .adaptive_basis(true)
                           .stochastic_keep(0.9)
                           .qk_norm(true)
                           .feed_forward(SpectralKind::CausalTime);
  const auto values = options.describe();
  EXPECT_EQ(values.at("dropout"), "0.1");
  EXPECT_EQ(values.at("fourier_filter"), "wavelet");
  EXPECT_EQ(values.at("filters"), "lattice");
  const auto back = SignalLLMOptions::parse(values);
  EXPECT_EQ(back.describe(), values);
  EXPECT_EQ(back.attention_fraction(), 1.0 / 3);
  EXPECT_EQ(SignalLLMOptions::parse({{"vocab_size", "9"}}).dim(), 128);
  const auto message = [](const std::map<std::string, std::string>& given) {
    return message_of([&] { SignalLLMOptions::parse(given); });
  };
  EXPECT_EQ(
      message({{"dim", "8"}}),
      "SignalLLMOptions::parse: vocab_size is missing");
  EXPECT_EQ(
      message({{"vocab_size", "9"}, {"layer", "8"}}),
      "SignalLLMOptions::parse: there is no option 'layer', did you mean "
      "'layers'?");
  EXPECT_EQ(
      message({{"vocab_size", "9"}, {"dim", "8.5"}}),
      "SignalLLMOptions::parse: dim is '8.5', it must be a whole number");
}

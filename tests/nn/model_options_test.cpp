#include "support.h"

#include <signalllm/nn/model.h>

using namespace signalllm;
using namespace signalllm::test;

struct ModelOptionsTest : testing::Test {};

TEST_F(ModelOptionsTest, NormaliseQueriesWhereTheAttentionCan) {
  const auto norm = [](const std::map<std::string, std::string>& given) {
    std::map<std::string, std::string> values{{"vocab_size", "9"}};
    values.insert(given.begin(), given.end());
    return SignalLLM(SignalLLMOptions::parse(values))
        ->options.describe()
        .at("qk_norm");
  };
  EXPECT_EQ(SignalLLMOptions(9).describe().at("qk_norm"), "auto");
  EXPECT_EQ(norm({}), "true");
  EXPECT_EQ(norm({{"qk_norm", "auto"}}), "true");
  EXPECT_EQ(norm({{"qk_norm", "false"}}), "false");
  EXPECT_EQ(norm({{"attention", "frequency"}}), "false");
  EXPECT_NE(
      message_of([&] {
        norm({{"attention", "frequency"}, {"qk_norm", "true"}});
      }).find("qk_norm is true, but attention=frequency has no such option"),
      std::string::npos);
  EXPECT_NE(
      message_of([&] {
        norm({{"qk_norm", "1"}});
      }).find("qk_norm is '1', it must be true, false or auto"),
      std::string::npos);
}

TEST_F(ModelOptionsTest, SurviveAsText) {
  const auto options = SignalLLMOptions(300)
                           .dim(96)
                           .heads(6)
                           .passes(3)
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

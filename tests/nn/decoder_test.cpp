#include "support.h"

#include "training/recording.h"

#include <signalllm/nn/decoder.h>
#include <signalllm/optimize.h>

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

using namespace signalllm;
using namespace signalllm::test;

namespace {

/// A recording on the CPU that repeats operators, not the code that calls them,
/// with the very tensors of the first time: what the host knows does not enter,
/// as in a CUDA graph.
class Tape final : public training::Recording {
 public:
  static inline int replayed = 0, read_by_host = 0;
  /// Operators of the last recording that are no views.
  static inline int launches = 0;
  static inline Tape* writing = nullptr;

  void rehearse(const std::function<void()>& work) override {
    work();
  }
  void record(const std::function<void()>& work) override {
    calls_.clear();
    launches = 0;
    writing = this;
    {
      const c10::impl::IncludeDispatchKeyGuard guard(
          c10::DispatchKey::TESTING_ONLY_GenericMode);
      work();
    }
    writing = nullptr;
    done_ = true; // to write it down is to do it
  }
  void replay() override {
    ++replayed;
    if (std::exchange(done_, false)) {
      return;
    }
    for (const auto& call : calls_) {
      auto stack = call.arguments;
      call.op.callBoxed(&stack);
      for (size_t i = 0; i < stack.size(); ++i) {
        put(stack[i], call.results[i]);
      }
    }
  }
  void write(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
    const auto count = op.schema().arguments().size();
    torch::jit::Stack arguments(
        stack->end() - static_cast<int64_t>(count), stack->end());
    op.callBoxed(stack);
    const auto results = op.schema().returns().size();
    torch::jit::Stack kept(
        stack->end() - static_cast<int64_t>(results), stack->end());
    for (const auto& value : kept) {
      read_by_host += value.isTensor() || value.isTensorList() ? 0 : 1;
    }
    launches += is_view(op, arguments, kept) ? 0 : 1;
    calls_.push_back({op, std::move(arguments), std::move(kept)});
  }

 private:
  struct Call {
    c10::OperatorHandle op;
    torch::jit::Stack arguments, results;
  };

  static bool is_view(
      const c10::OperatorHandle& op,
      const torch::jit::Stack& arguments,
      const torch::jit::Stack& results) {
    if (op.schema().is_mutable() || results.empty() || !results[0].isTensor()) {
      return false;
    }
    return std::any_of(
        arguments.begin(), arguments.end(), [&](const c10::IValue& argument) {
          return argument.isTensor() && argument.toTensor().defined() &&
              argument.toTensor().is_alias_of(results[0].toTensor());
        });
  }

  static void put(const c10::IValue& now, const c10::IValue& then) {
    if (now.isTensorList()) {
      const auto from = now.toTensorVector(), to = then.toTensorVector();
      for (size_t i = 0; i < from.size(); ++i) {
        put(from[i], to[i]);
      }
    } else if (
        now.isTensor() && now.toTensor().defined() &&
        !now.toTensor().is_alias_of(then.toTensor())) {
      then.toTensor().copy_(now.toTensor());
    }
  }

  std::vector<Call> calls_;
  bool done_ = false;
};

void write_down(
    const c10::OperatorHandle& op,
    c10::DispatchKeySet /*keys*/,
    torch::jit::Stack* stack) {
  const c10::impl::ExcludeDispatchKeyGuard guard(
      c10::DispatchKey::TESTING_ONLY_GenericMode);
  Tape::writing->write(op, stack);
}

TORCH_LIBRARY_IMPL(_, TESTING_ONLY_GenericMode, m) {
  m.fallback(torch::CppFunction::makeFromBoxedFunction<&write_down>());
}

struct DecoderTest : testing::Test {
  DecoderTest() {
    training::register_recording(at::kCPU, [](at::Device) {
      return std::unique_ptr<training::Recording>(new Tape);
    });
    Tape::replayed = Tape::read_by_host = 0;
  }
  ~DecoderTest() override {
    training::register_recording(at::kCPU, nullptr);
  }

  static SignalLLMOptions small() {
    return SignalLLMOptions(17)
        .dim(16)
        .layers(2)
        .heads(4)
        .attention_fraction(0.5)
        .max_length(32)
        .terms(4)
        .window(16);
  }
  static torch::Tensor tokens(int64_t batch, int64_t length) {
    return torch::randint(17, {batch, length}, torch::kLong);
  }
  /// Livelier than a fresh one, in double precision.
  static SignalLLM model_of(const SignalLLMOptions& options) {
    const torch::NoGradGuard no_grad;
    SignalLLM model(options);
    for (auto& p : model->parameters()) {
      p.add_(torch::randn_like(p) * 0.05);
    }
    model->to(torch::kDouble);
    model->eval();
    return model;
  }
  /// Logits of `x`, the first `prompt` positions at once, the others by steps.
  static torch::Tensor stepped(
      SignalLLM& model,
      const torch::Tensor& x,
      int64_t prompt,
      bool record) {
    const torch::NoGradGuard no_grad;
    auto state = model->make_state(x.size(0));
    std::vector<torch::Tensor> all{
        model->forward_incremental(x.slice(1, 0, prompt), state)};
    Decoder decoder(*model, std::move(state), record);
    EXPECT_EQ(decoder.records(), record);
    for (auto t = prompt; t < x.size(1); ++t) {
      all.push_back(decoder.step(x.select(1, t)).clone().unsqueeze(1));
    }
    EXPECT_EQ(decoder.state().length, x.size(1));
    return torch::cat(all, 1);
  }
};

TEST_F(DecoderTest, RepeatsWhatForwardComputes) {
  std::vector<SignalLLMOptions> all{
      small(),
      small().opened(3),
      small().window(0),
      small().qk_norm(true).attention_filter(FilterKind::Wavelet),
      small().rotary(false).fourier_filter(FilterKind::None),
      small().window(6).attention_fraction(1).feed_forward(
          SpectralKind::CausalTime),
      small().attention_fraction(0),
      small().passes(3).opened(3),
      small().passes(2).window(0),
      small().window(0).absolute_positions(true).max_length(150)};
  for (size_t i = 0; i < all.size(); ++i) {
    auto model = model_of(all[i].layers(i == 0 ? 2 : 1));
    // The tree gets levels at 32, 64, 128, 256 and 512.
    const int64_t length = i == 0 ? 660 : 150;
    const auto x = tokens(2, length);
    const auto whole = model->forward(x);
    Tape::replayed = 0;
    expect_close(stepped(model, x, 7, true), whole, 1e-9);
    // A few when the state has doubled are not repeated.
    EXPECT_GE(Tape::replayed, length - 7 - 20);
    expect_close(stepped(model, x, 100, false), whole, 1e-9);
  }
  EXPECT_EQ(Tape::read_by_host, 0);
}

TEST_F(DecoderTest, RepeatsTheTwinsToo) {
  auto model = model_of(small());
  const auto x = tokens(1, 200);
  const auto whole = model->forward(x);
  optimize_for_mps(model, torch::kCPU);
  expect_close(stepped(model, x, 1, true), whole, 1e-9);
}

TEST_F(DecoderTest, GoesOnUnrecordedWhereItMust) {
  for (const auto& options :
       {small().attention(AttentionKind::Frequency).window(0),
        small().adaptive_basis(true)}) {
    auto model = model_of(options);
    EXPECT_FALSE(model->has_fixed_step());
    const auto x = tokens(1, 80);
    expect_close(stepped(model, x, 5, false), model->forward(x), 1e-9);
    const torch::NoGradGuard no_grad;
    auto state = model->make_state(1);
    model->forward_incremental(x, state);
    EXPECT_FALSE(Decoder(*model, std::move(state)).records());
  }
}

TEST_F(DecoderTest, ALayerIsFewLaunches) {
  const auto launches = [](int64_t layers) {
    auto model = model_of(small().layers(layers).fourier_norm(false));
    stepped(model, tokens(1, 12), 5, true);
    return Tape::launches;
  };
  const auto two = launches(2);
  EXPECT_LE(launches(3) - two, 40);
  EXPECT_LE(two, 2 * 40 + 35);
}

TEST_F(DecoderTest, StateIsOneOfTheNumberOfLevels) {
  const torch::NoGradGuard no_grad;
  auto model = model_of(small());
  const auto x = tokens(1, 300);
  auto stepwise = model->make_state(1);
  int64_t last = 0;
  for (int64_t t = 1; t <= 300; ++t) {
    model->forward_incremental(x.slice(1, t - 1, t), stepwise);
    // Windows of 16: a level more at 32, 64, 128, ...
    const bool grows = t >= 32 && (t & (t - 1)) == 0;
    EXPECT_EQ(stepwise.bytes() != last, grows || t == 1) << t;
    last = stepwise.bytes();
    if (t % 100 == 0 || grows) {
      auto at_once = model->make_state(1);
      model->forward_incremental(x.slice(1, 0, t), at_once);
      EXPECT_EQ(at_once.bytes(), last) << t;
    }
  }
}

TEST_F(DecoderTest, PromptsSideBySideGoOnAsAlone) {
  auto model = model_of(small());
  const auto greedy = GenerateOptions().temperature(0).max_new_tokens(40);
  std::vector<torch::Tensor> prompts;
  for (const int64_t length : {5, 1, 33, 5}) {
    prompts.push_back(tokens(1, length).view({-1}));
  }
  const auto texts = model->generate(prompts, greedy);
  ASSERT_EQ(texts.size(), prompts.size());
  for (size_t i = 0; i < prompts.size(); ++i) {
    const auto alone = model->generate(prompts[i].unsqueeze(0), greedy);
    EXPECT_TRUE(texts[i].equal(alone.view({-1}))) << i;
  }
  EXPECT_GT(Tape::replayed, 100);
}

TEST_F(DecoderTest, RefusesWhatItCannot) {
  auto model = model_of(small());
  EXPECT_NE(
      message_of([&] {
        Decoder(*model, model->make_state(1));
      }).find("the state has seen no token"),
      std::string::npos);
  EXPECT_NE(
      message_of([&] {
        model->generate(std::vector<torch::Tensor>{});
      }).find("there is no prompt at all"),
      std::string::npos);
  EXPECT_NE(
      message_of([&] {
        model->generate(std::vector<torch::Tensor>{tokens(1, 3)});
      }).find("a prompt has shape [1, 3], each must be [length]"),
      std::string::npos);
}

} // namespace

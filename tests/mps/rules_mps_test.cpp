// Forms that go wrong on MPS (host_rules.cpp): our modules are right where such
// a form lies near, and a module that has it is refused.
#include "mps/faults.h"

#include <signalllm/signalllm.h>
#include <signalllm/training/adamw.h>

#include <ATen/ATen.h>
#include <torch/nn/functional/loss.h>
#include <torch/nn/modules/linear.h>

#include <limits>

using namespace signalllm;
using namespace signalllm::test;
using host_mps::Torch;

namespace {

struct MpsRules : SeedingFixture {};

/// Output and gradients of a module on MPS against its copy on the CPU.
template <typename Holder>
void expect_as_on_the_cpu(
    Holder module,
    const at::Tensor& input,
    double tolerance = 1e-4) {
  const auto run = [](Holder& m, const at::Tensor& x) {
    const auto y = m->forward(x);
    const auto weight = at::linspace(0.5, 1.5, y.size(-1), y.options());
    std::vector<at::Tensor> all{y.detach().cpu()};
    // Means, so that long sums stay comparable.
    const auto loss = (y * weight).sum() * (1.0 / double(x.numel() + 1));
    for (const auto& g : torch::autograd::grad(
             {loss}, m->parameters(), {}, std::nullopt, false, true)) {
      all.push_back(g.defined() ? g.cpu() : g);
    }
    return all;
  };
  const auto expected = run(module, input);
  optimize_for_mps(module, torch::kMPS);
  const auto actual = run(module, input.to(torch::kMPS));
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_EQ(actual[i].defined(), expected[i].defined());
    if (actual[i].defined() && actual[i].numel() > 0) {
      expect_close(
          actual[i],
          expected[i],
          tolerance * (1 + expected[i].abs().max().item<double>()));
    }
  }
}

// ---- The optimizer ----------------------------------------------------------
struct MixedImpl : torch::nn::Module {
  MixedImpl() {
    matrix = register_parameter("matrix.weight", torch::randn({3, 4}));
    turned =
        register_parameter("turned", torch::randn({5, 2, 3}).transpose(0, 2));
    unused = register_parameter("unused", torch::randn({2}));
  }
  void set_gradients(double scale) {
    for (auto* p : {&matrix, &turned}) {
      // In the parameter's layout, as autograd makes it.
      p->mutable_grad() = at::empty_like(p->detach());
      p->mutable_grad().copy_(
          at::arange(p->numel(), p->options().requires_grad(false))
              .view(p->sizes())
              .sin() *
          scale);
    }
  }
  at::Tensor matrix, turned, unused;
};

TEST_F(MpsRules, AStepThatIsNotFiniteChangesNothing) {
  for (const double clip : {0.0, 0.5}) {
    for (const double bad :
         {std::numeric_limits<double>::infinity(),
          std::numeric_limits<double>::quiet_NaN()}) {
      torch::manual_seed(0);
      MixedImpl cpu, mps;
      for (const auto& item : cpu.named_parameters()) {
        at::NoGradGuard no_grad;
        mps.named_parameters()[item.key()].copy_(item.value());
      }
      mps.to(torch::kMPS);
      // A move makes parameters contiguous; this one is not.
      mps.turned.set_data(mps.turned.detach()
                              .cpu()
                              .transpose(0, 2)
                              .contiguous()
                              .to(torch::kMPS)
                              .transpose(0, 2));
      ASSERT_FALSE(mps.turned.is_contiguous());
      const auto options = training::AdamWOptions().clip(clip);
      training::FusedAdamW right(cpu, options), ours(mps, options);
      const auto step = [&](double scale) {
        cpu.set_gradients(scale);
        mps.set_gradients(scale);
        right.step(1e-2);
        EXPECT_EQ(faults([&] { ours.step(1e-2); }), "");
      };
      step(1.0);
      std::vector<at::Tensor> before;
      for (const auto& p : mps.parameters()) {
        before.push_back(p.detach().cpu().clone());
      }
      cpu.set_gradients(1);
      mps.set_gradients(1);
      mps.matrix.mutable_grad()[1][2] = bad;
      cpu.matrix.mutable_grad()[1][2] = bad;
      right.step(1e-2);
      EXPECT_EQ(faults([&] { ours.step(1e-2); }), "");
      for (size_t i = 0; i < before.size(); ++i) {
        EXPECT_TRUE(mps.parameters()[i].cpu().equal(before[i]));
      }
      step(0.3);
      const auto expected = cpu.named_parameters();
      for (const auto& item : mps.named_parameters()) {
        expect_close(item.value().cpu(), expected[item.key()], 1e-6);
      }
      const auto state = right.state();
      for (const auto& [name, tensor] : ours.state()) {
        expect_close(tensor.cpu(), state.at(name), 1e-6);
      }
    }
  }
}

TEST_F(MpsRules, AnUpdateLaunchesLittle) {
  SignalLLM model(SignalLLMOptions(17).dim(16).layers(4));
  model->to(torch::kMPS);
  ASSERT_GT(model->parameters().size(), 40u);
  training::FusedAdamW optimizer(*model);
  for (const auto& p : model->parameters()) {
    p.mutable_grad() = at::ones_like(p);
  }
  host_mps::reset();
  optimizer.step(1e-3);
  EXPECT_LE(host_mps::counters().launches(), 24);
}

// ---- Transforms -------------------------------------------------------------
TEST_F(MpsRules, AnOddHiddenWidthNeedsNoOddTransform) {
  for (const int64_t hidden : {1, 7, 45}) {
    SpectralFeedForward module(
        SpectralFeedForwardOptions(5).hidden(hidden).kind(
            SpectralKind::Channel));
    torch::NoGradGuard no_grad;
    module->gain.normal_();
    const at::AutoGradMode gradients(true);
    expect_as_on_the_cpu(module, torch::randn({2, 6, 5}));
  }
}

TEST_F(MpsRules, AnEmptyBatchNeedsNoTransform) {
  const auto x = torch::randn({0, 8, 4});
  expect_as_on_the_cpu(
      FourierConvolutionAttention(
          FourierConvolutionAttentionOptions(4).max_length(16).terms(2)),
      x);
  expect_as_on_the_cpu(
      FourierConvolutionAttention(
          FourierConvolutionAttentionOptions(4).max_length(16).terms(2).causal(
              false)),
      x);
  expect_as_on_the_cpu(
      FrequencyDomainAttention(FrequencyDomainAttentionOptions(4, 2)), x);
}

// ---- Long inner dimensions --------------------------------------------------
TEST_F(MpsRules, ALinearOfManyTokensHasItsGradient) {
  const auto many = torch::randn({400, 100, 4});
  expect_as_on_the_cpu(
      SpectralFeedForward(SpectralFeedForwardOptions(4)),
      torch::randn({1, 40000, 4}));
  expect_as_on_the_cpu(
      WaveletAttention(WaveletAttentionOptions(4, 2).levels(1)), many);
  expect_as_on_the_cpu(
      FrequencyDomainAttention(FrequencyDomainAttentionOptions(4, 2)), many);
  expect_as_on_the_cpu(
      AdaptiveBasisSelection(
          AdaptiveBasisSelectionOptions(4).wavelets({"haar"}).level(1)),
      many);
}

TEST_F(MpsRules, AKernelOfManyPositionsHasItsGradient) {
  FourierConvolutionAttention module(
      FourierConvolutionAttentionOptions(2).max_length(256).terms(2));
  expect_as_on_the_cpu(module, torch::randn({1, 40000, 2}));
  // The same text at once and by its state.
  torch::NoGradGuard no_grad;
  const auto x = torch::randn({1, 40000, 2}, torch::kMPS);
  FourierConvolutionState state;
  expect_close(
      module->forward_incremental(x, state).cpu(),
      module->forward(x).cpu(),
      1e-3);
}

TEST_F(MpsRules, AHeadOfManyTokensOrWordsHasItsGradient) {
  for (const bool words : {false, true}) {
    const int64_t count = words ? 33000 : 11;
    SignalLLM model(SignalLLMOptions(count)
                        .dim(4)
                        .heads(1)
                        .layers(1)
                        .levels(1)
                        .max_length(128)
                        .terms(2));
    model->eval();
    const auto x = words ? torch::randint(count, {1, 6})
                         : torch::randint(count, {400, 100});
    expect_as_on_the_cpu(model, x);
  }
}

struct ReducedImpl : torch::nn::Cloneable<ReducedImpl> {
  explicit ReducedImpl(int64_t channels = 0) : channels_(channels) {
    reset();
  }
  void reset() override {
    transform = register_module(
        "transform",
        WaveletTransform(
            WaveletTransformOptions("db2").level(1).learned(true).channels(
                channels_)));
  }
  at::Tensor forward(const at::Tensor& x) {
    auto c = transform->forward(x);
    return transform->inverse({c[0] * 2, c[1]}, x.size(1));
  }
  WaveletTransform transform{nullptr};
  int64_t channels_;
};
TORCH_MODULE(Reduced);

TEST_F(MpsRules, LearnedFiltersOfManyValuesHaveTheirGradient) {
  for (const int64_t channels : {0, 2}) {
    const auto x = torch::randn({1, 80000, 2});
    Reduced optimized(channels), standard(channels);
    expect_as_on_the_cpu(optimized, x);
    const auto gradient = [&](const at::Tensor& input) {
      const auto y = standard->forward(input);
      return torch::autograd::grad({(y * y).mean()}, standard->parameters())[0]
          .cpu();
    };
    const auto expected = gradient(x);
    standard->to(torch::kMPS);
    expect_close(gradient(x.to(torch::kMPS)), expected, 1e-4);
  }
}

TEST_F(MpsRules, APlainLinearOfManyTokensIsRefused) {
  torch::nn::Linear linear(4, 4);
  linear->to(torch::kMPS);
  EXPECT_NE(
      faults([&] {
        linear->forward(torch::randn({1, 40000, 4}, torch::kMPS))
            .sum()
            .backward();
      }).find("inner dimension"),
      std::string::npos);
}

// ---- Forms that none of our modules has -------------------------------------
/// A causal filter, as somebody might write it in place of ours.
struct MpsForms : MpsRules {
  CausalFilter filter{CausalFilterOptions(6).kind(FilterKind::Short).taps(3)};
  at::Tensor x = torch::randn({2, 9, 6});

  at::Tensor by_convolution(bool contiguous) const {
    const auto weight = filter->taps.flip(1).unsqueeze(1);
    const auto turned = filter->taps.flip(1).t().contiguous().t().unsqueeze(1);
    return at::conv1d(
               at::constant_pad_nd(x.to(torch::kMPS).transpose(1, 2), {2, 0})
                   .contiguous(),
               contiguous ? weight : turned,
               {},
               1,
               0,
               1,
               6)
        .transpose(1, 2);
  }
};

TEST_F(MpsForms, AConvolutionRunsWithAContiguousWeightOnly) {
  filter->to(torch::kMPS);
  const auto ours = filter->forward(x.to(torch::kMPS));
  const auto theirs = by_convolution(true);
  expect_close(ours.cpu().detach(), theirs.cpu().detach(), 1e-5);
  const auto weight = torch::randn_like(x).to(torch::kMPS);
  const auto gradient = [&](const at::Tensor& y) {
    return torch::autograd::grad({(y * weight).sum()}, {filter->taps})[0].cpu();
  };
  expect_close(gradient(ours), gradient(theirs), 1e-5);
  EXPECT_NE(
      message_of([&] { by_convolution(false); }).find("weight"),
      std::string::npos);
}

/// Children of opened nodes go back to their level's rows.
struct AddRowsImpl : torch::nn::Module {
  enum class How { Whole, ScatterSlice, IndexSlice };
  How how = How::Whole;
  at::Tensor forward(const at::Tensor& rows, const at::Tensor& index) const {
    auto pyramid = at::zeros({8, 2}, rows.options());
    auto level = pyramid.slice(0, 4);
    if (how == How::ScatterSlice) {
      level.scatter_add_(0, index.unsqueeze(1).expand({-1, 2}), rows);
    } else if (how == How::IndexSlice) {
      level.index_add_(0, index, rows);
    } else {
      pyramid.index_add_(0, index + 4, rows);
    }
    return pyramid;
  }
};

TEST_F(MpsForms, RowsAreAddedToWholeTensorsOnly) {
  AddRowsImpl module;
  const auto rows = torch::randn({3, 2}, torch::kMPS);
  const auto index =
      at::arange(3, at::TensorOptions(torch::kMPS).dtype(torch::kLong));
  EXPECT_EQ(faults([&] { module.forward(rows, index); }), "");
  for (const auto how :
       {AddRowsImpl::How::ScatterSlice, AddRowsImpl::How::IndexSlice}) {
    module.how = how;
    EXPECT_NE(
        faults([&] { module.forward(rows, index); }).find("slice"),
        std::string::npos);
  }
}

TEST_F(MpsForms, AConstantEdgeNeedsNoReplicationPad) {
  const auto rows = torch::randn({65540, 5, 1});
  const auto run = [&](bool by_pad) {
    auto y = rows.to(torch::kMPS).requires_grad_();
    if (by_pad) {
      at::replication_pad1d(y.squeeze(2), {2, 2}).sum().backward();
    } else {
      WaveletTransform transform(
          WaveletTransformOptions("db2").level(1).mode("constant"));
      at::stack(transform->forward(y)).square().sum().backward();
    }
  };
  EXPECT_EQ(message_of([&] { run(false); }), "");
  EXPECT_NE(
      message_of([&] { run(true); }).find("leading values"), std::string::npos);
}

TEST_F(MpsForms, ASignalOfHighRankNeedsNoPadOfHighRank) {
  const auto x5 = torch::randn({1, 2, 1, 700, 64}, torch::kMPS);
  const auto y = functional::wavedec(x5, "db2", 1, "zero", 3);
  const auto right = functional::wavedec(x5.cpu(), "db2", 1, "zero", 3);
  expect_close(y[0].cpu(), right[0], 1e-5);
  EXPECT_NE(
      message_of([&] {
        at::constant_pad_nd(x5, {0, 0, 2, 2});
      }).find("rank"),
      std::string::npos);
}

TEST_F(MpsForms, ValuesHaveTheQueriesHeadSize) {
  WaveletAttention attention(WaveletAttentionOptions(8, 2));
  attention->to(torch::kMPS);
  EXPECT_EQ(
      message_of([&] {
        attention->forward(torch::randn({1, 6, 8}, torch::kMPS));
      }),
      "");
  const auto q = torch::randn({1, 2, 6, 4}, torch::kMPS);
  EXPECT_NE(
      message_of([&] {
        at::scaled_dot_product_attention(
            q, q, torch::randn({1, 2, 6, 3}, torch::kMPS));
      }).find("value head"),
      std::string::npos);
}

// ---- Mistakes in a forward --------------------------------------------------
/// A feed-forward part with a mistake in it.
struct MistakenImpl : torch::nn::Module {
  MistakenImpl() {
    inner = register_module(
        "inner", SpectralFeedForward(SpectralFeedForwardOptions(4)));
    buffer = register_buffer("buffer", torch::ones({4}));
  }
  at::Tensor forward(const at::Tensor& x) {
    auto y = inner->forward(x);
    if (mistake == "item") {
      return y.sum().item<float>() > 0 ? y : -y;
    }
    if (mistake == "float64") {
      return y * at::arange(4, y.options().dtype(torch::kDouble));
    }
    if (mistake == "cpu") {
      return y * at::arange(4, torch::kFloat);
    }
    if (mistake == "copy") {
      return y * torch::tensor({1.f, 2.f, 3.f, 4.f}).to(y.device());
    }
    if (mistake == "missing") {
      return y + at::linalg_eigvalsh(y[0].t().matmul(y[0]));
    }
    return y * buffer;
  }
  std::string mistake;
  SpectralFeedForward inner{nullptr};
  at::Tensor buffer;
};

TEST_F(MpsRules, EveryMistakeInAForwardIsFound) {
  const OperatorsOf operators_of(Torch::V2_11);
  MistakenImpl module;
  module.to(torch::kMPS);
  const auto x = torch::randn({2, 6, 4}, torch::kMPS);
  const auto found = [&](const char* mistake) {
    module.mistake = mistake;
    std::string error;
    try {
      error = faults([&] { module.forward(x); });
    } catch (const std::exception& e) {
      error = e.what();
    }
    return error;
  };
  EXPECT_EQ(found(""), "");
  for (const auto& [mistake, message] :
       std::vector<std::pair<const char*, const char*>>{
           {"item", "synchronisations: 1"},
           {"float64", "MPS framework"},
           {"cpu", "same device"},
           {"copy", "copies to the device: 1"},
           {"missing", "not currently implemented for the MPS"}}) {
    EXPECT_NE(found(mistake).find(message), std::string::npos)
        << mistake << ": " << found(mistake);
  }
  module.mistake = "";
  module.buffer = module.buffer.cpu();
  EXPECT_NE(found("").find("same device"), std::string::npos);
}

} // namespace

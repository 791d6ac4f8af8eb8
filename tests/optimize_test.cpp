#include "foreign.h"
#include "support.h"

#include <signalllm/nn/model.h>
#include <signalllm/optimize.h>

#include <ATen/Context.h>
#include <ATen/record_function.h>
#include <torch/nn/modules/container/moduledict.h>
#include <torch/nn/modules/container/sequential.h>

#include <set>

using namespace signalllm;
using namespace signalllm::test;

using Kind = OptimizeEntry::Kind;

namespace {

thread_local std::set<std::string> called;

/// Our operators that `function` calls: who computes. The kernel's taps are the
/// same operator in a standard module and in its twin.
std::set<std::string> operators(const std::function<void()>& function) {
  called.clear();
  const auto handle = at::addThreadLocalCallback(at::RecordFunctionCallback(
      [](const at::RecordFunction& f) -> std::unique_ptr<at::ObserverContext> {
        const std::string name = f.name();
        if (name.rfind("signalllm::", 0) == 0 &&
            name != "signalllm::fourier_taps") {
          called.insert(name);
        }
        return nullptr;
      }));
  function();
  at::removeCallback(handle);
  return called;
}

const std::set<std::string> foreign_operators{
    "signalllm::causal_filter",
    "signalllm::causal_wavedec",
    "signalllm::gated_fft_conv"};

WaveletAttention attention() {
  return WaveletAttention(WaveletAttentionOptions(4, 2).levels(1));
}

template <typename Impl>
std::vector<torch::Tensor> gradients(Impl& module, const torch::Tensor& input) {
  const auto x = input.clone().requires_grad_();
  auto leaves = module.parameters();
  leaves.push_back(x);
  const auto y = module.forward(x);
  auto all = torch::autograd::grad({y.square().sum()}, leaves);
  all.push_back(y.detach());
  return all;
}

void expect_all_close(
    const std::vector<torch::Tensor>& a,
    const std::vector<torch::Tensor>& b,
    double tolerance) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    expect_close(a[i], b[i], tolerance);
  }
}

// A pair of a user's: the standard knows `Swappable`, the twin counts.
struct DoublingImpl : Swappable<DoublingImpl> {
  void reset() override {
    scale = register_parameter("scale", torch::full({1}, 2.0));
  }
  DoublingImpl() {
    reset();
  }
  virtual torch::Tensor forward(const torch::Tensor& x) {
    return this->twin() ? this->twin()->forward(x) : x * scale;
  }
  torch::Tensor scale;
};
struct FastDoublingImpl : Twin<DoublingImpl, FastDoublingImpl> {
  using Twin::Twin;
  torch::Tensor forward(const torch::Tensor& x) override {
    ++calls;
    return x * scale;
  }
  static inline int calls = 0;
};

// A pair whose standard knows nothing of the swap.
struct PlainImpl : torch::nn::Cloneable<PlainImpl> {
  PlainImpl() {
    reset();
  }
  void reset() override {
    scale = register_parameter("scale", torch::full({1}, 3.0));
  }
  virtual torch::Tensor forward(const torch::Tensor& x) {
    return x * scale;
  }
  torch::Tensor scale;
};
struct FastPlainImpl : PlainImpl {
  explicit FastPlainImpl(const PlainImpl& other) : PlainImpl(other) {}
  torch::Tensor forward(const torch::Tensor& x) override {
    return x * scale;
  }
};

template <typename Impl>
struct HolderOfImpl : torch::nn::Cloneable<HolderOfImpl<Impl>> {
  HolderOfImpl() {
    reset();
  }
  void reset() override {
    inner = this->register_module("inner", std::make_shared<Impl>());
  }
  torch::Tensor forward(const torch::Tensor& x) {
    return inner->forward(x);
  }
  std::shared_ptr<Impl> inner;
};

} // namespace

struct OptimizeTest : testing::Test {
  torch::Tensor input = torch::randn({2, 11, 4});
};

TEST_F(OptimizeTest, ReachesTypedMembersOfAForeignParent) {
  Foreign model;
  model->to(torch::kDouble);
  const auto x = input.to(torch::kDouble);
  const auto expected = gradients(*model, x);
  EXPECT_TRUE(operators([&] { model->forward(x); }).empty());
  const auto report = optimize_for_mps(model, torch::kCPU);
  EXPECT_EQ(operators([&] { model->forward(x); }), foreign_operators);
  expect_all_close(gradients(*model, x), expected, 1e-10);
  ASSERT_EQ(report.count(Kind::Swapped), 2);
  EXPECT_EQ(report.entries[0].path, "transform");
  EXPECT_EQ(report.entries[0].from, "signalllm::WaveletTransformImpl");
  EXPECT_EQ(report.entries[0].to, "signalllm::MPSWaveletTransformImpl");
  EXPECT_EQ(report.moved, 0);
  EXPECT_TRUE(is_optimized(*model->transform));
  EXPECT_NE(
      model->named_modules()["transform"]->as<MPSWaveletTransformImpl>(),
      nullptr);
  EXPECT_NE(
      printed(model).find("(transform): signalllm::MPSWaveletTransform("),
      std::string::npos);
  EXPECT_NE(
      printed(model->mixer).find("signalllm::MPSOptimizedAttention("),
      std::string::npos);
}

TEST_F(OptimizeTest, ReachesSequential) {
  torch::nn::Sequential model(
      attention(), torch::nn::Linear(4, 4), FourierConvolutionAttention(4));
  const auto expected = model->forward(input);
  const auto report = optimize_for_mps(model, torch::kCPU);
  EXPECT_EQ(report.count(Kind::Swapped), 2);
  EXPECT_EQ(
      operators([&] { model->forward(input); }),
      (std::set<std::string>{
          "signalllm::causal_filter",
          "signalllm::causal_wavelet_filter",
          "signalllm::gated_fft_conv"}));
  expect_close(model->forward(input), expected, 1e-5);
  using Mixer = MPSOptimizedAttentionImpl<FourierConvolutionAttentionImpl>;
  EXPECT_TRUE(model->at<Mixer>(2).is_twin());
  const auto copy =
      std::dynamic_pointer_cast<torch::nn::SequentialImpl>(model->clone());
  EXPECT_TRUE(copy->at<Mixer>(2).is_twin());
  expect_close(copy->forward(input), expected, 1e-5);
}

TEST_F(OptimizeTest, ReachesModuleListAndModuleDict) {
  torch::nn::ModuleList list(attention(), torch::nn::Linear(4, 4));
  optimize_for_mps(list, torch::kCPU);
  EXPECT_TRUE(is_optimized(*list[0]));
  EXPECT_NE(
      list[0]->as<MPSOptimizedAttentionImpl<WaveletAttentionImpl>>(), nullptr);
  torch::nn::ModuleDict dict;
  dict->update(
      {{"a", torch::nn::Linear(4, 4).ptr()}, {"b", attention().ptr()}});
  optimize_for_mps(dict, torch::kCPU);
  EXPECT_NE(
      dict["b"]->as<MPSOptimizedAttentionImpl<WaveletAttentionImpl>>(),
      nullptr);
  const auto copy =
      std::dynamic_pointer_cast<torch::nn::ModuleDictImpl>(dict->clone());
  EXPECT_TRUE(is_optimized(*(*copy)["b"]));
}

TEST_F(OptimizeTest, SharedModuleGetsOneTwin) {
  auto shared = attention();
  torch::nn::Sequential model(shared, torch::nn::Linear(4, 4), shared);
  const auto expected = model->forward(input);
  const auto report = optimize_for_mps(model, torch::kCPU);
  EXPECT_EQ(report.count(Kind::Swapped), 1);
  EXPECT_EQ(model->ptr(0), model->ptr(2));
  EXPECT_EQ(model->ptr(0), shared->twin_module());
  expect_close(model->forward(input), expected, 1e-5);
}

TEST_F(OptimizeTest, RootRunsAsItsTwin) {
  auto root = attention();
  const auto expected = root->forward(input);
  const auto report = optimize_for_mps(root, torch::kCPU);
  ASSERT_EQ(report.count(Kind::Swapped), 1);
  EXPECT_EQ(report.entries[0].path, "");
  EXPECT_EQ(
      operators([&] { root->forward(input); }),
      (std::set<std::string>{"signalllm::causal_wavelet_filter"}));
  expect_close(root->forward(input), expected, 1e-5);
  root->eval();
  EXPECT_FALSE(root->is_training());
  EXPECT_FALSE(root->twin_module()->is_training());
  const auto copy =
      std::dynamic_pointer_cast<WaveletAttentionImpl>(root->clone());
  EXPECT_TRUE(is_optimized(*copy));
  EXPECT_FALSE(copy->is_training());
  expect_close(copy->forward(input), expected, 1e-5);
}

TEST_F(OptimizeTest, WorksWithoutParameters) {
  WaveletTransform root(WaveletTransformOptions("db2"));
  ASSERT_TRUE(root->parameters().empty());
  const auto expected = root->forward(input);
  EXPECT_EQ(optimize_for_mps(root, torch::kCPU).count(Kind::Swapped), 1);
  expect_all_close(root->forward(input), expected, 1e-6);
  EXPECT_EQ(
      optimize_for_mps(torch::nn::Sequential(), torch::kCPU).entries.size(),
      0u);
}

TEST_F(OptimizeTest, SecondCallChangesNothing) {
  Foreign model;
  optimize_for_mps(model, torch::kCPU);
  const auto modules = model->modules();
  const auto twin = model->mixer->twin_module();
  const auto report = optimize_for_mps(model, torch::kCPU);
  EXPECT_EQ(report.count(Kind::Swapped), 0);
  EXPECT_EQ(report.count(Kind::Already), 2);
  EXPECT_EQ(model->modules(), modules);
  EXPECT_EQ(model->mixer->twin_module(), twin);
}

TEST_F(OptimizeTest, CloneOfAForeignParentRunsAsTwinsOfItsOwn) {
  Foreign model;
  optimize_for_mps(model, torch::kCPU);
  const auto expected = model->forward(input);
  auto copy = std::dynamic_pointer_cast<ForeignImpl>(model->clone());
  EXPECT_EQ(operators([&] { copy->forward(input); }), foreign_operators);
  {
    torch::NoGradGuard no_grad;
    for (auto& p : copy->parameters()) {
      p.add_(1);
    }
  }
  // Neither the copy's typed members nor the original follow the other.
  EXPECT_GT(max_error(copy->forward(input), expected), 1e-3);
  expect_close(model->forward(input), expected, 0);
  // A copy of the copy, whose tree shows the standard type.
  const auto second = std::dynamic_pointer_cast<ForeignImpl>(copy->clone());
  EXPECT_EQ(operators([&] { second->forward(input); }), foreign_operators);
  expect_close(second->forward(input), copy->forward(input), 0);
  EXPECT_EQ(optimize_for_mps(copy, torch::kCPU).count(Kind::Swapped), 0);
}

TEST_F(OptimizeTest, TrainingModeAndHalfPrecisionReachTheTwin) {
  Foreign model;
  optimize_for_mps(model, torch::kCPU);
  model->eval();
  EXPECT_FALSE(model->mixer->is_training());
  model->to(torch::kBFloat16);
  EXPECT_EQ(model->mixer->in_proj->weight.scalar_type(), torch::kBFloat16);
  EXPECT_EQ(
      model->forward(input.to(torch::kBFloat16)).scalar_type(),
      torch::kBFloat16);
}

TEST_F(OptimizeTest, UsersPairIsSwappedToo) {
  register_swap<DoublingImpl, FastDoublingImpl>();
  auto parent = std::make_shared<HolderOfImpl<DoublingImpl>>();
  const auto expected = parent->forward(input);
  FastDoublingImpl::calls = 0;
  EXPECT_EQ(optimize_for_mps(parent, torch::kCPU).count(Kind::Swapped), 1);
  expect_close(parent->forward(input), expected, 0);
  EXPECT_EQ(FastDoublingImpl::calls, 1);
  const auto copy =
      std::dynamic_pointer_cast<HolderOfImpl<DoublingImpl>>(parent->clone());
  copy->forward(input);
  EXPECT_EQ(FastDoublingImpl::calls, 2);
}

TEST_F(OptimizeTest, PairThatIsNotSwappableIsSwappedInContainersOnly) {
  register_swap<PlainImpl, FastPlainImpl>();
  auto parent = std::make_shared<HolderOfImpl<PlainImpl>>();
  const auto report = optimize_for_mps(parent, torch::kCPU);
  EXPECT_EQ(report.count(Kind::Swapped), 0);
  ASSERT_EQ(report.count(Kind::Left), 1);
  EXPECT_EQ(report.entries[0].path, "inner");
  EXPECT_NE(report.entries[0].reason.find("Swappable"), std::string::npos);
  EXPECT_EQ(parent->named_children()["inner"], parent->inner);
  torch::nn::Sequential sequential(PlainImpl{});
  EXPECT_EQ(optimize_for_mps(sequential, torch::kCPU).count(Kind::Swapped), 1);
  expect_close(sequential->forward(input), input * 3, 0);
}

TEST_F(OptimizeTest, UnavailableDeviceIsOneErrorAndChangesNothing) {
  Foreign model;
  const auto children = model->children();
  if (!at::globalContext().hasMPS()) {
    const auto message = message_of([&] { optimize_for_mps(model); });
    EXPECT_NE(message.find("MPS is not available"), std::string::npos);
    EXPECT_NE(message.find("torch::kCPU"), std::string::npos);
  }
  EXPECT_NE(
      message_of([&] {
        optimize_for_mps(model, torch::kMeta);
      }).find("device is meta, allowed are mps, cuda and cpu"),
      std::string::npos);
  EXPECT_EQ(model->children(), children);
  EXPECT_FALSE(is_optimized(*model->transform));
}

TEST_F(OptimizeTest, KeepsModesThatDiffer) {
  auto root = attention();
  root->filter->eval();
  optimize_for_mps(root, torch::kCPU);
  EXPECT_TRUE(root->is_training());
  EXPECT_FALSE(root->filter->is_training());
}

TEST_F(OptimizeTest, WholeModelAgrees) {
  SignalLLM model(
      SignalLLMOptions(13).dim(16).layers(2).max_length(16).terms(3));
  model->to(torch::kDouble);
  const auto tokens = torch::randint(13, {2, 16}, torch::kLong);
  const auto run = [&] {
    const auto y = model->forward(tokens);
    auto all = torch::autograd::grad({y.square().sum()}, model->parameters());
    all.push_back(y.detach());
    return all;
  };
  const auto expected = run();
  const auto report = optimize_for_mps(model, torch::kCPU);
  EXPECT_EQ(report.count(Kind::Swapped), 4);
  expect_all_close(run(), expected, 1e-10);
  const auto options = GenerateOptions().max_new_tokens(30).seed(1);
  const auto text = model->generate(tokens, options);
  auto copy = std::dynamic_pointer_cast<SignalLLMImpl>(model->clone());
  EXPECT_TRUE(copy->generate(tokens, options).equal(text));
  EXPECT_NE(
      printed(report).find("4 swapped, 0 were already, 0 left, 0 tensors"),
      std::string::npos);
  EXPECT_NE(
      printed(report).find("blocks.0.attention: "
                           "signalllm::WaveletAttentionImpl -> "),
      std::string::npos);
}

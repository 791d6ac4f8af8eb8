// What a module must not do on MPS, each inside a forward, beside the same done
// right.
#include "mps/faults.h"
#include "ops/mps/library.h"

#include <signalllm/signalllm.h>

#include <ATen/ATen.h>
#include <torch/nn/modules/linear.h>

using namespace signalllm;
using namespace signalllm::test;
using host_mps::Torch;

namespace signalllm::mps {
extern const std::string_view planted_text;
} // namespace signalllm::mps

namespace {

/// A causal filter, as somebody might write it in place of ours.
struct MpsForms : testing::Test {
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
               at::IntArrayRef(1),
               at::IntArrayRef(int64_t{0}),
               at::IntArrayRef(1),
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

TEST_F(MpsForms, APlainLinearOfManyTokensIsRefused) {
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

// ---- Mistakes in a forward --------------------------------------------------
mps::Library& planted() {
  static mps::Library library(mps::planted_text);
  return library;
}

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
    if (mistake == "index") {
      mps::launch(
          planted().kernel("reads_at"),
          {},
          buffer,
          y.flatten(),
          static_cast<int32_t>(y.numel()));
    }
    if (mistake == "barrier") {
      const auto out = at::empty_like(y);
      mps::launch(planted().kernel("missing_barrier"), {1, 1, 1, 64}, out, y);
      return out;
    }
    if (mistake == "letter") {
      at::native::mps::DynamicMetalShaderLibrary("// \xc3\xa9");
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

TEST_F(MpsForms, EveryMistakeInAForwardIsFound) {
  const OperatorsOf operators_of(Torch::V2_11);
  MistakenImpl module;
  module.to(torch::kMPS);
  const auto x = torch::randn({2, 8, 4}, torch::kMPS);
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
           {"index", "index 64 outside a buffer of 64"},
           {"barrier", "no barrier between"},
           {"letter", "not ASCII"},
           {"missing", "not currently implemented for the MPS"}}) {
    EXPECT_NE(found(mistake).find(message), std::string::npos)
        << mistake << ": " << found(mistake);
  }
  module.mistake = "";
  module.buffer = module.buffer.cpu();
  EXPECT_NE(found("").find("same device"), std::string::npos);
}

} // namespace

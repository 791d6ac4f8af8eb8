// The host-backed device itself: it does what MPS does, and refuses what MPS
// refuses. Every promise of the other tests rests on this.
#include "mps/host_mps.h"
#include "support.h"

#include <ATen/ops/linalg_eig.h>
#include <torch/fft.h>
#include <torch/mps.h>
#include <torch/nn/functional/loss.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>
#include <torch/optim/adamw.h>

using namespace signalllm;
using namespace signalllm::test;

struct HostMpsTest : testing::Test {
  HostMpsTest() {
    host_mps::reset();
  }
  static torch::Tensor there(const torch::Tensor& t) {
    return t.to(torch::kMPS);
  }
};

TEST_F(HostMpsTest, IsADevice) {
  EXPECT_TRUE(torch::mps::is_available());
  const auto x = torch::randn({2, 3});
  const auto y = there(x);
  EXPECT_TRUE(y.is_mps());
  EXPECT_TRUE(y.cpu().equal(x));
  EXPECT_EQ(torch::ones({2}, torch::kMPS).device().str(), "mps:0");
}

TEST_F(HostMpsTest, ComputesWhatTheCpuDoes) {
  const auto a = torch::randn({4, 6}), b = torch::randn({4, 6});
  const auto expect_same = [](const torch::Tensor& mps,
                              const torch::Tensor& cpu) {
    EXPECT_TRUE(mps.is_mps());
    expect_close(mps.cpu(), cpu, 1e-5);
  };
  expect_same((there(a) * there(b) + 2).sin(), (a * b + 2).sin());
  expect_same(there(a).matmul(there(b).t()), a.matmul(b.t()));
  expect_same(torch::fft::irfft(torch::fft::rfft(there(a)) * 2, 6), a * 2);
  expect_same(there(a).softmax(-1).cumsum(0), a.softmax(-1).cumsum(0));
  expect_same(
      there(a).roll(1, 0).flip(1).unfold(1, 3, 1).sum(-1),
      a.roll(1, 0).flip(1).unfold(1, 3, 1).sum(-1));
  auto x = torch::zeros({8}, torch::kMPS);
  x.slice(0, 0, 8, 2).copy_(torch::ones({4}, torch::kMPS));
  x.slice(0, 1, 8, 2).fill_(3);
  expect_same(x, torch::tensor({1.f, 3.f, 1.f, 3.f, 1.f, 3.f, 1.f, 3.f}));
}

TEST_F(HostMpsTest, Trains) {
  torch::nn::Sequential model(
      torch::nn::Embedding(50, 16),
      torch::nn::LayerNorm(torch::nn::LayerNormOptions({16})),
      torch::nn::Linear(16, 50));
  auto copy =
      std::dynamic_pointer_cast<torch::nn::SequentialImpl>(model->clone());
  model->to(torch::kMPS);
  const auto tokens = torch::randint(50, {4, 7}, torch::kLong);
  const auto train = [&](torch::nn::SequentialImpl& m, const torch::Tensor& x) {
    torch::optim::AdamW optimizer(m.parameters(), 1e-2);
    for (int i = 0; i < 3; ++i) {
      optimizer.zero_grad();
      torch::nn::functional::cross_entropy(
          m.forward(x).view({-1, 50}), x.view({-1}))
          .backward();
      optimizer.step();
    }
  };
  train(*model, there(tokens));
  train(*copy, tokens);
  const auto expected = copy->parameters();
  const auto actual = model->parameters();
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_TRUE(actual[i].is_mps());
    expect_close(actual[i].cpu(), expected[i], 1e-5);
  }
}

TEST_F(HostMpsTest, Counts) {
  const auto x = torch::ones({3}, torch::kMPS);
  host_mps::reset();
  const auto y = (x + x) * x;
  EXPECT_EQ(host_mps::counters().launches(), 2);
  EXPECT_EQ(host_mps::counters().synchronisations, 0);
  EXPECT_EQ(y.sum().item<float>(), 6);
  EXPECT_EQ(host_mps::counters().synchronisations, 1);
  y.cpu();
  EXPECT_EQ(host_mps::counters().synchronisations, 2);
  EXPECT_EQ(host_mps::counters().copies_to_host, 2);
  there(torch::ones({2}));
  EXPECT_EQ(host_mps::counters().copies_to_device, 1);
  torch::mps::synchronize();
  EXPECT_EQ(host_mps::counters().synchronisations, 3);
}

TEST_F(HostMpsTest, RefusesFloat64) {
  EXPECT_THROW(there(torch::zeros({2}, torch::kDouble)), c10::TypeError);
  EXPECT_THROW(
      torch::zeros({2}, torch::dtype(torch::kDouble).device(torch::kMPS)),
      c10::TypeError);
  EXPECT_THROW(
      torch::ones({2}, torch::kMPS).to(torch::kDouble), c10::TypeError);
  // A number is none.
  EXPECT_EQ(
      (torch::ones({2}, torch::kMPS) * torch::tensor(2.0, torch::kDouble))
          .scalar_type(),
      torch::kFloat);
}

TEST_F(HostMpsTest, RefusesOperandsOnTwoDevices) {
  EXPECT_NE(
      message_of([] {
        torch::ones({3}, torch::kMPS) + torch::ones({3});
      }).find("Expected all tensors to be on the same device"),
      std::string::npos);
}

TEST_F(HostMpsTest, RefusesWhatTorchHasNotForMps) {
  // In no version up to 2.15.
  EXPECT_NE(
      message_of([] {
        at::linalg_eig(torch::eye(3, torch::kMPS));
      }).find("is not currently implemented for the MPS device"),
      std::string::npos);
}

TEST_F(HostMpsTest, RefusesFormsThatGoWrong) {
  const auto expect_refused = [](const std::function<void()>& call,
                                 const char* why) {
    EXPECT_NE(message_of(call).find(why), std::string::npos)
        << message_of(call);
  };
  const auto q = torch::randn({1, 2, 8, 4}, torch::kMPS);
  at::scaled_dot_product_attention(q, q, q, {}, 0.0, true);
  expect_refused(
      [&] {
        const auto h = q.to(torch::kHalf);
        at::scaled_dot_product_attention(h, h, h, {}, 0.0, true);
      },
      "lets later tokens through");
  expect_refused(
      [&] {
        const auto t = q.transpose(1, 2);
        at::scaled_dot_product_attention(t, t, t);
      },
      "not contiguous");
  expect_refused(
      [] {
        torch::fft::irfft(
            torch::fft::rfft(torch::ones({2, 8}, torch::kMPS)), 7);
      },
      "odd length");
  expect_refused(
      [] {
        torch::fft::rfft(torch::ones({1, 1, 1, 2, 8}, torch::kMPS));
      },
      "four dimensions");
  expect_refused(
      [] {
        torch::ones({3}, torch::kMPS)
            .to(torch::kCPU, torch::kFloat, /*non_blocking=*/true);
      },
      "non_blocking");
  expect_refused(
      [] {
        auto t = torch::zeros({4, 2}, torch::kMPS);
        t.slice(0, 1).scatter_add_(
            0,
            torch::zeros(
                {1, 2}, torch::dtype(torch::kLong).device(torch::kMPS)),
            torch::ones({1, 2}, torch::kMPS));
      },
      "slice with an offset");
}

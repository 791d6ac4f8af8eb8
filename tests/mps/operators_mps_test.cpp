// The operators on the host-backed device, whatever kernel serves them there:
// values and gradients against float64 on the CPU, in every mode and dtype,
// with the operators of torch 2.11 and of 2.15.
#include "mps/faults.h"

#include <signalllm/functional.h>
#include <signalllm/ops/causal_filter.h>
#include <signalllm/ops/causal_wavedec.h>
#include <signalllm/ops/causal_wavelet_filter.h>
#include <signalllm/ops/fft_conv.h>
#include <signalllm/ops/gated_fft_conv.h>
#include <signalllm/ops/iswt.h>
#include <signalllm/ops/swt.h>
#include <signalllm/ops/wavedec.h>
#include <signalllm/ops/waverec.h>
#include <signalllm/wavelet.h>

#include <ATen/ATen.h>

using namespace signalllm;
using namespace signalllm::test;
using host_mps::Torch;

namespace {

using Tensors = std::vector<at::Tensor>;

struct Operator {
  std::string name;
  std::vector<std::vector<int64_t>> shapes;
  std::function<Tensors(const Tensors&)> call;
};

std::vector<Operator> operators() {
  std::vector<Operator> all;
  for (const auto& mode : modes()) {
    all.push_back(
        {"wavedec_" + mode, {{2, 21, 3}, {4}, {4}}, [mode](const Tensors& t) {
           return ops::wavedec(t[0], t[1], t[2], 2, mode);
         }});
    const int64_t last = mode == "periodization" ? 6 : 8;
    const int64_t first = mode == "periodization" ? 12 : 13;
    all.push_back(
        {"waverec_" + mode,
         {{2, last, 3}, {2, last, 3}, {2, first, 3}, {4}, {4}},
         [mode](const Tensors& t) {
           return Tensors{ops::waverec({t[0], t[1], t[2]}, t[3], t[4], mode)};
         }});
  }
  all.push_back(
      {"wavedec_per_channel_rank_4",
       {{2, 2, 15, 3}, {3, 6}, {3, 6}},
       [](const Tensors& t) {
         return ops::wavedec(t[0], t[1], t[2], 1, "symmetric");
       }});
  all.push_back({"swt", {{2, 16, 3}, {4}, {4}}, [](const Tensors& t) {
                   return ops::swt(t[0], t[1], t[2], 2);
                 }});
  all.push_back(
      {"iswt", {{2, 16, 3}, {2, 16, 3}, {4}, {4}}, [](const Tensors& t) {
         return Tensors{ops::iswt({t[0], t[1]}, t[2], t[3])};
       }});
  all.push_back({"causal_wavedec", {{2, 19, 3}, {3}}, [](const Tensors& t) {
                   return ops::causal_wavedec(t[0], t[1], 3);
                 }});
  all.push_back(
      {"causal_wavelet_filter",
       {{2, 19, 3}, {3, 4}, {3, 4}, {3, 4}},
       [](const Tensors& t) {
         return Tensors{ops::causal_wavelet_filter(t[0], t[1], t[2], t[3])};
       }});
  all.push_back(
      {"causal_filter_parts", {{2, 9, 6}, {6, 3}}, [](const Tensors& t) {
         return Tensors{ops::causal_filter(t[0], t[1], 3)};
       }});
  for (const bool causal : {true, false}) {
    all.push_back(
        {causal ? "fft_conv_causal" : "fft_conv_circular",
         {{2, 13, 3}, {5, 3}, {3}},
         [causal](const Tensors& t) {
           return Tensors{ops::fft_conv(t[0], t[1], t[2], causal)};
         }});
  }
  all.push_back(
      {"gated_fft_conv",
       {{2, 13, 3}, {2, 13, 3}, {2, 13, 3}, {13, 3}, {3}},
       [](const Tensors& t) {
         return Tensors{ops::gated_fft_conv(t[0], t[1], t[2], t[3], t[4])};
       }});
  return all;
}

struct MpsOperators
    : testing::TestWithParam<std::tuple<Operator, at::ScalarType, Torch>> {};

TEST_P(MpsOperators, AgreeWithFloat64OnTheCpu) {
  const auto& op = std::get<0>(GetParam());
  const auto type = std::get<1>(GetParam());
  const OperatorsOf operators_of(std::get<2>(GetParam()));
  Tensors cpu, mps;
  for (const auto& shape : op.shapes) {
    const auto value = (at::randn(shape, at::kDouble) * 0.7).to(type);
    cpu.push_back(value.to(at::kDouble).requires_grad_());
    mps.push_back(value.to(at::kMPS).requires_grad_());
  }
  const auto expected = op.call(cpu);
  Tensors weights, there, actual;
  for (const auto& e : expected) {
    weights.push_back(at::randn_like(e.detach()).to(type).to(at::kDouble));
    there.push_back(weights.back().to(type).to(at::kMPS));
  }
  Tensors gradients;
  EXPECT_EQ(
      faults([&] {
        actual = op.call(mps);
        gradients = torch::autograd::grad(actual, mps, there);
      }),
      "");
  ASSERT_EQ(actual.size(), expected.size());
  const double relative = type == at::kFloat ? 1e-5
      : type == at::kHalf                    ? 4e-3
                                             : 3e-2;
  const auto check = [&](const at::Tensor& ours, const at::Tensor& right) {
    ASSERT_TRUE(ours.is_mps());
    EXPECT_EQ(ours.scalar_type(), type);
    expect_close(
        ours.cpu(), right, relative * (1 + right.abs().max().item<double>()));
  };
  for (size_t i = 0; i < expected.size(); ++i) {
    check(actual[i].detach(), expected[i].detach());
  }
  const auto right = torch::autograd::grad(expected, cpu, weights);
  for (size_t i = 0; i < right.size(); ++i) {
    check(gradients[i], right[i]);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Every,
    MpsOperators,
    testing::Combine(
        testing::ValuesIn(operators()),
        testing::Values(at::kFloat, at::kHalf, at::kBFloat16),
        testing::Values(Torch::V2_11, Torch::V2_15)),
    [](const auto& info) {
      return std::get<0>(info.param).name + "_" +
          c10::toString(std::get<1>(info.param)) +
          (std::get<2>(info.param) == Torch::V2_11 ? "_2_11" : "_2_15");
    });

/// What a version has not: a test that it can fail.
TEST(MpsOperatorLists, AreThoseOfTheVersions) {
  const auto x = at::eye(3, at::kMPS);
  const auto c = at::randn({4, 2}, at::kMPS);
  const auto missing = [](const std::function<void()>& call) {
    return message_of(call).find("not currently implemented for the MPS") !=
        std::string::npos;
  };
  const std::vector<std::function<void()>> since{
      [&] { at::linalg_eigh(x); },
      [&] {
        const auto leaf = c.clone().requires_grad_();
        at::cdist(leaf, c).sum().backward();
      },
      [&] {
        const auto leaf = at::randn({2, 4, 3}, at::kMPS).requires_grad_();
        at::group_norm(leaf, 2).sum().backward();
      },
      [&] { at::take(x, at::zeros({2}, x.options().dtype(at::kLong))); },
      [&] { at::heaviside(x, x); }};
  const std::vector<std::function<void()>> never{
      [&] { at::linalg_eig(x); },
      [&] { at::linalg_ldl_factor(x); },
      [&] { at::special_airy_ai(x); }};
  for (const auto version : {Torch::V2_11, Torch::V2_15}) {
    const OperatorsOf operators_of(version);
    for (size_t i = 0; i < since.size(); ++i) {
      EXPECT_EQ(missing(since[i]), version == Torch::V2_11) << i;
    }
    for (size_t i = 0; i < never.size(); ++i) {
      EXPECT_TRUE(missing(never[i])) << i;
    }
  }
}

TEST(MpsOperatorLists, FunctionsWithAWaveletCopyItsFiltersOnce) {
  const auto x = at::randn({2, 20, 3}, at::kMPS);
  const auto work = [&] {
    functional::waverec(functional::wavedec(x, "db3", 2), "db3");
    functional::iswt(functional::swt(x, "db3", 2), "db3");
  };
  work();
  EXPECT_EQ(faults(work), "");
}

} // namespace

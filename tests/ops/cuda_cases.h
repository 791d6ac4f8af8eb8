#pragma once

#include "support.h"
#include "training/recording.h"

/// What the tests of the CUDA kernels share; references are in float64.
namespace signalllm::test {

class CudaFixture : public testing::Test {
 protected:
  void SetUp() override {
    if (!torch::globalContext().hasCUDA()) {
      GTEST_SKIP() << "no CUDA device";
    }
  }

  using Tensors = std::vector<torch::Tensor>;
  static constexpr at::ScalarType types[] = {
      torch::kFloat,
      torch::kHalf,
      torch::kBFloat16};

  static torch::Tensor values(at::IntArrayRef sizes, at::ScalarType type) {
    return torch::randn(sizes, torch::kDouble).to(type);
  }
  static torch::Tensor wide(const torch::Tensor& x) {
    return x.cpu().to(torch::kDouble);
  }

  /// Rounded once to its dtype, of sums in float32.
  static void expect_rounded(
      const torch::Tensor& got,
      const torch::Tensor& want) {
    ASSERT_EQ(got.sizes(), want.sizes());
    if (want.numel() == 0) {
      return;
    }
    const auto type = got.scalar_type();
    const double unit = type == torch::kFloat ? 1e-5
        : type == torch::kHalf                ? 1.0 / 1024
                                              : 1.0 / 128;
    const auto apart = (wide(got) - want).abs() / (want.abs() + 0.1);
    EXPECT_LE(apart.max().item<double>(), unit) << type;
  }

  /// The same bits whenever `call` runs, also as part of a recording.
  static void expect_repeated(const std::function<Tensors()>& call) {
    const auto want = call();
    Tensors kept;
    for (const auto& t : want) {
      kept.push_back(torch::zeros_like(t));
    }
    const auto work = [&] {
      const auto results = call();
      for (size_t i = 0; i < kept.size(); ++i) {
        kept[i].copy_(results[i]);
      }
    };
    const auto expect_same = [&] {
      for (size_t i = 0; i < kept.size(); ++i) {
        EXPECT_TRUE(torch::equal(kept[i], want[i])) << i;
        kept[i].zero_();
      }
    };
    for (int i = 0; i < 3; ++i) {
      work();
      expect_same();
    }
    const auto recording = training::make_recording(want[0].device());
    ASSERT_TRUE(recording);
    recording->rehearse(work);
    recording->record(work);
    // What the memory held before must not matter.
    const auto poison = torch::full({1 << 22}, NAN, torch::kCUDA);
    for (int i = 0; i < 2; ++i) {
      for (auto& t : kept) {
        t.zero_();
      }
      recording->replay();
      expect_same();
    }
  }
};

} // namespace signalllm::test

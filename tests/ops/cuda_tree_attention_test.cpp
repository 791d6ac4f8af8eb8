// The CUDA kernels of `tree_attention` against the composite path in float64
// on the CPU.

#include "ops/tree_attention.h"
#include "support.h"
#include "training/recording.h"

#include <signalllm/nn/tree_attention.h>
#include <signalllm/ops/tree_attention.h>

namespace signalllm::ops {
namespace {

using torch::Tensor;

class CudaTreeAttention : public testing::Test {
 protected:
  void SetUp() override {
    if (!torch::globalContext().hasCUDA()) {
      GTEST_SKIP() << "no CUDA device";
    }
  }

  using Results = std::vector<Tensor>;

  /// Output, logsumexp and gradients.
  static Results run(const std::vector<Tensor>& x, int64_t window) {
    const auto [o, l] = tree_attention(x[0], x[1], x[2], window);
    const auto [q, k, v] =
        detail::tree_attention_backward(x[3], x[0], x[1], x[2], o, l, window);
    return {o, l, q, k, v};
  }
  /// Query, key, value and the output's gradient, rounded to `type`.
  static std::vector<Tensor> values(
      at::IntArrayRef sizes,
      at::ScalarType type) {
    std::vector<Tensor> out;
    for (int i = 0; i < 4; ++i) {
      out.push_back(torch::randn(sizes, torch::kDouble).to(type));
    }
    return out;
  }
  static std::vector<Tensor> to(
      const std::vector<Tensor>& x,
      at::TensorOptions options) {
    std::vector<Tensor> out;
    for (const auto& t : x) {
      out.push_back(t.to(options));
    }
    return out;
  }
  static double tolerance(at::ScalarType type) {
    return type == torch::kFloat ? 1e-5 : type == torch::kHalf ? 2e-3 : 1.5e-2;
  }
  static void expect(
      const Results& got,
      const Results& want,
      double relative,
      double largest) {
    static const char* names[] = {
        "output", "logsumexp", "query", "key", "value"};
    for (size_t i = 0; i < want.size(); ++i) {
      ASSERT_EQ(got[i].sizes(), want[i].sizes());
      const auto wide = got[i].cpu().to(torch::kDouble);
      ASSERT_TRUE(wide.isfinite().all().item<bool>()) << names[i];
      EXPECT_LE(
          (wide - want[i]).norm().item<double>(),
          relative * (want[i].norm().item<double>() + 1)) // may be zero
          << names[i];
      EXPECT_LE(
          test::max_error(wide, want[i]),
          largest * (want[i].abs().max().item<double>() + 0.1))
          << names[i];
    }
  }
  static void
  compare(at::IntArrayRef sizes, int64_t window, at::ScalarType type) {
    SCOPED_TRACE(
        test::printed(type) + " " + test::printed(sizes) + " window " +
        std::to_string(window));
    const auto x = values(sizes, type);
    // What the memory held before must not matter.
    const auto poison = torch::full({1 << 22}, NAN, torch::kCUDA);
    expect(
        run(to(x, torch::kCUDA), window),
        run(to(x, torch::kDouble), window),
        tolerance(type),
        3 * tolerance(type));
  }
  static constexpr at::ScalarType types[] = {
      torch::kFloat,
      torch::kHalf,
      torch::kBFloat16};
};

TEST_F(CudaTreeAttention, EverySizeOfHeads) {
  for (const auto type : types) {
    for (const int64_t size : {32, 64, 96, 128}) {
      compare({2, 2, 1000, size}, 64, type);
    }
  }
}

TEST_F(CudaTreeAttention, WindowsAndLengths) {
  for (const auto type : types) {
    for (const int64_t window : {16, 32, 48, 64, 128, 256, 512}) {
      for (const int64_t length : {1, 63, 64, 129, 777, 2048, 4099}) {
        compare({1, 2, length, 32}, window, type);
      }
    }
  }
}

TEST_F(CudaTreeAttention, MoreThanTenLevels) {
  for (const auto type : types) {
    compare({1, 1, 32768 + 5, 32}, 16, type);
  }
}

TEST_F(CudaTreeAttention, WhatNoKernelTakesIsComposite) {
  compare({1, 2, 300, 40}, 32, torch::kBFloat16);
  compare({1, 2, 300, 32}, 6, torch::kHalf);
  compare({1, 2, 300, 32}, 32, torch::kDouble);
}

TEST_F(CudaTreeAttention, StridedTensors) {
  for (const auto type : types) {
    const auto x = values({2, 3, 333, 64}, type);
    const auto want = run(to(x, torch::kDouble), 32);
    std::vector<Tensor> turned, odd;
    for (const auto& t : to(x, torch::kCUDA)) {
      turned.push_back(t.transpose(1, 2).contiguous().transpose(1, 2));
      odd.push_back(torch::constant_pad_nd(t, {1, 2}).slice(3, 1, 65));
    }
    const auto got = run(turned, 32);
    expect(got, want, tolerance(type), 3 * tolerance(type));
    for (const size_t i : {0, 2, 3, 4}) {
      EXPECT_TRUE(got[i].transpose(1, 2).is_contiguous());
    }
    expect(run(odd, 32), want, tolerance(type), 3 * tolerance(type));
  }
}

TEST_F(CudaTreeAttention, SameBitsEveryTime) {
  for (const auto type : types) {
    const auto x = to(values({2, 4, 3000, 64}, type), torch::kCUDA);
    const auto first = run(x, 64);
    for (int i = 0; i < 5; ++i) {
      const auto again = run(x, 64);
      for (size_t j = 0; j < first.size(); ++j) {
        EXPECT_TRUE(torch::equal(first[j], again[j])) << type << " " << j;
      }
    }
  }
}

TEST_F(CudaTreeAttention, LooksAtNoLaterInput) {
  for (const auto type : types) {
    for (const int64_t window : {16, 64, 128}) {
      const auto x = to(values({1, 2, 1500, 64}, type), torch::kCUDA);
      const auto before = run(x, window)[0];
      for (const int64_t t : {1, 64, 500, 777, 1499}) {
        auto y = to(x, x[0].options());
        for (auto& z : y) {
          z = z.clone();
          z.slice(2, t).fill_(1e4);
        }
        const auto after = run(y, window)[0];
        EXPECT_TRUE(torch::equal(before.slice(2, 0, t), after.slice(2, 0, t)))
            << type << " window " << window << " from " << t;
        EXPECT_FALSE(torch::equal(before.slice(2, t), after.slice(2, t)));
      }
    }
  }
}

TEST_F(CudaTreeAttention, LargeLogitsAreNoTrouble) {
  for (const auto type : types) {
    auto x = values({1, 1, 700, 64}, type);
    x[0] = x[0] * 30;
    const double wide = type == torch::kFloat ? 2e-4 : 4 * tolerance(type);
    expect(
        run(to(x, torch::kCUDA), 16),
        run(to(x, torch::kDouble), 16),
        wide,
        3 * wide);
  }
}

TEST_F(CudaTreeAttention, OpenedAgreesWithTheCpu) {
  const auto call = [](const std::vector<Tensor>& x) {
    std::vector<Tensor> leaves;
    for (size_t i = 0; i < 3; ++i) {
      leaves.push_back(x[i].detach().requires_grad_());
    }
    const auto y =
        signalllm::tree_attention(leaves[0], leaves[1], leaves[2], {16, 2});
    auto all = torch::autograd::grad({y}, leaves, {x[3]});
    all.insert(all.begin(), y.detach());
    return all;
  };
  for (const auto type : types) {
    for (const int64_t length : {100, 512, 777}) {
      const auto x = values({2, 2, length, 32}, type);
      const auto got = call(to(x, torch::kCUDA));
      // In float32, so that both open the same.
      const auto want = call(to(x, torch::kFloat));
      for (size_t i = 0; i < want.size(); ++i) {
        EXPECT_LE(
            (got[i].cpu().to(torch::kFloat) - want[i]).norm().item<double>(),
            (type == torch::kFloat ? 1e-4 : 2e-2) *
                want[i].norm().item<double>())
            << type << ", " << length << ", " << i;
      }
    }
  }
}

TEST_F(CudaTreeAttention, RecordedStepsSurviveOtherLengths) {
  for (const int64_t opened : {0, 2}) {
    const auto x = to(values({1, 2, 500, 32}, torch::kFloat), torch::kCUDA);
    Tensor y = torch::zeros_like(x[0]);
    const auto work = [&] {
      y.copy_(signalllm::tree_attention(x[0], x[1], x[2], {16, opened}));
    };
    const auto recording = training::make_recording(x[0].device());
    ASSERT_TRUE(recording);
    recording->rehearse(work);
    const auto want = y.clone();
    recording->record(work);
    for (int64_t length = 64; length < 64 + 16 * 40; length += 16) {
      const auto z = torch::randn({1, 1, length, 32}, torch::kCUDA);
      signalllm::tree_attention(z, z, z, {16, opened});
    }
    const auto poison = torch::full({1 << 22}, NAN, torch::kCUDA);
    y.zero_();
    recording->replay();
    EXPECT_TRUE(torch::equal(y, want)) << opened;
  }
}

} // namespace
} // namespace signalllm::ops

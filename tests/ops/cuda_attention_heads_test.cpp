// The CUDA kernels of `attention_heads` against the composite path in float64
// on the CPU.

#include "ops/attention_heads.h"
#include "ops/cuda_cases.h"

#include <signalllm/ops/attention_heads.h>

namespace signalllm::ops {
namespace {

using torch::Tensor;

class CudaAttentionHeads : public test::CudaFixture {
 protected:
  struct Case {
    int64_t batch, length, heads, width;
    std::optional<double> base;
    int64_t offset;
    std::optional<double> epsilon;
  };

  /// Queries, keys, values and the input's gradient.
  static Tensors
  run(const Case& k, const Tensor& x, const std::vector<Tensor>& g) {
    auto [q, key, v] = attention_heads(x, k.heads, k.base, k.offset, k.epsilon);
    const auto input = k.epsilon ? std::optional(x) : std::nullopt;
    return {
        q,
        key,
        v,
        detail::attention_heads_backward(
            g[0], g[1], g[2], input, k.base, k.offset, k.epsilon)};
  }
  static Tensor input_of(const Case& k, at::ScalarType type) {
    return values({k.batch, k.length, 3 * k.heads * k.width}, type);
  }
  static Tensors grads_of(const Case& k, at::ScalarType type) {
    Tensors out;
    for (int i = 0; i < 3; ++i) {
      out.push_back(
          values({k.batch, k.length, k.heads, k.width}, type).transpose(1, 2));
    }
    return out;
  }
  static Tensors to(const Tensors& x, at::TensorOptions options) {
    Tensors out;
    for (const auto& t : x) {
      out.push_back(t.to(options));
    }
    return out;
  }
  static void expect_all(const Tensors& got, const Tensors& want) {
    for (size_t i = 0; i < want.size(); ++i) {
      SCOPED_TRACE(i);
      expect_rounded(got[i], want[i]);
    }
  }
};

TEST_F(CudaAttentionHeads, AgreesWithFloat64) {
  for (const auto type : types) {
    for (const auto& k :
         {Case{1, 1, 1, 2, 10000.0, 0, {}},
          Case{2, 9, 3, 8, 10000.0, 0, {}},
          Case{2, 5, 2, 7, {}, 0, {}},
          Case{1, 33, 5, 64, 10000.0, 0, 1e-6},
          Case{2, 300, 2, 64, 10000.0, 5, {}},
          Case{1, 77, 9, 32, {}, 0, 1e-6},
          Case{1, 10, 2, 96, 10000.0, 3, 1e-3},
          Case{2, 6, 1, 40, {}, 0, 1e-3},
          Case{1, 4, 4, 6, 500.0, 1000000, 1e-6},
          Case{1, 3, 1, 256, 10000.0, 7, {}},
          Case{1, 5, 2, 63, {}, 0, 1e-6}, // one channel has no partner
          Case{1, 3, 1, 66, 100.0, 2, 1e-6}, // no kernel in float32's halves
          Case{1, 3, 1, 1030, 100.0, 2, 1e-6},
          Case{0, 3, 2, 8, 100.0, 0, 1e-6}}) {
      SCOPED_TRACE(
          std::to_string(k.heads) + " heads of " + std::to_string(k.width));
      const auto x = input_of(k, type);
      const auto g = grads_of(k, type);
      const auto got = run(k, x.to(torch::kCUDA), to(g, torch::kCUDA));
      expect_all(got, run(k, wide(x), to(g, torch::kDouble)));
      EXPECT_TRUE(got[1].transpose(1, 2).is_contiguous());
      EXPECT_TRUE(got[3].is_contiguous());
    }
  }
}

TEST_F(CudaAttentionHeads, AnyLayout) {
  const Case k{2, 50, 2, 64, 10000.0, 0, 1e-6};
  for (const auto type : types) {
    const auto x = input_of(k, type).to(torch::kCUDA);
    const auto g = to(grads_of(k, type), torch::kCUDA);
    const auto want = run(k, wide(x), to(to(g, torch::kCPU), torch::kDouble));
    Tensors heads_first, odd, strided;
    for (const auto& t : g) {
      heads_first.push_back(t.contiguous());
      odd.push_back(torch::constant_pad_nd(t, {1, 2}).slice(3, 1, 65));
      strided.push_back(t.transpose(2, 3).contiguous().transpose(2, 3));
    }
    expect_all(
        run(k, x.transpose(0, 1).contiguous().transpose(0, 1), heads_first),
        want);
    expect_all(
        run(k,
            torch::constant_pad_nd(x, {1, 2}).slice(2, 1, 1 + x.size(2)),
            odd),
        want);
    expect_all(
        run(k, x.transpose(1, 2).contiguous().transpose(1, 2), strided), want);
    // An expanded gradient, of a sum.
    const auto one = torch::ones({}, x.options()).expand_as(g[0]);
    expect_all(
        run(k, x, {one, one, one}),
        run(k, wide(x), {wide(one), wide(one), wide(one)}));
  }
}

TEST_F(CudaAttentionHeads, SameBitsEveryTime) {
  const Case k{3, 333, 6, 64, 10000.0, 0, 1e-6};
  for (const auto type : types) {
    const auto x = input_of(k, type).to(torch::kCUDA);
    const auto g = to(grads_of(k, type), torch::kCUDA);
    expect_repeated([&] { return run(k, x, g); });
  }
}

} // namespace
} // namespace signalllm::ops

// Every CUDA kernel against the composite operator in float64, on the device
// too, where it takes a tenth of the time.

#include "ops/causal_filter.h"
#include "ops/causal_wavedec.h"
#include "ops/causal_wavelet_filter.h"
#include "ops/gated_fft_conv.h"
#include "ops/waverec.h"
#include "support.h"

#include <signalllm/ops/causal_filter.h>
#include <signalllm/ops/causal_wavedec.h>
#include <signalllm/ops/causal_wavelet_filter.h>
#include <signalllm/ops/fft_conv.h>
#include <signalllm/ops/gated_fft_conv.h>
#include <signalllm/ops/wavedec.h>
#include <signalllm/ops/waverec.h>
#include <signalllm/wavelet.h>

#include <random>
#include <tuple>

namespace signalllm::ops {
namespace {

class CudaOps : public testing::Test {
 protected:
  void SetUp() override {
    if (!torch::globalContext().hasCUDA()) {
      GTEST_SKIP() << "no CUDA device";
    }
  }

  int pick(int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random_);
  }
  torch::Tensor values(at::IntArrayRef sizes) {
    return torch::randn(sizes, torch::kDouble)
        .to(type)
        .to(torch::kDouble)
        .to(torch::kCUDA);
  }
  torch::Tensor device(const torch::Tensor& t) const {
    return t.to(type).to(torch::kCUDA);
  }
  std::vector<torch::Tensor> device(
      const std::vector<torch::Tensor>& tensors) const {
    std::vector<torch::Tensor> out;
    for (const auto& t : tensors) {
      out.push_back(device(t));
    }
    return out;
  }
  void expect(const torch::Tensor& got, const torch::Tensor& want) const {
    ASSERT_EQ(got.sizes(), want.sizes());
    const double tolerance = type == torch::kDouble ? 1e-11
        : type == torch::kFloat                     ? 5e-5
        : type == torch::kHalf                      ? 8e-3
                                                    : 4e-2;
    EXPECT_LE(
        test::max_error(got.cpu(), want.cpu()),
        tolerance * (want.abs().max().item<double>() + 0.1))
        << type;
  }
  void expect(
      const std::vector<torch::Tensor>& got,
      const std::vector<torch::Tensor>& want) const {
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < got.size(); ++i) {
      expect(got[i], want[i]);
    }
  }
  template <class... T>
  void expect(const std::tuple<T...>& got, const std::tuple<T...>& want) {
    expect(list(got), list(want));
  }
  template <class Tuple>
  static std::vector<torch::Tensor> list(const Tuple& tuple) {
    return std::apply(
        [](const auto&... t) { return std::vector<torch::Tensor>{t...}; },
        tuple);
  }
  /// Runs `body` for each dtype a few times.
  template <class Body>
  void repeat(int times, const Body& body) {
    for (const auto t :
         {torch::kFloat, torch::kDouble, torch::kHalf, torch::kBFloat16}) {
      type = t;
      for (int i = 0; i < times; ++i) {
        body();
      }
    }
  }

  at::ScalarType type = torch::kFloat;

 private:
  std::mt19937 random_{3};
};

TEST_F(CudaOps, WaveletTransforms) {
  repeat(40, [&] {
    const int taps = 2 * pick(1, 10), levels = pick(1, 4);
    const int length = pick(0, 1) ? pick(30, 300) : pick(300, 3000);
    const int channels = pick(0, 1) ? 8 * pick(1, 20) : pick(1, 9);
    const auto& mode = modes()[pick(0, 8)];
    const auto filter = [&] {
      return (pick(0, 2) ? values({taps}) : values({channels, taps})) /
          std::sqrt(taps);
    };
    auto lo = filter(), hi = lo.flip(-1).contiguous();
    lo = lo.to(type).to(torch::kDouble);
    hi = hi.to(type).to(torch::kDouble);
    const auto x = values({pick(1, 3), length, channels});
    SCOPED_TRACE(
        std::string(mode) + " " + std::to_string(taps) + " taps, length " +
        std::to_string(length));
    const auto dlo = device(lo), dhi = device(hi);
    const auto c = composite::wavedec(x, lo, hi, levels, mode, 1);
    expect(wavedec(device(x), dlo, dhi, levels, mode, 1), c);
    const auto g = [&] {
      std::vector<torch::Tensor> out;
      for (const auto& t : c) {
        out.push_back(values(t.sizes()));
      }
      return out;
    }();
    const auto dg = device(g);
    expect(
        detail::wavedec_backward_input(dg, dlo, dhi, length, mode, 1),
        composite::wavedec_backward_input(g, lo, hi, length, mode, 1));
    expect(
        detail::wavedec_backward_filters(dg, device(x), dlo, dhi, mode, 1),
        composite::wavedec_backward_filters(g, x, lo, hi, mode, 1));
    const auto y = composite::waverec(g, lo, hi, mode, 1);
    expect(waverec(dg, dlo, dhi, mode, 1), y);
    const auto gy = values(y.sizes());
    std::vector<int64_t> lengths;
    std::vector<c10::SymInt> sym_lengths;
    for (const auto& t : g) {
      lengths.push_back(t.size(1));
      sym_lengths.emplace_back(t.size(1));
    }
    expect(
        detail::waverec_backward_input(
            device(gy), dlo, dhi, sym_lengths, mode, 1),
        composite::waverec_backward_input(gy, lo, hi, lengths, mode, 1));
    expect(
        detail::waverec_backward_filters(device(gy), dg, dlo, dhi, mode, 1),
        composite::waverec_backward_filters(gy, g, lo, hi, mode, 1));
  });
}

/// Large enough for the streaming kernels; the reference is on the device too.
TEST_F(CudaOps, LargeSignals) {
  const auto lo = torch::randn({8}, torch::kDouble) / 3;
  const auto hi = torch::randn({8}, torch::kDouble) / 3;
  for (const auto t : {torch::kFloat, torch::kBFloat16, torch::kHalf}) {
    type = t;
    for (const auto* mode : {"reflect", "zero", "smooth"}) {
      SCOPED_TRACE(mode);
      const auto cuda = [](const torch::Tensor& v) {
        return v.to(torch::kCUDA, torch::kDouble);
      };
      const auto dlo = lo.to(torch::kCUDA, torch::kFloat);
      const auto dhi = hi.to(torch::kCUDA, torch::kFloat);
      const auto x =
          torch::randn({2, 49157, 136}, torch::TensorOptions(torch::kCUDA))
              .to(type);
      const auto c =
          composite::wavedec(cuda(x), cuda(dlo), cuda(dhi), 3, mode, 1);
      const auto got = wavedec(x, dlo, dhi, 3, mode, 1);
      const auto cpu = [](const std::vector<torch::Tensor>& v) {
        std::vector<torch::Tensor> out;
        for (const auto& each : v) {
          out.push_back(each.cpu());
        }
        return out;
      };
      expect(got, cpu(c));
      std::vector<torch::Tensor> wide;
      for (const auto& each : got) {
        wide.push_back(cuda(each));
      }
      expect(
          detail::wavedec_backward_input(got, dlo, dhi, 49157, mode, 1),
          composite::wavedec_backward_input(
              wide, cuda(dlo), cuda(dhi), 49157, mode, 1)
              .cpu());
      const auto y = composite::waverec(wide, cuda(dlo), cuda(dhi), mode, 1);
      expect(waverec(got, dlo, dhi, mode, 1), y.cpu());
    }
  }
}

TEST_F(CudaOps, CausalBanks) {
  repeat(25, [&] {
    const int taps = pick(1, 9), levels = pick(1, 8), length = pick(1, 1500);
    const int channels = pick(0, 1) ? 8 * pick(1, 8) : pick(1, 9);
    const auto filter = [&] {
      // Bounded, so that no level grows beyond half precision.
      return ((pick(0, 1) ? values({taps}) : values({channels, taps}))
                  .clamp(-1, 1) /
              taps)
          .to(type)
          .to(torch::kDouble);
    };
    const auto lo = filter();
    const auto hi = lo.flip(-1).contiguous();
    const auto w = values({pick(0, 1) ? 1 : channels, levels + 2});
    const auto x = values({2, length, channels});
    SCOPED_TRACE(
        std::to_string(taps) + " taps, " + std::to_string(levels) +
        " levels, length " + std::to_string(length));
    const auto dx = device(x), dlo = device(lo), dhi = device(hi);
    const auto dw = device(w);
    const auto c = composite::causal_wavedec(x, lo, levels, 1);
    expect(causal_wavedec(dx, dlo, levels, 1), c);
    std::vector<torch::Tensor> g;
    for (const auto& t : c) {
      g.push_back(values(t.sizes()));
    }
    expect(
        detail::causal_wavedec_backward_input(device(g), dlo, 1),
        composite::causal_wavedec_backward_input(g, lo, 1));
    expect(
        detail::causal_wavedec_backward_filter(device(g), dx, dlo, 1),
        composite::causal_wavedec_backward_filter(g, x, lo, 1));
    expect(
        causal_wavelet_filter(dx, dlo, dhi, dw, 1),
        composite::causal_wavelet_filter(x, lo, hi, w, 1));
    expect(
        detail::causal_wavelet_filter_backward_input(
            device(g[0]), dlo, dhi, dw, 1),
        composite::causal_wavelet_filter_backward_input(g[0], lo, hi, w, 1));
    expect(
        detail::causal_wavelet_filter_backward_filters(
            device(g[0]), dx, dlo, dhi, dw, 1),
        composite::causal_wavelet_filter_backward_filters(
            g[0], x, lo, hi, w, 1));
  });
}

TEST_F(CudaOps, ShortFilters) {
  repeat(25, [&] {
    const int taps = pick(1, 5), length = pick(1, 300);
    const int channels = pick(0, 2) ? 8 * pick(1, 200) : pick(1, 9);
    const auto x = values({pick(1, 3), length, channels});
    const auto w = values({channels, taps});
    const int parts = channels % 3 == 0 && pick(0, 1) ? 3 : 1;
    SCOPED_TRACE(
        std::to_string(taps) + " taps, length " + std::to_string(length) +
        ", channels " + std::to_string(channels) + ", parts " +
        std::to_string(parts));
    const auto y = composite::causal_filter(x, w, parts);
    const auto g = values(y.sizes());
    expect(causal_filter(device(x), device(w), parts), y);
    expect(
        detail::causal_filter_backward(device(g), device(x), device(w), parts),
        composite::causal_filter_backward(g, x, w, parts));
  });
}

TEST_F(CudaOps, Convolutions) {
  repeat(15, [&] {
    const int length = pick(0, 1) ? pick(1, 600) : pick(600, 8192);
    const int channels = pick(0, 1) ? 8 * pick(1, 4) : pick(2, 9);
    const bool causal = pick(0, 1);
    const int taps = pick(0, 1) ? length : pick(1, length);
    const auto x = values({2, length, channels});
    const auto k = (values({taps, channels}) / std::sqrt(taps))
                       .to(type)
                       .to(torch::kDouble);
    std::optional<torch::Tensor> skip, dskip;
    if (pick(0, 1)) {
      skip = values({channels});
      dskip = device(*skip);
    }
    SCOPED_TRACE(
        "length " + std::to_string(length) + ", taps " + std::to_string(taps) +
        (causal ? ", causal" : ", circular"));
    const auto g = values(x.sizes()), in = values(x.sizes());
    const auto dx = device(x), dk = device(k), dg = device(g);
    expect(
        fft_conv(dx, dk, dskip, causal),
        composite::fft_conv(x, k, skip, causal));
    expect(
        detail::fft_conv_backward(dg, dx, dk, dskip, causal),
        composite::fft_conv_backward(g, x, k, skip, causal));
    expect(
        gated_fft_conv(dx, device(in), dg, dk, dskip),
        composite::gated_fft_conv(x, in, g, k, skip));
    expect(
        detail::gated_fft_conv_backward(dg, dx, device(in), dx, dk, dskip),
        composite::gated_fft_conv_backward(g, x, in, x, k, skip));
  });
}

/// Lengths whose transform takes two passes, groups of channels that are and
/// are not full tiles of 16.
TEST_F(CudaOps, LongConvolutions) {
  for (const auto t : {torch::kFloat, torch::kHalf, torch::kBFloat16}) {
    type = t;
    for (const int length : {8193, 16384, 20000, 65536, 131072}) {
      for (const int channels : {1, 20, 40}) {
        if (length > 20000 && channels == 20) {
          continue;
        }
        const int taps = channels == 1 ? length : pick(1, length + 100);
        const auto x = values({2, length, channels});
        const auto k = (values({taps, channels}) / std::sqrt(taps))
                           .to(type)
                           .to(torch::kDouble);
        std::optional<torch::Tensor> skip, dskip;
        if (channels != 20) {
          skip = values({channels});
          dskip = device(*skip);
        }
        SCOPED_TRACE(
            "length " + std::to_string(length) + ", taps " +
            std::to_string(taps) + ", channels " + std::to_string(channels));
        const auto g = values(x.sizes()), in = values(x.sizes());
        const auto dx = device(x), dk = device(k), dg = device(g);
        const auto din = device(in);
        // The reference in float64 on the device: the CPU takes minutes.
        const auto at = [](const torch::Tensor& v) {
          return v.to(torch::kCUDA);
        };
        const auto rskip = skip ? std::optional(at(*skip)) : std::nullopt;
        const auto cpu = [](std::vector<torch::Tensor> values) {
          for (auto& v : values) {
            v = v.cpu();
          }
          return values;
        };
        expect(
            {fft_conv(dx, dk, dskip)},
            cpu({composite::fft_conv(at(x), at(k), rskip, true)}));
        expect(
            list(detail::fft_conv_backward(dg, dx, dk, dskip, true)),
            cpu(list(composite::fft_conv_backward(
                at(g), at(x), at(k), rskip, true))));
        expect(
            {gated_fft_conv(dx, din, dg, dk, dskip)},
            cpu({composite::gated_fft_conv(
                at(x), at(in), at(g), at(k), rskip)}));
        const auto back =
            detail::gated_fft_conv_backward(dg, dx, din, dx, dk, dskip);
        expect(
            list(back),
            cpu(list(composite::gated_fft_conv_backward(
                at(g), at(x), at(in), at(x), at(k), rskip))));
        // Sums run in a fixed order.
        const auto again =
            list(detail::gated_fft_conv_backward(dg, dx, din, dx, dk, dskip));
        for (size_t i = 0; i < again.size(); ++i) {
          EXPECT_TRUE(again[i].equal(list(back)[i]));
        }
      }
    }
  }
}

TEST_F(CudaOps, LongConvolutionMovesAPulse) {
  type = torch::kFloat;
  auto x = torch::zeros({3, 65536, 48}, torch::kDouble);
  auto k = torch::zeros({65536, 48}, torch::kDouble);
  x.index_put_({1, 100, 17}, 2.);
  k.index_put_({40000, 17}, 3.);
  const auto y = fft_conv(device(x), device(k)).cpu();
  EXPECT_NEAR((y[1][40100][17].item<double>()), 6, 1e-4);
  EXPECT_NEAR(y.abs().sum().item<double>(), 6, 2);
}

} // namespace
} // namespace signalllm::ops

// The kernels' index code on the host: the text that a GPU thread runs, thread
// after thread and barrier by barrier, against the composite operators.

#include "ops/cuda/bank/analysis.cuh"
#include "ops/cuda/bank/synthesis.cuh"
#include "ops/cuda/bank/tile_kernel.h"
#include "ops/cuda/convolution/fft.cuh"
#include "ops/wavedec.h"
#include "support.h"

#include <signalllm/wavelet.h>

#include <limits>
#include <random>

namespace signalllm::cuda {
namespace {

struct Case {
  ops::Mode mode;
  int taps, levels, length, channels;
  TileLimits limits;
};

std::vector<Case> cases() {
  std::mt19937 random(1);
  const auto pick = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  std::vector<Case> out;
  while (out.size() < 150) {
    Case c;
    c.mode = static_cast<ops::Mode>(pick(0, 8));
    c.taps = 2 * pick(1, 6);
    c.levels = pick(1, 4);
    c.length = pick(0, 1) ? pick(2, 40) : pick(100, 400);
    c.channels = 2 * pick(1, 5);
    c.limits = {pick(8, 40), pick(64, 900), pick(1, 20)};
    // Every level must have values to reflect.
    int n = c.length;
    bool fits = true;
    for (int l = 0; l < c.levels; ++l) {
      fits = fits && n > 1;
      n = static_cast<int>(ops::coefficient_length(c.mode, n, c.taps));
    }
    if (fits) {
      out.push_back(c);
    }
  }
  return out;
}

/// Every block of a launch; shared memory begins as NaN.
template <class Tile, class Params, class Run>
void run_blocks(const Params& p, const Run& run) {
  const int64_t blocks = p.shape.batch * p.plan.tiles * p.shape.channel_tiles;
  std::vector<double> shared(Tile::shared_bytes(p) / 8 + 2);
  for (int64_t block = 0; block < blocks; ++block) {
    std::fill(
        shared.begin(), shared.end(), std::numeric_limits<double>::quiet_NaN());
    std::vector<Tile> threads;
    for (int tid = 0; tid < p.shape.threads; ++tid) {
      threads.emplace_back(p, block, tid, shared.data());
    }
    for (int tid = 0; tid < p.shape.threads; ++tid) {
      threads[tid].prepare(tid);
    }
    run(threads);
  }
}

TEST(CudaTile, AnalysisAndItsTransposeMatchTheCompositeOperators) {
  int planned = 0;
  for (const auto& c : cases()) {
    const auto x = torch::randn({2, c.length, c.channels}, torch::kDouble);
    const auto lo = torch::randn({c.taps}, torch::kDouble);
    const auto hi = torch::randn({c.taps}, torch::kDouble);
    const auto mode = modes()[static_cast<size_t>(c.mode)];
    const auto expected = ops::composite::wavedec(x, lo, hi, c.levels, mode, 1);
    const Bank bank{
        static_cast<Border>(c.mode),
        c.taps,
        static_cast<int>(ops::analysis_offset(c.mode, c.taps))};
    std::vector<int> lengths{c.length};
    for (int l = 1; l <= c.levels; ++l) {
      lengths.push_back(static_cast<int>(expected[c.levels - l + 1].size(1)));
    }
    Shape shape;
    shape.batch = 2;
    shape.channels = c.channels;
    shape.lanes = 2;
    shape.threads = 32;
    shape.channel_tiles = (c.channels + 3) / 4;
    const Filters filters{
        lo.const_data_ptr(), hi.const_data_ptr(), c.taps, 0, false};

    std::vector<torch::Tensor> got;
    for (const auto& e : expected) {
      got.push_back(torch::full_like(e, NAN));
    }
    AnalysisParams a;
    a.shape = shape;
    a.filters = filters;
    a.bank = bank;
    a.input = x.const_data_ptr();
    a.approximation = got[0].mutable_data_ptr();
    a.approximation_rows = lengths.back();
    SynthesisParams s;
    s.shape = shape;
    s.filters = filters;
    s.filters.reversed = true;
    s.bank = bank;
    s.approximation = expected[0].const_data_ptr();
    s.approximation_rows = lengths.back();
    for (int l = 1; l <= c.levels; ++l) {
      a.details[l] = got[c.levels - l + 1].mutable_data_ptr();
      s.details[l] = expected[c.levels - l + 1].const_data_ptr();
    }
    if (plan_analysis(bank, lengths.data(), c.levels, c.limits, a.plan)) {
      ++planned;
      run_blocks<AnalysisTile<double, 2, 4, 0, false>>(a, [&](auto& threads) {
        for (int l = 1; l <= c.levels; ++l) {
          for (auto& t : threads) {
            t.level(l);
          }
        }
      });
      for (size_t i = 0; i < got.size(); ++i) {
        SCOPED_TRACE(std::string(mode) + " " + std::to_string(c.length));
        test::expect_close(got[i], expected[i], 1e-8);
      }
    }
    if (plan_synthesis(bank, lengths.data(), c.levels, c.limits, s.plan)) {
      auto y = torch::full_like(x, NAN);
      s.output = y.mutable_data_ptr();
      run_blocks<SynthesisTile<double, 2, 4, 0, false>>(s, [&](auto& threads) {
        for (int l = c.levels; l > 0; --l) {
          for (const bool ends : {false, true}) {
            for (auto& t : threads) {
              if (!ends || t.has_ends(l)) {
                t.level(l, ends);
              }
            }
          }
        }
      });
      SCOPED_TRACE(std::string(mode) + " " + std::to_string(c.length));
      const auto back = ops::composite::wavedec_backward_input(
          expected, lo, hi, c.length, mode, 1);
      EXPECT_LE(
          test::max_error(y, back), 1e-12 * back.abs().max().item<double>());
    }
  }
  EXPECT_GT(planned, 50);
}

/// The largest bank that a device takes, with its tables and rows.
template <class T, int V, bool PerChannel>
void expect_room(const Device& device, int channels) {
  const Bank bank{Border::symmetric, most_taps(device) / 2 * 2, 1};
  const int taps = bank.taps, n = 5 * taps;
  const int lengths[] = {n, (n + taps - 1) / 2};
  AnalysisParams a;
  SynthesisParams s;
  a.bank = s.bank = bank;
  a.filters.taps = s.filters.taps = taps;
  const auto type = sizeof(T) == 8 ? Dtype::float64 : Dtype::float32;
  const auto kernel = choose_kernel(
      type, V > 1, PerChannel, false, taps, 2, n, channels, a.shape);
  const auto limits = tile_limits(kernel, taps, device, a.shape);
  s.shape = a.shape;
  EXPECT_GE(a.shape.channel_tiles * a.shape.lanes * kernel.width(), channels);
  ASSERT_TRUE(plan_analysis(bank, lengths, 1, limits, a.plan));
  ASSERT_TRUE(plan_synthesis(bank, lengths, 1, limits, s.plan));
  using Analysis = AnalysisTile<T, V, 8, 0, PerChannel>;
  using Synthesis = SynthesisTile<T, V, 8, 0, PerChannel>;
  EXPECT_LE(Analysis::shared_bytes(a), device.shared_bytes);
  EXPECT_LE(Synthesis::shared_bytes(s), device.shared_bytes);
}

TEST(CudaTile, LongFiltersFitInTheSharedMemoryOfEveryDevice) {
  for (const int kilobytes : {99, 163, 227}) {
    const Device device{64, kilobytes * 1024};
    for (const int channels : {8, 64, 256}) {
      SCOPED_TRACE(std::to_string(kilobytes) + ", " + std::to_string(channels));
      expect_room<float, 1, false>(device, channels);
      expect_room<float, 4, true>(device, channels);
      expect_room<double, 2, false>(device, channels);
      expect_room<double, 2, true>(device, channels);
    }
  }
}

template <int Log, bool Plain = false, int Pass = 0>
void forward(std::vector<std::vector<Complex>>& v, std::vector<Complex>& s) {
  using F = Fft<Log, Plain>;
  for (int t = 0; t < F::threads; ++t) {
    F::template forward<Pass>(t, v[t].data());
  }
  if constexpr (Pass + 1 < F::passes) {
    for (int t = 0; t < F::threads; ++t) {
      F::template put<Pass>(s.data(), t, v[t].data());
    }
    for (int t = 0; t < F::threads; ++t) {
      F::template get<Pass + 1>(s.data(), t, v[t].data());
    }
    forward<Log, Plain, Pass + 1>(v, s);
  }
}

template <int Log, bool Plain = false, int Pass = Fft<Log>::passes - 1>
void backward(std::vector<std::vector<Complex>>& v, std::vector<Complex>& s) {
  using F = Fft<Log, Plain>;
  for (int t = 0; t < F::threads; ++t) {
    F::template backward<Pass>(t, v[t].data());
  }
  if constexpr (Pass > 0) {
    for (int t = 0; t < F::threads; ++t) {
      F::template put<Pass>(s.data(), t, v[t].data());
    }
    for (int t = 0; t < F::threads; ++t) {
      F::template get<Pass - 1>(s.data(), t, v[t].data());
    }
    backward<Log, Plain, Pass - 1>(v, s);
  }
}

template <int Log>
void expect_linear_convolution() {
  using F = Fft<Log>;
  const int n = 1 << Log;
  const auto x = torch::randn({n}), k = torch::randn({n});
  const auto spectrum = [&](const torch::Tensor& values) {
    std::vector<std::vector<Complex>> v(
        F::threads, std::vector<Complex>(16, Complex{0, 0}));
    const auto* p = values.const_data_ptr<float>();
    for (int i = 0; i < n; ++i) {
      v[i % F::threads][i / F::threads].x = p[i];
    }
    return v;
  };
  std::vector<Complex> shared(F::shared);
  auto a = spectrum(x), b = spectrum(k);
  forward<Log>(a, shared);
  forward<Log>(b, shared);
  for (int t = 0; t < F::threads; ++t) {
    for (int q = 0; q < 16; ++q) {
      a[t][q] = a[t][q] * b[t][q];
    }
  }
  backward<Log>(a, shared);
  const auto full = torch::fft_irfft(
      torch::fft_rfft(x.to(torch::kDouble), 2 * n) *
          torch::fft_rfft(k.to(torch::kDouble), 2 * n),
      2 * n);
  auto got = torch::empty({2 * n}, torch::kDouble);
  auto* p = got.mutable_data_ptr<double>();
  for (int i = 0; i < n; ++i) {
    const auto c = a[i % F::threads][i / F::threads];
    p[i] = c.x / n;
    p[n + i] = c.y / n;
  }
  EXPECT_LE(
      (got - full).norm().item<double>(), 2e-6 * full.norm().item<double>())
      << n;
}

TEST(CudaTile, RightAngleTransformIsALinearConvolution) {
  expect_linear_convolution<8>();
  expect_linear_convolution<9>();
  expect_linear_convolution<10>();
  expect_linear_convolution<11>();
  expect_linear_convolution<12>();
  expect_linear_convolution<13>();
}

/// As fft_long.cu: the first pass by columns, then 16 plain transforms.
template <int Log>
struct Long {
  static constexpr int n = 1 << Log, part = n / 16;
  using Row = Fft<Log - 4, true>;
  using Values = std::vector<std::vector<Complex>>;
  std::vector<Complex> shared = std::vector<Complex>(Row::shared);

  std::vector<Values> forward(const torch::Tensor& x) {
    std::vector<Complex> rows(n);
    const auto* p = x.const_data_ptr<float>();
    for (int t = 0; t < part; ++t) {
      Complex v[16];
      for (int q = 0; q < 16; ++q) {
        v[q] = {p[q * part + t], 0.f};
      }
      Fft<Log>::template forward<0>(t, v);
      for (int q = 0; q < 16; ++q) {
        rows[q * part + t] = v[q];
      }
    }
    std::vector<Values> out;
    for (int q = 0; q < 16; ++q) {
      Values v(Row::threads, std::vector<Complex>(16));
      for (int i = 0; i < part; ++i) {
        v[i % Row::threads][i / Row::threads] = rows[q * part + i];
      }
      cuda::forward<Log - 4, true>(v, shared);
      out.push_back(v);
    }
    return out;
  }

  std::vector<Complex> backward(std::vector<Values> spectrum) {
    std::vector<Complex> rows(n), out(n);
    for (int q = 0; q < 16; ++q) {
      cuda::backward<Log - 4, true>(spectrum[q], shared);
      for (int i = 0; i < part; ++i) {
        rows[q * part + i] = spectrum[q][i % Row::threads][i / Row::threads];
      }
    }
    for (int t = 0; t < part; ++t) {
      Complex v[16];
      for (int q = 0; q < 16; ++q) {
        v[q] = rows[q * part + t];
      }
      Fft<Log>::template backward<0>(t, v);
      for (int q = 0; q < 16; ++q) {
        out[q * part + t] = v[q];
      }
    }
    return out;
  }
};

template <int Log>
void expect_long_convolution() {
  constexpr int n = 1 << Log;
  Long<Log> transform;
  const auto x = torch::randn({n}), k = torch::randn({n});
  auto a = transform.forward(x);
  const auto b = transform.forward(k);
  for (size_t q = 0; q < a.size(); ++q) {
    for (size_t t = 0; t < a[q].size(); ++t) {
      for (int j = 0; j < 16; ++j) {
        a[q][t][j] = a[q][t][j] * b[q][t][j];
      }
    }
  }
  const auto got = transform.backward(std::move(a));
  const auto full = torch::fft_irfft(
      torch::fft_rfft(x.to(torch::kDouble), 2 * n) *
          torch::fft_rfft(k.to(torch::kDouble), 2 * n),
      2 * n);
  auto values = torch::empty({2 * n}, torch::kDouble);
  auto* p = values.mutable_data_ptr<double>();
  for (int i = 0; i < n; ++i) {
    p[i] = got[i].x / n;
    p[n + i] = got[i].y / n;
  }
  EXPECT_LE(
      (values - full).norm().item<double>(), 3e-6 * full.norm().item<double>())
      << n;
}

TEST(CudaTile, LongTransformIsALinearConvolution) {
  expect_long_convolution<14>();
  expect_long_convolution<15>();
  expect_long_convolution<16>();
  expect_long_convolution<17>();
}

} // namespace
} // namespace signalllm::cuda

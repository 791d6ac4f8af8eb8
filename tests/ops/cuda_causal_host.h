#pragma once

#include "cuda_cases.h"
#include "ops/cuda/causal/causal.h"
#include "ops/cuda/causal/causal_stream.cuh"

#include <cmath>
#include <random>
#include <string>
#include <vector>

/// The causal banks' stream on the host, thread after thread between barriers.
namespace signalllm::cuda {

/// Between two barriers the threads may run in any order: `backwards` is one.
template <class Stream>
void run_blocks(const CausalStreamParams& p, bool gradient, bool backwards) {
  for (int block = 0; block < p.blocks(); ++block) {
    std::vector<CausalPack> shared(
        Stream::shared_bytes(p) / sizeof(CausalPack));
    for (auto& pack : shared) {
      std::fill(pack.v, pack.v + kCausalVector, NAN);
    }
    std::vector<Stream> threads;
    threads.reserve(kCausalThreads);
    for (int tid = 0; tid < kCausalThreads; ++tid) {
      threads.emplace_back(p, block, tid, shared.data());
    }
    const auto each = [&](auto phase) {
      for (int i = 0; i < kCausalThreads; ++i) {
        phase(threads[backwards ? kCausalThreads - 1 - i : i]);
      }
    };
    each([](auto& t) { t.prepare(); });
    for (int c = 0; c < threads[0].chunks(); ++c) {
      each([&](auto& t) { t.begin(c); });
      for (int i = 0; i < p.steps; ++i) {
        each([&](auto& t) { t.step(i, c); });
      }
    }
    if (gradient) {
      each([](auto& t) { t.keep_sums(); });
      each([&](auto& t) { t.write_sums(block); });
    }
  }
}

template <CausalKind Kind, bool Gradient>
void run(const CausalStreamParams& p, bool backwards) {
  switch ((p.filters.taps + 1) / 2) {
    case 1:
      return run_blocks<CausalStream<float, 2, Kind, Gradient>>(
          p, Gradient, backwards);
    case 2:
      return run_blocks<CausalStream<float, 4, Kind, Gradient>>(
          p, Gradient, backwards);
    default:
      return run_blocks<CausalStream<float, 8, Kind, Gradient>>(
          p, Gradient, backwards);
  }
}

/// One step, with a filter of its own for every channel or one for all.
template <bool PerChannel>
void run_step(CausalStep& p) {
  constexpr int V = 2;
  p.shape.lanes = 4;
  p.shape.threads = 64;
  p.shape.channel_tiles = (p.shape.channels + 4 * V - 1) / (4 * V);
  p.tile = 3 * 16;
  p.tiles = (p.length + p.tile - 1) / p.tile;
  using Tile = CausalStepTile<double, V, PerChannel>;
  std::vector<double> shared(Tile::shared_bytes(p) / sizeof(double));
  for (int64_t block = 0;
       block < p.shape.batch * p.tiles * p.shape.channel_tiles;
       ++block) {
    std::fill(shared.begin(), shared.end(), NAN);
    std::vector<Tile> threads;
    for (int tid = 0; tid < p.shape.threads; ++tid) {
      threads.emplace_back(p, block, tid, shared.data());
    }
    for (int tid = 0; tid < p.shape.threads; ++tid) {
      threads[tid].prepare(tid);
    }
    for (const auto& t : threads) {
      t.run();
    }
  }
}
inline void run_step(CausalStep& p) {
  p.filters.channels > 0 ? run_step<true>(p) : run_step<false>(p);
}

/// Random banks of the causal operators.
class CausalCases : public test::CudaFixture {
 protected:
  void SetUp() override {} // the host's tests need no device

  int pick(int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random_);
  }

  /// A random bank, in float64 as the reference takes it.
  struct Case {
    int taps, levels, length, channels;
    torch::Tensor x, lo, hi, weight;
    Tensors gradients;
  };
  Case random_case(int most_levels, int longest) {
    Case c;
    const int counts[] = {2, 3, 4, 7, 8};
    c.taps = counts[pick(0, 4)];
    c.levels = pick(1, most_levels);
    c.length = pick(0, 1) ? pick(1, 150) : pick(150, longest);
    c.channels = 4 * pick(1, 10);
    const auto some = [&](at::IntArrayRef sizes) {
      return torch::randn(sizes).to(torch::kDouble);
    };
    const auto filter = [&] {
      return (pick(0, 1) ? some({c.taps}) : some({c.channels, c.taps})) /
          c.taps;
    };
    c.lo = filter().to(torch::kFloat).to(torch::kDouble);
    c.hi = c.lo.flip(-1).contiguous();
    c.weight = some({pick(0, 1) ? 1 : c.channels, c.levels + 2});
    c.x = some({2, c.length, c.channels});
    for (int i = 0; i <= c.levels; ++i) {
      c.gradients.push_back(some(c.x.sizes()));
    }
    return c;
  }
  static std::string name(const Case& c) {
    return std::to_string(c.taps) + " taps, " + std::to_string(c.levels) +
        " levels, length " + std::to_string(c.length) + ", channels " +
        std::to_string(c.channels);
  }
  static void expect_near(const torch::Tensor& got, const torch::Tensor& want) {
    ASSERT_EQ(got.sizes(), want.sizes());
    EXPECT_LE(
        test::max_error(got.to(torch::kDouble), want),
        2e-5 * (1 + want.abs().max().item<double>()));
  }

 private:
  std::mt19937 random_{5};
};

} // namespace signalllm::cuda

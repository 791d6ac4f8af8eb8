#pragma once

#include "ops/cuda/causal.h"
#include "ops/cuda/causal_stream.cuh"

#include <cmath>
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

} // namespace signalllm::cuda

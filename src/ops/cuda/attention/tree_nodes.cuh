#pragma once

// The pyramid: means of 2, 4, ... neighbours. A thread has 16 bytes of 32
// neighbouring rows and makes five levels of them in float; five more follow
// through shared memory. Ten levels a launch.

#include "tree_attention.cuh"

namespace signalllm::cuda::tree {

template <class T, int D>
struct NodeMaker {
  static constexpr int step = Type<T>::step, steps = D / step;
  static constexpr int threads = 32 * steps;

  struct Mean {
    float at[step];
  };

  const Params& p;
  const Heads& fine;
  T* nodes; // of this head
  int base, column;

  __device__ Mean load(int row) const {
    Mean m = {};
    if (row < p.layout.length >> base) {
      const T* from = base == 0
          ? row_of<const T>(p, fine, row)
          : nodes + static_cast<int64_t>(p.layout.first_node[base] + row) * D;
      __align__(16) T x[step];
      *reinterpret_cast<uint4*>(x) =
          *reinterpret_cast<const uint4*>(from + column);
#pragma unroll
      for (int i = 0; i < step; ++i) {
        m.at[i] = static_cast<float>(x[i]);
      }
    }
    return m;
  }
  __device__ void store(int level, int row, const Mean& m) const {
    if (base + level > p.layout.levels ||
        row >= p.layout.length >> (base + level)) {
      return;
    }
    __align__(16) T x[step];
#pragma unroll
    for (int i = 0; i < step; ++i) {
      x[i] = static_cast<T>(m.at[i]);
    }
    const int64_t at = p.layout.first_node[base + level] + row;
    *reinterpret_cast<uint4*>(nodes + at * D + column) =
        *reinterpret_cast<const uint4*>(x);
  }
  __device__ static Mean mean(const Mean& a, const Mean& b) {
    Mean m;
#pragma unroll
    for (int i = 0; i < step; ++i) {
      m.at[i] = 0.5f * (a.at[i] + b.at[i]);
    }
    return m;
  }
  template <int level>
  __device__ Mean make(int row) const {
    if constexpr (level == 0) {
      return load(row);
    } else {
      const auto m =
          mean(make<level - 1>(2 * row), make<level - 1>(2 * row + 1));
      store(level, row, m);
      return m;
    }
  }
};

template <class T, int D>
__global__ void __launch_bounds__(NodeMaker<T, D>::threads)
    nodes_kernel(const Params p, int base) {
  using Maker = NodeMaker<T, D>;
  __shared__ typename Maker::Mean means[32][Maker::steps];
  const int64_t all = p.layout.first_node[p.layout.levels + 1];
  const int mine = threadIdx.x / Maker::steps,
            column = threadIdx.x % Maker::steps;
  const Maker maker{
      p,
      blockIdx.z == 0 ? p.key : p.value,
      static_cast<T*>(blockIdx.z == 0 ? p.key_nodes : p.value_nodes) +
          blockIdx.y * all * D,
      base,
      column * Maker::step};
  means[mine][column] = maker.template make<5>(blockIdx.x * 32 + mine);
  __syncthreads();
  for (int level = 6; level <= 10; ++level) {
    const int count = 1 << (10 - level);
    typename Maker::Mean m = {};
    if (mine < count) {
      m = Maker::mean(means[2 * mine][column], means[2 * mine + 1][column]);
      maker.store(level, blockIdx.x * count + mine, m);
    }
    __syncthreads();
    if (mine < count) {
      means[mine][column] = m;
    }
    __syncthreads();
  }
}

} // namespace signalllm::cuda::tree

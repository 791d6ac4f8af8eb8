#pragma once

// Attention over the tree, forward. A thread block has 64 queries of a head, a
// warp 16 of them, which belong to one chunk; the keys that any of the 64 see
// come as a list of groups of eight (tree_groups.cuh), 64 keys at a time, from
// where they lie: positions in the keys, nodes in the pyramid. A group is seen
// by all queries of a warp or by none, but for a query's own positions. The
// softmax is that of flash attention, in units of ln 2, so that the logarithm
// of a node's size is its level.

#include "tree_tile.cuh"

#include <cmath>

namespace signalllm::cuda::tree {

constexpr float kLog2e = 1.4426950408889634f, kLn2 = 0.6931471805599453f;

__device__ inline float power_of_two(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

__device__ inline float minus_infinity() {
  return __int_as_float(0xff800000);
}

__device__ inline float quad_max(float x) {
  x = fmaxf(x, __shfl_xor_sync(~0u, x, 1));
  return fmaxf(x, __shfl_xor_sync(~0u, x, 2));
}
__device__ inline float quad_sum(float x) {
  x += __shfl_xor_sync(~0u, x, 1);
  return x + __shfl_xor_sync(~0u, x, 2);
}

template <class T>
__device__ inline T* row_of(const Params& p, const Heads& x, int64_t row) {
  const int head = blockIdx.y;
  return static_cast<T*>(x.at) + head / p.heads * x.batch +
      head % p.heads * x.head + row * x.row;
}

/// Row of the keys or values that a group names, null behind the end.
template <class T, int D>
__device__ inline const T* key_row(
    const Params& p,
    const Heads& fine,
    const void* nodes,
    int level,
    int row) {
  if (level < 0 || (level == 0 && row >= p.layout.length)) {
    return nullptr;
  }
  if (level == 0) {
    return row_of<const T>(p, fine, row);
  }
  const int64_t all = p.layout.first_node[p.layout.levels + 1];
  return static_cast<const T*>(nodes) + (blockIdx.y * all + row) * D;
}

/// The keys of a block of queries, 64 at a time.
template <class T, int D>
struct Keys {
  using E = typename Type<T>::Element;
  static constexpr int stages = Type<T>::planes == 1 ? 2 : 1;
  static constexpr int tile = Tile<T, D>::values(kBlock);
  /// Bytes of shared memory.
  static int64_t bytes(const Params& p) {
    return Seen::most_groups(p.layout) * sizeof(Group) +
        2 * stages * tile * sizeof(E);
  }

  const Params& p;
  Group* groups;
  E* tiles;
  int blocks;

  __device__ Keys(const Params& p_, unsigned char* memory, int first, int end)
      : p(p_), groups(reinterpret_cast<Group*>(memory)) {
    const Seen seen(p.layout, first, end);
    const int count = seen.groups(p.layout);
    blocks = (count + 7) / 8;
    for (int i = threadIdx.x; i < blocks * 8; i += kThreads) {
      groups[i] = i < count ? seen.group(p.layout, i) : no_group();
    }
    tiles = reinterpret_cast<E*>(groups + blocks * 8);
    __syncthreads();
  }

  __device__ E* keys(int block) const {
    return tiles + block % stages * 2 * tile;
  }
  __device__ E* values(int block) const {
    return keys(block) + tile;
  }

  __device__ void fetch(int block) const {
    if (block < blocks) {
      copy_rows<T, D, 2>(
          {keys(block), values(block)}, kBlock, [&](int row, const T*(&f)[2]) {
            const auto group = groups[block * 8 + row / kGroup];
            const int at = group.row + row % kGroup;
            f[0] = key_row<T, D>(p, p.key, p.key_nodes, group.level, at);
            f[1] = key_row<T, D>(p, p.value, p.value_nodes, group.level, at);
          });
    }
    copies_end();
  }

  /// Calls visit(block) for one block after the other.
  template <class Visit>
  __device__ void each(const Visit& visit) const {
    if (stages == 2) {
      fetch(0);
    }
    for (int block = 0; block < blocks; ++block) {
      fetch(block + stages - 1);
      copies_wait<stages - 1>();
      visit(block);
      __syncthreads();
    }
  }
};

/// Logits in units of ln 2, -inf for what is not seen; `row` is the thread's
/// first query, of chunk `chunk`.
__device__ inline void
logits(float (&s)[8][4], const Group* groups, float scale, int row, int chunk) {
  const int column = threadIdx.x % 4 * 2;
#pragma unroll
  for (int n = 0; n < 8; ++n) {
    const auto g = groups[n];
    const bool seen = chunk >= g.first_chunk && chunk <= g.last_chunk;
    const bool own = g.level == 0 && chunk == g.first_chunk;
    const float size = static_cast<float>(g.level);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const bool past = g.row + column + i % 2 <= row + i / 2 * 8;
      s[n][i] =
          seen && (past || !own) ? s[n][i] * scale + size : minus_infinity();
    }
  }
}

template <class T, int D>
__global__ void __launch_bounds__(kThreads) forward_kernel(const Params p) {
  using E = typename Type<T>::Element;
  extern __shared__ __align__(16) unsigned char memory[];
  const int length = p.layout.length;
  // Late queries see most and begin first.
  const int first = static_cast<int>(gridDim.x - 1 - blockIdx.x) * kBlock;
  E* query = reinterpret_cast<E*>(memory);
  copy_rows<T, D, 1>({query}, kBlock, [&](int row, const T*(&from)[1]) {
    from[0] = first + row < length ? row_of<const T>(p, p.query, first + row)
                                   : nullptr;
  });
  const Keys<T, D> keys(
      p,
      memory + Tile<T, D>::values(kBlock) * sizeof(E),
      first,
      min(first + kBlock, length));

  const int warp_row = threadIdx.x / 32 * 16, lane = threadIdx.x % 32;
  const int row = first + warp_row + lane / 4;
  const int chunk = p.layout.chunk(first + warp_row);
  const float scale = kLog2e / sqrtf(static_cast<float>(D));
  float out[D / 8][4] = {};
  float most[2] = {minus_infinity(), minus_infinity()}, sum[2] = {};
  keys.each([&](int block) {
    float s[8][4] = {};
    rows_by_rows<T, D, 8>(s, query, kBlock, warp_row, keys.keys(block), kBlock);
    logits(s, keys.groups + block * 8, scale, row, chunk);
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float top = most[r];
#pragma unroll
      for (int n = 0; n < 8; ++n) {
        top = fmaxf(top, fmaxf(s[n][2 * r], s[n][2 * r + 1]));
      }
      top = quad_max(top);
      const float base = top == minus_infinity() ? 0 : top;
      const float factor = power_of_two(most[r] - base);
      most[r] = top;
      sum[r] *= factor;
#pragma unroll
      for (int n = 0; n < 8; ++n) {
#pragma unroll
        for (int i = 2 * r; i < 2 * r + 2; ++i) {
          s[n][i] = power_of_two(s[n][i] - base);
          sum[r] += s[n][i];
        }
      }
#pragma unroll
      for (int n = 0; n < D / 8; ++n) {
        out[n][2 * r] *= factor;
        out[n][2 * r + 1] *= factor;
      }
    }
    scores_by_rows<T, D, 8>(out, s, keys.values(block), kBlock);
  });
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const float all = quad_sum(sum[r]);
    const int at = row + 8 * r;
    if (at < length) {
      T* to = row_of<T>(p, p.output, at) + lane % 4 * 2;
      const float share = 1 / all;
#pragma unroll
      for (int n = 0; n < D / 8; ++n) {
        store_pair(
            to + n * 8, out[n][2 * r] * share, out[n][2 * r + 1] * share);
      }
      if (lane % 4 == 0) {
        p.logsumexp[static_cast<int64_t>(blockIdx.y) * length + at] =
            (most[r] + log2f(all)) * kLn2;
      }
    }
  }
}

} // namespace signalllm::cuda::tree

#pragma once

// Attention over the tree, forward. A thread block has 64 or 128 queries of a
// head, a warp once or twice 16 of them, which belong to one chunk; the keys
// that any of the block's queries see come as a list of groups of eight
// (tree_groups.cuh), 64 keys at a time, from where they lie: positions in the
// keys, nodes in the pyramid. A group is seen by all of 16 queries or by none,
// but for a query's own positions. The softmax is that of flash attention, in
// units of ln 2, so that the logarithm of a node's size is its level.

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

/// The keys or values of a head: positions and nodes.
template <class T, int D>
struct Rows {
  const T *fine, *nodes;
  int64_t step;
  int length;

  __device__ Rows(const Params& p, const Heads& x, const void* nodes_)
      : fine(row_of<const T>(p, x, 0)), nodes(static_cast<const T*>(nodes_)),
        step(x.row), length(p.layout.length) {
    const int64_t all = p.layout.first_node[p.layout.levels + 1];
    nodes += blockIdx.y * all * D;
  }
  /// Null behind the end and for level -1.
  __device__ const T* at(int level, int row) const {
    return level > 0                 ? nodes + static_cast<int64_t>(row) * D
        : level == 0 && row < length ? fine + row * step
                                     : nullptr;
  }
};

/// The keys of a block of queries, 64 at a time.
template <class T, int D>
struct Keys {
  using E = typename Type<T>::Element;
  static constexpr int stages = Type<T>::planes == 1 ? 2 : 1;
  static constexpr int tile = Tile<T, D>::values(kBlock);
  /// Bytes of shared memory.
  static int64_t bytes(const Params& p, int queries) {
    return Seen::most_groups(p.layout, queries) * sizeof(Group) +
        2 * stages * tile * sizeof(E);
  }

  Rows<T, D> key_rows, value_rows;
  Group* groups;
  E* tiles;
  int blocks;

  __device__ Keys(const Params& p, unsigned char* memory, int first, int end)
      : key_rows(p, p.key, p.key_nodes), value_rows(p, p.value, p.value_nodes),
        groups(reinterpret_cast<Group*>(memory)) {
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
      copy_rows<T, D, kBlock, 2>(
          {keys(block), values(block)}, [&](int row, const T*(&from)[2]) {
            const auto group = groups[block * 8 + row / kGroup];
            const int at = group.row + row % kGroup;
            from[0] = key_rows.at(group.level, at);
            from[1] = value_rows.at(group.level, at);
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

/// Whether the queries of any of these chunks see any of eight groups.
template <int R>
__device__ inline bool any_seen(const Group* groups, const int (&chunks)[R]) {
  const auto g = groups[threadIdx.x % 8];
  bool seen = false;
#pragma unroll
  for (int r = 0; r < R; ++r) {
    seen = seen || (chunks[r] >= g.first_chunk && chunks[r] <= g.last_chunk);
  }
  return __any_sync(~0u, seen);
}

/// Logits in units of ln 2, -inf for what is not seen; `row` is the thread's
/// first query, of chunk `chunk`.
__device__ inline void
logits(float (&s)[8][4], const Group* groups, float scale, int row, int chunk) {
#pragma unroll
  for (int n = 0; n < 8; ++n) {
    const auto g = groups[n];
    const float size = chunk >= g.first_chunk && chunk <= g.last_chunk
        ? static_cast<float>(g.level)
        : minus_infinity();
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      s[n][i] = s[n][i] * scale + size;
    }
    if (g.level == 0 && chunk == g.first_chunk) { // the same for the warp
      const int behind = g.row + threadIdx.x % 4 * 2 - row;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        s[n][i] = behind + i % 2 <= i / 2 * 8 ? s[n][i] : minus_infinity();
      }
    }
  }
}

/// Times 16 queries that a warp has in the forward pass.
template <class T, int D>
constexpr int kForwardRows = Type<T>::planes == 1 && D <= 64 ? 2 : 1;

template <class T, int D>
__global__ void __launch_bounds__(kThreads) forward_kernel(const Params p) {
  using E = typename Type<T>::Element;
  constexpr int R = kForwardRows<T, D>, queries = R * kBlock;
  extern __shared__ __align__(16) unsigned char memory[];
  const int length = p.layout.length;
  // Late queries see most and begin first.
  const int first = static_cast<int>(gridDim.x - 1 - blockIdx.x) * queries;
  E* query = reinterpret_cast<E*>(memory);
  copy_rows<T, D, queries, 1>({query}, [&](int row, const T*(&from)[1]) {
    from[0] = first + row < length ? row_of<const T>(p, p.query, first + row)
                                   : nullptr;
  });
  const Keys<T, D> keys(
      p,
      memory + Tile<T, D>::values(queries) * sizeof(E),
      first,
      min(first + queries, length));

  const int warp_row = threadIdx.x / 32 * 16 * R, lane = threadIdx.x % 32;
  const int row = first + warp_row + lane / 4;
  int chunks[R];
#pragma unroll
  for (int r = 0; r < R; ++r) {
    chunks[r] = p.layout.chunk(first + warp_row + 16 * r);
  }
  const float scale = kLog2e / sqrtf(static_cast<float>(D));
  float out[R][D / 8][4] = {};
  float most[2 * R], sum[2 * R];
#pragma unroll
  for (int r = 0; r < 2 * R; ++r) {
    most[r] = minus_infinity();
    sum[r] = 0;
  }
  keys.each([&](int block) {
    if (!any_seen(keys.groups + block * 8, chunks)) {
      return;
    }
    float s[R][8][4] = {};
    rows_by_rows<T, D, 8, R>(
        s, query, queries, warp_row, keys.keys(block), kBlock);
#pragma unroll
    for (int r = 0; r < 2 * R; ++r) {
      auto& mine = s[r / 2];
      const int i = r % 2 * 2;
      if (i == 0) {
        logits(
            mine, keys.groups + block * 8, scale, row + 8 * r, chunks[r / 2]);
      }
      float top = most[r];
#pragma unroll
      for (int n = 0; n < 8; ++n) {
        top = fmaxf(top, fmaxf(mine[n][i], mine[n][i + 1]));
      }
      top = quad_max(top);
      const float base = top == minus_infinity() ? 0 : top;
      const float factor = power_of_two(most[r] - base);
      most[r] = top;
      sum[r] *= factor;
#pragma unroll
      for (int n = 0; n < 8; ++n) {
        mine[n][i] = power_of_two(mine[n][i] - base);
        mine[n][i + 1] = power_of_two(mine[n][i + 1] - base);
        sum[r] += mine[n][i] + mine[n][i + 1];
      }
#pragma unroll
      for (int n = 0; n < D / 8; ++n) {
        out[r / 2][n][i] *= factor;
        out[r / 2][n][i + 1] *= factor;
      }
    }
    scores_by_rows<T, D, 8, R>(out, s, keys.values(block), kBlock);
  });
#pragma unroll
  for (int r = 0; r < 2 * R; ++r) {
    const float all = quad_sum(sum[r]);
    const int at = row + 8 * r;
    if (at < length) {
      T* to = row_of<T>(p, p.output, at) + lane % 4 * 2;
      const float share = 1 / all;
#pragma unroll
      for (int n = 0; n < D / 8; ++n) {
        const auto& c = out[r / 2][n];
        store_pair(to + n * 8, c[r % 2 * 2] * share, c[r % 2 * 2 + 1] * share);
      }
      if (lane % 4 == 0) {
        p.logsumexp[static_cast<int64_t>(blockIdx.y) * length + at] =
            (most[r] + log2f(all)) * kLn2;
      }
    }
  }
}

} // namespace signalllm::cuda::tree

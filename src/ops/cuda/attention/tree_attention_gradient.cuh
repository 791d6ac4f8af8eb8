#pragma once

// Attention over the tree, backward: the shares are computed again from the
// logarithms of their sums. First the gradient of the queries, by blocks of
// queries as in the forward pass, which also leaves sum(grad output) of every
// query; then those of the nodes, by blocks of 64 nodes and at most
// `parts.queries` of the queries that see them; these parts are added up in
// their order, the levels folded down onto level 1, and last those of the
// positions, which take over half of what their pair got. Keys stand in the
// rows of all products here, so that a warp has 16 keys and adds up nothing
// with others.

#include "tree_attention.cuh"

namespace signalllm::cuda::tree {

template <class T, int D>
__global__ void __launch_bounds__(kThreads) query_kernel(const Params p) {
  using E = typename Type<T>::Element;
  constexpr int tile = Tile<T, D>::values(kBlock);
  extern __shared__ __align__(16) unsigned char memory[];
  const int length = p.layout.length;
  const int first = static_cast<int>(gridDim.x - 1 - blockIdx.x) * kBlock;
  E* query = reinterpret_cast<E*>(memory);
  E* grad = query + tile;
  auto* logs = reinterpret_cast<float*>(grad + tile);
  float* means = logs + kBlock;
  copy_rows<T, D, 2>({query, grad}, kBlock, [&](int row, const T*(&from)[2]) {
    const bool there = first + row < length;
    from[0] = there ? row_of<const T>(p, p.query, first + row) : nullptr;
    from[1] = there ? row_of<const T>(p, p.grad, first + row) : nullptr;
  });
  { // Two threads a query.
    const int at = threadIdx.x / 2;
    float sum = 0;
    if (first + at < length) {
      const T* g =
          row_of<const T>(p, p.grad, first + at) + threadIdx.x % 2 * (D / 2);
      const T* o =
          row_of<const T>(p, p.output, first + at) + threadIdx.x % 2 * (D / 2);
#pragma unroll
      for (int c = 0; c < D / 2; c += Type<T>::step) {
        __align__(16) T a[Type<T>::step], b[Type<T>::step];
        *reinterpret_cast<uint4*>(a) = *reinterpret_cast<const uint4*>(g + c);
        *reinterpret_cast<uint4*>(b) = *reinterpret_cast<const uint4*>(o + c);
#pragma unroll
        for (int i = 0; i < Type<T>::step; ++i) {
          sum += static_cast<float>(a[i]) * static_cast<float>(b[i]);
        }
      }
    }
    sum += __shfl_xor_sync(~0u, sum, 1);
    if (threadIdx.x % 2 == 0) {
      const int64_t to = static_cast<int64_t>(blockIdx.y) * length + first + at;
      const bool there = first + at < length;
      means[at] = sum;
      logs[at] = there ? p.logsumexp[to] * kLog2e : 0;
      if (there) {
        p.means[to] = sum;
      }
    }
  }
  const Keys<T, D> keys(
      p,
      reinterpret_cast<unsigned char*>(means + kBlock),
      first,
      min(first + kBlock, length));

  const int warp_row = threadIdx.x / 32 * 16, lane = threadIdx.x % 32;
  const int mine = warp_row + lane / 4, row = first + mine;
  const int chunk = p.layout.chunk(first + warp_row);
  const float scale = 1 / sqrtf(static_cast<float>(D));
  const float log[2] = {logs[mine], logs[mine + 8]};
  const float mean[2] = {means[mine], means[mine + 8]};
  float out[D / 8][4] = {};
  keys.each([&](int block) {
    float s[8][4] = {}, g[8][4] = {};
    rows_by_rows<T, D, 8>(s, query, kBlock, warp_row, keys.keys(block), kBlock);
    rows_by_rows<T, D, 8>(
        g, grad, kBlock, warp_row, keys.values(block), kBlock);
    logits(s, keys.groups + block * 8, scale * kLog2e, row, chunk);
#pragma unroll
    for (int n = 0; n < 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        s[n][i] = power_of_two(s[n][i] - log[i / 2]) * (g[n][i] - mean[i / 2]);
      }
    }
    scores_by_rows<T, D, 8>(out, s, keys.keys(block), kBlock);
  });
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    if (row + 8 * r < length) {
      T* to = row_of<T>(p, p.query_grad, row + 8 * r) + lane % 4 * 2;
#pragma unroll
      for (int n = 0; n < D / 8; ++n) {
        store_pair(
            to + n * 8, out[n][2 * r] * scale, out[n][2 * r + 1] * scale);
      }
    }
  }
}

/// Where a thread's row of a gradient of nodes stands.
template <int D>
__device__ inline float*
part_row(const Params& p, float* parts, int level, int part, int row) {
  const int64_t at = static_cast<int64_t>(blockIdx.y) * p.parts.total_rows +
      p.parts.first_row[level] + part * p.parts.rows[level] + row;
  return parts + at * D;
}

template <class T, int D>
struct Queries {
  using E = typename Type<T>::Element;
  static constexpr int stages = Type<T>::planes == 1 ? 2 : 1;
  /// Queries at a time: more would not fit into the registers.
  static constexpr int rows = D <= 64 && Type<T>::planes == 1 ? 64 : 32;
  static constexpr int tile = Tile<T, D>::values(rows);
  static int64_t bytes() {
    return 2 * Tile<T, D>::values(kBlock) * sizeof(E) +
        stages * 2 * (tile * sizeof(E) + rows * sizeof(float));
  }
};

template <class T, int D, bool fine>
__global__ void __launch_bounds__(kThreads) node_kernel(const Params p) {
  using E = typename Type<T>::Element;
  using Q = Queries<T, D>;
  constexpr int own_tile = Tile<T, D>::values(kBlock);
  extern __shared__ __align__(16) unsigned char memory[];
  const auto& l = p.layout;
  const auto block = fine
      ? NodeBlock{0, static_cast<int>(blockIdx.x) * kBlock, -1}
      : node_block(l, p.parts, static_cast<int>(blockIdx.x));
  const int level = block.level, first = block.first;
  const int most = fine ? l.length : l.seen(level);
  int from = 0, to = 0;
  if (first < most) {
    seeing(l, level, first, block.part, p.parts.queries, from, to);
  }

  E* keys = reinterpret_cast<E*>(memory);
  E* values = keys + own_tile;
  E* tiles = values + own_tile;
  auto* sums = reinterpret_cast<float*>(tiles + Q::stages * 2 * Q::tile);
  copy_rows<T, D, 2>({keys, values}, kBlock, [&](int row, const T*(&f)[2]) {
    const bool there = first + row < most;
    const int at = (fine ? 0 : l.first_node[level]) + first + row;
    const int of = there ? level : -1;
    f[0] = key_row<T, D>(p, p.key, p.key_nodes, of, at);
    f[1] = key_row<T, D>(p, p.value, p.value_nodes, of, at);
  });
  const auto fetch = [&](int number) {
    const int at = from + number * Q::rows;
    if (at < to) {
      E* query = tiles + number % Q::stages * 2 * Q::tile;
      copy_rows<T, D, 2>(
          {query, query + Q::tile}, Q::rows, [&](int row, const T*(&f)[2]) {
            const bool there = at + row < l.length;
            f[0] = there ? row_of<const T>(p, p.query, at + row) : nullptr;
            f[1] = there ? row_of<const T>(p, p.grad, at + row) : nullptr;
          });
      if (threadIdx.x < Q::rows) {
        const int row = at + static_cast<int>(threadIdx.x);
        const int64_t of = static_cast<int64_t>(blockIdx.y) * l.length + row;
        float* log = sums + number % Q::stages * 2 * Q::rows;
        log[threadIdx.x] =
            row < l.length ? p.logsumexp[of] * kLog2e : -minus_infinity();
        log[Q::rows + threadIdx.x] = row < l.length ? p.means[of] : 0;
      }
    }
    copies_end();
  };

  const int warp_row = threadIdx.x / 32 * 16, lane = threadIdx.x % 32;
  const int mine = first + warp_row;
  const Group groups[2] = {
      mine < most ? group_at(l, level, mine) : no_group(),
      mine + 8 < most ? group_at(l, level, mine + 8) : no_group()};
  const float scale = 1 / sqrtf(static_cast<float>(D));
  const float size = static_cast<float>(level);
  float key_grad[D / 8][4] = {}, value_grad[D / 8][4] = {};
  if (Q::stages == 2) {
    fetch(0);
  }
  for (int number = 0; from + number * Q::rows < to; ++number) {
    fetch(number + Q::stages - 1);
    copies_wait<Q::stages - 1>();
    const E* query = tiles + number % Q::stages * 2 * Q::tile;
    const E* grad = query + Q::tile;
    const float* log = sums + number % Q::stages * 2 * Q::rows;
    const float* mean = log + Q::rows;
    float s[Q::rows / 8][4] = {}, g[Q::rows / 8][4] = {};
    rows_by_rows<T, D, Q::rows / 8>(s, keys, kBlock, warp_row, query, Q::rows);
    rows_by_rows<T, D, Q::rows / 8>(g, values, kBlock, warp_row, grad, Q::rows);
#pragma unroll
    for (int n = 0; n < Q::rows / 8; ++n) {
      const int at = from + number * Q::rows + n * 8;
      const int chunk = l.chunk(at);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const auto& group = groups[i / 2];
        const int column = n * 8 + lane % 4 * 2 + i % 2;
        const bool seen =
            chunk >= group.first_chunk && chunk <= group.last_chunk;
        const bool past = !fine || chunk != group.first_chunk ||
            mine + lane / 4 + i / 2 * 8 <= at + lane % 4 * 2 + i % 2;
        s[n][i] = power_of_two(
            seen && past ? s[n][i] * (scale * kLog2e) + size - log[column]
                         : minus_infinity());
        g[n][i] = s[n][i] * (g[n][i] - mean[column]);
      }
    }
    scores_by_rows<T, D, Q::rows / 8>(value_grad, s, grad, Q::rows);
    scores_by_rows<T, D, Q::rows / 8>(key_grad, g, query, Q::rows);
    __syncthreads();
  }
  // Copies of keys and values may still be under way where nobody sees them.
  copies_wait<0>();

#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = mine + lane / 4 + 8 * r;
    if constexpr (fine) {
      if (row < l.length) {
        T* gk = row_of<T>(p, p.key_grad, row) + lane % 4 * 2;
        T* gv = row_of<T>(p, p.value_grad, row) + lane % 4 * 2;
        const bool pair = l.levels > 0 && row / 2 < p.parts.rows[1];
        const float *hk = nullptr, *hv = nullptr;
        if (pair) {
          hk = part_row<D>(p, p.key_parts, 1, 0, row / 2) + lane % 4 * 2;
          hv = part_row<D>(p, p.value_parts, 1, 0, row / 2) + lane % 4 * 2;
        }
#pragma unroll
        for (int n = 0; n < D / 8; ++n) {
          const auto half = [&](const float* of) {
            return pair ? *reinterpret_cast<const float2*>(of + n * 8)
                        : make_float2(0, 0);
          };
          const auto k = half(hk), v = half(hv);
          store_pair(
              gk + n * 8,
              key_grad[n][2 * r] * scale + 0.5f * k.x,
              key_grad[n][2 * r + 1] * scale + 0.5f * k.y);
          store_pair(
              gv + n * 8,
              value_grad[n][2 * r] + 0.5f * v.x,
              value_grad[n][2 * r + 1] + 0.5f * v.y);
        }
      }
    } else {
      float* gk =
          part_row<D>(p, p.key_parts, level, block.part, row) + lane % 4 * 2;
      float* gv =
          part_row<D>(p, p.value_parts, level, block.part, row) + lane % 4 * 2;
#pragma unroll
      for (int n = 0; n < D / 8; ++n) {
        store_pair(
            gk + n * 8,
            key_grad[n][2 * r] * scale,
            key_grad[n][2 * r + 1] * scale);
        store_pair(gv + n * 8, value_grad[n][2 * r], value_grad[n][2 * r + 1]);
      }
    }
  }
}

/// Adds the parts of level blockIdx.z / 2 + 1 onto the first, four values a
/// thread; keys and values by turns.
template <int D>
__global__ void __launch_bounds__(256) add_parts(const Params p) {
  const int level = blockIdx.z / 2 + 1, parts = p.parts.parts[level];
  const int at = blockIdx.x * 256 + threadIdx.x;
  const int row = at / (D / 4), column = at % (D / 4) * 4;
  if (parts < 2 || row >= p.parts.rows[level]) {
    return;
  }
  float* all = blockIdx.z % 2 == 0 ? p.key_parts : p.value_parts;
  float* to = part_row<D>(p, all, level, 0, row) + column;
  const int64_t step = static_cast<int64_t>(p.parts.rows[level]) * D;
  float4 sum = *reinterpret_cast<float4*>(to);
#pragma unroll 8
  for (int part = 1; part < parts; ++part) {
    const auto x = *reinterpret_cast<const float4*>(to + part * step);
    sum.x += x.x;
    sum.y += x.y;
    sum.z += x.z;
    sum.w += x.w;
  }
  *reinterpret_cast<float4*>(to) = sum;
}

/// Gives nodes of level 1 half of what their parents got, a quarter of their
/// parents' parents', ...
template <int D>
__global__ void __launch_bounds__(256) fold(const Params p) {
  const int at = blockIdx.x * 256 + threadIdx.x;
  const int row = at / (D / 4), column = at % (D / 4) * 4;
  if (row >= p.parts.rows[1]) {
    return;
  }
  float* all = blockIdx.z == 0 ? p.key_parts : p.value_parts;
  float4 sum = make_float4(0, 0, 0, 0);
  for (int level = p.layout.levels; level >= 1; --level) {
    sum = make_float4(sum.x * 0.5f, sum.y * 0.5f, sum.z * 0.5f, sum.w * 0.5f);
    const int above = row >> (level - 1);
    if (above < p.parts.rows[level]) {
      const auto x = *reinterpret_cast<const float4*>(
          part_row<D>(p, all, level, 0, above) + column);
      sum = make_float4(sum.x + x.x, sum.y + x.y, sum.z + x.z, sum.w + x.w);
    }
  }
  *reinterpret_cast<float4*>(part_row<D>(p, all, 1, 0, row) + column) = sum;
}

} // namespace signalllm::cuda::tree

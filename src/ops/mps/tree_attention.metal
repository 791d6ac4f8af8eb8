// tree_attention (ops/tree_attention.h): causal attention in which a query of
// chunk i, of `window` positions, sees its own chunk up to itself, the chunk
// before, and means of 2^level positions further back (ops/tree_ranges.h).
// Up to 2 windows it is causal attention. A group has some neighbouring rows of
// one head: queries of a chunk, or nodes that the same queries see. Each of its
// SIMD groups has S of them, and meets 32 rows of the other side at a time: a
// lane has one of these while products are taken, and channels while rows are
// summed. Means are taken where rows are read. D is the width rounded up.
struct TreeAttention {
  int heads;
  int length;
  int width;
  int window;
  int block;        // rows of a group
  int blocks;       // of a window
  int levels;       // above the positions
  int nodes;        // of all levels
  int query_groups; // backward: groups with queries, before those with nodes
  // From one position to the next: the width, or that of all heads.
  int query_row;
  int key_row;
  int value_row;
  int out_row;
  int grad_row;
  float scale;
};

constant constexpr int kTreeTile = 32;
constant constexpr int kTreeSimds = 4;
constant constexpr float kTreeHidden = -1.0e30f;

// Where a head's positions begin in a tensor.
inline int tree_base(int head, int row, constant TreeAttention& p) {
  const int batch = head / p.heads;
  const int step = row == p.width ? p.length * p.width : p.width;
  return batch * p.heads * p.length * p.width + (head - batch * p.heads) * step;
}

inline int tree_levels(int chunk) {
  int levels = 0;
  while ((chunk >> (levels + 1)) > 0) {
    ++levels;
  }
  return levels;
}

// Nodes of a level that queries of a chunk see, up to position `last`: the first,
// and one behind the last.
inline int tree_first(int chunk, int level, constant TreeAttention& p) {
  return level == 0 ? max(chunk - 1, 0) * p.window : ((chunk >> level) - 1) * p.window;
}

inline int tree_end(int chunk, int level, int last, constant TreeAttention& p) {
  return level == 0 ? last : ((chunk >> (level - 1)) - 1) * p.window / 2;
}

// Nodes of the levels below one.
inline int tree_before(int level, constant TreeAttention& p) {
  int count = 0;
  for (int l = 0; l < level; ++l) {
    count += p.length >> l;
  }
  return count;
}

// `count` nodes of a level from `first` on to `rows` rows of memory, those
// behind zero.
template <typename T>
inline void tree_load(
    threadgroup float* to,
    int stride,
    int rows,
    device const T* x,
    int row,
    int level,
    int first,
    int count,
    int width,
    int index,
    int threads) {
  const int size = 1 << level;
  for (int i = index; i < rows * width; i += threads) {
    const int r = i / width;
    const int c = i - r * width;
    float sum = 0.0f;
    if (r < count) {
      const int from = ((first + r) << level) * row + c;
      for (int j = 0; j < size; ++j) {
        sum += float(x[from + j * row]);
      }
    }
    to[r * stride + c] = sum / float(size);
  }
}

// A SIMD group's rows times the tile's row of each lane.
template <int D, int S>
inline void tree_dots(
    thread array<float, S>& dots,
    threadgroup const float* rows,
    threadgroup const float* tile,
    int width,
    int lane) {
  for (int i = 0; i < S; ++i) {
    dots[i] = 0.0f;
  }
  for (int c = 0; c < width; ++c) {
    const float v = tile[lane * (D + 1) + c];
    for (int i = 0; i < S; ++i) {
      dots[i] = fma(rows[i * D + c], v, dots[i]);
    }
  }
}

// sums[row][channel of this lane] += sum_j weights[row][j] tile[j][channel].
template <int D, int S>
inline void tree_add(
    thread array<float, S * D / 32>& sums,
    threadgroup const float* weights,
    threadgroup const float* tile,
    int count,
    int width,
    int lane) {
  for (int s = 0; s < D / 32; ++s) {
    const int c = lane + 32 * s;
    if (c < width) {
      for (int j = 0; j < count; ++j) {
        const float v = tile[j * (D + 1) + c];
        for (int i = 0; i < S; ++i) {
          sums[i * D / 32 + s] = fma(weights[i * kTreeTile + j], v, sums[i * D / 32 + s]);
        }
      }
    }
  }
}

// Grid: (blocks of queries, heads of the batch).
template <typename T, int D, int S>
[[kernel]] void tree_attention(
    device T* out [[buffer(0)]],
    device float* logsumexp [[buffer(1)]],
    device const T* q [[buffer(2)]],
    device const T* k [[buffer(3)]],
    device const T* v [[buffer(4)]],
    constant TreeAttention& p [[buffer(5)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint thread_index [[thread_index_in_threadgroup]],
    uint3 size [[threads_per_threadgroup]],
    uint simd_lane [[thread_index_in_simdgroup]],
    uint simd [[simdgroup_index_in_threadgroup]]) {
  threadgroup float queries[kTreeSimds * S * D];
  threadgroup float tile[kTreeTile * (D + 1)];
  threadgroup float weights[kTreeSimds * S * kTreeTile];
  const int index = int(thread_index);
  const int threads = int(size.x);
  const int lane = int(simd_lane);
  const int own = int(simd) * S;
  const int head = int(group.y);
  const int chunk = int(group.x) / p.blocks;
  const int first = chunk * p.window + int(group.x) % p.blocks * p.block;
  const int last = min(first + p.block, min(chunk * p.window + p.window, p.length));
  if (first >= last) {
    return;
  }
  tree_load(queries, D, p.block, q + tree_base(head, p.query_row, p), p.query_row, 0, first, last - first, p.width, index, threads);
  array<float, S> most;
  array<float, S> total;
  array<float, S> scores;
  array<float, S * D / 32> sums;
  for (int i = 0; i < S; ++i) {
    most[i] = kTreeHidden;
    total[i] = 0.0f;
  }
  for (int i = 0; i < S * D / 32; ++i) {
    sums[i] = 0.0f;
  }
  const int levels = tree_levels(chunk);
  // Positions first: of their first tile every query sees something.
  for (int level = 0; level <= levels; ++level) {
    const int end = tree_end(chunk, level, last, p);
    const float bias = float(level) * 0.693147180559945f;
    for (int begin = tree_first(chunk, level, p); begin < end; begin += kTreeTile) {
      const int count = min(kTreeTile, end - begin);
      threadgroup_barrier(mem_flags::mem_threadgroup);
      tree_load(tile, D + 1, kTreeTile, k + tree_base(head, p.key_row, p), p.key_row, level, begin, count, p.width, index, threads);
      threadgroup_barrier(mem_flags::mem_threadgroup);
      tree_dots<D, S>(scores, queries + own * D, tile, p.width, lane);
      threadgroup_barrier(mem_flags::mem_threadgroup);
      tree_load(tile, D + 1, kTreeTile, v + tree_base(head, p.value_row, p), p.value_row, level, begin, count, p.width, index, threads);
      for (int i = 0; i < S; ++i) {
        const bool visible = lane < count && (level > 0 || begin + lane <= first + own + i);
        const float score = visible ? fma(scores[i], p.scale, bias) : kTreeHidden;
        const float best = max(most[i], simd_max(score));
        const float factor = precise::exp(most[i] - best);
        const float share = visible ? precise::exp(score - best) : 0.0f;
        total[i] = fma(total[i], factor, simd_sum(share));
        most[i] = best;
        for (int s = 0; s < D / 32; ++s) {
          sums[i * D / 32 + s] *= factor;
        }
        weights[(own + i) * kTreeTile + lane] = share;
      }
      threadgroup_barrier(mem_flags::mem_threadgroup);
      tree_add<D, S>(sums, weights + own * kTreeTile, tile, count, p.width, lane);
    }
  }
  for (int i = 0; i < S; ++i) {
    const int t = first + own + i;
    if (t < last) {
      const int to = tree_base(head, p.out_row, p) + t * p.out_row;
      for (int s = 0; s < D / 32; ++s) {
        if (lane + 32 * s < p.width) {
          out[to + lane + 32 * s] = static_cast<T>(sums[i * D / 32 + s] / total[i]);
        }
      }
      if (lane == 0) {
        logsumexp[head * p.length + t] = most[i] + precise::log(total[i]);
      }
    }
  }
}

template [[host_name("tree_attention_32_float")]] [[kernel]] decltype(tree_attention<float, 32, 8>) tree_attention<float, 32, 8>;
template [[host_name("tree_attention_32_half")]] [[kernel]] decltype(tree_attention<half, 32, 8>) tree_attention<half, 32, 8>;
template [[host_name("tree_attention_32_bfloat")]] [[kernel]] decltype(tree_attention<bfloat, 32, 8>) tree_attention<bfloat, 32, 8>;
template [[host_name("tree_attention_64_float")]] [[kernel]] decltype(tree_attention<float, 64, 8>) tree_attention<float, 64, 8>;
template [[host_name("tree_attention_64_half")]] [[kernel]] decltype(tree_attention<half, 64, 8>) tree_attention<half, 64, 8>;
template [[host_name("tree_attention_64_bfloat")]] [[kernel]] decltype(tree_attention<bfloat, 64, 8>) tree_attention<bfloat, 64, 8>;
template [[host_name("tree_attention_128_float")]] [[kernel]] decltype(tree_attention<float, 128, 2>) tree_attention<float, 128, 2>;
template [[host_name("tree_attention_128_half")]] [[kernel]] decltype(tree_attention<half, 128, 2>) tree_attention<half, 128, 2>;
template [[host_name("tree_attention_128_bfloat")]] [[kernel]] decltype(tree_attention<bfloat, 128, 2>) tree_attention<bfloat, 128, 2>;

// The gradients of tree_attention. A group has queries and makes theirs, or has
// nodes of a level, the positions among them, and makes the keys' and values'.
// With a probability p = exp(score - logsumexp), score gets p (dp - delta) where
// dp = g . value and delta = g . out.

// sum_c x[c] rows[at + c] over the lanes of a SIMD group.
template <typename T>
inline float tree_product(
    threadgroup const float* x,
    device const T* rows,
    int at,
    int width,
    int lane) {
  float sum = 0.0f;
  for (int c = lane; c < width; c += 32) {
    sum = fma(x[c], float(rows[at + c]), sum);
  }
  return simd_sum(sum);
}

// A group's rows of a tensor [positions, width] beginning at `base`.
template <typename T, int D, int S>
inline void tree_store(
    device T* to,
    int base,
    int row,
    int first,
    int last,
    thread array<float, S * D / 32>& sums,
    float factor,
    int width,
    int lane) {
  for (int i = 0; i < S; ++i) {
    for (int s = 0; s < D / 32; ++s) {
      const int c = lane + 32 * s;
      if (first + i < last && c < width) {
        to[base + (first + i) * row + c] = static_cast<T>(sums[i * D / 32 + s] * factor);
      }
    }
  }
}

// Grid: (blocks of queries, then those of nodes; heads of the batch).
template <typename T, int D, int S>
[[kernel]] void tree_attention_backward(
    device T* dq [[buffer(0)]],
    device T* dk [[buffer(1)]],
    device T* dv [[buffer(2)]],
    device float* dk_nodes [[buffer(3)]],
    device float* dv_nodes [[buffer(4)]],
    device const T* g [[buffer(5)]],
    device const T* q [[buffer(6)]],
    device const T* k [[buffer(7)]],
    device const T* v [[buffer(8)]],
    device const T* out [[buffer(9)]],
    device const float* logsumexp [[buffer(10)]],
    constant TreeAttention& p [[buffer(11)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint thread_index [[thread_index_in_threadgroup]],
    uint3 size [[threads_per_threadgroup]],
    uint simd_lane [[thread_index_in_simdgroup]],
    uint simd [[simdgroup_index_in_threadgroup]],
    uint simds [[simdgroups_per_threadgroup]]) {
  threadgroup float one[kTreeSimds * S * D]; // queries, or keys
  threadgroup float two[kTreeSimds * S * D]; // their gradients, or values
  threadgroup float tile[kTreeTile * (D + 1)];
  threadgroup float weights[kTreeSimds * S * kTreeTile];
  threadgroup float deltas[kTreeTile];
  const int index = int(thread_index);
  const int threads = int(size.x);
  const int lane = int(simd_lane);
  const int own = int(simd) * S;
  const int head = int(group.y);
  const int q_base = tree_base(head, p.query_row, p);
  const int k_base = tree_base(head, p.key_row, p);
  const int v_base = tree_base(head, p.value_row, p);
  const int g_base = tree_base(head, p.grad_row, p);
  const int o_base = tree_base(head, p.out_row, p);
  array<float, S> scores;
  array<float, S> products;
  array<float, S * D / 32> sums;
  for (int i = 0; i < S * D / 32; ++i) {
    sums[i] = 0.0f;
  }

  if (int(group.x) < p.query_groups) {
    const int chunk = int(group.x) / p.blocks;
    const int first = chunk * p.window + int(group.x) % p.blocks * p.block;
    const int last = min(first + p.block, min(chunk * p.window + p.window, p.length));
    if (first >= last) {
      return;
    }
    tree_load(one, D, p.block, q + q_base, p.query_row, 0, first, last - first, p.width, index, threads);
    tree_load(two, D, p.block, g + g_base, p.grad_row, 0, first, last - first, p.width, index, threads);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    array<float, S> delta;
    array<float, S> log_sum;
    for (int i = 0; i < S; ++i) {
      const int t = min(first + own + i, last - 1);
      delta[i] = tree_product(two + (t - first) * D, out, o_base + t * p.out_row, p.width, lane);
      log_sum[i] = logsumexp[head * p.length + t];
    }
    const int levels = tree_levels(chunk);
    for (int level = 0; level <= levels; ++level) {
      const int end = tree_end(chunk, level, last, p);
      const float bias = float(level) * 0.693147180559945f;
      for (int begin = tree_first(chunk, level, p); begin < end; begin += kTreeTile) {
        const int count = min(kTreeTile, end - begin);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        tree_load(tile, D + 1, kTreeTile, v + v_base, p.value_row, level, begin, count, p.width, index, threads);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        tree_dots<D, S>(products, two + own * D, tile, p.width, lane);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        tree_load(tile, D + 1, kTreeTile, k + k_base, p.key_row, level, begin, count, p.width, index, threads);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        tree_dots<D, S>(scores, one + own * D, tile, p.width, lane);
        for (int i = 0; i < S; ++i) {
          const int t = first + own + i;
          const bool visible = t < last && lane < count && (level > 0 || begin + lane <= t);
          const float score = fma(scores[i], p.scale, bias) - log_sum[i];
          weights[(own + i) * kTreeTile + lane] =
              visible ? precise::exp(score) * (products[i] - delta[i]) : 0.0f;
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
        tree_add<D, S>(sums, weights + own * kTreeTile, tile, count, p.width, lane);
      }
    }
    tree_store<T, D, S>(dq, q_base, p.query_row, first + own, last, sums, p.scale, p.width, lane);
    return;
  }

  // Windows of W nodes of a level, each of `blocks` groups.
  int level = 0;
  int rest = int(group.x) - p.query_groups;
  int groups = ((p.length + p.window - 1) / p.window) * p.blocks;
  while (rest >= groups) {
    rest -= groups;
    ++level;
    groups = (((p.length >> level) + p.window - 1) / p.window) * p.blocks;
  }
  const int span = rest / p.blocks;
  const int first = span * p.window + rest % p.blocks * p.block;
  const int last = min(first + p.block, min(span * p.window + p.window, p.length >> level));
  if (first >= last) {
    return;
  }
  tree_load(one, D, p.block, k + k_base, p.key_row, level, first, last - first, p.width, index, threads);
  tree_load(two, D, p.block, v + v_base, p.value_row, level, first, last - first, p.width, index, threads);
  array<float, S * D / 32> value_sums;
  for (int i = 0; i < S * D / 32; ++i) {
    value_sums[i] = 0.0f;
  }
  // The chunks that see the first of them; those behind half a window of nodes
  // are seen by the second half of these chunks.
  const bool early = first - span * p.window < p.window / 2;
  const int from_chunk = level == 0 ? 0
      : early                       ? (span + 1) << level
                                    : (2 * span + 3) << (level - 1);
  const int from = level == 0 ? first : from_chunk * p.window;
  const int to = min(((span + 2) << level) * p.window, p.length);
  const float bias = float(level) * 0.693147180559945f;
  for (int begin = from; begin < to; begin += kTreeTile) {
    const int count = min(kTreeTile, to - begin);
    const int t = begin + lane;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    tree_load(tile, D + 1, kTreeTile, q + q_base, p.query_row, 0, begin, count, p.width, index, threads);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    tree_dots<D, S>(scores, one + own * D, tile, p.width, lane);
    const float log_sum = lane < count ? logsumexp[head * p.length + t] : 0.0f;
    // How many nodes of the level this lane's query has in sight.
    const int end = tree_end(t / p.window, level, t + 1, p);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    tree_load(tile, D + 1, kTreeTile, g + g_base, p.grad_row, 0, begin, count, p.width, index, threads);
    for (int i = 0; i < S; ++i) {
      const int n = first + own + i;
      const bool visible = lane < count && n < last && n < end;
      scores[i] = visible ? precise::exp(fma(scores[i], p.scale, bias) - log_sum) : 0.0f;
      weights[(own + i) * kTreeTile + lane] = scores[i];
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    tree_dots<D, S>(products, two + own * D, tile, p.width, lane);
    tree_add<D, S>(value_sums, weights + own * kTreeTile, tile, count, p.width, lane);
    for (int r = int(simd); r < count; r += int(simds)) {
      const float delta = tree_product(tile + r * (D + 1), out, o_base + (begin + r) * p.out_row, p.width, lane);
      if (lane == 0) {
        deltas[r] = delta;
      }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    tree_load(tile, D + 1, kTreeTile, q + q_base, p.query_row, 0, begin, count, p.width, index, threads);
    float delta = 0.0f;
    if (lane < count) {
      delta = deltas[lane];
    }
    for (int i = 0; i < S; ++i) {
      weights[(own + i) * kTreeTile + lane] = scores[i] * (products[i] - delta);
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    tree_add<D, S>(sums, weights + own * kTreeTile, tile, count, p.width, lane);
  }
  if (p.levels == 0) {
    tree_store<T, D, S>(dk, k_base, p.key_row, first + own, last, sums, p.scale, p.width, lane);
    tree_store<T, D, S>(dv, v_base, p.value_row, first + own, last, value_sums, 1.0f, p.width, lane);
  } else {
    const int base = (head * p.nodes + tree_before(level, p)) * p.width;
    tree_store<float, D, S>(dk_nodes, base, p.width, first + own, last, sums, p.scale, p.width, lane);
    tree_store<float, D, S>(dv_nodes, base, p.width, first + own, last, value_sums, 1.0f, p.width, lane);
  }
}

// From nodes to positions, the adjoint of the means. One thread a value.
template <typename T>
[[kernel]] void tree_attention_fold(
    device T* dk [[buffer(0)]],
    device T* dv [[buffer(1)]],
    device const float* dk_nodes [[buffer(2)]],
    device const float* dv_nodes [[buffer(3)]],
    constant TreeAttention& p [[buffer(4)]],
    constant int& count [[buffer(5)]],
    uint at [[thread_position_in_grid]]) {
  const int i = int(at);
  if (i >= count) {
    return;
  }
  const int c = i % p.width;
  const int t = i / p.width % p.length;
  const int head = i / p.width / p.length;
  float key = 0.0f;
  float value = 0.0f;
  int before = head * p.nodes;
  for (int level = p.levels; level >= 0; --level) {
    if ((t >> level) < (p.length >> level)) {
      const int from = (before + tree_before(level, p) + (t >> level)) * p.width + c;
      const float size = float(1 << level);
      key += dk_nodes[from] / size;
      value += dv_nodes[from] / size;
    }
  }
  dk[tree_base(head, p.key_row, p) + t * p.key_row + c] = static_cast<T>(key);
  dv[tree_base(head, p.value_row, p) + t * p.value_row + c] = static_cast<T>(value);
}

template [[host_name("tree_attention_backward_32_float")]] [[kernel]] decltype(tree_attention_backward<float, 32, 8>) tree_attention_backward<float, 32, 8>;
template [[host_name("tree_attention_backward_32_half")]] [[kernel]] decltype(tree_attention_backward<half, 32, 8>) tree_attention_backward<half, 32, 8>;
template [[host_name("tree_attention_backward_32_bfloat")]] [[kernel]] decltype(tree_attention_backward<bfloat, 32, 8>) tree_attention_backward<bfloat, 32, 8>;
template [[host_name("tree_attention_backward_64_float")]] [[kernel]] decltype(tree_attention_backward<float, 64, 8>) tree_attention_backward<float, 64, 8>;
template [[host_name("tree_attention_backward_64_half")]] [[kernel]] decltype(tree_attention_backward<half, 64, 8>) tree_attention_backward<half, 64, 8>;
template [[host_name("tree_attention_backward_64_bfloat")]] [[kernel]] decltype(tree_attention_backward<bfloat, 64, 8>) tree_attention_backward<bfloat, 64, 8>;
template [[host_name("tree_attention_backward_128_float")]] [[kernel]] decltype(tree_attention_backward<float, 128, 2>) tree_attention_backward<float, 128, 2>;
template [[host_name("tree_attention_backward_128_half")]] [[kernel]] decltype(tree_attention_backward<half, 128, 2>) tree_attention_backward<half, 128, 2>;
template [[host_name("tree_attention_backward_128_bfloat")]] [[kernel]] decltype(tree_attention_backward<bfloat, 128, 2>) tree_attention_backward<bfloat, 128, 2>;
template [[host_name("tree_attention_fold_float")]] [[kernel]] decltype(tree_attention_fold<float>) tree_attention_fold<float>;
template [[host_name("tree_attention_fold_half")]] [[kernel]] decltype(tree_attention_fold<half>) tree_attention_fold<half>;
template [[host_name("tree_attention_fold_bfloat")]] [[kernel]] decltype(tree_attention_fold<bfloat>) tree_attention_fold<bfloat>;

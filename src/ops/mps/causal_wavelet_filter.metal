// causal_wavelet_filter: hi_{j+1}[t] = sum_k hi[k] lo_j[t - 2^j k], lo_{j+1}
// likewise, y = w_0 x + sum_j w_j hi_j + w_{J+1} lo_J, all levels of a tile in
// one launch (causal_tile.metal). Copies of the tile: lo_j, lo_{j+1}, y.
template <typename T, typename F>
[[kernel]] void causal_wavelet_filter(
    device T* y [[buffer(0)]],
    device const T* x [[buffer(1)]],
    device const F* lo [[buffer(2)]],
    device const F* hi [[buffer(3)]],
    device const F* weight [[buffer(4)]],
    constant CausalTile& p [[buffer(5)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint thread_index [[thread_index_in_threadgroup]],
    uint3 threads [[threads_per_threadgroup]]) {
  threadgroup float tile[kTileFloats];
  const TilePlace place = tile_place(p, group);
  const uint begin = before(place.first, p.halo);
  load_tile(tile, x, p, place, begin, place.last, thread_index, threads.x);
  const uint mask = (1u << p.shift) - 1;
  const uint count = (place.last - begin) << p.shift;
  const uint own = (place.first - begin) << p.shift;
  const uint sums = 2 * p.area;
  // A thread adds up what it began itself.
  for (uint i = thread_index; i < count; i += threads.x) {
    const uint c = place.channel + (i & mask);
    if (c < p.inner) {
      tile[sums + i] = float(weight[c % p.weight_rows * (p.levels + 2)]) * tile[i];
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  uint from = 0;
  for (uint j = 0; j < p.levels; ++j) {
    const uint to = p.area - from;
    for (uint i = thread_index; i < count; i += threads.x) {
      const uint c = place.channel + (i & mask);
      if (c < p.inner) {
        const uint f = c % p.filter_rows * p.taps;
        const uint position = i >> p.shift;
        tile[to + i] =
            filtered(tile + from, lo + f, p, position, i & mask, 1u << j);
        if (i >= own) {
          const float w = float(weight[c % p.weight_rows * (p.levels + 2) + j + 1]);
          tile[sums + i] +=
              w * filtered(tile + from, hi + f, p, position, i & mask, 1u << j);
        }
      }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    from = to;
  }
  for (uint i = own + thread_index; i < count; i += threads.x) {
    const uint c = place.channel + (i & mask);
    if (c < p.inner) {
      const float w =
          float(weight[c % p.weight_rows * (p.levels + 2) + p.levels + 1]);
      y[place.base + (begin + (i >> p.shift)) * p.inner + c] =
          static_cast<T>(fma(w, float(tile[from + i]), float(tile[sums + i])));
    }
  }
}

// Its transpose: from g = w_{J+1} gy, g = lo'(g) + hi'(w_{j+1} gy) with j
// descending, then w_0 gy more. Copies of the tile: g, the next g, gy.
template <typename T, typename F>
[[kernel]] void causal_wavelet_filter_backward(
    device T* dx [[buffer(0)]],
    device const T* gy [[buffer(1)]],
    device const F* lo [[buffer(2)]],
    device const F* hi [[buffer(3)]],
    device const F* weight [[buffer(4)]],
    constant CausalTile& p [[buffer(5)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint thread_index [[thread_index_in_threadgroup]],
    uint3 threads [[threads_per_threadgroup]]) {
  threadgroup float tile[kTileFloats];
  const TilePlace place = tile_place(p, group);
  const uint end = after(place.last, p.halo, p);
  const uint size = end - place.first;
  const uint source = 2 * p.area;
  load_tile(tile + source, gy, p, place, place.first, end, thread_index, threads.x);
  const uint mask = (1u << p.shift) - 1;
  for (uint i = thread_index; i < size << p.shift; i += threads.x) {
    const uint c = place.channel + (i & mask);
    if (c < p.inner) {
      tile[i] = float(weight[c % p.weight_rows * (p.levels + 2) + p.levels + 1]) *
          tile[source + i];
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  uint from = 0;
  for (uint left = p.levels; left > 0; --left) {
    const uint to = p.area - from;
    const uint dilation = 1u << (left - 1);
    for (uint i = thread_index; i < size << p.shift; i += threads.x) {
      const uint c = place.channel + (i & mask);
      if (c < p.inner) {
        const uint f = c % p.filter_rows * p.taps;
        const uint position = i >> p.shift;
        const float w = float(weight[c % p.weight_rows * (p.levels + 2) + left]);
        tile[to + i] =
            transposed(tile + from, lo + f, p, position, size, i & mask, dilation) +
            w * transposed(tile + source, hi + f, p, position, size, i & mask, dilation);
      }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    from = to;
  }
  const uint own = (place.last - place.first) << p.shift;
  for (uint i = thread_index; i < own; i += threads.x) {
    const uint c = place.channel + (i & mask);
    if (c < p.inner) {
      const float w = float(weight[c % p.weight_rows * (p.levels + 2)]);
      dx[place.base + (place.first + (i >> p.shift)) * p.inner + c] =
          static_cast<T>(fma(w, float(tile[source + i]), float(tile[from + i])));
    }
  }
}

// The same, and shares of the filters' and weights' gradients, [slice of every
// group, row, c]. Rows: K of lo; then for every level K of P_j[k] = sum_t gy[t] lo_j[t - 2^j
// k], of which hi's and its weight's gradient are made; then sum_t gy x and
// sum_t gy lo_J. Copies of the tile: lo_0 .. lo_J, gy, and two of g.
template <typename T, typename F>
[[kernel]] void causal_wavelet_filter_shares(
    device T* dx [[buffer(0)]],
    device float* shares [[buffer(1)]],
    device const T* gy [[buffer(2)]],
    device const T* x [[buffer(3)]],
    device const F* lo [[buffer(4)]],
    device const F* hi [[buffer(5)]],
    device const F* weight [[buffer(6)]],
    constant CausalTile& p [[buffer(7)]],
    constant uint& slices [[buffer(8)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint3 groups [[threadgroups_per_grid]],
    uint thread_index [[thread_index_in_threadgroup]],
    uint3 threads [[threads_per_threadgroup]]) {
  threadgroup float tile[kTileFloats];
  const TilePlace place = tile_place(p, group);
  const uint mask = (1u << p.shift) - 1;
  const uint begin = before(place.first, p.halo);
  const uint end = after(place.last, p.halo, p);
  const uint size = end - place.first;
  const uint source = (p.levels + 1) * p.area;
  uint from = source + p.area;
  uint to = from + p.area;
  load_tile(tile, x, p, place, begin, place.last, thread_index, threads.x);
  load_tile(tile + source, gy, p, place, place.first, end, thread_index, threads.x);
  for (uint i = thread_index; i < size << p.shift; i += threads.x) {
    const uint c = place.channel + (i & mask);
    if (c < p.inner) {
      tile[from + i] =
          float(weight[c % p.weight_rows * (p.levels + 2) + p.levels + 1]) *
          tile[source + i];
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint j = 0; j < p.levels; ++j) {
    for (uint i = thread_index; i < (place.last - begin) << p.shift; i += threads.x) {
      const uint c = place.channel + (i & mask);
      if (c < p.inner) {
        tile[(j + 1) * p.area + i] = filtered(
            tile + j * p.area, lo + c % p.filter_rows * p.taps, p,
            i >> p.shift, i & mask, 1u << j);
      }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  const uint stride = ((p.levels + 1) * p.taps + 2) * p.inner;
  device float* own = shares + (group.z * groups.y + group.y) * slices * stride;
  for (uint left = p.levels; left > 0; --left) {
    const uint j = left - 1;
    const uint dilation = 1u << j;
    correlate_tile(
        own, stride, tile + from, place.first, tile + j * p.area, begin, p, place,
        dilation, p.taps, slices, left < p.levels, thread_index, threads.x);
    correlate_tile(
        own + left * p.taps * p.inner, stride, tile + source, place.first,
        tile + j * p.area, begin, p, place, dilation, p.taps, slices, false,
        thread_index, threads.x);
    for (uint i = thread_index; i < size << p.shift; i += threads.x) {
      const uint c = place.channel + (i & mask);
      if (c < p.inner) {
        const uint f = c % p.filter_rows * p.taps;
        const uint position = i >> p.shift;
        const float w = float(weight[c % p.weight_rows * (p.levels + 2) + left]);
        tile[to + i] =
            transposed(tile + from, lo + f, p, position, size, i & mask, dilation) +
            w * transposed(tile + source, hi + f, p, position, size, i & mask, dilation);
      }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    const uint swap = from;
    from = to;
    to = swap;
  }
  const uint last = (p.levels + 1) * p.taps * p.inner;
  correlate_tile(
      own + last, stride, tile + source, place.first, tile + 0, begin, p, place, 1, 1,
      slices, false, thread_index, threads.x);
  correlate_tile(
      own + last + p.inner, stride, tile + source, place.first,
      tile + p.levels * p.area, begin, p, place, 1, 1, slices, false, thread_index,
      threads.x);
  for (uint i = thread_index; i < (place.last - place.first) << p.shift; i += threads.x) {
    const uint c = place.channel + (i & mask);
    if (c < p.inner) {
      const float w = float(weight[c % p.weight_rows * (p.levels + 2)]);
      dx[place.base + (place.first + (i >> p.shift)) * p.inner + c] =
          static_cast<T>(fma(w, float(tile[source + i]), float(tile[from + i])));
    }
  }
}

// The gradients [rows, taps] of lo and hi and [rows, J + 2] of the weight from
// the shares, in a fixed order. A group has one output; grid: (taps of lo, then
// of hi, then weights; rows of the filters or of the weight).
template <typename F>
[[kernel]] void causal_wavelet_filter_sum(
    device F* dlo [[buffer(0)]],
    device F* dhi [[buffer(1)]],
    device F* dweight [[buffer(2)]],
    device const float* shares [[buffer(3)]],
    device const F* hi [[buffer(4)]],
    device const F* weight [[buffer(5)]],
    constant CausalTile& p [[buffer(6)]],
    constant uint& count [[buffer(7)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint thread_index [[thread_index_in_threadgroup]],
    uint3 threads [[threads_per_threadgroup]]) {
  threadgroup float parts[1024];
  const bool is_weight = group.x >= 2 * p.taps;
  const uint rows = is_weight ? p.weight_rows : p.filter_rows;
  if (group.y >= rows) {
    return;
  }
  const uint all = (p.levels + 1) * p.taps + 2; // rows of a share
  const uint repeats = p.inner / rows;
  const uint j = is_weight ? group.x - 2 * p.taps : 0; // the weight's
  const uint k = group.x % p.taps; // the filter's tap
  float sum = 0;
  for (uint i = thread_index; i < count * repeats; i += threads.x) {
    const uint share = i / repeats;
    const uint c = (i - share * repeats) * rows + group.y;
    device const float* own = shares + share * all * p.inner + c;
    if (is_weight && (j == 0 || j == p.levels + 1)) {
      sum += own[((p.levels + 1) * p.taps + (j == 0 ? 0 : 1)) * p.inner];
    } else if (is_weight) {
      for (uint n = 0; n < p.taps; ++n) {
        sum = fma(
            float(hi[c % p.filter_rows * p.taps + n]),
            own[(j * p.taps + n) * p.inner], sum);
      }
    } else if (p.levels > 0 && group.x < p.taps) {
      sum += own[k * p.inner];
    } else {
      for (uint n = 1; n <= p.levels; ++n) {
        sum = fma(
            float(weight[c % p.weight_rows * (p.levels + 2) + n]),
            own[(n * p.taps + k) * p.inner], sum);
      }
    }
  }
  sum = group_sum(sum, parts, thread_index, threads.x);
  if (thread_index == 0) {
    if (is_weight) {
      dweight[group.y * (p.levels + 2) + j] = static_cast<F>(sum);
    } else if (group.x < p.taps) {
      dlo[group.y * p.taps + k] = static_cast<F>(sum);
    } else {
      dhi[group.y * p.taps + k] = static_cast<F>(sum);
    }
  }
}

template [[host_name("causal_wavelet_filter_float_float")]] [[kernel]] decltype(causal_wavelet_filter<float, float>) causal_wavelet_filter<float, float>;
template [[host_name("causal_wavelet_filter_half_half")]] [[kernel]] decltype(causal_wavelet_filter<half, half>) causal_wavelet_filter<half, half>;
template [[host_name("causal_wavelet_filter_half_float")]] [[kernel]] decltype(causal_wavelet_filter<half, float>) causal_wavelet_filter<half, float>;
template [[host_name("causal_wavelet_filter_bfloat_bfloat")]] [[kernel]] decltype(causal_wavelet_filter<bfloat, bfloat>) causal_wavelet_filter<bfloat, bfloat>;
template [[host_name("causal_wavelet_filter_bfloat_float")]] [[kernel]] decltype(causal_wavelet_filter<bfloat, float>) causal_wavelet_filter<bfloat, float>;
template [[host_name("causal_wavelet_filter_backward_float_float")]] [[kernel]] decltype(causal_wavelet_filter_backward<float, float>) causal_wavelet_filter_backward<float, float>;
template [[host_name("causal_wavelet_filter_backward_half_half")]] [[kernel]] decltype(causal_wavelet_filter_backward<half, half>) causal_wavelet_filter_backward<half, half>;
template [[host_name("causal_wavelet_filter_backward_half_float")]] [[kernel]] decltype(causal_wavelet_filter_backward<half, float>) causal_wavelet_filter_backward<half, float>;
template [[host_name("causal_wavelet_filter_backward_bfloat_bfloat")]] [[kernel]] decltype(causal_wavelet_filter_backward<bfloat, bfloat>) causal_wavelet_filter_backward<bfloat, bfloat>;
template [[host_name("causal_wavelet_filter_backward_bfloat_float")]] [[kernel]] decltype(causal_wavelet_filter_backward<bfloat, float>) causal_wavelet_filter_backward<bfloat, float>;
template [[host_name("causal_wavelet_filter_shares_float_float")]] [[kernel]] decltype(causal_wavelet_filter_shares<float, float>) causal_wavelet_filter_shares<float, float>;
template [[host_name("causal_wavelet_filter_shares_half_half")]] [[kernel]] decltype(causal_wavelet_filter_shares<half, half>) causal_wavelet_filter_shares<half, half>;
template [[host_name("causal_wavelet_filter_shares_half_float")]] [[kernel]] decltype(causal_wavelet_filter_shares<half, float>) causal_wavelet_filter_shares<half, float>;
template [[host_name("causal_wavelet_filter_shares_bfloat_bfloat")]] [[kernel]] decltype(causal_wavelet_filter_shares<bfloat, bfloat>) causal_wavelet_filter_shares<bfloat, bfloat>;
template [[host_name("causal_wavelet_filter_shares_bfloat_float")]] [[kernel]] decltype(causal_wavelet_filter_shares<bfloat, float>) causal_wavelet_filter_shares<bfloat, float>;
template [[host_name("causal_wavelet_filter_sum_float")]] [[kernel]] decltype(causal_wavelet_filter_sum<float>) causal_wavelet_filter_sum<float>;
template [[host_name("causal_wavelet_filter_sum_half")]] [[kernel]] decltype(causal_wavelet_filter_sum<half>) causal_wavelet_filter_sum<half>;
template [[host_name("causal_wavelet_filter_sum_bfloat")]] [[kernel]] decltype(causal_wavelet_filter_sum<bfloat>) causal_wavelet_filter_sum<bfloat>;

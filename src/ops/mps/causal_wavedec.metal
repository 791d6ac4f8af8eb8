// causal_wavedec: a_{j+1}[t] = sum_k lo[k] a_j[t - 2^j k], d_{j+1} = a_j -
// a_{j+1}, all levels of a tile in one launch (causal_tile.metal).

// Up to twelve levels: those that are not there share one buffer.
template <typename P>
inline P level_of(
    uint j,
    P d0, P d1, P d2, P d3, P d4, P d5,
    P d6, P d7, P d8, P d9, P d10, P d11) {
  switch (j) {
    case 0: return d0;
    case 1: return d1;
    case 2: return d2;
    case 3: return d3;
    case 4: return d4;
    case 5: return d5;
    case 6: return d6;
    case 7: return d7;
    case 8: return d8;
    case 9: return d9;
    case 10: return d10;
    default: return d11;
  }
}

template <typename T, typename F>
[[kernel]] void causal_wavedec(
    device T* d0 [[buffer(0)]],
    device T* d1 [[buffer(1)]],
    device T* d2 [[buffer(2)]],
    device T* d3 [[buffer(3)]],
    device T* d4 [[buffer(4)]],
    device T* d5 [[buffer(5)]],
    device T* d6 [[buffer(6)]],
    device T* d7 [[buffer(7)]],
    device T* d8 [[buffer(8)]],
    device T* d9 [[buffer(9)]],
    device T* d10 [[buffer(10)]],
    device T* d11 [[buffer(11)]],
    device T* a [[buffer(12)]],
    device const T* x [[buffer(13)]],
    device const F* lo [[buffer(14)]],
    constant CausalTile& p [[buffer(15)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint thread_index [[thread_index_in_threadgroup]],
    uint3 threads [[threads_per_threadgroup]]) {
  threadgroup float tile[kTileFloats];
  const TilePlace place = tile_place(p, group);
  const uint begin = before(place.first, p.halo);
  load_tile(tile, x, p, place, begin, place.last, thread_index, threads.x);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  const uint mask = (1u << p.shift) - 1;
  uint from = 0;
  for (uint j = 0; j < p.levels; ++j) {
    device T* d = level_of(j, d0, d1, d2, d3, d4, d5, d6, d7, d8, d9, d10, d11);
    const uint to = p.area - from;
    // What the levels after this one see.
    const uint start = before(place.first, reach_of(j + 1, p.levels, p)) - begin;
    for (uint i = (start << p.shift) + thread_index;
         i < (place.last - begin) << p.shift;
         i += threads.x) {
      const uint c = place.channel + (i & mask);
      const uint t = begin + (i >> p.shift);
      if (c < p.inner) {
        const float next = filtered(
            tile + from, lo + c % p.filter_rows * p.taps, p, t - begin, i & mask, 1u << j);
        tile[to + i] = next;
        if (t >= place.first) {
          const uint at = place.base + t * p.inner + c;
          d[at] = static_cast<T>(tile[from + i] - next);
          if (j + 1 == p.levels) {
            a[at] = static_cast<T>(next);
          }
        }
      }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    from = to;
  }
}

// Its transpose: from g = grad of a_J, g = d_j + lo'(g - d_j), j descending.
template <typename T, typename F>
[[kernel]] void causal_wavedec_backward(
    device T* dx [[buffer(0)]],
    device const T* d0 [[buffer(1)]],
    device const T* d1 [[buffer(2)]],
    device const T* d2 [[buffer(3)]],
    device const T* d3 [[buffer(4)]],
    device const T* d4 [[buffer(5)]],
    device const T* d5 [[buffer(6)]],
    device const T* d6 [[buffer(7)]],
    device const T* d7 [[buffer(8)]],
    device const T* d8 [[buffer(9)]],
    device const T* d9 [[buffer(10)]],
    device const T* d10 [[buffer(11)]],
    device const T* d11 [[buffer(12)]],
    device const T* a [[buffer(13)]],
    device const F* lo [[buffer(14)]],
    constant CausalTile& p [[buffer(15)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint thread_index [[thread_index_in_threadgroup]],
    uint3 threads [[threads_per_threadgroup]]) {
  threadgroup float tile[kTileFloats];
  const TilePlace place = tile_place(p, group);
  const uint begin = place.first;
  uint end = after(place.last, p.halo, p);
  load_tile(tile, a, p, place, begin, end, thread_index, threads.x);
  const uint mask = (1u << p.shift) - 1;
  uint from = 0;
  for (uint left = p.levels; left > 0; --left) {
    const uint j = left - 1;
    device const T* d = level_of(j, d0, d1, d2, d3, d4, d5, d6, d7, d8, d9, d10, d11);
    // A thread subtracts from what it wrote itself.
    for (uint i = thread_index; i < (end - begin) << p.shift; i += threads.x) {
      const uint c = place.channel + (i & mask);
      if (c < p.inner) {
        tile[from + i] -= float(d[place.base + (begin + (i >> p.shift)) * p.inner + c]);
      }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    const uint to = p.area - from;
    const uint next_end = after(place.last, reach_of(0, j, p), p);
    for (uint i = thread_index; i < (next_end - begin) << p.shift; i += threads.x) {
      const uint c = place.channel + (i & mask);
      const uint t = begin + (i >> p.shift);
      if (c < p.inner) {
        const uint at = place.base + t * p.inner + c;
        const float g = float(d[at]) +
            transposed(
                tile + from, lo + c % p.filter_rows * p.taps, p, t - begin,
                end - begin, i & mask, 1u << j);
        tile[to + i] = g;
        if (j == 0) {
          dx[at] = static_cast<T>(g);
        }
      }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    from = to;
    end = next_end;
  }
}

// The same, and shares of the filter's gradient, sum_j sum_t (g_{j+1} - d_j)[t]
// a_j[t - 2^j k]: [slice of every group, k, c]. Copies of the tile: a_0 .. a_{J-1}, and two
// of the gradients.
template <typename T, typename F>
[[kernel]] void causal_wavedec_filter(
    device T* dx [[buffer(0)]],
    device float* shares [[buffer(1)]],
    device const T* d0 [[buffer(2)]],
    device const T* d1 [[buffer(3)]],
    device const T* d2 [[buffer(4)]],
    device const T* d3 [[buffer(5)]],
    device const T* d4 [[buffer(6)]],
    device const T* d5 [[buffer(7)]],
    device const T* d6 [[buffer(8)]],
    device const T* d7 [[buffer(9)]],
    device const T* d8 [[buffer(10)]],
    device const T* d9 [[buffer(11)]],
    device const T* d10 [[buffer(12)]],
    device const T* d11 [[buffer(13)]],
    device const T* a [[buffer(14)]],
    device const T* x [[buffer(15)]],
    device const F* lo [[buffer(16)]],
    constant CausalTile& p [[buffer(17)]],
    constant uint& slices [[buffer(18)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint3 groups [[threadgroups_per_grid]],
    uint thread_index [[thread_index_in_threadgroup]],
    uint3 threads [[threads_per_threadgroup]]) {
  threadgroup float tile[kTileFloats];
  const TilePlace place = tile_place(p, group);
  const uint mask = (1u << p.shift) - 1;
  const uint begin = before(place.first, p.halo);
  load_tile(tile, x, p, place, begin, place.last, thread_index, threads.x);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint j = 0; j + 1 < p.levels; ++j) {
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
  const uint stride = p.taps * p.inner;
  device float* own = shares + (group.z * groups.y + group.y) * slices * stride;
  uint end = after(place.last, p.halo, p);
  uint from = p.levels * p.area;
  uint to = from + p.area;
  load_tile(tile + from, a, p, place, place.first, end, thread_index, threads.x);
  for (uint left = p.levels; left > 0; --left) {
    const uint j = left - 1;
    device const T* d = level_of(j, d0, d1, d2, d3, d4, d5, d6, d7, d8, d9, d10, d11);
    for (uint i = thread_index; i < (end - place.first) << p.shift; i += threads.x) {
      const uint c = place.channel + (i & mask);
      if (c < p.inner) {
        tile[from + i] -= float(d[place.base + (place.first + (i >> p.shift)) * p.inner + c]);
      }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    correlate_tile(
        own, stride, tile + from, place.first, tile + j * p.area, begin, p, place,
        1u << j, p.taps, slices, left < p.levels, thread_index, threads.x);
    const uint next_end = after(place.last, reach_of(0, j, p), p);
    for (uint i = thread_index; i < (next_end - place.first) << p.shift; i += threads.x) {
      const uint c = place.channel + (i & mask);
      if (c < p.inner) {
        const uint at = place.base + (place.first + (i >> p.shift)) * p.inner + c;
        const float g = float(d[at]) +
            transposed(
                tile + from, lo + c % p.filter_rows * p.taps, p, i >> p.shift,
                end - place.first, i & mask, 1u << j);
        tile[to + i] = g;
        if (j == 0) {
          dx[at] = static_cast<T>(g);
        }
      }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    const uint swap = from;
    from = to;
    to = swap;
    end = next_end;
  }
}

// The filter's gradient [rows, k] from shares [share, k, inner] in a fixed
// order. A group has one output; grid: (taps, rows).
template <typename F>
[[kernel]] void causal_wavedec_sum(
    device F* out [[buffer(0)]],
    device const float* shares [[buffer(1)]],
    constant CausalTile& p [[buffer(2)]],
    constant uint& count [[buffer(3)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint thread_index [[thread_index_in_threadgroup]],
    uint3 threads [[threads_per_threadgroup]]) {
  threadgroup float parts[1024];
  const uint repeats = p.inner / p.filter_rows;
  float sum = 0;
  for (uint i = thread_index; i < count * repeats; i += threads.x) {
    const uint share = i / repeats;
    const uint c = (i - share * repeats) * p.filter_rows + group.y;
    sum += shares[(share * p.taps + group.x) * p.inner + c];
  }
  sum = group_sum(sum, parts, thread_index, threads.x);
  if (thread_index == 0) {
    out[group.y * p.taps + group.x] = static_cast<F>(sum);
  }
}

template [[host_name("causal_wavedec_float_float")]] [[kernel]] decltype(causal_wavedec<float, float>) causal_wavedec<float, float>;
template [[host_name("causal_wavedec_half_half")]] [[kernel]] decltype(causal_wavedec<half, half>) causal_wavedec<half, half>;
template [[host_name("causal_wavedec_half_float")]] [[kernel]] decltype(causal_wavedec<half, float>) causal_wavedec<half, float>;
template [[host_name("causal_wavedec_bfloat_bfloat")]] [[kernel]] decltype(causal_wavedec<bfloat, bfloat>) causal_wavedec<bfloat, bfloat>;
template [[host_name("causal_wavedec_bfloat_float")]] [[kernel]] decltype(causal_wavedec<bfloat, float>) causal_wavedec<bfloat, float>;
template [[host_name("causal_wavedec_backward_float_float")]] [[kernel]] decltype(causal_wavedec_backward<float, float>) causal_wavedec_backward<float, float>;
template [[host_name("causal_wavedec_backward_half_half")]] [[kernel]] decltype(causal_wavedec_backward<half, half>) causal_wavedec_backward<half, half>;
template [[host_name("causal_wavedec_backward_half_float")]] [[kernel]] decltype(causal_wavedec_backward<half, float>) causal_wavedec_backward<half, float>;
template [[host_name("causal_wavedec_backward_bfloat_bfloat")]] [[kernel]] decltype(causal_wavedec_backward<bfloat, bfloat>) causal_wavedec_backward<bfloat, bfloat>;
template [[host_name("causal_wavedec_backward_bfloat_float")]] [[kernel]] decltype(causal_wavedec_backward<bfloat, float>) causal_wavedec_backward<bfloat, float>;
template [[host_name("causal_wavedec_filter_float_float")]] [[kernel]] decltype(causal_wavedec_filter<float, float>) causal_wavedec_filter<float, float>;
template [[host_name("causal_wavedec_filter_half_half")]] [[kernel]] decltype(causal_wavedec_filter<half, half>) causal_wavedec_filter<half, half>;
template [[host_name("causal_wavedec_filter_half_float")]] [[kernel]] decltype(causal_wavedec_filter<half, float>) causal_wavedec_filter<half, float>;
template [[host_name("causal_wavedec_filter_bfloat_bfloat")]] [[kernel]] decltype(causal_wavedec_filter<bfloat, bfloat>) causal_wavedec_filter<bfloat, bfloat>;
template [[host_name("causal_wavedec_filter_bfloat_float")]] [[kernel]] decltype(causal_wavedec_filter<bfloat, float>) causal_wavedec_filter<bfloat, float>;
template [[host_name("causal_wavedec_sum_float")]] [[kernel]] decltype(causal_wavedec_sum<float>) causal_wavedec_sum<float>;
template [[host_name("causal_wavedec_sum_half")]] [[kernel]] decltype(causal_wavedec_sum<half>) causal_wavedec_sum<half>;
template [[host_name("causal_wavedec_sum_bfloat")]] [[kernel]] decltype(causal_wavedec_sum<bfloat>) causal_wavedec_sum<bfloat>;

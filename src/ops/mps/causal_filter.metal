// causal_filter: y[p, n, t, c] = sum_k taps[C p + c, k] x[n, t - k, C p + c],
// the channels in parts of `width`; and its transpose with the taps' gradient.
struct CausalFilter {
  uint batch;
  uint length;
  uint channels;
  uint width; // channels of one part
  uint taps;
  uint rows;  // positions that one group of the backward kernel has
};

// Where channel c of position (n, t) lies in the divided layout.
inline uint divided(constant CausalFilter& p, uint n, uint t, uint c) {
  const uint part = c / p.width;
  return ((part * p.batch + n) * p.length + t) * p.width + c - part * p.width;
}

// One thread an output: channels fastest, so that neighbours read neighbours.
// Grid: (blocks of channels, positions, batch).
template <typename T, typename F>
[[kernel]] void causal_filter(
    device T* out [[buffer(0)]],
    device const T* x [[buffer(1)]],
    device const F* taps [[buffer(2)]],
    constant CausalFilter& p [[buffer(3)]],
    uint3 at [[thread_position_in_grid]]) {
  const uint c = at.x;
  const uint t = at.y;
  const uint n = at.z;
  if (c >= p.channels) {
    return;
  }
  const uint first = (n * p.length + t) * p.channels + c;
  float sum = 0;
  for (uint k = 0; k < min(p.taps, t + 1); ++k) {
    sum = fma(float(taps[c * p.taps + k]), float(x[first - k * p.channels]), sum);
  }
  out[divided(p, n, t, c)] = static_cast<T>(sum);
}

// The input's gradient, dx[n, t, c] = sum_k taps[c, k] g[n, t + k, c], and a
// group's share of the taps', sum_t g[n, t, c] x[n, t - k, c] over `rows`
// positions, [share, k, c]. A thread has one channel of those positions.
// Grid: (blocks of channels, blocks of positions, batch).
template <typename T, typename F>
[[kernel]] void causal_filter_backward(
    device T* dx [[buffer(0)]],
    device float* shares [[buffer(1)]],
    device const T* g [[buffer(2)]],
    device const T* x [[buffer(3)]],
    device const F* taps [[buffer(4)]],
    constant CausalFilter& p [[buffer(5)]],
    uint3 at [[thread_position_in_grid]],
    uint3 groups [[threadgroups_per_grid]]) {
  const uint c = at.x;
  const uint n = at.z;
  if (c >= p.channels) {
    return;
  }
  const uint first = at.y * p.rows;
  const uint last = min(first + p.rows, p.length);
  const uint step = p.width;
  const uint source = divided(p, n, 0, c);
  const uint row = n * p.length * p.channels + c;
  for (uint t = first; t < last; ++t) {
    float sum = 0;
    for (uint k = 0; k < min(p.taps, p.length - t); ++k) {
      sum = fma(float(taps[c * p.taps + k]), float(g[source + (t + k) * step]), sum);
    }
    dx[row + t * p.channels] = static_cast<T>(sum);
  }
  const uint share = (n * groups.y + at.y) * p.taps * p.channels + c;
  for (uint k = 0; k < p.taps; ++k) {
    float sum = 0;
    for (uint t = max(first, k); t < last; ++t) {
      sum = fma(float(g[source + t * step]), float(x[row + (t - k) * p.channels]), sum);
    }
    shares[share + k * p.channels] = sum;
  }
}

// taps' gradient [c, k]: the shares [share, k, c] in their order.
template <typename F>
[[kernel]] void causal_filter_sum(
    device F* out [[buffer(0)]],
    device const float* shares [[buffer(1)]],
    constant CausalFilter& p [[buffer(2)]],
    constant uint& count [[buffer(3)]],
    uint at [[thread_position_in_grid]]) {
  if (at >= p.channels * p.taps) {
    return;
  }
  float sum = 0;
  for (uint i = 0; i < count; ++i) {
    sum += shares[i * p.channels * p.taps + at];
  }
  out[at % p.channels * p.taps + at / p.channels] = static_cast<F>(sum);
}

template [[host_name("causal_filter_float_float")]] [[kernel]] decltype(causal_filter<float, float>) causal_filter<float, float>;
template [[host_name("causal_filter_half_half")]] [[kernel]] decltype(causal_filter<half, half>) causal_filter<half, half>;
template [[host_name("causal_filter_half_float")]] [[kernel]] decltype(causal_filter<half, float>) causal_filter<half, float>;
template [[host_name("causal_filter_bfloat_bfloat")]] [[kernel]] decltype(causal_filter<bfloat, bfloat>) causal_filter<bfloat, bfloat>;
template [[host_name("causal_filter_bfloat_float")]] [[kernel]] decltype(causal_filter<bfloat, float>) causal_filter<bfloat, float>;
template [[host_name("causal_filter_backward_float_float")]] [[kernel]] decltype(causal_filter_backward<float, float>) causal_filter_backward<float, float>;
template [[host_name("causal_filter_backward_half_half")]] [[kernel]] decltype(causal_filter_backward<half, half>) causal_filter_backward<half, half>;
template [[host_name("causal_filter_backward_half_float")]] [[kernel]] decltype(causal_filter_backward<half, float>) causal_filter_backward<half, float>;
template [[host_name("causal_filter_backward_bfloat_bfloat")]] [[kernel]] decltype(causal_filter_backward<bfloat, bfloat>) causal_filter_backward<bfloat, bfloat>;
template [[host_name("causal_filter_backward_bfloat_float")]] [[kernel]] decltype(causal_filter_backward<bfloat, float>) causal_filter_backward<bfloat, float>;
template [[host_name("causal_filter_sum_float")]] [[kernel]] decltype(causal_filter_sum<float>) causal_filter_sum<float>;
template [[host_name("causal_filter_sum_half")]] [[kernel]] decltype(causal_filter_sum<half>) causal_filter_sum<half>;
template [[host_name("causal_filter_sum_bfloat")]] [[kernel]] decltype(causal_filter_sum<bfloat>) causal_filter_sum<bfloat>;

// gated_fft_conv: y[b, t, c] = gate_out (sum_{s <= t} kernel[t - s, c] u[b, s, c]
// + skip[c] u[b, t, c]) with u = gate_in x, and its backward pass, each in one
// launch with the transforms in threadgroup memory. A group has one channel of
// one batch entry. u and the kernel are the real and the imaginary part of one
// transform of n >= 2 length values; their spectra are the parts of it that are
// even and odd under conjugation and reversal, and stand in bit-reversed order,
// which the inverse transform takes. What shares a transform is brought to one
// level first: the smaller would be lost in the rounding of the larger.
struct GatedFftConv {
  int length;
  int channels;
  int taps; // of the kernel; those beyond the length have no influence
  int n; // a power of two
  int bits; // its logarithm
  int has_skip;
};

inline float2 fft_times(float2 a, float2 b) {
  return float2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}

inline float2 fft_conjugate(float2 a) {
  return float2(a.x, -a.y);
}

inline float2 fft_root(float angle) {
  return float2(precise::cos(angle), precise::sin(angle));
}

constant constexpr float kFftPi = 3.14159265358979f;

// In place, to bit-reversed order.
inline void
fft_forward(threadgroup float2* z, int n, int index, int threads) {
  for (int span = n / 2; span > 0; span /= 2) {
    for (int i = index; i < n / 2; i += threads) {
      const int j = i % span;
      const int at = 2 * (i - j) + j;
      const float2 a = z[at];
      const float2 b = z[at + span];
      z[at] = a + b;
      z[at + span] = fft_times(a - b, fft_root(-kFftPi * float(j) / float(span)));
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
}

// n times the inverse, from bit-reversed order.
inline void
fft_inverse(threadgroup float2* z, int n, int index, int threads) {
  for (int span = 1; span < n; span *= 2) {
    for (int i = index; i < n / 2; i += threads) {
      const int j = i % span;
      const int at = 2 * (i - j) + j;
      const float2 a = z[at];
      const float2 b = fft_times(z[at + span], fft_root(kFftPi * float(j) / float(span)));
      z[at] = a + b;
      z[at + span] = a - b;
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
}

// Where frequency f stands.
inline int fft_place(int f, int bits) {
  return int(reverse_bits(uint(f)) >> uint(32 - bits));
}

// Spectrum of the real part of what was transformed to `at` f and `mirror` -f.
inline float2 fft_real(float2 at, float2 mirror) {
  return float2(0.5f * (at.x + mirror.x), 0.5f * (at.y - mirror.y));
}

// And of the imaginary part.
inline float2 fft_imaginary(float2 at, float2 mirror) {
  return float2(0.5f * (at.y + mirror.y), 0.5f * (mirror.x - at.x));
}

// The group's sum; `memory` from `first` on has nothing else.
inline float2 fft_sum(
    float2 part,
    threadgroup float2* memory,
    int first,
    uint lane,
    uint simd,
    uint simds) {
  const float x = simd_sum(part.x);
  const float y = simd_sum(part.y);
  if (lane == 0) {
    memory[first + int(simd)] = float2(x, y);
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  float2 all = float2(0.0f, 0.0f);
  for (int i = 0; i < int(simds); ++i) {
    const float2 one = memory[first + i];
    all = all + one;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  return all;
}

// What makes a signal of power `own` as large as one of power `other`.
inline float fft_level(float other, float own) {
  const float level = precise::sqrt(other / own);
  return level > 0.0f && isfinite(level) ? level : 1.0f;
}

// Grid: (channels, batch).
template <typename T, typename F, int N>
[[kernel]] void gated_fft_conv(
    device T* out [[buffer(0)]],
    device const T* x [[buffer(1)]],
    device const T* gate_in [[buffer(2)]],
    device const T* gate_out [[buffer(3)]],
    device const F* taps [[buffer(4)]],
    device const F* skip [[buffer(5)]],
    constant GatedFftConv& p [[buffer(6)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint at [[thread_index_in_threadgroup]],
    uint3 size [[threads_per_threadgroup]],
    uint lane [[thread_index_in_simdgroup]],
    uint simd [[simdgroup_index_in_threadgroup]],
    uint simds [[simdgroups_per_threadgroup]]) {
  threadgroup float2 z[N];
  const int index = int(at);
  const int threads = int(size.x);
  const int c = int(group.x);
  const int first = int(group.y) * p.length * p.channels + c;
  const int rest = p.n - int(simds); // zeros from there on
  float2 power = float2(0.0f, 0.0f);
  for (int t = index; t < rest; t += threads) {
    const int i = first + t * p.channels;
    const float u = t < p.length ? float(gate_in[i]) * float(x[i]) : 0.0f;
    const float k = t < min(p.taps, p.length) ? float(taps[t * p.channels + c]) : 0.0f;
    z[t] = float2(u, k);
    power = float2(fma(u, u, power.x), fma(k, k, power.y));
  }
  const float2 powers = fft_sum(power, z, rest, lane, simd, simds);
  const float level = fft_level(powers.x, powers.y);
  for (int t = index; t < p.n; t += threads) {
    const float2 both = t < rest ? z[t] : float2(0.0f, 0.0f);
    z[t] = float2(both.x, level * both.y);
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  fft_forward(z, p.n, index, threads);
  for (int f = index; f <= p.n / 2; f += threads) {
    const int here = fft_place(f, p.bits);
    const int there = fft_place((p.n - f) % p.n, p.bits);
    const float2 a = z[here];
    const float2 b = z[there];
    const float2 y = fft_times(fft_real(a, b), fft_imaginary(a, b));
    z[here] = y;
    if (there != here) {
      z[there] = fft_conjugate(y);
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  fft_inverse(z, p.n, index, threads);
  const float scale = 1.0f / float(p.n) / level;
  const float through = p.has_skip != 0 ? float(skip[c]) : 0.0f;
  for (int t = index; t < p.length; t += threads) {
    const int i = first + t * p.channels;
    const float u = float(gate_in[i]) * float(x[i]);
    const float2 y = z[t];
    out[i] = static_cast<T>(float(gate_out[i]) * fma(through, u, y.x * scale));
  }
}

// Gradients of input and gates, and the batch entry's share of the kernel's and
// (the last row) the skip's: shares [batch, min(taps, length) + 1, channels].
// Grid: (channels, batch).
template <typename T, typename F, int N>
[[kernel]] void gated_fft_conv_backward(
    device T* dx [[buffer(0)]],
    device T* dgate_in [[buffer(1)]],
    device T* dgate_out [[buffer(2)]],
    device float* shares [[buffer(3)]],
    device const T* g [[buffer(4)]],
    device const T* x [[buffer(5)]],
    device const T* gate_in [[buffer(6)]],
    device const T* gate_out [[buffer(7)]],
    device const F* taps [[buffer(8)]],
    device const F* skip [[buffer(9)]],
    constant GatedFftConv& p [[buffer(10)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint at [[thread_index_in_threadgroup]],
    uint3 size [[threads_per_threadgroup]],
    uint lane [[thread_index_in_simdgroup]],
    uint simd [[simdgroup_index_in_threadgroup]],
    uint simds [[simdgroups_per_threadgroup]]) {
  threadgroup float2 z[N];
  threadgroup float2 w[N];
  const int index = int(at);
  const int threads = int(size.x);
  const int c = int(group.x);
  const int used = min(p.taps, p.length);
  const int first = int(group.y) * p.length * p.channels + c;
  const int rest = p.n - int(simds); // zeros from there on
  float2 power = float2(0.0f, 0.0f);
  float power_h = 0.0f;
  for (int t = index; t < rest; t += threads) {
    const int i = first + t * p.channels;
    const bool in = t < p.length;
    const float u = in ? float(gate_in[i]) * float(x[i]) : 0.0f;
    const float k = t < used ? float(taps[t * p.channels + c]) : 0.0f;
    const float h = in ? float(g[i]) * float(gate_out[i]) : 0.0f;
    z[t] = float2(u, k);
    w[t] = float2(h, 0.0f);
    power = float2(fma(u, u, power.x), fma(k, k, power.y));
    power_h = fma(h, h, power_h);
  }
  const float2 powers = fft_sum(power, z, rest, lane, simd, simds);
  const float2 powers_h =
      fft_sum(float2(power_h, 0.0f), w, rest, lane, simd, simds);
  const float level = fft_level(powers.x, powers.y);
  const float level_h = fft_level(powers.x, powers_h.x);
  for (int t = index; t < p.n; t += threads) {
    const float2 both = t < rest ? z[t] : float2(0.0f, 0.0f);
    const float2 h = t < rest ? w[t] : float2(0.0f, 0.0f);
    z[t] = float2(both.x, level * both.y);
    w[t] = float2(level_h * h.x, 0.0f);
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  fft_forward(z, p.n, index, threads);
  fft_forward(w, p.n, index, threads);
  for (int f = index; f <= p.n / 2; f += threads) {
    const int here = fft_place(f, p.bits);
    const int there = fft_place((p.n - f) % p.n, p.bits);
    const float2 a = z[here];
    const float2 b = z[there];
    const float2 u = fft_real(a, b);
    const float2 k = fft_imaginary(a, b);
    const float2 h = w[here];
    const float2 y = fft_times(u, k);
    const float2 du = fft_times(h, fft_conjugate(k));
    const float2 dk = fft_times(h, fft_conjugate(u));
    // y and du are real: one transform has both.
    z[here] = float2(y.x - du.y, y.y + du.x);
    w[here] = dk;
    if (there != here) {
      z[there] = float2(y.x + du.y, du.x - y.y);
      w[there] = fft_conjugate(dk);
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  fft_inverse(z, p.n, index, threads);
  fft_inverse(w, p.n, index, threads);
  const float scale = 1.0f / float(p.n);
  const float scale_y = scale / level;
  const float scale_u = scale / level / level_h;
  const float scale_k = scale / level_h;
  const float through = p.has_skip != 0 ? float(skip[c]) : 0.0f;
  const int share = int(group.y) * (used + 1) * p.channels + c;
  float sum = 0.0f;
  for (int t = index; t < p.length; t += threads) {
    const int i = first + t * p.channels;
    const float gate = float(gate_in[i]);
    const float value = float(x[i]);
    const float u = gate * value;
    const float h = float(g[i]) * float(gate_out[i]);
    const float2 both = z[t];
    const float du = fma(through, h, both.y * scale_u);
    dx[i] = static_cast<T>(du * gate);
    dgate_in[i] = static_cast<T>(du * value);
    dgate_out[i] = static_cast<T>(float(g[i]) * fma(through, u, both.x * scale_y));
    if (t < used) {
      const float2 dk = w[t];
      shares[share + t * p.channels] = dk.x * scale_k;
    }
    sum = fma(h, u, sum);
  }
  // The memory is all taken: the sums go where the spectra were.
  threadgroup_barrier(mem_flags::mem_threadgroup);
  const float2 all = fft_sum(float2(sum, 0.0f), w, 0, lane, simd, simds);
  if (index == 0) {
    shares[share + used * p.channels] = all.x;
  }
}

// The gradients of the kernel [taps, channels] and of skip [channels]: the
// shares of the batch in its order. One thread a value.
template <typename F>
[[kernel]] void gated_fft_conv_sum(
    device F* dtaps [[buffer(0)]],
    device F* dskip [[buffer(1)]],
    device const float* shares [[buffer(2)]],
    constant GatedFftConv& p [[buffer(3)]],
    constant int& batch [[buffer(4)]],
    uint at [[thread_position_in_grid]]) {
  const int index = int(at);
  const int row = index / p.channels;
  const int used = min(p.taps, p.length);
  if (row > p.taps) {
    return;
  }
  float sum = 0.0f;
  if (row < used || (row == p.taps && p.has_skip != 0)) {
    const int from = min(row, used) * p.channels + index % p.channels;
    for (int b = 0; b < batch; ++b) {
      sum += shares[b * (used + 1) * p.channels + from];
    }
  }
  if (row == p.taps) {
    dskip[index % p.channels] = static_cast<F>(sum);
  } else {
    dtaps[index] = static_cast<F>(sum);
  }
}

template [[host_name("gated_fft_conv_512_float_float")]] [[kernel]] decltype(gated_fft_conv<float, float, 512>) gated_fft_conv<float, float, 512>;
template [[host_name("gated_fft_conv_512_half_half")]] [[kernel]] decltype(gated_fft_conv<half, half, 512>) gated_fft_conv<half, half, 512>;
template [[host_name("gated_fft_conv_512_half_float")]] [[kernel]] decltype(gated_fft_conv<half, float, 512>) gated_fft_conv<half, float, 512>;
template [[host_name("gated_fft_conv_512_bfloat_bfloat")]] [[kernel]] decltype(gated_fft_conv<bfloat, bfloat, 512>) gated_fft_conv<bfloat, bfloat, 512>;
template [[host_name("gated_fft_conv_512_bfloat_float")]] [[kernel]] decltype(gated_fft_conv<bfloat, float, 512>) gated_fft_conv<bfloat, float, 512>;
template [[host_name("gated_fft_conv_4096_float_float")]] [[kernel]] decltype(gated_fft_conv<float, float, 4096>) gated_fft_conv<float, float, 4096>;
template [[host_name("gated_fft_conv_4096_half_half")]] [[kernel]] decltype(gated_fft_conv<half, half, 4096>) gated_fft_conv<half, half, 4096>;
template [[host_name("gated_fft_conv_4096_half_float")]] [[kernel]] decltype(gated_fft_conv<half, float, 4096>) gated_fft_conv<half, float, 4096>;
template [[host_name("gated_fft_conv_4096_bfloat_bfloat")]] [[kernel]] decltype(gated_fft_conv<bfloat, bfloat, 4096>) gated_fft_conv<bfloat, bfloat, 4096>;
template [[host_name("gated_fft_conv_4096_bfloat_float")]] [[kernel]] decltype(gated_fft_conv<bfloat, float, 4096>) gated_fft_conv<bfloat, float, 4096>;
template [[host_name("gated_fft_conv_backward_512_float_float")]] [[kernel]] decltype(gated_fft_conv_backward<float, float, 512>) gated_fft_conv_backward<float, float, 512>;
template [[host_name("gated_fft_conv_backward_512_half_half")]] [[kernel]] decltype(gated_fft_conv_backward<half, half, 512>) gated_fft_conv_backward<half, half, 512>;
template [[host_name("gated_fft_conv_backward_512_half_float")]] [[kernel]] decltype(gated_fft_conv_backward<half, float, 512>) gated_fft_conv_backward<half, float, 512>;
template [[host_name("gated_fft_conv_backward_512_bfloat_bfloat")]] [[kernel]] decltype(gated_fft_conv_backward<bfloat, bfloat, 512>) gated_fft_conv_backward<bfloat, bfloat, 512>;
template [[host_name("gated_fft_conv_backward_512_bfloat_float")]] [[kernel]] decltype(gated_fft_conv_backward<bfloat, float, 512>) gated_fft_conv_backward<bfloat, float, 512>;
template [[host_name("gated_fft_conv_backward_2048_float_float")]] [[kernel]] decltype(gated_fft_conv_backward<float, float, 2048>) gated_fft_conv_backward<float, float, 2048>;
template [[host_name("gated_fft_conv_backward_2048_half_half")]] [[kernel]] decltype(gated_fft_conv_backward<half, half, 2048>) gated_fft_conv_backward<half, half, 2048>;
template [[host_name("gated_fft_conv_backward_2048_half_float")]] [[kernel]] decltype(gated_fft_conv_backward<half, float, 2048>) gated_fft_conv_backward<half, float, 2048>;
template [[host_name("gated_fft_conv_backward_2048_bfloat_bfloat")]] [[kernel]] decltype(gated_fft_conv_backward<bfloat, bfloat, 2048>) gated_fft_conv_backward<bfloat, bfloat, 2048>;
template [[host_name("gated_fft_conv_backward_2048_bfloat_float")]] [[kernel]] decltype(gated_fft_conv_backward<bfloat, float, 2048>) gated_fft_conv_backward<bfloat, float, 2048>;
template [[host_name("gated_fft_conv_sum_float")]] [[kernel]] decltype(gated_fft_conv_sum<float>) gated_fft_conv_sum<float>;
template [[host_name("gated_fft_conv_sum_half")]] [[kernel]] decltype(gated_fft_conv_sum<half>) gated_fft_conv_sum<half>;
template [[host_name("gated_fft_conv_sum_bfloat")]] [[kernel]] decltype(gated_fft_conv_sum<bfloat>) gated_fft_conv_sum<bfloat>;

// fourier_taps (ops/fourier_taps.h): taps[t, c] = exp(-lambda t / N) (a_0 +
// sum_m a_m cos(pi m s t / N) + b_m sin(pi m s t / N)), and its gradients. Waves
// begin anew, from a phase reduced as an integer, every few positions, and are
// turned from one to the next in between.
struct FourierTaps {
  int length;
  int channels;
  int terms;  // M
  int period; // N
};

constant constexpr int kTapsRun = 8;

// exp(i pi harmonic t / N).
inline float2 taps_wave(long harmonic, int t, constant FourierTaps& p) {
  const long turn = 2 * long(p.period);
  long phase = (harmonic % turn) * long(t) % turn;
  // Within half a turn of 0: a smaller angle has a smaller rounding.
  if (phase >= long(p.period)) {
    phase -= turn;
  } else if (phase < -long(p.period)) {
    phase += turn;
  }
  const float angle = float(phase) * (3.14159265358979f / float(p.period));
  return float2(precise::cos(angle), precise::sin(angle));
}

inline float2 taps_turned(float2 wave, float2 step) {
  return float2(wave.x * step.x - wave.y * step.y, wave.y * step.x + wave.x * step.y);
}

template <typename T>
inline long taps_scale(device const T* frequency, int c) {
  return long(rint(float(frequency[c])));
}

// lambda / N.
template <typename T>
inline float taps_rate(device const T* log_decay, int c, constant FourierTaps& p) {
  return precise::exp(float(log_decay[c])) / float(p.period);
}

// The sums of waves, not faded, at `first` and behind.
template <typename T>
inline void taps_sums(
    thread array<float, kTapsRun>& sums,
    device const T* terms,
    long scale,
    int c,
    int first,
    constant FourierTaps& p) {
  const float mean = float(terms[c]);
  for (int i = 0; i < kTapsRun; ++i) {
    sums[i] = mean;
  }
  for (int m = 1; m <= p.terms; ++m) {
    const float a = float(terms[m * p.channels + c]);
    const float b = float(terms[(p.terms + m) * p.channels + c]);
    const float2 step = taps_wave(long(m) * scale, 1, p);
    float2 wave = taps_wave(long(m) * scale, first, p);
    for (int i = 0; i < kTapsRun; ++i) {
      sums[i] = fma(a, wave.x, fma(b, wave.y, sums[i]));
      wave = taps_turned(wave, step);
    }
  }
}

// A thread has the positions of a run of one channel.
template <typename T>
[[kernel]] void fourier_taps(
    device float* taps [[buffer(0)]],
    device const T* terms [[buffer(1)]],
    device const T* log_decay [[buffer(2)]],
    device const T* frequency [[buffer(3)]],
    constant FourierTaps& p [[buffer(4)]],
    uint at [[thread_position_in_grid]]) {
  const int c = int(at) % p.channels;
  const int first = int(at) / p.channels * kTapsRun;
  if (first >= p.length) {
    return;
  }
  array<float, kTapsRun> sums;
  taps_sums(sums, terms, taps_scale(frequency, c), c, first, p);
  const float rate = taps_rate(log_decay, c, p);
  const int count = min(kTapsRun, p.length - first);
  for (int i = 0; i < count; ++i) {
    taps[(first + i) * p.channels + c] = sums[i] * precise::exp(-rate * float(first + i));
  }
}

// Grid: (blocks of 8 channels, M + 2). A group sums over time what one term of
// its channels gets, the last one what the decay gets: sum_t -lambda t / N g(t)
// taps(t). Its threads take the runs in turn; their sums are added in order.
constant constexpr int kTapsChannels = 8;
constant constexpr int kTapsThreads = 256;

template <typename T>
[[kernel]] void fourier_taps_backward(
    device T* dterms [[buffer(0)]],
    device T* dlog_decay [[buffer(1)]],
    device const float* g [[buffer(2)]],
    device const T* terms [[buffer(3)]],
    device const T* log_decay [[buffer(4)]],
    device const T* frequency [[buffer(5)]],
    constant FourierTaps& p [[buffer(6)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint index [[thread_index_in_threadgroup]],
    uint3 size [[threads_per_threadgroup]]) {
  threadgroup float2 parts[kTapsThreads];
  const int lane = int(index) / kTapsChannels;
  const int lanes = int(size.x) / kTapsChannels;
  const int c = int(group.x) * kTapsChannels + int(index) % kTapsChannels;
  const int m = int(group.y);
  const bool inside = c < p.channels;
  float real = 0.0f;
  float imaginary = 0.0f;
  if (inside) {
    const long scale = taps_scale(frequency, c);
    const float rate = taps_rate(log_decay, c, p);
    const float2 step = taps_wave(long(m) * scale, 1, p);
    array<float, kTapsRun> sums;
    for (int first = lane * kTapsRun; first < p.length; first += lanes * kTapsRun) {
      const int count = min(kTapsRun, p.length - first);
      if (m > p.terms) {
        taps_sums(sums, terms, scale, c, first, p);
      }
      float2 wave = taps_wave(long(m) * scale, first, p);
      for (int i = 0; i < count; ++i) {
        const float along = -rate * float(first + i);
        const float faded = g[(first + i) * p.channels + c] * precise::exp(along);
        if (m > p.terms) {
          real = fma(along * faded, sums[i], real);
        } else {
          real = fma(faded, wave.x, real);
          imaginary = fma(faded, wave.y, imaginary);
          wave = taps_turned(wave, step);
        }
      }
    }
  }
  parts[index] = float2(real, imaginary);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (lane > 0 || !inside) {
    return;
  }
  float2 sum = float2(0.0f, 0.0f);
  for (int l = 0; l < lanes; ++l) {
    const float2 part = parts[l * kTapsChannels + int(index)];
    sum = sum + part;
  }
  if (m > p.terms) {
    dlog_decay[c] = static_cast<T>(sum.x);
    return;
  }
  dterms[m * p.channels + c] = static_cast<T>(sum.x);
  if (m > 0) {
    dterms[(p.terms + m) * p.channels + c] = static_cast<T>(sum.y);
  }
}

template [[host_name("fourier_taps_float")]] [[kernel]] decltype(fourier_taps<float>) fourier_taps<float>;
template [[host_name("fourier_taps_half")]] [[kernel]] decltype(fourier_taps<half>) fourier_taps<half>;
template [[host_name("fourier_taps_bfloat")]] [[kernel]] decltype(fourier_taps<bfloat>) fourier_taps<bfloat>;
template [[host_name("fourier_taps_backward_float")]] [[kernel]] decltype(fourier_taps_backward<float>) fourier_taps_backward<float>;
template [[host_name("fourier_taps_backward_half")]] [[kernel]] decltype(fourier_taps_backward<half>) fourier_taps_backward<half>;
template [[host_name("fourier_taps_backward_bfloat")]] [[kernel]] decltype(fourier_taps_backward<bfloat>) fourier_taps_backward<bfloat>;

#pragma once

// A complex FFT of n = 2^Log values by n / 16 threads that keep 16 values
// each, for convolutions: forward decimates in frequency and leaves the
// spectrum in digit-reversed order, backward takes it from there, so nothing
// is ever reordered.
//
// Pass i has radix r and works in blocks of `size` neighbouring positions
// (n in pass 0, then divided by each radix); butterfly j of a block takes the
// positions j + q size / r, q < r. Thread t belongs to block t / (size / 16)
// and does 16 / r butterflies, j = t % (size / 16) + m size / 16 (blocks of
// less than 16: several whole blocks a thread). Between two passes values go
// through shared memory; a thread always writes the positions it has read, so
// one barrier an exchange is enough, and inside a block of 512 one warp's.
//
// Right-angle weights: real x[t] A^t with A = exp(i pi / 2n) make the cyclic
// convolution one with t^n = i: the real part is outputs 0..n-1 of the linear
// convolution, the imaginary part n..2n-1. A^(q n/16 + t) splits into a
// constant of q before the first butterfly and a factor A^t in its twiddles.
//
// A plain transform has no such weights: complex values in, complex out. The
// first pass of a long transform, of radix 16, leaves 16 plain ones of n / 16
// (fft_long.cu).

#include "ops/cuda/vector.cuh"

#include <cmath>

namespace signalllm::cuda {

struct Complex {
  float x, y;
};

SIGNALLLM_HD Complex operator+(Complex a, Complex b) {
  return {a.x + b.x, a.y + b.y};
}
SIGNALLLM_HD Complex operator-(Complex a, Complex b) {
  return {a.x - b.x, a.y - b.y};
}
SIGNALLLM_HD Complex operator*(Complex a, Complex b) {
  return {a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x};
}
SIGNALLLM_HD Complex conj(Complex a) {
  return {a.x, -a.y};
}
/// a times -i, or i backward.
template <bool Back>
SIGNALLLM_HD Complex quarter(Complex a) {
  return Back ? Complex{-a.y, a.x} : Complex{a.y, -a.x};
}

/// exp(i pi a).
SIGNALLLM_HD Complex cis(float a) {
  Complex c;
#if defined(__CUDA_ARCH__)
  sincospif(a, &c.y, &c.x);
#else
  c = {
      static_cast<float>(std::cos(M_PI * a)),
      static_cast<float>(std::sin(M_PI * a))};
#endif
  return c;
}

/// cos(pi k / 16) for k = 0..8; the rest by symmetry, at compile time.
SIGNALLLM_HD constexpr float cos16(int k) {
  constexpr float c[9] = {
      1.f,
      0.98078528040323044913f,
      0.92387953251128675613f,
      0.83146961230254523708f,
      0.70710678118654752440f,
      0.55557023301960222474f,
      0.38268343236508977173f,
      0.19509032201612826785f,
      0.f};
  k = ((k % 32) + 32) % 32;
  k = k > 16 ? 32 - k : k;
  return k <= 8 ? c[k] : -c[16 - k];
}
/// exp(-2 pi i k / 32).
SIGNALLLM_HD constexpr Complex root32(int k) {
  return {cos16(k), -cos16(k - 8)};
}

template <bool Back>
SIGNALLLM_HD void dft4(Complex& a, Complex& b, Complex& c, Complex& d) {
  const Complex s = a + c, t = a - c, u = b + d, v = quarter<Back>(b - d);
  a = s + u;
  b = t + v;
  c = s - u;
  d = t - v;
}

/// v[k] = sum_q v[q] exp(-+2 pi i q k / R), in natural order.
template <int R, bool Back>
SIGNALLLM_HD void dft(Complex* v) {
  if constexpr (R == 4) {
    dft4<Back>(v[0], v[1], v[2], v[3]);
  } else {
    // q = B a + b: R / B = 4 points over a, a twiddle, B points over b.
    constexpr int B = R / 4;
    Complex w[R];
#pragma unroll
    for (int b = 0; b < B; ++b) {
      Complex p[4] = {v[b], v[B + b], v[2 * B + b], v[3 * B + b]};
      dft4<Back>(p[0], p[1], p[2], p[3]);
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        const int k = b * c * (32 / R);
        Complex f = root32(k);
        f = Back ? conj(f) : f;
        w[c * B + b] = k == 0 ? p[c] : k == 8 ? quarter<Back>(p[c]) : p[c] * f;
      }
    }
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      Complex* p = w + c * B;
      if constexpr (B == 4) {
        dft4<Back>(p[0], p[1], p[2], p[3]);
      } else {
        const Complex s = p[0] + p[1];
        p[1] = p[0] - p[1];
        p[0] = s;
      }
#pragma unroll
      for (int d = 0; d < B; ++d) {
        v[c + 4 * d] = p[d];
      }
    }
  }
}

/// Radix of pass i; 0 after the last.
SIGNALLLM_HD constexpr int radix(int log, int i) {
  if (log > 13) {
    return i == 0 ? 16 : radix(log - 4, i - 1);
  }
  // One hexadecimal digit a pass, its logarithm; pass 0 first.
  constexpr int plan[6] = {0x44, 0x434, 0x434, 0x443, 0x444, 0x4333};
  int p = plan[log - 8];
  if (log == 9) {
    p = 0x432;
  } else if (log == 10) {
    p = 0x433;
  }
  int passes = 0;
  for (int q = p; q != 0; q /= 16) {
    ++passes;
  }
  if (i >= passes) {
    return 0;
  }
  for (int k = passes - 1; k > i; --k) {
    p /= 16;
  }
  return 1 << (p % 16);
}

SIGNALLLM_HD constexpr int block_size(int log, int i) {
  int n = 1 << log;
  for (int k = 0; k < i; ++k) {
    n /= radix(log, k);
  }
  return n;
}

template <int Log, bool Plain = false>
struct Fft {
  static constexpr int n = 1 << Log;
  static constexpr int threads = n / 16;
  static constexpr int passes = radix(Log, 2) == 0 ? 2
      : radix(Log, 3) == 0                         ? 3
                                                   : 4;
  /// Complex values of shared memory, one pad after every 16.
  static constexpr int shared = n + n / 16;

  static SIGNALLLM_HD constexpr bool warp_exchange(int pass) {
    return block_size(Log, pass) <= 512;
  }

  /// Position of value m * r + q of thread t in a pass.
  template <int Pass>
  static SIGNALLLM_HD int position(int t, int m, int q) {
    constexpr int size = block_size(Log, Pass), r = radix(Log, Pass);
    if constexpr (size >= 16) {
      constexpr int each = size / 16;
      return t / each * size + t % each + m * each + q * (size / r);
    } else {
      return t * 16 + m * r + q;
    }
  }

  template <int Pass>
  static SIGNALLLM_HD void get(const Complex* shared, int t, Complex* v) {
    constexpr int r = radix(Log, Pass);
#pragma unroll
    for (int m = 0; m < 16 / r; ++m) {
#pragma unroll
      for (int q = 0; q < r; ++q) {
        const int i = position<Pass>(t, m, q);
        v[m * r + q] = shared[i + (i >> 4)];
      }
    }
  }
  template <int Pass>
  static SIGNALLLM_HD void put(Complex* shared, int t, const Complex* v) {
    constexpr int r = radix(Log, Pass);
#pragma unroll
    for (int m = 0; m < 16 / r; ++m) {
#pragma unroll
      for (int q = 0; q < r; ++q) {
        const int i = position<Pass>(t, m, q);
        shared[i + (i >> 4)] = v[m * r + q];
      }
    }
  }

  template <int Pass>
  static SIGNALLLM_HD void forward(int t, Complex* v) {
    constexpr int r = radix(Log, Pass);
    if constexpr (weighted<Pass>) {
#pragma unroll
      for (int q = 1; q < 16; ++q) {
        // Real input times A^(q n / 16) = exp(i pi q / 32).
        v[q] = {v[q].x * half_cos(q), v[q].x * half_sin(q)};
      }
      v[0].y = 0;
    }
#pragma unroll
    for (int m = 0; m < 16 / r; ++m) {
      dft<r, false>(v + m * r);
    }
    twiddles<Pass, false>(t, v);
  }

  /// The inverse's mirror image; values come out unscaled, in pass 0 times
  /// A^-t, so that the real and imaginary part are as above.
  template <int Pass>
  static SIGNALLLM_HD void backward(int t, Complex* v) {
    constexpr int r = radix(Log, Pass);
    twiddles<Pass, true>(t, v);
#pragma unroll
    for (int m = 0; m < 16 / r; ++m) {
      dft<r, true>(v + m * r);
    }
    if constexpr (weighted<Pass>) {
#pragma unroll
      for (int q = 1; q < 16; ++q) {
        v[q] = v[q] * Complex{half_cos(q), -half_sin(q)};
      }
    }
  }

 private:
  template <int Pass>
  static constexpr bool weighted = Pass == 0 && !Plain;

  /// cos and sin of pi q / 32, q < 16.
  static SIGNALLLM_HD constexpr float half_cos(int q) {
    constexpr float c[17] = {
        1.f,
        0.99518472667219688624f,
        0.98078528040323044913f,
        0.95694033573220886494f,
        0.92387953251128675613f,
        0.88192126434835502971f,
        0.83146961230254523708f,
        0.77301045336273696081f,
        0.70710678118654752440f,
        0.63439328416364549822f,
        0.55557023301960222474f,
        0.47139673682599764856f,
        0.38268343236508977173f,
        0.29028467725446236764f,
        0.19509032201612826785f,
        0.09801714032956060199f,
        0.f};
    return c[q];
  }
  static SIGNALLLM_HD constexpr float half_sin(int q) {
    return half_cos(16 - q);
  }

  /// v[q] times exp(-2 pi i j q / size), in pass 0 also times A^t. The second
  /// butterfly of a thread is size / 16 further, a constant turn.
  template <int Pass, bool Back>
  static SIGNALLLM_HD void twiddles(int t, Complex* v) {
    constexpr int size = block_size(Log, Pass), r = radix(Log, Pass);
    if constexpr (weighted<Pass> || size > r) {
      constexpr int each = size / 16;
      const float angle = (Back ? 2.f : -2.f) / size * (t % each);
      Complex w1 = cis(angle);
#pragma unroll
      for (int m = 0; m < 16 / r; ++m) {
        twiddle<Pass, r>(w1, angle, v + m * r);
        const Complex turn = root32(2);
        w1 = w1 * (Back ? conj(turn) : turn);
      }
    }
  }

  template <int Pass, int R>
  static SIGNALLLM_HD void twiddle(Complex w1, float angle, Complex* v) {
    Complex w[4];
    w[1] = w1;
    w[2] = w1 * w1;
    w[3] = w1 * w[2];
    const Complex w4 = w[2] * w[2];
    if constexpr (weighted<Pass>) {
      w[0] = cis(-angle / 4);
#pragma unroll
      for (int k = 1; k < 4; ++k) {
        w[k] = w[k] * w[0];
      }
      v[0] = v[0] * w[0];
    }
#pragma unroll
    for (int k = 1; k < 4; ++k) {
      v[k] = v[k] * w[k];
    }
    Complex step = w4;
#pragma unroll
    for (int q = 4; q < R; q += 4) {
      v[q] = v[q] * (weighted<Pass> ? step * w[0] : step);
#pragma unroll
      for (int k = 1; k < 4; ++k) {
        v[q + k] = v[q + k] * (step * w[k]);
      }
      step = step * w4;
    }
  }
};

} // namespace signalllm::cuda

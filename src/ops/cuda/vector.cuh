#pragma once

// Sixteen bytes of neighbouring channels as one access, sums in float (double
// for double). Everything that is not an intrinsic compiles for the host too,
// so that the same text is tested there.

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define SIGNALLLM_HD __host__ __device__ __forceinline__
#else
#define SIGNALLLM_HD inline
#endif

namespace signalllm::cuda {

template <class T>
struct Accumulate {
  using type = float;
};
template <>
struct Accumulate<double> {
  using type = double;
};
template <class T>
using Acc = typename Accumulate<T>::type;

SIGNALLLM_HD float widen(float x) {
  return x;
}
SIGNALLLM_HD double widen(double x) {
  return x;
}
SIGNALLLM_HD float widen(__half x) {
  return __half2float(x);
}
SIGNALLLM_HD float widen(__nv_bfloat16 x) {
  return __bfloat162float(x);
}

SIGNALLLM_HD void narrow(float x, float& y) {
  y = x;
}
SIGNALLLM_HD void narrow(double x, double& y) {
  y = x;
}
SIGNALLLM_HD void narrow(float x, __half& y) {
  y = __float2half_rn(x);
}
SIGNALLLM_HD void narrow(float x, __nv_bfloat16& y) {
  y = __float2bfloat16_rn(x);
}

/// Two neighbouring values: one instruction for half types.
SIGNALLLM_HD void narrow(float x, float y, __half* out) {
  const __half2 both = __floats2half2_rn(x, y);
  memcpy(out, &both, sizeof(both));
}
SIGNALLLM_HD void narrow(float x, float y, __nv_bfloat16* out) {
  const __nv_bfloat162 both = __floats2bfloat162_rn(x, y);
  memcpy(out, &both, sizeof(both));
}

template <class T, int V>
struct alignas(sizeof(T) * V) Pack {
  T v[V];
};

/// V neighbouring values, read once through the read-only path.
template <class T, int V>
SIGNALLLM_HD void load(const T* p, Acc<T> (&out)[V]) {
  Pack<T, V> pack;
#if defined(__CUDA_ARCH__)
  if constexpr (sizeof(pack) == 16) {
    const uint4 raw = __ldg(reinterpret_cast<const uint4*>(p));
    memcpy(&pack, &raw, 16);
  } else {
    pack = *reinterpret_cast<const Pack<T, V>*>(p);
  }
#else
  memcpy(&pack, p, sizeof(pack));
#endif
#pragma unroll
  for (int v = 0; v < V; ++v) {
    out[v] = widen(pack.v[v]);
  }
}

template <class T, int V>
SIGNALLLM_HD void store(T* p, const Acc<T> (&x)[V]) {
  Pack<T, V> pack;
  if constexpr (sizeof(T) == 2 && V % 2 == 0) {
#pragma unroll
    for (int v = 0; v < V; v += 2) {
      narrow(x[v], x[v + 1], pack.v + v);
    }
  } else {
#pragma unroll
    for (int v = 0; v < V; ++v) {
      narrow(x[v], pack.v[v]);
    }
  }
#if defined(__CUDA_ARCH__)
  *reinterpret_cast<Pack<T, V>*>(p) = pack;
#else
  memcpy(p, &pack, sizeof(pack));
#endif
}

/// A row of `lanes * V` sums in shared memory: lane t keeps its values in
/// chunks of 16 bytes that lie `lanes` chunks apart, so that neighbouring
/// lanes always touch neighbouring banks.
template <class A, int V>
struct SharedRow {
  static constexpr int chunk = V * sizeof(A) > 16
      ? 16 / static_cast<int>(sizeof(A))
      : V;

  static SIGNALLLM_HD void get(const A* row, int lanes, int lane, A (&x)[V]) {
#pragma unroll
    for (int c = 0; c < V / chunk; ++c) {
      const auto pack = *reinterpret_cast<const Pack<A, chunk>*>(
          row + (c * lanes + lane) * chunk);
#pragma unroll
      for (int v = 0; v < chunk; ++v) {
        x[c * chunk + v] = pack.v[v];
      }
    }
  }

  static SIGNALLLM_HD void put(A* row, int lanes, int lane, const A (&x)[V]) {
#pragma unroll
    for (int c = 0; c < V / chunk; ++c) {
      Pack<A, chunk> pack;
#pragma unroll
      for (int v = 0; v < chunk; ++v) {
        pack.v[v] = x[c * chunk + v];
      }
      *reinterpret_cast<Pack<A, chunk>*>(row + (c * lanes + lane) * chunk) =
          pack;
    }
  }
};

template <class A, int V>
SIGNALLLM_HD void clear(A (&x)[V]) {
#pragma unroll
  for (int v = 0; v < V; ++v) {
    x[v] = 0;
  }
}

template <class A, int V>
SIGNALLLM_HD void axpy(A s, const A (&x)[V], A (&y)[V]) {
#pragma unroll
  for (int v = 0; v < V; ++v) {
    y[v] += s * x[v];
  }
}

} // namespace signalllm::cuda

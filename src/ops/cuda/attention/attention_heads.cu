// `lanes` neighbouring threads, a power of two within a warp, have a position:
// each V channels of the first half of a head and those that are turned with
// them, for up to four heads (blockIdx.y) of queries, keys and values. A
// position's turns are computed once for all of them. Backward a gradient is
// turned back, and of the norm r = 1 / sqrt(mean(x^2) + epsilon) it keeps
// r (g - x mean(g x) r^2).

#include "attention_heads.h"
#include "ops/cuda/vector.cuh"

namespace signalllm::cuda {
namespace {

constexpr int kThreads = 256, kHeadsEach = 4;

/// Channels c and behind of a head, and those half a head further.
template <int V>
struct Pair {
  float a[V], b[V];
};

/// Where a thread is in every head of its position.
template <class T, int V>
struct Place {
  int64_t batch, row;
  int channel, half;
  bool first, second; // within the position's heads

  __device__ Place(const AttentionHeadsParams& p, int lanes) {
    const int64_t at = static_cast<int64_t>(blockIdx.x) * (kThreads / lanes) +
        threadIdx.x / lanes;
    batch = at / p.length;
    row = at % p.length;
    half = (p.width + 1) / 2;
    channel = threadIdx.x % lanes * V;
    first = batch < p.batch && channel < half;
    second = first && channel + half < p.width;
  }

  __device__ Pair<V> read(const void* head) const {
    Pair<V> x{};
    const T* from = static_cast<const T*>(head) + channel;
    if (first) {
      load<T, V>(from, x.a);
    }
    if (second) {
      load<T, V>(from + half, x.b);
    }
    return x;
  }
  __device__ void write(void* head, const Pair<V>& x) const {
    T* to = static_cast<T*>(head) + channel;
    if (first) {
      store<T, V>(to, x.a);
    }
    if (second) {
      store<T, V>(to + half, x.b);
    }
  }
};

/// cos and sin of a position's turns.
template <int V>
struct Turns {
  float cosine[V], sine[V];

  __device__ Turns(const AttentionHeadsParams& p, int64_t row, int channel) {
#pragma unroll
    for (int v = 0; v < V; ++v) {
      const int pair = min(channel + v, kHeadsPairs - 1);
      const uint64_t phase =
          static_cast<uint64_t>(p.offset + row) * p.turns[pair];
      const auto upper = static_cast<int32_t>(phase >> 32);
      sincospif(static_cast<float>(upper) * 0x1p-31f, &sine[v], &cosine[v]);
    }
  }

  template <bool Back>
  __device__ void turn(Pair<V>& x) const {
#pragma unroll
    for (int v = 0; v < V; ++v) {
      const float s = Back ? -sine[v] : sine[v];
      const float a = x.a[v] * cosine[v] - x.b[v] * s;
      x.b[v] = x.a[v] * s + x.b[v] * cosine[v];
      x.a[v] = a;
    }
  }
};

template <int V>
__device__ float dot(const Pair<V>& x, const Pair<V>& y, int lanes) {
  float sum = 0;
#pragma unroll
  for (int v = 0; v < V; ++v) {
    sum += x.a[v] * y.a[v] + x.b[v] * y.b[v];
  }
  for (int away = lanes / 2; away > 0; away /= 2) {
    sum += __shfl_xor_sync(~0u, sum, away);
  }
  return sum;
}

template <int V>
__device__ void scale(Pair<V>& x, float by) {
#pragma unroll
  for (int v = 0; v < V; ++v) {
    x.a[v] *= by;
    x.b[v] *= by;
  }
}

template <class T, int V, bool Backward>
__global__ void heads_kernel(
    const __grid_constant__ AttentionHeadsParams p,
    int lanes) {
  const Place<T, V> place(p, lanes);
  const Turns<V> turns(p, place.row, p.turned ? place.channel : 0);
  const T* input = static_cast<const T*>(p.input) +
      place.batch * p.input_batch + place.row * p.input_row;
  T* grad = static_cast<T*>(p.grad) +
      (place.batch * p.length + place.row) * 3 * p.heads * p.width;
  const int begin = blockIdx.y * kHeadsEach;
  const int end = min(begin + kHeadsEach, p.heads);
  for (int h = begin; h < end; ++h) {
#pragma unroll
    for (int part = 0; part < 3; ++part) {
      const int64_t own = (static_cast<int64_t>(part) * p.heads + h) * p.width;
      const auto& to = p.parts[part];
      T* head = static_cast<T*>(to.data) + place.batch * to.batch +
          h * to.head + place.row * to.row;
      Pair<V> x = place.read(Backward ? head : input + own);
      if (Backward && p.turned && part < 2) {
        turns.template turn<true>(x);
      }
      if (p.normed && part < 2) {
        const auto width = static_cast<float>(p.width);
        const auto y = Backward ? place.read(input + own) : x;
        const float mean = dot(y, y, lanes) / width + p.epsilon;
        if constexpr (Backward) {
          const float along = dot(x, y, lanes);
          const float share = along == 0 ? 0.f : along / (width * mean);
#pragma unroll
          for (int v = 0; v < V; ++v) {
            x.a[v] -= y.a[v] * share;
            x.b[v] -= y.b[v] * share;
          }
        }
        scale(x, 1 / sqrtf(mean));
      }
      if (!Backward && p.turned && part < 2) {
        turns.template turn<false>(x);
      }
      place.write(Backward ? grad + own : head, x);
    }
  }
}

template <class T, int V>
cudaError_t launch_vector(const AttentionHeadsParams& p, cudaStream_t stream) {
  int lanes = 1;
  while (lanes * V < (p.width + 1) / 2) {
    lanes *= 2;
  }
  const int64_t positions = p.batch * p.length;
  const int64_t each = kThreads / lanes;
  const dim3 grid(
      static_cast<unsigned>((positions + each - 1) / each),
      (p.heads + kHeadsEach - 1) / kHeadsEach);
  if (p.grad != nullptr) {
    heads_kernel<T, V, true><<<grid, kThreads, 0, stream>>>(p, lanes);
  } else {
    heads_kernel<T, V, false><<<grid, kThreads, 0, stream>>>(p, lanes);
  }
  return cudaGetLastError();
}

template <class T>
cudaError_t launch_type(const AttentionHeadsParams& p, cudaStream_t stream) {
  switch (p.vector) {
    case 1:
      return launch_vector<T, 1>(p, stream);
    case 2:
      return launch_vector<T, 2>(p, stream);
    case 4:
      return launch_vector<T, 4>(p, stream);
    case 8:
      if constexpr (sizeof(T) == 2) {
        return launch_vector<T, 8>(p, stream);
      }
      [[fallthrough]];
    default:
      return cudaErrorInvalidValue;
  }
}

} // namespace

int heads_vector(int64_t width, int64_t multiple, Dtype type) {
  int vector = 16 / size_of(type);
  while (vector > 1 && (width % (2 * vector) != 0 || multiple % vector != 0)) {
    vector /= 2;
  }
  return vector;
}

bool has_heads(int64_t width, int vector) {
  return (width + 1) / 2 <= 32 * vector && width / 2 <= kHeadsPairs;
}

cudaError_t
launch(const AttentionHeadsParams& p, Dtype type, cudaStream_t stream) {
  switch (type) {
    case Dtype::float32:
      return launch_type<float>(p, stream);
    case Dtype::float16:
      return launch_type<__half>(p, stream);
    case Dtype::bfloat16:
      return launch_type<__nv_bfloat16>(p, stream);
    default:
      return cudaErrorInvalidValue;
  }
}

} // namespace signalllm::cuda

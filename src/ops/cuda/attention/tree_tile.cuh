#pragma once

// Tiles in shared memory and the two products that everything in
// `tree_attention` is made of, on the matrix units by mma.sync m16n8k16.
//
// A tile is some rows of D values, each row eight values further apart than it
// is long, so that the eight rows of an ldmatrix lie in different banks. A
// float32 value is the sum of three bfloat16 values in three planes, 24 bits of
// it; a product of two takes the six products of planes that count.
//
// A warp has 16 rows of every product. In the accumulators c[n][4] of a
// product, lane l has row l / 4 and columns 8 n + 2 (l % 4) + {0, 1} in c[n][0]
// and c[n][1], and the same columns of row l / 4 + 8 in the other two. Two
// neighbouring n are, as they lie, the left factor of the next product.

#include "tree_attention.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace signalllm::cuda::tree {

constexpr int kThreads = 128;

template <class T>
struct Type {
  using Element = T;
  static constexpr int planes = 1;
  static constexpr int step = 8; // values of 16 bytes
};
template <>
struct Type<float> {
  using Element = __nv_bfloat16;
  static constexpr int planes = 3;
  static constexpr int step = 4;
};

template <class T, int D>
struct Tile {
  using Element = typename Type<T>::Element;
  static constexpr int planes = Type<T>::planes;
  static constexpr int stride = D + 8;

  static constexpr int plane(int rows) {
    return rows * stride;
  }
  static constexpr int values(int rows) {
    return planes * plane(rows);
  }
};

__device__ inline uint32_t shared_address(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

__device__ inline void ldmatrix(uint32_t (&r)[4], const void* row) {
  asm volatile(
      "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
      : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
      : "r"(shared_address(row))
      : "memory");
}

__device__ inline void ldmatrix_turned(uint32_t (&r)[4], const void* row) {
  asm volatile(
      "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
      : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
      : "r"(shared_address(row))
      : "memory");
}

template <class E>
__device__ inline void
mma(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1);
template <>
__device__ inline void mma<__nv_bfloat16>(
    float (&c)[4],
    const uint32_t (&a)[4],
    uint32_t b0,
    uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
template <>
__device__ inline void
mma<__half>(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// Adds the products of planes, the small ones first.
template <class E, int planes>
__device__ inline void multiply(
    float (&c)[4],
    const uint32_t (&a)[planes][4],
    const uint32_t (&b)[planes][4],
    int half) {
#pragma unroll
  for (int sum = planes - 1; sum >= 0; --sum) {
#pragma unroll
    for (int i = 0; i <= sum; ++i) {
      mma<E>(c, a[i], b[sum - i][2 * half], b[sum - i][2 * half + 1]);
    }
  }
}

__device__ inline uint32_t pack(__nv_bfloat16, float x, float y) {
  const auto v = __floats2bfloat162_rn(x, y);
  return reinterpret_cast<const uint32_t&>(v);
}
__device__ inline uint32_t pack(__half, float x, float y) {
  const auto v = __floats2half2_rn(x, y);
  return reinterpret_cast<const uint32_t&>(v);
}

/// Two values in planes.
template <class E, int planes>
__device__ inline void
split(uint32_t (&to)[planes][4], int at, float x, float y) {
#pragma unroll
  for (int p = 0; p < planes; ++p) {
    to[p][at] = pack(E(), x, y);
    if (p + 1 < planes) { // bfloat16: its bits are the upper ones of a float
      x -= __uint_as_float(to[p][at] << 16);
      y -= __uint_as_float(to[p][at] & 0xffff0000u);
    }
  }
}

/// c += a b', 16 rows of `a` with 8 N rows of `b`, over D.
template <class T, int D, int N>
__device__ inline void rows_by_rows(
    float (&c)[N][4],
    const typename Type<T>::Element* a,
    int a_rows,
    int a_row,
    const typename Type<T>::Element* b,
    int b_rows) {
  using E = typename Type<T>::Element;
  using Layout = Tile<T, D>;
  constexpr int planes = Type<T>::planes;
  const int lane = threadIdx.x % 32;
  const E* a_at = a + (a_row + lane % 16) * Layout::stride + lane / 16 * 8;
  const E* b_at =
      b + (lane % 8 + lane / 16 * 8) * Layout::stride + lane / 8 % 2 * 8;
#pragma unroll
  for (int k = 0; k < D; k += 16) {
    uint32_t left[planes][4];
#pragma unroll
    for (int p = 0; p < planes; ++p) {
      ldmatrix(left[p], a_at + p * Layout::plane(a_rows) + k);
    }
#pragma unroll
    for (int n = 0; n < N; n += 2) {
      uint32_t right[planes][4];
#pragma unroll
      for (int p = 0; p < planes; ++p) {
        ldmatrix(
            right[p],
            b_at + p * Layout::plane(b_rows) + n * 8 * Layout::stride + k);
      }
      multiply<E, planes>(c[n], left, right, 0);
      multiply<E, planes>(c[n + 1], left, right, 1);
    }
  }
}

/// c += s b: a warp's 16 rows of 8 N scores with the 8 N rows of `b`.
template <class T, int D, int N>
__device__ inline void scores_by_rows(
    float (&c)[D / 8][4],
    const float (&s)[N][4],
    const typename Type<T>::Element* b,
    int b_rows) {
  using E = typename Type<T>::Element;
  using Layout = Tile<T, D>;
  constexpr int planes = Type<T>::planes;
  const int lane = threadIdx.x % 32;
  const E* b_at = b + lane % 16 * Layout::stride + lane / 16 * 8;
#pragma unroll
  for (int k = 0; k < N; k += 2) {
    uint32_t left[planes][4];
    split<E, planes>(left, 0, s[k][0], s[k][1]);
    split<E, planes>(left, 1, s[k][2], s[k][3]);
    split<E, planes>(left, 2, s[k + 1][0], s[k + 1][1]);
    split<E, planes>(left, 3, s[k + 1][2], s[k + 1][3]);
#pragma unroll
    for (int n = 0; n < D / 8; n += 2) {
      uint32_t right[planes][4];
#pragma unroll
      for (int p = 0; p < planes; ++p) {
        ldmatrix_turned(
            right[p],
            b_at + p * Layout::plane(b_rows) + k * 8 * Layout::stride + n * 8);
      }
      multiply<E, planes>(c[n], left, right, 0);
      multiply<E, planes>(c[n + 1], left, right, 1);
    }
  }
}

/// Copies 16 bytes of a row, zeros where `from` is null.
template <class T, int D>
__device__ inline void copy_step(
    typename Type<T>::Element* tile,
    int rows,
    int row,
    int column,
    const T* from) {
  using Layout = Tile<T, D>;
  auto* to = tile + row * Layout::stride + column;
  if constexpr (Type<T>::planes == 1) {
    const int bytes = from ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                     shared_address(to)),
                 "l"(from ? from : reinterpret_cast<const T*>(tile)),
                 "r"(bytes)
                 : "memory");
  } else {
    const auto x = from ? __ldg(reinterpret_cast<const float4*>(from))
                        : make_float4(0, 0, 0, 0);
    uint32_t parts[3][4];
    split<__nv_bfloat16, 3>(parts, 0, x.x, x.y);
    split<__nv_bfloat16, 3>(parts, 1, x.z, x.w);
#pragma unroll
    for (int p = 0; p < 3; ++p) {
      *reinterpret_cast<uint2*>(to + p * Layout::plane(rows)) =
          make_uint2(parts[p][0], parts[p][1]);
    }
  }
}

/// Fills tiles of `rows` rows; `source(row)` gives one pointer a tile.
template <class T, int D, int count, class Source>
__device__ inline void copy_rows(
    typename Type<T>::Element* const (&tiles)[count],
    int rows,
    const Source& source) {
  constexpr int steps = D / Type<T>::step;
  for (int i = threadIdx.x; i < rows * steps; i += kThreads) {
    const int row = i / steps, column = i % steps * Type<T>::step;
    const T* from[count];
    source(row, from);
#pragma unroll
    for (int t = 0; t < count; ++t) {
      copy_step<T, D>(
          tiles[t], rows, row, column, from[t] ? from[t] + column : nullptr);
    }
  }
}

__device__ inline void copies_end() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
/// Waits for all copies but the newest `left` groups, and for all threads.
template <int left>
__device__ inline void copies_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(left) : "memory");
  __syncthreads();
}

__device__ inline void store_pair(float* to, float x, float y) {
  *reinterpret_cast<float2*>(to) = make_float2(x, y);
}
__device__ inline void store_pair(__half* to, float x, float y) {
  *reinterpret_cast<uint32_t*>(to) = pack(__half(), x, y);
}
__device__ inline void store_pair(__nv_bfloat16* to, float x, float y) {
  *reinterpret_cast<uint32_t*>(to) = pack(__nv_bfloat16(), x, y);
}

} // namespace signalllm::cuda::tree

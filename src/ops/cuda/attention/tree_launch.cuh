#pragma once

#include "tree_attention_gradient.cuh"
#include "tree_nodes.cuh"

#include <type_traits>

// Included by one file for each dtype, so that they compile side by side.

namespace signalllm::cuda::tree {

/// Calls body with the head size as a constant.
template <class Body>
auto with_size(int size, const Body& body) {
  switch (size) {
    case 32:
      return body(std::integral_constant<int, 32>());
    case 64:
      return body(std::integral_constant<int, 64>());
    case 96:
      return body(std::integral_constant<int, 96>());
    default:
      return body(std::integral_constant<int, 128>());
  }
}

inline int blocks_of(int64_t count, int block) {
  return static_cast<int>((count + block - 1) / block);
}

template <class T, int D>
int64_t forward_bytes(const Params& p) {
  return Tile<T, D>::values(kBlock) * sizeof(typename Type<T>::Element) +
      Keys<T, D>::bytes(p);
}
template <class T, int D>
int64_t query_bytes(const Params& p) {
  return 2 * Tile<T, D>::values(kBlock) * sizeof(typename Type<T>::Element) +
      2 * kBlock * sizeof(float) + Keys<T, D>::bytes(p);
}

template <class Kernel>
cudaError_t launch(
    Kernel kernel,
    dim3 grid,
    int64_t bytes,
    const Params& p,
    cudaStream_t stream) {
  const auto error = cudaFuncSetAttribute(
      kernel,
      cudaFuncAttributeMaxDynamicSharedMemorySize,
      static_cast<int>(bytes));
  if (error != cudaSuccess) {
    return error;
  }
  kernel<<<grid, kThreads, static_cast<size_t>(bytes), stream>>>(p);
  return cudaGetLastError();
}

template <class T>
int64_t Launch<T>::shared_bytes(const Params& p) {
  return with_size(p.size, [&](auto size) {
    const auto a = query_bytes<T, size()>(p), b = Queries<T, size()>::bytes();
    return a > b ? a : b;
  });
}

template <class T>
cudaError_t Launch<T>::make_nodes(const Params& p, cudaStream_t stream) {
  return with_size(p.size, [&](auto size) {
    constexpr int D = size();
    for (int base = 0; base < p.layout.levels; base += 10) {
      const dim3 grid(
          blocks_of(p.layout.length >> base, 1024), p.batch * p.heads, 2);
      nodes_kernel<T, D>
          <<<grid, NodeMaker<T, D>::threads, 0, stream>>>(p, base);
    }
    return cudaGetLastError();
  });
}

template <class T>
cudaError_t Launch<T>::forward(const Params& p, cudaStream_t stream) {
  return with_size(p.size, [&](auto size) {
    constexpr int D = size();
    const dim3 grid(blocks_of(p.layout.length, kBlock), p.batch * p.heads);
    return launch(
        forward_kernel<T, D>, grid, forward_bytes<T, D>(p), p, stream);
  });
}

template <class T>
cudaError_t Launch<T>::backward(const Params& p, cudaStream_t stream) {
  return with_size(p.size, [&](auto size) {
    constexpr int D = size();
    const unsigned heads = p.batch * p.heads;
    const dim3 grid(blocks_of(p.layout.length, kBlock), heads);
    const int64_t bytes = Queries<T, D>::bytes();
    auto error =
        launch(query_kernel<T, D>, grid, query_bytes<T, D>(p), p, stream);
    if (error == cudaSuccess && p.parts.blocks > 0) {
      error = launch(
          node_kernel<T, D, false>,
          dim3(p.parts.blocks, heads),
          bytes,
          p,
          stream);
      int most = 0;
      for (int level = 1; level <= p.layout.levels; ++level) {
        if (p.parts.parts[level] > 1 && p.parts.rows[level] > most) {
          most = p.parts.rows[level];
        }
      }
      const auto blocks = [&](int rows) {
        return blocks_of(static_cast<int64_t>(rows) * (D / 4), 256);
      };
      if (most > 0) {
        add_parts<D>
            <<<dim3(blocks(most), heads, 2 * p.layout.levels),
               256,
               0,
               stream>>>(p);
      }
      if (p.layout.levels > 1) {
        fold<D><<<dim3(blocks(p.parts.rows[1]), heads, 2), 256, 0, stream>>>(p);
      }
    }
    if (error == cudaSuccess) {
      error = launch(node_kernel<T, D, true>, grid, bytes, p, stream);
    }
    return error == cudaSuccess ? cudaGetLastError() : error;
  });
}

} // namespace signalllm::cuda::tree

// One launch forward; one backward, two where there are levels. Heads up to 128
// wide; queries, keys and values are read with the heads before the positions
// or beside them, other layouts are copied.
#include "ops/mps/library.h"
#include "ops/tree_attention.h"

#include <ATen/Functions.h>
#include <torch/library.h>

#include <cmath>

namespace signalllm::mps {
namespace {

using at::Tensor;

/// As in tree_attention.metal.
struct TreeAttention {
  int32_t heads, length, width, window, block, blocks, levels, nodes;
  int32_t query_groups;
  int32_t query_row, key_row, value_row, out_row, grad_row;
  float scale;
};

/// Widths that the kernels are made for, and the rows of a SIMD group there.
struct Instance {
  int64_t width, rows;
};
constexpr Instance instances[] = {{32, 8}, {64, 8}, {128, 2}};
constexpr int64_t simd_lanes = 32, most_simds = 4;

/// Memory that a kernel takes, and the way from one position to the next in it.
struct Laid {
  Tensor memory;
  int32_t row;
};

Laid laid(const Tensor& x) {
  const auto beside = x.transpose(1, 2);
  if (!x.is_contiguous() && beside.is_contiguous()) {
    return {beside, static_cast<int32_t>(x.size(1) * x.size(3))};
  }
  return {x.contiguous(), static_cast<int32_t>(x.size(3))};
}

/// What both directions share.
struct Call {
  Kernel kernel;
  Grid grid;
  TreeAttention p{};
  int64_t chunks = 0;
};

Call prepare(const std::string& name, const Tensor& query, int64_t window) {
  constexpr int64_t most = int64_t{1} << 28;
  Call call;
  const auto length = query.size(2), width = query.size(3);
  const auto* instance = std::find_if(
      std::begin(instances), std::end(instances), [&](const Instance& i) {
        return width <= i.width;
      });
  if (instance == std::end(instances) || query.numel() == 0 ||
      query.numel() >= most || window >= most) {
    return call;
  }
  call.kernel =
      kernel(name + "_" + std::to_string(instance->width), query.scalar_type());
  if (!call.kernel) {
    return call;
  }
  auto& p = call.p;
  call.chunks = (length + window - 1) / window;
  // No more SIMD groups than a chunk has use for.
  const auto useful =
      (std::min(window, length) + instance->rows - 1) / instance->rows;
  const auto possible = std::min<int64_t>(
      most_simds,
      static_cast<int64_t>(call.kernel->getMaxThreadsPerThreadgroup()) /
          simd_lanes);
  const auto simds = std::min(useful, possible);
  const auto block = simds * instance->rows;
  p.heads = static_cast<int32_t>(query.size(1));
  p.length = static_cast<int32_t>(length);
  p.width = static_cast<int32_t>(width);
  p.window = static_cast<int32_t>(window);
  p.block = static_cast<int32_t>(block);
  p.blocks =
      static_cast<int32_t>((std::min(window, length) + block - 1) / block);
  p.levels = ops::tree::levels_seen(call.chunks - 1);
  p.nodes = static_cast<int32_t>(
      length + ops::tree::first_node(length, p.levels + 1));
  p.query_groups = static_cast<int32_t>(call.chunks * p.blocks);
  p.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(width)));
  call.grid.threads = simds * simd_lanes;
  call.grid.x = p.query_groups;
  call.grid.y = query.size(0) * query.size(1);
  return call;
}

ops::TwoTensors tree_attention(
    const Tensor& query,
    const Tensor& key,
    const Tensor& value,
    int64_t window) {
  ops::check_tree_attention("tree_attention", query, key, value, window);
  auto call = prepare("tree_attention", query, window);
  if (!call.kernel) {
    return ops::composite::tree_attention(query, key, value, window);
  }
  auto out = ops::empty_heads(query);
  auto logsumexp =
      at::empty(query.sizes().slice(0, 3), query.options().dtype(at::kFloat));
  const auto o = laid(out), q = laid(query), k = laid(key), v = laid(value);
  call.p.out_row = o.row;
  call.p.query_row = q.row;
  call.p.key_row = k.row;
  call.p.value_row = v.row;
  launch(
      call.kernel,
      call.grid,
      o.memory,
      logsumexp,
      q.memory,
      k.memory,
      v.memory,
      call.p);
  return {out, logsumexp};
}

/// Gradients in the layout that a kernel reads `like` in.
Tensor empty_laid(const Tensor& x, const Laid& like) {
  const auto beside = x.transpose(1, 2);
  return like.row == x.size(3)
      ? at::empty(x.sizes(), x.options())
      : at::empty(beside.sizes(), x.options()).transpose(1, 2);
}

void fold(
    const Call& call,
    const Kernel& k,
    const Laid& dk,
    const Laid& dv,
    const Tensor& dk_nodes,
    const Tensor& dv_nodes) {
  const auto count = static_cast<int32_t>(dk.memory.numel());
  Grid grid;
  grid.threads = std::min<uint64_t>(256, k->getMaxThreadsPerThreadgroup());
  grid.x = (count + grid.threads - 1) / grid.threads;
  launch(k, grid, dk.memory, dv.memory, dk_nodes, dv_nodes, call.p, count);
}

ops::ThreeTensors tree_attention_backward(
    const Tensor& grad,
    const Tensor& query,
    const Tensor& key,
    const Tensor& value,
    const Tensor& output,
    const Tensor& logsumexp,
    int64_t window) {
  ops::check_tree_attention_backward(
      grad, query, key, value, output, logsumexp, window);
  auto call = prepare("tree_attention_backward", query, window);
  auto& p = call.p;
  Kernel folding;
  if (p.levels > 0) {
    folding = kernel("tree_attention_fold", query.scalar_type());
  }
  if (!call.kernel || (p.levels > 0 && !folding)) {
    return ops::composite::tree_attention_backward(
        grad, query, key, value, output, logsumexp, window);
  }
  const auto g = laid(grad), q = laid(query), k = laid(key), v = laid(value),
             o = laid(output);
  auto dq = empty_laid(query, q), dk = empty_laid(key, k),
       dv = empty_laid(value, v);
  p.grad_row = g.row;
  p.query_row = q.row;
  p.key_row = k.row;
  p.value_row = v.row;
  p.out_row = o.row;
  const auto nodes = [&] {
    return at::empty(
        {p.levels > 0 ? static_cast<int64_t>(call.grid.y) * p.nodes * p.width
                      : 1},
        query.options().dtype(at::kFloat));
  };
  const auto dk_nodes = nodes(), dv_nodes = nodes();
  for (int level = 0; level <= p.levels; ++level) {
    call.grid.x += ((query.size(2) >> level) + window - 1) / window * p.blocks;
  }
  const Laid to_k = laid(dk), to_v = laid(dv);
  launch(
      call.kernel,
      call.grid,
      laid(dq).memory,
      to_k.memory,
      to_v.memory,
      dk_nodes,
      dv_nodes,
      g.memory,
      q.memory,
      k.memory,
      v.memory,
      o.memory,
      logsumexp.contiguous(),
      p);
  if (folding) {
    fold(call, folding, to_k, to_v, dk_nodes, dv_nodes);
  }
  return {dq, dk, dv};
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, MPS, m) {
  m.impl("tree_attention", &tree_attention);
  m.impl("tree_attention_backward", &tree_attention_backward);
}

} // namespace signalllm::mps

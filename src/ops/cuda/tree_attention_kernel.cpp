#include "attention/tree_attention.h"
#include "bank/transform.h"

#include "ops/tree_attention.h"

#include <ATen/cuda/CUDAContext.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace signalllm::cuda {
namespace tree {

namespace {

template <class Body>
auto with_type(Dtype type, const Body& body) {
  return type == Dtype::float32 ? body(Launch<float>())
      : type == Dtype::float16  ? body(Launch<__half>())
                                : body(Launch<__nv_bfloat16>());
}

} // namespace
} // namespace tree

namespace {

using at::Tensor;
using tree::Params;
using tree::with_type;

/// Rows of whole 16 bytes; a copy where they are not.
Tensor aligned(const Tensor& x) {
  const auto step = 16 / x.element_size();
  const bool fits = x.stride(3) == 1 && x.stride(2) % step == 0 &&
      x.stride(1) % step == 0 && x.stride(0) % step == 0 &&
      reinterpret_cast<uintptr_t>(x.const_data_ptr()) % 16 == 0;
  return fits ? x : x.clone(at::MemoryFormat::Contiguous);
}

tree::Heads heads_of(const Tensor& x) {
  return {
      const_cast<void*>(x.const_data_ptr()),
      x.stride(0),
      x.stride(1),
      x.stride(2)};
}

/// A call's tensors, kept alive, and its parameters.
struct Call {
  Tensor query, key, value, key_nodes, value_nodes;
  Params p;

  Call(const Tensor& q, const Tensor& k, const Tensor& v, int64_t window)
      : query(aligned(q)), key(aligned(k)), value(aligned(v)) {
    p.layout = tree::make_layout(
        static_cast<int>(q.size(2)), static_cast<int>(window));
    p.batch = static_cast<int>(q.size(0));
    p.heads = static_cast<int>(q.size(1));
    p.size = static_cast<int>(q.size(3));
    p.type = dtype_of(q.scalar_type());
    p.query = heads_of(query);
    p.key = heads_of(key);
    p.value = heads_of(value);
  }

  void make_nodes() {
    const int64_t nodes = p.layout.first_node[p.layout.levels + 1];
    const auto sizes = {int64_t{p.batch} * p.heads, nodes, int64_t{p.size}};
    key_nodes = at::empty(sizes, query.options());
    value_nodes = at::empty(sizes, query.options());
    p.key_nodes = key_nodes.mutable_data_ptr();
    p.value_nodes = value_nodes.mutable_data_ptr();
    C10_CUDA_CHECK(with_type(p.type, [&](auto launch) {
      return launch.make_nodes(p, current_stream());
    }));
  }
};

/// Whether the kernels take this: otherwise plain ATen.
bool takes(const Tensor& q, int64_t window) {
  if (q.scalar_type() == at::kDouble || q.numel() == 0 || window % 16 != 0 ||
      !tree::has_size(q.size(3)) || q.size(0) * q.size(1) > 65535 ||
      q.size(2) > (1 << 28) || window > (1 << 24)) {
    return false;
  }
  const auto* device = at::cuda::getDeviceProperties(q.get_device());
  if (device->major < 8) {
    return false;
  }
  Params p;
  p.layout =
      tree::make_layout(static_cast<int>(q.size(2)), static_cast<int>(window));
  p.size = static_cast<int>(q.size(3));
  p.type = dtype_of(q.scalar_type());
  return with_type(p.type, [&](auto launch) {
    return launch.shared_bytes(p) <=
        static_cast<int64_t>(device->sharedMemPerBlockOptin);
  });
}

ops::TwoTensors tree_attention(
    const Tensor& query,
    const Tensor& key,
    const Tensor& value,
    int64_t window) {
  ops::check_tree_attention("tree_attention", query, key, value, window);
  if (!takes(query, window)) {
    return ops::composite::tree_attention(query, key, value, window);
  }
  const c10::cuda::CUDAGuard guard(query.device());
  Call call(query, key, value, window);
  auto output = ops::empty_heads(query);
  auto logsumexp =
      at::empty(query.sizes().slice(0, 3), query.options().dtype(at::kFloat));
  call.p.output = heads_of(output);
  call.p.logsumexp = logsumexp.mutable_data_ptr<float>();
  call.make_nodes();
  C10_CUDA_CHECK(with_type(call.p.type, [&](auto launch) {
    return launch.forward(call.p, current_stream());
  }));
  return {output, logsumexp};
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
  if (!takes(query, window)) {
    return ops::composite::tree_attention_backward(
        grad, query, key, value, output, logsumexp, window);
  }
  const c10::cuda::CUDAGuard guard(query.device());
  Call call(query, key, value, window);
  auto& p = call.p;
  const auto g = aligned(grad), o = aligned(output);
  const auto logs = logsumexp.contiguous();
  auto query_grad = ops::empty_heads(query);
  auto key_grad = ops::empty_heads(key), value_grad = ops::empty_heads(value);
  p.grad = heads_of(g);
  p.output = heads_of(o);
  p.query_grad = heads_of(query_grad);
  p.key_grad = heads_of(key_grad);
  p.value_grad = heads_of(value_grad);
  p.logsumexp = const_cast<float*>(logs.const_data_ptr<float>());
  p.parts = tree::make_parts(p.layout);
  auto means = at::empty_like(logs);
  const auto parts = at::empty(
      {2, int64_t{p.batch} * p.heads, p.parts.total_rows, p.size},
      logs.options());
  p.means = means.mutable_data_ptr<float>();
  p.key_parts = parts.mutable_data_ptr<float>();
  p.value_parts = p.key_parts + parts.numel() / 2;
  call.make_nodes();
  C10_CUDA_CHECK(with_type(p.type, [&](auto launch) {
    return launch.backward(p, current_stream());
  }));
  return {query_grad, key_grad, value_grad};
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, CUDA, m) {
  m.impl("tree_attention", &tree_attention);
  m.impl("tree_attention_backward", &tree_attention_backward);
}

} // namespace signalllm::cuda

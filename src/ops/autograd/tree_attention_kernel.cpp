#include "ops/tree_attention.h"

#include <signalllm/ops/tree_attention.h>

#include "ops/autograd/redispatch.h"

#include <torch/library.h>

namespace signalllm::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct TreeAttention : torch::autograd::Function<TreeAttention> {
  static variable_list forward(
      AutogradContext* ctx,
      const at::Tensor& query,
      const at::Tensor& key,
      const at::Tensor& value,
      int64_t window) {
    ctx->saved_data["window"] = window;
    const at::AutoDispatchBelowADInplaceOrView guard;
    auto [output, logsumexp] = ops::tree_attention(query, key, value, window);
    ctx->save_for_backward({query, key, value, output, logsumexp});
    ctx->mark_non_differentiable({logsumexp});
    return {output, logsumexp};
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto [query, key, value] = detail::tree_attention_backward(
        grads[0],
        saved[0],
        saved[1],
        saved[2],
        saved[3],
        saved[4],
        ctx->saved_data["window"].toInt());
    return {query, key, value, at::Tensor()};
  }
};

TwoTensors tree_attention_autograd(
    const at::Tensor& query,
    const at::Tensor& key,
    const at::Tensor& value,
    int64_t window) {
  const auto results = TreeAttention::apply(query, key, value, window);
  return {results[0], results[1]};
}

ThreeTensors tree_attention_backward_autograd(
    const at::Tensor& grad,
    const at::Tensor& query,
    const at::Tensor& key,
    const at::Tensor& value,
    const at::Tensor& output,
    const at::Tensor& logsumexp,
    int64_t window) {
  if (needs_graph(grad, query, key, value)) {
    return composite::tree_attention_backward(
        grad, query, key, value, output, logsumexp, window);
  }
  const at::AutoDispatchBelowADInplaceOrView guard;
  return detail::tree_attention_backward(
      grad, query, key, value, output, logsumexp, window);
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, Autograd, m) {
  m.impl("tree_attention", &tree_attention_autograd);
  m.impl("tree_attention_backward", &tree_attention_backward_autograd);
}

} // namespace signalllm::ops

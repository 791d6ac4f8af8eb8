#include "ops/attention_heads.h"

#include <signalllm/ops/attention_heads.h>

#include "ops/autograd/redispatch.h"

#include <torch/library.h>

namespace signalllm::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct AttentionHeads : torch::autograd::Function<AttentionHeads> {
  static variable_list forward(
      AutogradContext* ctx,
      const at::Tensor& input,
      int64_t heads,
      std::optional<double> base,
      int64_t offset,
      std::optional<double> epsilon) {
    if (epsilon) {
      ctx->save_for_backward({input});
    }
    ctx->saved_data["base"] = base;
    ctx->saved_data["offset"] = offset;
    ctx->saved_data["epsilon"] = epsilon;
    const at::AutoDispatchBelowADInplaceOrView guard;
    auto [query, key, value] =
        ops::attention_heads(input, heads, base, offset, epsilon);
    return {query, key, value};
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    return {
        detail::attention_heads_backward(
            grads[0],
            grads[1],
            grads[2],
            saved.empty() ? std::nullopt : std::optional(saved[0]),
            ctx->saved_data["base"].toOptional<double>(),
            ctx->saved_data["offset"].toInt(),
            ctx->saved_data["epsilon"].toOptional<double>()),
        at::Tensor(),
        at::Tensor(),
        at::Tensor(),
        at::Tensor()};
  }
};

ThreeHeads attention_heads_autograd(
    const at::Tensor& input,
    int64_t heads,
    std::optional<double> base,
    int64_t offset,
    std::optional<double> epsilon) {
  if (!differentiated(input)) {
    const at::AutoDispatchBelowADInplaceOrView guard;
    return ops::attention_heads(input, heads, base, offset, epsilon);
  }
  const auto all = AttentionHeads::apply(input, heads, base, offset, epsilon);
  return {all[0], all[1], all[2]};
}

at::Tensor backward_autograd(
    const at::Tensor& grad_query,
    const at::Tensor& grad_key,
    const at::Tensor& grad_value,
    const std::optional<at::Tensor>& input,
    std::optional<double> base,
    int64_t offset,
    std::optional<double> epsilon) {
  if (needs_graph(grad_query, grad_key, grad_value, input)) {
    return composite::attention_heads_backward(
        grad_query, grad_key, grad_value, input, base, offset, epsilon);
  }
  const at::AutoDispatchBelowADInplaceOrView guard;
  return detail::attention_heads_backward(
      grad_query, grad_key, grad_value, input, base, offset, epsilon);
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, Autograd, m) {
  m.impl("attention_heads", &attention_heads_autograd);
  m.impl("attention_heads_backward", &backward_autograd);
}

} // namespace signalllm::ops

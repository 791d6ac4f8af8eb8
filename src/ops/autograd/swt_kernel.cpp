#include "ops/swt.h"

#include <signalllm/ops/iswt.h>
#include <signalllm/ops/swt.h>

#include "ops/autograd/redispatch.h"

#include <ATen/TensorOperators.h>
#include <torch/library.h>

namespace signalllm::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Swt : torch::autograd::Function<Swt> {
  static variable_list forward(
      AutogradContext* ctx,
      const at::Tensor& input,
      const at::Tensor& dec_lo,
      const at::Tensor& dec_hi,
      int64_t level,
      int64_t dim) {
    const bool filters = dec_lo.requires_grad() || dec_hi.requires_grad();
    ctx->save_for_backward({filters ? input : at::Tensor(), dec_lo, dec_hi});
    ctx->saved_data["dim"] = dim;
    const at::AutoDispatchBelowADInplaceOrView guard;
    return ops::swt(input, dec_lo, dec_hi, level, dim);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto dim = ctx->saved_data["dim"].toInt();
    variable_list out(5);
    if (ctx->needs_input_grad(0)) {
      out[0] =
          ops::iswt(grads, saved[1].flip(-1) * 2, saved[2].flip(-1) * 2, dim);
    }
    if (ctx->needs_input_grad(1) || ctx->needs_input_grad(2)) {
      std::tie(out[1], out[2]) = detail::swt_backward_filters(
          grads, saved[0], saved[1], saved[2], dim);
    }
    return out;
  }
};

std::vector<at::Tensor> swt_autograd(
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t level,
    int64_t dim) {
  if (!differentiated(input, dec_lo, dec_hi)) {
    const at::AutoDispatchBelowADInplaceOrView guard;
    return ops::swt(input, dec_lo, dec_hi, level, dim);
  }
  return Swt::apply(input, dec_lo, dec_hi, level, dim);
}

std::tuple<at::Tensor, at::Tensor> backward_filters_autograd(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t dim) {
  if (needs_graph(grads, input, dec_lo, dec_hi)) {
    return composite::swt_backward_filters(grads, input, dec_lo, dec_hi, dim);
  }
  const at::AutoDispatchBelowADInplaceOrView guard;
  return detail::swt_backward_filters(grads, input, dec_lo, dec_hi, dim);
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, Autograd, m) {
  m.impl("swt", &swt_autograd);
  m.impl("swt_backward_filters", &backward_filters_autograd);
}

} // namespace signalllm::ops

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

struct Iswt : torch::autograd::Function<Iswt> {
  static at::Tensor forward(
      AutogradContext* ctx,
      at::TensorList coeffs,
      const at::Tensor& rec_lo,
      const at::Tensor& rec_hi,
      int64_t dim) {
    variable_list saved{rec_lo, rec_hi};
    if (rec_lo.requires_grad() || rec_hi.requires_grad()) {
      saved.insert(saved.end(), coeffs.begin(), coeffs.end());
    }
    ctx->save_for_backward(saved);
    ctx->saved_data["count"] = static_cast<int64_t>(coeffs.size());
    ctx->saved_data["dim"] = dim;
    const at::AutoDispatchBelowADInplaceOrView guard;
    return ops::iswt(coeffs, rec_lo, rec_hi, dim);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto dim = ctx->saved_data["dim"].toInt();
    const auto count = static_cast<size_t>(ctx->saved_data["count"].toInt());
    const auto lo = saved[0].flip(-1) * 0.5;
    const auto hi = saved[1].flip(-1) * 0.5;
    variable_list out(count + 3);
    bool coeffs = false;
    for (size_t i = 0; i < count; ++i) {
      coeffs |= ctx->needs_input_grad(i);
    }
    if (coeffs) {
      auto g = ops::swt(grads[0], lo, hi, static_cast<int64_t>(count) - 1, dim);
      std::move(g.begin(), g.end(), out.begin());
    }
    if (ctx->needs_input_grad(count) || ctx->needs_input_grad(count + 1)) {
      // <g, iswt(c)> = <swt(g), c> with the filters above.
      auto [dlo, dhi] = detail::swt_backward_filters(
          at::TensorList(saved).slice(2), grads[0], lo, hi, dim);
      out[count] = dlo.flip(-1) * 0.5;
      out[count + 1] = dhi.flip(-1) * 0.5;
    }
    return out;
  }
};

at::Tensor iswt_autograd(
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    int64_t dim) {
  if (!differentiated(coeffs, rec_lo, rec_hi)) {
    const at::AutoDispatchBelowADInplaceOrView guard;
    return ops::iswt(coeffs, rec_lo, rec_hi, dim);
  }
  return Iswt::apply(coeffs, rec_lo, rec_hi, dim);
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, Autograd, m) {
  m.impl("iswt", &iswt_autograd);
}

} // namespace signalllm::ops

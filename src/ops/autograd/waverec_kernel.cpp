#include "ops/waverec.h"

#include <signalllm/ops/waverec.h>

#include "ops/autograd/redispatch.h"

#include <torch/library.h>

namespace signalllm::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Waverec : torch::autograd::Function<Waverec> {
  static at::Tensor forward(
      AutogradContext* ctx,
      at::TensorList coeffs,
      const at::Tensor& rec_lo,
      const at::Tensor& rec_hi,
      const std::string& mode,
      int64_t dim) {
    variable_list saved{rec_lo, rec_hi};
    if (rec_lo.requires_grad() || rec_hi.requires_grad()) {
      saved.insert(saved.end(), coeffs.begin(), coeffs.end());
    }
    ctx->save_for_backward(saved);
    ctx->saved_data["mode"] = mode;
    ctx->saved_data["dim"] = dim;
    const at::AutoDispatchBelowADInplaceOrView guard;
    auto y = ops::waverec(coeffs, rec_lo, rec_hi, mode, dim);
    // Only now is dim known to be valid.
    std::vector<c10::SymInt> lengths;
    for (const auto& c : coeffs) {
      lengths.push_back(c.sym_size(dim));
    }
    ctx->saved_data["lengths"] = lengths;
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto mode = ctx->saved_data["mode"].toStringRef();
    const auto dim = ctx->saved_data["dim"].toInt();
    const auto lengths = ctx->saved_data["lengths"].toSymIntVector();
    const size_t count = lengths.size();
    variable_list out(count + 4);
    bool coeffs = false;
    for (size_t i = 0; i < count; ++i) {
      coeffs |= ctx->needs_input_grad(i);
    }
    const bool filters =
        ctx->needs_input_grad(count) || ctx->needs_input_grad(count + 1);
    variable_list g;
    if (coeffs && filters) {
      std::tie(g, out[count], out[count + 1]) = detail::waverec_backward(
          grads[0],
          at::TensorList(saved).slice(2),
          saved[0],
          saved[1],
          mode,
          dim);
    } else if (coeffs) {
      g = detail::waverec_backward_input(
          grads[0], saved[0], saved[1], lengths, mode, dim);
    } else if (filters) {
      std::tie(out[count], out[count + 1]) = detail::waverec_backward_filters(
          grads[0],
          at::TensorList(saved).slice(2),
          saved[0],
          saved[1],
          mode,
          dim);
    }
    std::move(g.begin(), g.end(), out.begin());
    return out;
  }
};

at::Tensor waverec_autograd(
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim) {
  if (!differentiated(coeffs, rec_lo, rec_hi)) {
    const at::AutoDispatchBelowADInplaceOrView guard;
    return ops::waverec(coeffs, rec_lo, rec_hi, mode, dim);
  }
  return Waverec::apply(coeffs, rec_lo, rec_hi, std::string(mode), dim);
}

std::vector<at::Tensor> backward_input_autograd(
    const at::Tensor& grad,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    c10::SymIntArrayRef lengths,
    std::string_view mode,
    int64_t dim) {
  if (needs_graph(grad, rec_lo, rec_hi)) {
    return composite::waverec_backward_input(
        grad, rec_lo, rec_hi, C10_AS_INTARRAYREF_SLOW(lengths), mode, dim);
  }
  const at::AutoDispatchBelowADInplaceOrView guard;
  return detail::waverec_backward_input(
      grad, rec_lo, rec_hi, lengths, mode, dim);
}

std::tuple<at::Tensor, at::Tensor> backward_filters_autograd(
    const at::Tensor& grad,
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim) {
  if (needs_graph(grad, coeffs, rec_lo, rec_hi)) {
    return composite::waverec_backward_filters(
        grad, coeffs, rec_lo, rec_hi, mode, dim);
  }
  const at::AutoDispatchBelowADInplaceOrView guard;
  return detail::waverec_backward_filters(
      grad, coeffs, rec_lo, rec_hi, mode, dim);
}

std::tuple<std::vector<at::Tensor>, at::Tensor, at::Tensor> backward_autograd(
    const at::Tensor& grad,
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim) {
  if (needs_graph(grad, coeffs, rec_lo, rec_hi)) {
    std::vector<int64_t> lengths;
    for (const auto& c : coeffs) {
      lengths.push_back(c.size(dim));
    }
    auto [lo, hi] = composite::waverec_backward_filters(
        grad, coeffs, rec_lo, rec_hi, mode, dim);
    return {
        composite::waverec_backward_input(
            grad, rec_lo, rec_hi, lengths, mode, dim),
        lo,
        hi};
  }
  const at::AutoDispatchBelowADInplaceOrView guard;
  return detail::waverec_backward(grad, coeffs, rec_lo, rec_hi, mode, dim);
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, Autograd, m) {
  m.impl("waverec", &waverec_autograd);
  m.impl("waverec_backward", &backward_autograd);
  m.impl("waverec_backward_input", &backward_input_autograd);
  m.impl("waverec_backward_filters", &backward_filters_autograd);
}

} // namespace signalllm::ops

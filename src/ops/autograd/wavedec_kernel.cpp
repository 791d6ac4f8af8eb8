#include "ops/wavedec.h"

#include <signalllm/ops/wavedec.h>

#include "ops/autograd/redispatch.h"

#include <torch/library.h>

namespace signalllm::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Wavedec : torch::autograd::Function<Wavedec> {
  static variable_list forward(
      AutogradContext* ctx,
      const at::Tensor& input,
      const at::Tensor& dec_lo,
      const at::Tensor& dec_hi,
      int64_t level,
      const std::string& mode,
      int64_t dim) {
    const bool filters = dec_lo.requires_grad() || dec_hi.requires_grad();
    ctx->save_for_backward({filters ? input : at::Tensor(), dec_lo, dec_hi});
    ctx->saved_data["mode"] = mode;
    ctx->saved_data["dim"] = dim;
    const at::AutoDispatchBelowADInplaceOrView guard;
    auto coeffs = ops::wavedec(input, dec_lo, dec_hi, level, mode, dim);
    // Only now is dim known to be valid.
    ctx->saved_data["length"] = input.sym_size(dim);
    return coeffs;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto mode = ctx->saved_data["mode"].toStringRef();
    const auto dim = ctx->saved_data["dim"].toInt();
    variable_list out(6);
    const bool filters = ctx->needs_input_grad(1) || ctx->needs_input_grad(2);
    if (ctx->needs_input_grad(0) && filters) {
      std::tie(out[0], out[1], out[2]) = detail::wavedec_backward(
          grads, saved[0], saved[1], saved[2], mode, dim);
    } else if (ctx->needs_input_grad(0)) {
      out[0] = detail::wavedec_backward_input(
          grads,
          saved[1],
          saved[2],
          ctx->saved_data["length"].toSymInt(),
          mode,
          dim);
    } else if (filters) {
      std::tie(out[1], out[2]) = detail::wavedec_backward_filters(
          grads, saved[0], saved[1], saved[2], mode, dim);
    }
    return out;
  }
};

std::vector<at::Tensor> wavedec_autograd(
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t level,
    std::string_view mode,
    int64_t dim) {
  if (!differentiated(input, dec_lo, dec_hi)) {
    const at::AutoDispatchBelowADInplaceOrView guard;
    return ops::wavedec(input, dec_lo, dec_hi, level, mode, dim);
  }
  return Wavedec::apply(input, dec_lo, dec_hi, level, std::string(mode), dim);
}

at::Tensor backward_input_autograd(
    at::TensorList grads,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    c10::SymInt length,
    std::string_view mode,
    int64_t dim) {
  if (needs_graph(grads, dec_lo, dec_hi)) {
    return composite::wavedec_backward_input(
        grads, dec_lo, dec_hi, length.guard_int(__FILE__, __LINE__), mode, dim);
  }
  const at::AutoDispatchBelowADInplaceOrView guard;
  return detail::wavedec_backward_input(
      grads, dec_lo, dec_hi, std::move(length), mode, dim);
}

std::tuple<at::Tensor, at::Tensor> backward_filters_autograd(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    std::string_view mode,
    int64_t dim) {
  if (needs_graph(grads, input, dec_lo, dec_hi)) {
    return composite::wavedec_backward_filters(
        grads, input, dec_lo, dec_hi, mode, dim);
  }
  const at::AutoDispatchBelowADInplaceOrView guard;
  return detail::wavedec_backward_filters(
      grads, input, dec_lo, dec_hi, mode, dim);
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> backward_autograd(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    std::string_view mode,
    int64_t dim) {
  if (needs_graph(grads, input, dec_lo, dec_hi)) {
    auto [lo, hi] = composite::wavedec_backward_filters(
        grads, input, dec_lo, dec_hi, mode, dim);
    return {
        composite::wavedec_backward_input(
            grads, dec_lo, dec_hi, input.size(dim), mode, dim),
        lo,
        hi};
  }
  const at::AutoDispatchBelowADInplaceOrView guard;
  return detail::wavedec_backward(grads, input, dec_lo, dec_hi, mode, dim);
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, Autograd, m) {
  m.impl("wavedec", &wavedec_autograd);
  m.impl("wavedec_backward", &backward_autograd);
  m.impl("wavedec_backward_input", &backward_input_autograd);
  m.impl("wavedec_backward_filters", &backward_filters_autograd);
}

} // namespace signalllm::ops

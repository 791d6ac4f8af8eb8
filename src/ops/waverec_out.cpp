#include "ops/waverec_out.h"

#include "ops/find_operator.h"
#include "ops/out_argument.h"

#include <signalllm/ops/waverec.h>

#include <ATen/core/LegacyTypeDispatch.h>
#include <torch/library.h>

#include <string>

namespace signalllm::ops {
namespace {

at::Tensor& call_waverec_out(
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim,
    at::Tensor& out) {
  static const auto op =
      find_operator<decltype(call_waverec_out)>("signalllm::waverec", "out");
  return op.call(coeffs, rec_lo, rec_hi, mode, dim, out);
}

} // namespace

at::Tensor& waverec_out(
    at::Tensor& out,
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim) {
  return call_waverec_out(coeffs, rec_lo, rec_hi, mode, dim, out);
}

void check_waverec_out(
    const WaverecPlan& plan,
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    const at::Tensor& out) {
  check_out("waverec", "out", out, plan.signal.sizes, coeffs[0]);
  check_apart("waverec", "out", out, "rec_lo", rec_lo);
  check_apart("waverec", "out", out, "rec_hi", rec_hi);
  for (size_t i = 0; i < coeffs.size(); ++i) {
    check_apart(
        "waverec", "out", out, "coeffs[" + std::to_string(i) + "]", coeffs[i]);
  }
}

namespace {

at::Tensor& waverec_out_composite(
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim,
    at::Tensor& out) {
  check_waverec_out(
      plan_waverec("waverec", coeffs, rec_lo, rec_hi, mode, dim),
      coeffs,
      rec_lo,
      rec_hi,
      out);
  return out.copy_(waverec(coeffs, rec_lo, rec_hi, mode, dim));
}

at::Tensor& waverec_out_autograd(
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim,
    at::Tensor& out) {
  refuse_gradient("waverec", coeffs);
  refuse_gradient("waverec", {rec_lo, rec_hi, out});
  {
    const at::AutoDispatchBelowADInplaceOrView guard;
    call_waverec_out(coeffs, rec_lo, rec_hi, mode, dim, out);
  }
  out.unsafeGetTensorImpl()->bump_version();
  return out;
}

} // namespace

TORCH_LIBRARY_FRAGMENT(signalllm, m) {
  m.def(
      "waverec.out(Tensor[] coeffs, Tensor rec_lo, Tensor rec_hi, "
      "str mode=\"reflect\", int dim=-2, *, Tensor(a!) out) -> Tensor(a!)");
}

TORCH_LIBRARY_IMPL(signalllm, CompositeExplicitAutograd, m) {
  m.impl("waverec.out", &waverec_out_composite);
}

TORCH_LIBRARY_IMPL(signalllm, Autograd, m) {
  m.impl("waverec.out", &waverec_out_autograd);
}

} // namespace signalllm::ops

#include "ops/wavedec_out.h"

#include "ops/find_operator.h"
#include "ops/out_argument.h"

#include <signalllm/ops/wavedec.h>

#include <ATen/core/LegacyTypeDispatch.h>
#include <torch/library.h>

#include <string>

namespace signalllm::ops {
namespace {

void call_wavedec_out(
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t level,
    std::string_view mode,
    int64_t dim,
    at::TensorList out) {
  static const auto op =
      find_operator<decltype(call_wavedec_out)>("signalllm::wavedec", "out");
  op.call(input, dec_lo, dec_hi, level, mode, dim, out);
}

} // namespace

void wavedec_out(
    at::TensorList out,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t level,
    std::string_view mode,
    int64_t dim) {
  call_wavedec_out(input, dec_lo, dec_hi, level, mode, dim, out);
}

void check_wavedec_out(
    const WavedecPlan& plan,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    at::TensorList out) {
  const int64_t levels = plan.levels();
  TORCH_CHECK(
      static_cast<int64_t>(out.size()) == levels + 1,
      "wavedec: out must hold ",
      levels + 1,
      " tensors for ",
      levels,
      " levels, got ",
      out.size());
  for (int64_t i = 0; i <= levels; ++i) {
    const auto name = "out[" + std::to_string(i) + "]";
    check_out(
        "wavedec",
        name,
        out[i],
        plan.signal.sizes_for(plan.lengths[i == 0 ? levels : levels - i + 1]),
        input);
    check_apart("wavedec", name, out[i], "input", input);
    check_apart("wavedec", name, out[i], "dec_lo", dec_lo);
    check_apart("wavedec", name, out[i], "dec_hi", dec_hi);
    for (int64_t j = 0; j < i; ++j) {
      check_apart("wavedec", name, out[i], "another of the outputs", out[j]);
    }
  }
}

namespace {

void wavedec_out_composite(
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t level,
    std::string_view mode,
    int64_t dim,
    at::TensorList out) {
  check_wavedec_out(
      plan_wavedec("wavedec", input, dec_lo, dec_hi, level, mode, dim),
      input,
      dec_lo,
      dec_hi,
      out);
  const auto coeffs = wavedec(input, dec_lo, dec_hi, level, mode, dim);
  for (size_t i = 0; i < coeffs.size(); ++i) {
    out[i].copy_(coeffs[i]);
  }
}

void wavedec_out_autograd(
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t level,
    std::string_view mode,
    int64_t dim,
    at::TensorList out) {
  refuse_gradient("wavedec", {input, dec_lo, dec_hi});
  refuse_gradient("wavedec", out);
  {
    const at::AutoDispatchBelowADInplaceOrView guard;
    call_wavedec_out(input, dec_lo, dec_hi, level, mode, dim, out);
  }
  for (const auto& t : out) {
    t.unsafeGetTensorImpl()->bump_version();
  }
}

} // namespace

TORCH_LIBRARY_FRAGMENT(signalllm, m) {
  m.def(
      "wavedec.out(Tensor input, Tensor dec_lo, Tensor dec_hi, int level, "
      "str mode=\"reflect\", int dim=-2, *, Tensor(a!)[] out) -> ()");
}

TORCH_LIBRARY_IMPL(signalllm, CompositeExplicitAutograd, m) {
  m.impl("wavedec.out", &wavedec_out_composite);
}

TORCH_LIBRARY_IMPL(signalllm, Autograd, m) {
  m.impl("wavedec.out", &wavedec_out_autograd);
}

} // namespace signalllm::ops

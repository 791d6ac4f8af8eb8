#include "causal.h"
#include "correlate.h"
#include "transform.h"

#include "ops/causal_wavedec.h"
#include "ops/causal_wavelet_filter.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

#include <algorithm>

namespace signalllm::cuda {
namespace {

/// A run of all steps in as many launches as they need.
struct CausalRun {
  CausalKind kind;
  const ops::Signal& signal;
  const FilterPair& filters;
  at::ScalarType type;
  std::vector<int64_t> dilations; // in the order of the steps
  std::vector<at::Tensor> details; // likewise
  at::Tensor weight; // [channels or 1, J + 2] in the accumulate type
  at::Tensor source; // the filters' input or gradient

  at::Tensor scratch() const {
    return at::empty(
        {signal.batch, signal.length, signal.inner}, filters.lo.options());
  }

  /// From `input` into `out`; the states after each step where asked for.
  void operator()(
      at::Tensor input,
      at::Tensor& out,
      std::vector<at::Tensor>* states = nullptr) const {
    const bool filter =
        kind == CausalKind::filter || kind == CausalKind::filter_transposed;
    const auto aligned = [](const at::Tensor& t) {
      return !t.defined() ||
          reinterpret_cast<uintptr_t>(t.const_data_ptr()) % 16 == 0;
    };
    const bool vectors = signal.inner % (16 / size_of(dtype_of(type))) == 0 &&
        aligned(input) && aligned(out) && aligned(source) &&
        std::all_of(details.begin(), details.end(), aligned);
    const int total = static_cast<int>(dilations.size());
    at::Tensor partial;
    for (int done = 0; done < total;) {
      CausalParams p;
      p.kind = kind;
      p.filters = filters.filters;
      p.length = static_cast<int>(signal.length);
      auto kernel = choose_kernel(
          dtype_of(type),
          vectors,
          p.filters.channels > 0,
          true,
          p.filters.taps,
          signal.batch,
          signal.length,
          signal.inner,
          p.shape);
      auto limits = tile_limits(kernel, p.shape, p.filters.taps);
      limits.sweep /= 2; // states take twice the room of coefficients
      plan_causal(
          dilations.data() + done,
          states != nullptr ? 1 : total - done,
          limits,
          p);
      p.first = done == 0;
      p.last = done + p.steps == total;
      p.input = input.const_data_ptr();
      p.wide_input = input.scalar_type() != type;
      for (int i = 0; i < p.steps && !details.empty(); ++i) {
        p.details[i] = details[done + i].mutable_data_ptr();
      }
      if (filter) {
        p.weight = weight.const_data_ptr();
        p.weight_channels = static_cast<int>(weight.size(0));
        p.weight_stride = static_cast<int>(weight.size(1));
        for (int i = 0; i < p.steps; ++i) {
          p.weights[i] =
              kind == CausalKind::filter ? done + i + 1 : total - done - i;
        }
        p.signal = source.const_data_ptr();
      }
      at::Tensor state = p.last && states == nullptr ? out : scratch();
      at::Tensor sum;
      if (kind == CausalKind::filter) {
        sum = p.last ? out : scratch();
        p.partial = partial.defined() ? partial.const_data_ptr() : nullptr;
        p.output = sum.mutable_data_ptr();
        p.wide_output = sum.scalar_type() != type;
        if (p.last) {
          state = at::Tensor();
        }
      }
      if (state.defined()) {
        p.state = state.mutable_data_ptr();
        p.wide_state = state.scalar_type() != type;
      }
      C10_CUDA_CHECK(launch(p, kernel, current_stream()));
      partial = sum;
      input = state;
      if (states != nullptr) {
        states->push_back(state);
      }
      done += p.steps;
    }
  }
};

std::vector<int64_t> dilations(int64_t levels, bool backwards) {
  std::vector<int64_t> out;
  for (int64_t j = 0; j < levels; ++j) {
    out.push_back(int64_t{1} << j);
  }
  if (backwards) {
    std::reverse(out.begin(), out.end());
  }
  return out;
}

std::vector<at::Tensor> contiguous(at::TensorList tensors) {
  std::vector<at::Tensor> out;
  for (const auto& t : tensors) {
    out.push_back(t.contiguous());
  }
  return out;
}

bool takes(const ops::Signal& s) {
  return indexable(s) && s.batch * s.inner > 0;
}

std::vector<at::Tensor> causal_wavedec(
    const at::Tensor& input,
    const at::Tensor& lo,
    int64_t level,
    int64_t dim) {
  const auto s =
      ops::check_causal_wavedec("causal_wavedec", input, lo, level, dim);
  if (level == 0 || !takes(s)) {
    return ops::composite::causal_wavedec(input, lo, level, dim);
  }
  const c10::cuda::CUDAGuard guard(input.device());
  std::vector<at::Tensor> out(level + 1);
  for (auto& t : out) {
    t = at::empty(s.sizes, input.options());
  }
  const FilterPair f(lo, lo, ops::accumulate_type(input.scalar_type()), false);
  const CausalRun run{
      CausalKind::analysis,
      s,
      f,
      input.scalar_type(),
      dilations(level, false),
      {out.rbegin(), out.rend() - 1}};
  run(input.contiguous(), out[0]);
  return out;
}

at::Tensor causal_wavedec_backward_input(
    at::TensorList grads,
    const at::Tensor& lo,
    int64_t dim) {
  const auto s =
      ops::check_causal_grads("causal_wavedec_backward_input", grads, lo, dim);
  const auto level = static_cast<int64_t>(grads.size()) - 1;
  if (level == 0 || !takes(s)) {
    return ops::composite::causal_wavedec_backward_input(grads, lo, dim);
  }
  const c10::cuda::CUDAGuard guard(grads[0].device());
  auto out = at::empty(s.sizes, grads[0].options());
  const FilterPair f(lo, lo, ops::accumulate_type(out.scalar_type()), false);
  const CausalRun run{
      CausalKind::analysis_transposed,
      s,
      f,
      out.scalar_type(),
      dilations(level, true),
      contiguous(grads.slice(1))};
  run(grads[0].contiguous(), out);
  return out;
}

/// Gradient of one dilated filter, `[1 or 2, inner, taps]`.
at::Tensor tap_sums(
    const at::Tensor& g0,
    const at::Tensor& g1,
    const at::Tensor& x,
    at::ScalarType type,
    int64_t taps,
    const ops::Signal& s,
    int64_t dilation) {
  return correlate(
      g0,
      g1,
      x,
      type,
      taps,
      s,
      {Border::zero, 1, 0, dilation, s.length, s.length});
}

at::Tensor causal_wavedec_backward_filter(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& lo,
    int64_t dim) {
  const auto s =
      ops::check_causal_grads("causal_wavedec_backward_filter", grads, lo, dim);
  const auto level = static_cast<int64_t>(grads.size()) - 1;
  if (level == 0 || !takes(s)) {
    return ops::composite::causal_wavedec_backward_filter(
        grads, input, lo, dim);
  }
  const c10::cuda::CUDAGuard guard(input.device());
  const auto type = input.scalar_type();
  const auto sum = ops::accumulate_type(type);
  const FilterPair f(lo, lo, sum, false);
  std::vector<at::Tensor> a{input.contiguous()};
  at::Tensor unused;
  if (level > 1) {
    // The last approximation meets no filter.
    std::vector<at::Tensor> details(
        level - 1, at::empty(s.sizes, input.options()));
    const CausalRun run{
        CausalKind::analysis, s, f, type, dilations(level - 1, false), details};
    run(a[0], unused, &a);
  }
  // Gradients of a_j: S_{j} = d_{j+1} + lo' (S_{j+1} - d_{j+1}).
  const auto d = contiguous(grads.slice(1));
  std::vector<at::Tensor> g{grads[0].contiguous()};
  if (level > 1) {
    auto steps = dilations(level, true);
    steps.pop_back();
    const CausalRun run{
        CausalKind::analysis_transposed,
        s,
        f,
        type,
        steps,
        {d.begin(), d.end() - 1}};
    run(g[0], unused, &g);
  }
  at::Tensor sums;
  const auto view = [&](const at::Tensor& t) {
    return t.view({s.batch, s.length, s.inner}).to(sum);
  };
  for (int64_t j = level - 1; j >= 0; --j) {
    const auto step = level - 1 - j;
    const auto part = tap_sums(
        view(g[step]) - view(d[step]),
        {},
        a[j],
        type,
        lo.size(-1),
        s,
        int64_t{1} << j);
    sums = sums.defined() ? sums + part : part;
  }
  return ops::reduce_filter(sums[0], lo, s);
}

at::Tensor causal_wavelet_filter(
    const at::Tensor& input,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim) {
  const auto s = ops::check_causal_wavelet_filter(
      "causal_wavelet_filter", input, lo, hi, weight, dim);
  if (weight.size(1) == 2 || !takes(s)) {
    return ops::composite::causal_wavelet_filter(input, lo, hi, weight, dim);
  }
  const c10::cuda::CUDAGuard guard(input.device());
  const auto x = input.contiguous();
  auto out = at::empty(s.sizes, input.options());
  const auto sum = ops::accumulate_type(input.scalar_type());
  const FilterPair f(lo, hi, sum, false);
  const CausalRun run{
      CausalKind::filter,
      s,
      f,
      input.scalar_type(),
      dilations(weight.size(1) - 2, false),
      {},
      weight.to(sum).contiguous(),
      x};
  run(x, out);
  return out;
}

at::Tensor causal_wavelet_filter_backward_input(
    const at::Tensor& grad,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim) {
  const auto s = ops::check_causal_wavelet_filter(
      "causal_wavelet_filter_backward_input", grad, lo, hi, weight, dim);
  if (weight.size(1) == 2 || !takes(s)) {
    return ops::composite::causal_wavelet_filter_backward_input(
        grad, lo, hi, weight, dim);
  }
  const c10::cuda::CUDAGuard guard(grad.device());
  const auto g = grad.contiguous();
  auto out = at::empty(s.sizes, grad.options());
  const auto sum = ops::accumulate_type(grad.scalar_type());
  const FilterPair f(lo, hi, sum, false);
  const CausalRun run{
      CausalKind::filter_transposed,
      s,
      f,
      grad.scalar_type(),
      dilations(weight.size(1) - 2, true),
      {},
      weight.to(sum).contiguous(),
      g};
  run(g, out);
  return out;
}

std::tuple<at::Tensor, at::Tensor, at::Tensor>
causal_wavelet_filter_backward_filters(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim) {
  const auto s = ops::check_causal_wavelet_filter(
      "causal_wavelet_filter_backward_filters", input, lo, hi, weight, dim);
  const int64_t levels = weight.size(1) - 2;
  if (levels == 0 || !takes(s)) {
    return ops::composite::causal_wavelet_filter_backward_filters(
        grad, input, lo, hi, weight, dim);
  }
  const c10::cuda::CUDAGuard guard(input.device());
  const auto type = input.scalar_type();
  const auto sum = ops::accumulate_type(type);
  const FilterPair f(lo, hi, sum, false);
  const auto w = weight.to(sum).contiguous();
  const auto x = input.contiguous(), g = grad.contiguous();
  at::Tensor unused;
  // lo_0..lo_J, and the gradients of lo_J..lo_1 without their last weight.
  std::vector<at::Tensor> a{x}, states;
  const CausalRun analysis{
      CausalKind::analysis,
      s,
      f,
      type,
      dilations(levels, false),
      std::vector<at::Tensor>(levels, at::empty(s.sizes, x.options()))};
  analysis(x, unused, &a);
  if (levels > 1) {
    auto steps = dilations(levels, true);
    steps.pop_back();
    // The same weights without the first step's; none for the input itself.
    const CausalRun transposed{
        CausalKind::filter_transposed,
        s,
        f,
        type,
        steps,
        {},
        at::cat({at::zeros_like(w.narrow(1, 0, 1)), w.narrow(1, 2, levels)}, 1),
        g};
    transposed(g, unused, &states);
  }
  const auto view = [&](const at::Tensor& t) {
    return t.view({s.batch, s.length, s.inner}).to(sum);
  };
  // One weight a channel of the inner axes, [1 or inner, J + 2].
  const auto wide = w.size(0) == 1 ? w : ops::expand_filter(w, s, sum);
  const auto filter_hi = ops::expand_filter(hi, s, sum);
  const auto lag0 = [&](const at::Tensor& band) {
    return tap_sums(g, {}, band, type, 1, s, 1)[0].select(1, 0);
  };
  std::vector<at::Tensor> gw(levels + 2);
  gw[0] = lag0(x);
  gw[levels + 1] = lag0(a[levels]);
  at::Tensor glo, ghi;
  for (int64_t j = levels - 1; j >= 0; --j) {
    const auto g_lo = j == levels - 1 ? view(g) * wide.select(1, levels + 1)
                                      : states[levels - 2 - j];
    const auto part =
        tap_sums(g_lo, g, a[j], type, lo.size(-1), s, int64_t{1} << j);
    gw[j + 1] = (part[1] * filter_hi).sum(1);
    const auto h = part[1] * wide.select(1, j + 1).unsqueeze(1);
    glo = glo.defined() ? glo + part[0] : part[0];
    ghi = ghi.defined() ? ghi + h : h;
  }
  auto gweight = at::stack(gw, 1);
  gweight = weight.size(0) == 1 ? gweight.sum(0, true).to(weight.scalar_type())
                                : ops::reduce_filter(gweight, weight, s);
  return {
      ops::reduce_filter(glo, lo, s), ops::reduce_filter(ghi, hi, s), gweight};
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, CUDA, m) {
  m.impl("causal_wavedec", &causal_wavedec);
  m.impl("causal_wavedec_backward_input", &causal_wavedec_backward_input);
  m.impl("causal_wavedec_backward_filter", &causal_wavedec_backward_filter);
  m.impl("causal_wavelet_filter", &causal_wavelet_filter);
  m.impl(
      "causal_wavelet_filter_backward_input",
      &causal_wavelet_filter_backward_input);
  m.impl(
      "causal_wavelet_filter_backward_filters",
      &causal_wavelet_filter_backward_filters);
}

} // namespace signalllm::cuda

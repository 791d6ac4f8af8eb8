#include "causal_run.h"

#include <ATen/cuda/CUDAContext.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAException.h>

#include <algorithm>

namespace signalllm::cuda {
namespace {

bool aligned(const at::Tensor& t) {
  return !t.defined() ||
      reinterpret_cast<uintptr_t>(t.const_data_ptr()) % 16 == 0;
}

} // namespace

int CausalRun::total() const {
  return static_cast<int>(dilations.size());
}

at::Tensor CausalRun::scratch() const {
  return at::empty(
      {signal.batch, signal.length, signal.inner}, filters.lo.options());
}

bool CausalRun::aligned_in(
    int channels,
    const at::Tensor& a,
    const at::Tensor& b) const {
  return signal.inner % channels == 0 && aligned(a) && aligned(b) &&
      aligned(source) && std::all_of(details.begin(), details.end(), aligned);
}

int CausalRun::plan(
    const at::Tensor& a,
    const at::Tensor& b,
    CausalStreamParams& p) const {
  const int taps = filters.filters.taps;
  if (type == at::kDouble || taps < 2 || taps > kCausalTaps ||
      !aligned_in(kCausalVector, a, b) ||
      signal.batch * signal.inner * signal.length > int64_t{kCausalChannels}
              << 31) {
    return 0;
  }
  p.kind = kind;
  p.filters = filters.filters;
  p.length = static_cast<int>(signal.length);
  p.channels = static_cast<int>(signal.inner);
  p.batch = static_cast<int>(signal.batch);
  p.scale = static_cast<float>(scale);
  const auto device = current_device();
  return plan_causal_stream(
      dilations.data(),
      total(),
      device.multiprocessors,
      device.shared_bytes,
      p);
}

void CausalRun::operator()(
    at::Tensor input,
    at::Tensor& out,
    std::vector<at::Tensor>* states) const {
  const bool last = descends(kind); // the stream has the short dilations
  CausalStreamParams p;
  const int streamed = last && states != nullptr ? 0 : plan(input, out, p);
  Flow flow{std::move(input), {}, out, states};
  if (!last && streamed > 0) {
    stream(p, 0, flow);
  }
  const int begin = last ? 0 : streamed;
  for (int i = begin; i < begin + total() - streamed; ++i) {
    step(i, flow);
  }
  if (last && streamed > 0) {
    stream(p, total() - streamed, flow);
  }
}

int CausalRun::weight_index(int i) const {
  return kind == CausalKind::filter ? i + 1 : total() - i;
}

template <class Params>
void CausalRun::weigh(Params& p) const {
  if (is_filter(kind)) {
    p.weight = weight.const_data_ptr();
    p.weight_channels = static_cast<int>(weight.size(0));
    p.weight_stride = static_cast<int>(weight.size(1));
    p.signal = source.const_data_ptr();
  }
}

void CausalRun::stream(CausalStreamParams& p, int begin, Flow& flow) const {
  p.first = begin == 0;
  p.last = begin + p.steps == total();
  p.input = flow.input.const_data_ptr();
  p.wide_input = flow.input.scalar_type() != type;
  for (int i = 0; i < p.steps; ++i) {
    if (!details.empty()) {
      p.details[i] = details[begin + i].mutable_data_ptr();
    }
    if (flow.states != nullptr) {
      flow.states->push_back(scratch());
      p.states[i] = flow.states->back().mutable_data_ptr();
    }
    p.weights[i] = weight_index(begin + i);
  }
  weigh(p);
  auto to = p.last             ? flow.out
      : flow.states != nullptr ? at::Tensor()
                               : scratch();
  if (to.defined()) {
    p.output = to.mutable_data_ptr();
    p.wide_output = to.scalar_type() != type;
  }
  auto next = flow.states != nullptr ? flow.states->back() : to;
  if (kind == CausalKind::filter && !p.last) {
    flow.partial = to;
    next = scratch();
    p.state = next.mutable_data_ptr();
  }
  C10_CUDA_CHECK(launch(p, dtype_of(type), current_stream()));
  flow.input = next;
}

void CausalRun::step(int i, Flow& flow) const {
  CausalStep p;
  p.kind = kind;
  p.filters = filters.filters;
  p.length = static_cast<int>(signal.length);
  const auto kernel = choose_kernel(
      dtype_of(type),
      aligned_in(16 / size_of(dtype_of(type)), flow.input, flow.out),
      p.filters.channels > 0,
      true,
      p.filters.taps,
      signal.batch,
      signal.length,
      signal.inner,
      p.shape);
  p.tile = 8 * p.shape.threads / p.shape.lanes;
  p.tiles = (p.length + p.tile - 1) / p.tile;
  if (is_circular(kind)) {
    const int64_t ahead = p.filters.taps / 2 - (kind == CausalKind::iswt);
    p.dilation = static_cast<int>(dilations[i] % signal.length);
    p.ahead = static_cast<int>(p.dilation * ahead % signal.length);
    p.scale = scale;
  } else {
    // A longer shift leaves the signal just as well.
    p.dilation = static_cast<int>(std::min(dilations[i], signal.length));
  }
  p.first = i == 0;
  p.last = i + 1 == total();
  p.input = flow.input.const_data_ptr();
  p.wide_input = flow.input.scalar_type() != type;
  if (!details.empty()) {
    p.detail = details[i].mutable_data_ptr();
  }
  weigh(p);
  p.weight_index = weight_index(i);
  auto state = p.last && flow.states == nullptr ? flow.out : scratch();
  at::Tensor sum;
  if (kind == CausalKind::filter) {
    sum = p.last ? flow.out : scratch();
    p.partial =
        flow.partial.defined() ? flow.partial.const_data_ptr() : nullptr;
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
  flow.input = state;
  flow.partial = sum;
  if (flow.states != nullptr) {
    flow.states->push_back(state);
  }
}

std::vector<int64_t> causal_dilations(int64_t levels, bool backwards) {
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

bool takes_causal(const ops::Signal& s) {
  return indexable(s) && s.batch * s.inner > 0;
}

std::vector<at::Tensor> causal_states(
    const at::Tensor& x,
    const ops::Signal& s,
    const FilterPair& f,
    int64_t levels) {
  std::vector<at::Tensor> a{x};
  if (levels > 1) {
    const CausalRun run{
        CausalKind::analysis,
        s,
        f,
        x.scalar_type(),
        causal_dilations(levels - 1, false)};
    at::Tensor unused;
    run(x, unused, &a);
  }
  return a;
}

} // namespace signalllm::cuda

#include "correlate.h"

#include "correlate.cuh"
#include "transform.h"

#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAException.h>

#include <algorithm>

namespace signalllm::cuda {

at::Tensor correlate(
    const at::Tensor& g0,
    const at::Tensor& g1,
    const at::Tensor& x,
    at::ScalarType type,
    int64_t taps,
    const ops::Signal& signal,
    const Correlation& how) {
  CorrelateParams p;
  const at::Tensor* g[2] = {&g0, &g1};
  for (int b = 0; b < 2; ++b) {
    if (g[b]->defined()) {
      p.g[b] = g[b]->const_data_ptr();
      p.wide_g[b] = g[b]->scalar_type() != type;
      p.g_rows[b] =
          static_cast<int>(g[b]->numel() / (signal.batch * signal.inner));
    }
  }
  p.x = x.const_data_ptr();
  p.wide_x = x.scalar_type() != type;
  p.border = how.border;
  p.step = static_cast<int>(how.step);
  p.offset = static_cast<int>(how.offset);
  // A longer shift leaves the signal just as well.
  p.dilation = static_cast<int>(std::min(how.dilation, how.length));
  p.batch = signal.batch;
  p.count = static_cast<int>(how.count);
  p.length = static_cast<int>(how.length);
  p.channels = static_cast<int>(signal.inner);
  p.taps = static_cast<int>(taps);
  p.parts = static_cast<int>(
      std::clamp<int64_t>(signal.batch * how.count / 256, 1, 128));
  auto out = at::empty(
      {p.parts, g1.defined() ? 2 : 1, signal.inner, taps},
      x.options().dtype(ops::accumulate_type(type)));
  p.out = out.mutable_data_ptr();
  C10_CUDA_CHECK(launch(p, dtype_of(type), current_stream()));
  return out.sum(0);
}

} // namespace signalllm::cuda

#include "transform.h"

#include "single_pass.h"

#include <ATen/cuda/CUDAContext.h>
#include <ATen/cuda/EmptyTensor.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAException.h>

#include <algorithm>
#include <array>
#include <limits>

namespace signalllm::cuda {
namespace {

/// The last few plans of a thread: models ask for the same ones again.
template <class Make>
bool cached_plan(
    const std::vector<int64_t>& key,
    TilePlan& plan,
    const Make& make) {
  struct Entry {
    std::vector<int64_t> key;
    TilePlan plan;
    bool fits = false;
  };
  thread_local std::array<Entry, 16> entries;
  thread_local size_t next = 0;
  for (const auto& e : entries) {
    if (e.key == key) {
      plan = e.plan;
      return e.fits;
    }
  }
  auto& e = entries[next++ % entries.size()];
  e.fits = make(plan);
  e.plan = plan;
  e.key = key;
  return e.fits;
}

bool aligned(const at::Tensor& t) {
  return reinterpret_cast<uintptr_t>(t.const_data_ptr()) % 16 == 0;
}

/// What the launches of one transform share.
struct Setting {
  at::ScalarType type; // of the details
  at::ScalarType sum;
  bool vectors;
  const ops::Signal& signal;
  const Bank& bank;
  const FilterPair& filters;

  Setting(
      const ops::Signal& signal,
      const Bank& bank,
      const FilterPair& filters,
      const std::vector<at::Tensor>& details,
      const at::Tensor& first,
      const at::Tensor& last)
      : type(details[0].scalar_type()), sum(ops::accumulate_type(type)),
        vectors(
            signal.inner % (16 / size_of(dtype_of(type))) == 0 &&
            aligned(first) && aligned(last) &&
            std::all_of(details.begin(), details.end(), aligned)),
        signal(signal), bank(bank), filters(filters) {}

  at::Tensor scratch(const at::Tensor& like, int64_t length) const {
    return at::empty(
        {signal.batch, length, signal.inner}, like.options().dtype(sum));
  }

  /// Chooses kernel and tiles for `levels` levels from `lengths` on; fewer
  /// levels where they do not fit.
  template <class Params, class Plan>
  TileKernel prepare(
      Params& params,
      const std::vector<int64_t>& lengths,
      int64_t begin,
      int64_t end,
      bool wide,
      bool keep_end,
      const Plan& plan) const {
    std::vector<int> n(lengths.begin(), lengths.end());
    params.bank = bank;
    params.filters = filters.filters;
    const auto kernel = choose_kernel(
        dtype_of(type),
        vectors,
        filters.filters.channels > 0,
        wide,
        bank.taps,
        signal.batch,
        lengths[begin],
        signal.inner,
        params.shape);
    const auto limits =
        tile_limits(kernel, bank.taps, current_device(), params.shape);
    int levels = static_cast<int>(std::min<int64_t>(end - begin, kMaxLevels));
    for (; levels > 0; --levels) {
      const int64_t from = keep_end ? end - levels : begin;
      std::vector<int64_t> key(
          lengths.begin() + from, lengths.begin() + from + levels + 1);
      key.insert(
          key.end(),
          {static_cast<int64_t>(bank.border),
           bank.taps,
           bank.offset,
           keep_end,
           limits.sweep,
           limits.capacity,
           limits.tiles});
      if (cached_plan(key, params.plan, [&](TilePlan& out) {
            return plan(bank, n.data() + from, levels, limits, out);
          })) {
        break;
      }
    }
    TORCH_INTERNAL_ASSERT(levels > 0);
    return kernel;
  }
};

} // namespace

Dtype dtype_of(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return Dtype::float32;
    case at::kDouble:
      return Dtype::float64;
    case at::kHalf:
      return Dtype::float16;
    default:
      return Dtype::bfloat16;
  }
}

at::Tensor empty_like(const at::Tensor& like, at::IntArrayRef sizes) {
  return at::detail::empty_cuda(
      sizes, like.scalar_type(), like.device(), std::nullopt);
}

cudaStream_t current_stream() {
  return at::cuda::getCurrentCUDAStream().stream();
}

Device current_device() {
  const auto* p = at::cuda::getCurrentDeviceProperties();
  return {p->multiProcessorCount, static_cast<int>(p->sharedMemPerBlockOptin)};
}

namespace {

at::Tensor ready(const at::Tensor& filter, at::ScalarType type) {
  return filter.scalar_type() == type && filter.is_contiguous()
      ? filter
      : filter.to(type).contiguous();
}

} // namespace

FilterPair::FilterPair(
    const at::Tensor& lo,
    const at::Tensor& hi,
    at::ScalarType sum,
    bool reversed)
    : lo(ready(lo, sum)), hi(ready(hi, sum)) {
  filters.lo = this->lo.const_data_ptr();
  filters.hi = this->hi.const_data_ptr();
  filters.taps = static_cast<int>(lo.size(-1));
  filters.channels = lo.dim() == 2 ? static_cast<int>(lo.size(0)) : 0;
  filters.reversed = reversed;
}

bool indexable(const ops::Signal& s) {
  constexpr int64_t most = std::numeric_limits<int>::max() / 4;
  return s.length < most && s.inner < most;
}

bool takes(const ops::Signal& s, int64_t taps) {
  return indexable(s) && taps <= most_taps(current_device());
}

void analyse(
    const at::Tensor& input,
    const ops::Signal& signal,
    const Bank& bank,
    const FilterPair& filters,
    const std::vector<int64_t>& lengths,
    const std::vector<at::Tensor>& details,
    at::Tensor& approximation) {
  if (signal.batch * signal.inner == 0) {
    return;
  }
  if (analyse_in_one_pass(
          input, signal, bank, filters, lengths, details, approximation)) {
    return;
  }
  const Setting set(signal, bank, filters, details, input, approximation);
  const auto levels = static_cast<int64_t>(details.size());
  at::Tensor from = input;
  for (int64_t begin = 0; begin < levels;) {
    AnalysisParams p;
    p.wide_input = from.scalar_type() != set.type;
    // Half precision keeps sums between launches: more levels than one launch
    // takes need the kernel that reads and writes both.
    const bool many = set.type != set.sum &&
        (p.wide_input || approximation.scalar_type() != set.type);
    auto kernel =
        set.prepare(p, lengths, begin, levels, many, false, plan_analysis);
    if (begin + p.plan.levels < levels && set.type != set.sum && !many) {
      kernel =
          set.prepare(p, lengths, begin, levels, true, false, plan_analysis);
    }
    const int64_t end = begin + p.plan.levels;
    at::Tensor to =
        end < levels ? set.scratch(input, lengths[end]) : approximation;
    p.input = from.const_data_ptr();
    p.approximation = to.mutable_data_ptr();
    p.approximation_rows = static_cast<int>(
        end < levels ? lengths[end]
                     : approximation.numel() / (signal.batch * signal.inner));
    p.wide_approximation = to.scalar_type() != set.type;
    for (int64_t l = begin; l < end; ++l) {
      p.details[l - begin + 1] = details[l].mutable_data_ptr();
    }
    C10_CUDA_CHECK(launch(p, kernel, current_stream()));
    from = to;
    begin = end;
  }
}

void synthesise(
    const at::Tensor& approximation,
    const std::vector<at::Tensor>& details,
    const ops::Signal& signal,
    const Bank& bank,
    const FilterPair& filters,
    const std::vector<int64_t>& lengths,
    at::Tensor& output) {
  if (signal.batch * signal.inner == 0) {
    return;
  }
  if (synthesise_in_one_pass(
          approximation, details, signal, bank, filters, lengths, output)) {
    return;
  }
  const Setting set(signal, bank, filters, details, approximation, output);
  at::Tensor from = approximation;
  for (auto end = static_cast<int64_t>(details.size()); end > 0;) {
    SynthesisParams p;
    p.wide_approximation = from.scalar_type() != set.type;
    const bool many = set.type != set.sum &&
        (p.wide_approximation || output.scalar_type() != set.type);
    auto kernel = set.prepare(p, lengths, 0, end, many, true, plan_synthesis);
    if (p.plan.levels < end && set.type != set.sum && !many) {
      kernel = set.prepare(p, lengths, 0, end, true, true, plan_synthesis);
    }
    const int64_t begin = end - p.plan.levels;
    at::Tensor to = begin > 0 ? set.scratch(output, lengths[begin]) : output;
    p.approximation = from.const_data_ptr();
    p.approximation_rows =
        static_cast<int>(from.numel() / (signal.batch * signal.inner));
    p.output = to.mutable_data_ptr();
    p.wide_output = to.scalar_type() != set.type;
    for (int64_t l = begin; l < end; ++l) {
      p.details[l - begin + 1] = details[l].const_data_ptr();
    }
    C10_CUDA_CHECK(launch(p, kernel, current_stream()));
    from = to;
    end = begin;
  }
}

} // namespace signalllm::cuda

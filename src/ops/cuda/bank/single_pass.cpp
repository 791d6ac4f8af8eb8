#include "single_pass.h"

#include "short.h"
#include "stream.h"

#include <c10/cuda/CUDAException.h>

#include <algorithm>
#include <array>

namespace signalllm::cuda {
namespace {

/// Values of a signal from which on streaming is faster.
constexpr int64_t kStreamValues = 12 << 20;
/// Levels of the longest transform.
constexpr size_t kLevels = std::max(kStreamLevels, kShortLevels);

bool fits(const at::Tensor& t, at::ScalarType type) {
  return t.scalar_type() == type &&
      reinterpret_cast<uintptr_t>(t.const_data_ptr()) % 16 == 0;
}

/// Calls `go(params, plan)` with the parameters of both kernels in the order of
/// preference until one can do it.
template <class Short, class Stream, class Fill>
bool choose(
    const at::Tensor& first,
    const at::Tensor& last,
    const std::vector<at::Tensor>& details,
    const ops::Signal& signal,
    const Bank& bank,
    const FilterPair& filters,
    const std::vector<int64_t>& lengths,
    const Fill& fill) {
  const auto type = details[0].scalar_type();
  const auto levels = details.size();
  const bool vectors = signal.inner % 4 == 0 && fits(first, type) &&
      fits(last, type) &&
      std::all_of(details.begin(), details.end(), [&](const at::Tensor& t) {
                         return fits(t, type);
                       });
  if (!vectors || type == at::kDouble || filters.filters.channels > 0 ||
      levels > kLevels || signal.batch > (1 << 20)) {
    return false;
  }
  std::array<int, kLevels + 1> length{};
  std::copy(lengths.begin(), lengths.end(), length.begin());
  const TransformCase c{
      bank,
      length.data(),
      static_cast<int>(levels),
      signal.batch,
      static_cast<int>(signal.inner),
      current_device(),
      type != at::kFloat};
  const auto run = [&](auto params) {
    const bool planned = [&] {
      if constexpr (std::is_same_v<decltype(params), Short>) {
        return plan_short(c, params);
      } else {
        return plan_stream(c, params);
      }
    }();
    if (planned) {
      params.filters = filters.filters;
      fill(params);
      C10_CUDA_CHECK(launch(params, dtype_of(type), current_stream()));
    }
    return planned;
  };
  if (signal.batch * lengths[0] * signal.inner >= kStreamValues) {
    return run(Stream{});
  }
  return run(Short{});
}

} // namespace

bool analyse_in_one_pass(
    const at::Tensor& input,
    const ops::Signal& signal,
    const Bank& bank,
    const FilterPair& filters,
    const std::vector<int64_t>& lengths,
    const std::vector<at::Tensor>& details,
    at::Tensor& approximation) {
  const auto fill = [&](auto& p) {
    p.input = input.const_data_ptr();
    p.approximation = approximation.mutable_data_ptr();
    p.approximation_rows =
        static_cast<int>(approximation.numel() / (signal.batch * signal.inner));
    for (size_t l = 0; l < details.size(); ++l) {
      p.details[l + 1] = details[l].mutable_data_ptr();
    }
  };
  return choose<ShortAnalysisParams, StreamAnalysisParams>(
      input, approximation, details, signal, bank, filters, lengths, fill);
}

bool synthesise_in_one_pass(
    const at::Tensor& approximation,
    const std::vector<at::Tensor>& details,
    const ops::Signal& signal,
    const Bank& bank,
    const FilterPair& filters,
    const std::vector<int64_t>& lengths,
    at::Tensor& output) {
  const auto fill = [&](auto& p) {
    p.approximation = approximation.const_data_ptr();
    p.approximation_rows =
        static_cast<int>(approximation.numel() / (signal.batch * signal.inner));
    p.output = output.mutable_data_ptr();
    for (size_t l = 0; l < details.size(); ++l) {
      p.details[l + 1] = details[l].const_data_ptr();
    }
  };
  return choose<ShortSynthesisParams, StreamSynthesisParams>(
      approximation, output, details, signal, bank, filters, lengths, fill);
}

} // namespace signalllm::cuda

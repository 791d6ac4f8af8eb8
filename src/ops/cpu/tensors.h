#pragma once

#include "ops/cpu/jobs.h"
#include "ops/signal.h"

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

/// From tensors to the plain memory that the CPU kernels work on.
namespace signalllm::ops::cpu {

Storage storage_of(const at::Tensor& tensor);

/// Calls f with a value of the type that sums are kept in.
template <class F>
void with_sum_type(Storage storage, F&& f) {
  if (storage == Storage::float64) {
    f(double{});
  } else {
    f(float{});
  }
}

/// A signal in the kernels' layout `[batch, length, inner]`, contiguous. Fewer
/// inner values than a vector has would leave it empty, so such a signal is
/// turned into `[1, length, batch * inner]`: one cheap copy in blocks. Kernels
/// that compute narrow rows along the sequence want that for short signals
/// only, and those that put `entries` of the batch side by side never.
struct Layout {
  int64_t batch = 1, inner = 1;
  int64_t entries = 1;
  bool turned = false;

  enum class Few { turned, along, beside };
  explicit Layout(const Signal& signal, Few few = Few::turned);

  /// Values that one tap of filters a channel has.
  int64_t width() const {
    return inner * entries;
  }

  /// A view where possible.
  at::Tensor in(const at::Tensor& tensor, const Signal& signal) const;
  /// Memory for `length` rows: that of `result` where the layout allows.
  at::Tensor out(const at::Tensor& result, int64_t length) const;
  /// Puts what was computed in `made` where `result` wants it.
  void finish(const at::Tensor& made, const at::Tensor& result, const Signal& s)
      const;
};

/// Coefficients in the kernels' layout, and where they lie.
struct CoefficientsIn {
  std::vector<at::Tensor> held;
  std::vector<const void*> at;

  CoefficientsIn(at::TensorList coeffs, const Layout& layout, const Signal& s);
};

/// New coefficients, each of the signal's length, and where the kernels write
/// them.
class CoefficientsOut {
 public:
  std::vector<void*> at;

  CoefficientsOut(
      int64_t count,
      const Layout& layout,
      const Signal& s,
      const at::TensorOptions& options);

  /// What was written, as the operator returns it.
  std::vector<at::Tensor> finish() const;

 private:
  const Layout& layout_;
  const Signal& signal_;
  std::vector<at::Tensor> made_, out_;
};

/// A filter's taps as `[taps]`, or `[taps][width()]` for one a channel.
template <class A>
std::vector<A>
read_filter(const at::Tensor& filter, const Layout& layout, bool reversed);

/// Sums `[taps]` or `[taps][width()]` as a gradient like `filter`.
at::Tensor filter_gradient_like(
    const at::Tensor& filter,
    const Layout& layout,
    const std::vector<double>& sums);

} // namespace signalllm::ops::cpu

#pragma once

#include <signalllm/export.h>

#include <ATen/core/Tensor.h>

#include <functional>
#include <initializer_list>
#include <memory>

namespace signalllm {

/// A tensor computed from parameters, kept until one of them changes: is
/// written to in place (its version grows), or moves to other memory. Writes
/// that torch does not count, as a recorded CUDA graph's, are not seen: whoever
/// lets them happen clears. A copy begins empty. Safe from several threads.
class SIGNALLLM_API FourierTapsCache {
 public:
  FourierTapsCache();
  FourierTapsCache(const FourierTapsCache&);
  FourierTapsCache& operator=(const FourierTapsCache&);
  ~FourierTapsCache();

  /// What is kept for these parameters and this length, or what `make` returns,
  /// which then is kept. Parameters made in inference mode have no version, and
  /// nothing is kept for them.
  at::Tensor get(
      std::initializer_list<at::Tensor> parameters,
      int64_t length,
      const std::function<at::Tensor()>& make) const;

  void clear();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

} // namespace signalllm

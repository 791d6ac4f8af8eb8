#include <signalllm/nn/fourier_taps_cache.h>

#include <algorithm>
#include <mutex>
#include <vector>

namespace signalllm {

struct FourierTapsCache::State {
  std::mutex mutex;
  // Detached from the parameters: they share memory and version, and hold the
  // memory, so that no other tensor can come to lie at the same address.
  std::vector<at::Tensor> parameters;
  std::vector<int64_t> versions;
  int64_t length = 0;
  at::Tensor value;

  bool holds(std::initializer_list<at::Tensor> now, int64_t wanted) const {
    if (!value.defined() || length != wanted ||
        parameters.size() != now.size()) {
      return false;
    }
    size_t i = 0;
    return std::all_of(now.begin(), now.end(), [&](const at::Tensor& t) {
      const auto& kept = parameters[i];
      return t.const_data_ptr() == kept.const_data_ptr() &&
          t.scalar_type() == kept.scalar_type() &&
          t.device() == kept.device() && t.sizes() == kept.sizes() &&
          t.strides() == kept.strides() && t._version() == versions[i++];
    });
  }
};

FourierTapsCache::FourierTapsCache() : state_(std::make_unique<State>()) {}
FourierTapsCache::FourierTapsCache(const FourierTapsCache&)
    : FourierTapsCache() {}
FourierTapsCache& FourierTapsCache::operator=(const FourierTapsCache&) {
  clear();
  return *this;
}
FourierTapsCache::~FourierTapsCache() = default;

at::Tensor FourierTapsCache::get(
    std::initializer_list<at::Tensor> parameters,
    int64_t length,
    const std::function<at::Tensor()>& make) const {
  if (std::any_of(parameters.begin(), parameters.end(), [](const auto& t) {
        return t.is_inference() || !t.has_storage() || t.is_meta();
      })) {
    return make();
  }
  const std::lock_guard lock(state_->mutex);
  if (!state_->holds(parameters, length)) {
    state_->parameters.clear();
    state_->versions.clear();
    for (const auto& t : parameters) {
      state_->parameters.push_back(t.detach());
      state_->versions.push_back(t._version());
    }
    state_->length = length;
    state_->value = make();
  }
  return state_->value;
}

void FourierTapsCache::clear() {
  const std::lock_guard lock(state_->mutex);
  state_->parameters.clear();
  state_->value = at::Tensor();
}

} // namespace signalllm

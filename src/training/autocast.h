#pragma once

#include <ATen/autocast_mode.h>

namespace signalllm::training {

/// While it lives, matrix products run in bfloat16 and what needs the range or
/// the precision stays in float32.
class Autocast {
 public:
  Autocast(at::DeviceType device, bool enabled)
      : device_(device), enabled_(enabled),
        before_(enabled && at::autocast::is_autocast_enabled(device)) {
    if (enabled_) {
      at::autocast::set_autocast_enabled(device_, true);
      at::autocast::set_autocast_dtype(device_, at::kBFloat16);
      at::autocast::increment_nesting();
    }
  }
  ~Autocast() {
    if (enabled_) {
      if (at::autocast::decrement_nesting() == 0) {
        at::autocast::clear_cache(); // of weights cast to bfloat16
      }
      at::autocast::set_autocast_enabled(device_, before_);
    }
  }
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  at::DeviceType device_;
  bool enabled_;
  bool before_;
};

} // namespace signalllm::training

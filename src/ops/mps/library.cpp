#include "ops/mps/library.h"

#include "ops/metal.h"

#include <c10/util/Exception.h>

#include <atomic>
#include <cstdlib>

namespace signalllm::mps {

extern const std::string_view metal_text; // made by cmake/EmbedMetal.cmake

void Library::give_up(const std::string& what, const char* reason) {
  if (reason_.empty()) {
    reason_ = reason;
    TORCH_WARN(
        "signalllm: ", what, "; operators are composed of torch's. ", reason);
  }
}

bool Library::compile() {
  if (!tried_) {
    tried_ = true;
    try {
      library_ =
          new at::native::mps::DynamicMetalShaderLibrary(std::string(text_));
    } catch (const c10::Error& error) {
      give_up(
          "the Metal kernels do not compile", error.what_without_backtrace());
    } catch (const std::exception& error) {
      give_up("the Metal kernels do not compile", error.what());
    }
  }
  return library_ != nullptr;
}

bool Library::available() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return compile();
}

Kernel Library::kernel(const std::string& name) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!compile()) {
    return nullptr;
  }
  try {
    return library_->getKernelFunction(name);
  } catch (const c10::Error& error) {
    give_up("no Metal kernel " + name, error.what_without_backtrace());
  }
  return nullptr;
}

namespace {

std::atomic<bool>& enabled() {
  static std::atomic<bool> enabled = [] {
    const char* value = std::getenv("SIGNALLLM_METAL");
    return value == nullptr || std::string_view(value) != "0";
  }();
  return enabled;
}

Library& own_library() {
  static auto* const library = new Library(metal_text);
  return *library;
}

const char* suffix(at::ScalarType type) {
  return type == at::kFloat   ? "_float"
      : type == at::kHalf     ? "_half"
      : type == at::kBFloat16 ? "_bfloat"
                              : nullptr;
}

Kernel find(
    std::string_view name,
    std::initializer_list<at::ScalarType> types) {
  if (!enabled()) {
    return nullptr;
  }
  std::string full(name);
  for (const auto type : types) {
    const char* const end = suffix(type);
    if (end == nullptr) {
      return nullptr;
    }
    full += end;
  }
  return own_library().kernel(full);
}

[[maybe_unused]] const bool known = [] {
  ops::set_metal([] { return enabled() && own_library().available(); });
  return true;
}();

} // namespace

void enable(bool metal) {
  enabled() = metal;
}

Kernel kernel(std::string_view name, at::ScalarType type) {
  return find(name, {type});
}

Kernel
kernel(std::string_view name, at::ScalarType type, at::ScalarType filter_type) {
  return find(name, {type, filter_type});
}

} // namespace signalllm::mps

#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/native/mps/MetalShaderLibrary.h>

#include <algorithm>
#include <array>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

/// How a Metal kernel is found and launched, in plain C++ through torch's
/// MetalShaderLibrary.
namespace signalllm::mps {

using Function = at::native::mps::MetalKernelFunction;
/// A kernel ready to launch; empty where the composite path has to do.
using Kernel = std::shared_ptr<Function>;

/// Metal text, compiled at the first use. What cannot be compiled is said once,
/// with Metal's reason, and then there are no kernels.
class Library {
 public:
  explicit Library(std::string_view text) : text_(text) {}

  Kernel kernel(const std::string& name);
  /// Whether the text compiles.
  bool available();
  /// Metal's reason where it does not, else empty.
  const std::string& reason() const {
    return reason_;
  }

 private:
  bool compile();
  void give_up(const std::string& what, const char* reason);

  std::string_view text_;
  std::string reason_;
  std::mutex mutex_; // torch's caches have none before 2.15
  bool tried_ = false;
  /// Never deleted: Metal may be gone before static objects are.
  at::native::mps::DynamicMetalShaderLibrary* library_ = nullptr;
};

/// A kernel of the library's own text by its name, `causal_filter`, and by the
/// types that it is instantiated for, `causal_filter_half_float`. Empty where
/// the text does not compile, and after `enable(false)` or with the environment
/// variable SIGNALLLM_METAL=0.
Kernel kernel(std::string_view name, at::ScalarType type);
Kernel
kernel(std::string_view name, at::ScalarType type, at::ScalarType filter_type);

/// For comparisons: without Metal kernels every operator runs its composite
/// path.
void enable(bool metal);

/// How many groups, and how many threads each.
struct Grid {
  uint64_t x = 1, y = 1, z = 1;
  uint64_t threads = 256;
};

/// One launch. The arguments are bound to buffers 0, 1, ... in their order:
/// tensors, which must be contiguous, and structs of parameters. A kernel must
/// do with fewer threads a group than asked for: Metal allows less to one that
/// uses many registers.
template <class... Arguments>
void launch(
    const Kernel& kernel,
    const Grid& grid,
    const Arguments&... arguments) {
  if (grid.x * grid.y * grid.z == 0) {
    return;
  }
  const uint64_t threads =
      std::min(grid.threads, kernel->getMaxThreadsPerThreadgroup());
  const std::array<uint64_t, 3> all{grid.x * threads, grid.y, grid.z};
  const std::array<uint64_t, 3> group{threads, 1, 1};
  kernel->runCommandBlock([&] {
    kernel->startEncoding();
    unsigned index = 0;
    const auto bind = [&](const auto& argument) {
      using Argument = std::decay_t<decltype(argument)>;
      if constexpr (std::is_same_v<Argument, std::vector<at::Tensor>>) {
        for (const auto& t : argument) {
          kernel->setArg(index++, static_cast<const at::TensorBase&>(t));
        }
      } else if constexpr (std::is_same_v<Argument, at::Tensor>) {
        kernel->setArg(index++, static_cast<const at::TensorBase&>(argument));
      } else {
        kernel->setArg(index++, &argument, sizeof(argument));
      }
    };
    (bind(arguments), ...);
    kernel->dispatch(all, c10::OptionalArrayRef<uint64_t>(group));
  });
}

} // namespace signalllm::mps

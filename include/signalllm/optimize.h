#pragma once

#include <signalllm/export.h>
#include <signalllm/nn/swappable.h>

#include <c10/core/Device.h>
#include <torch/arg.h>
#include <torch/nn/modules/container/any.h>
#include <torch/nn/pimpl.h>
#include <torch/optim/optimizer.h>

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <typeindex>
#include <vector>

namespace signalllm {

/// What `optimize_for_mps` did with one module, parameter or buffer.
struct SIGNALLLM_API OptimizeEntry {
  enum class Kind {
    /// A module that now runs as its twin.
    Swapped,
    /// A module that ran as its twin already.
    Already,
    /// A module that was left, `reason` says why.
    Left,
    /// A parameter or buffer that became float32.
    Converted,
  };
  Kind kind;
  /// As in `named_modules` ("" for the root) or `named_parameters`.
  std::string path;
  /// Type or dtype before and after.
  std::string from, to;
  std::string reason;
};

/// What `optimize_for_mps` did.
struct SIGNALLLM_API OptimizeReport {
  c10::Device device = c10::kCPU;
  std::vector<OptimizeEntry> entries;
  /// Parameters, buffers, gradients and optimizer tensors that moved.
  int64_t moved = 0;

  /// Number of entries of one kind.
  int64_t count(OptimizeEntry::Kind kind) const;
};
SIGNALLLM_API std::ostream& operator<<(
    std::ostream& stream,
    const OptimizeReport& report);

/// Swaps every module of a registered kind for its twin, wherever it is held,
/// and moves parameters, buffers and gradients to `device`.
///
/// The function does not change, nor do the parameters' identities and names:
/// optimizers made before keep stepping, checkpoints load both ways. float64
/// becomes float32 where the device is MPS. A second call changes nothing.
/// Throws, before it touches anything, where `device` is not there.
SIGNALLLM_API OptimizeReport optimize_for_mps(
    const std::shared_ptr<torch::nn::Module>& model,
    c10::Device device = c10::kMPS);

/// The same, and moves what `optimizer` remembers of its steps (Adam, AdamW,
/// SGD, RMSprop, Adagrad, LBFGS).
SIGNALLLM_API OptimizeReport optimize_for_mps(
    const std::shared_ptr<torch::nn::Module>& model,
    torch::optim::Optimizer& optimizer,
    c10::Device device = c10::kMPS);

template <typename Impl>
OptimizeReport optimize_for_mps(
    const torch::nn::ModuleHolder<Impl>& model,
    c10::Device device = c10::kMPS) {
  return optimize_for_mps(
      std::shared_ptr<torch::nn::Module>(model.ptr()), device);
}

template <typename Impl>
OptimizeReport optimize_for_mps(
    const torch::nn::ModuleHolder<Impl>& model,
    torch::optim::Optimizer& optimizer,
    c10::Device device = c10::kMPS) {
  return optimize_for_mps(
      std::shared_ptr<torch::nn::Module>(model.ptr()), optimizer, device);
}

/// True if `module` is a twin or runs as one.
SIGNALLLM_API bool is_optimized(const torch::nn::Module& module);

namespace detail {
/// How to swap the modules of one exact type.
struct SwapRule {
  /// The twin of a standard module, sharing its tensors.
  std::function<std::shared_ptr<torch::nn::Module>(const torch::nn::Module&)>
      make;
  /// The twin as an element of a `Sequential`.
  std::function<torch::nn::AnyModule(const std::shared_ptr<torch::nn::Module>&)>
      wrap;
};
SIGNALLLM_API void
register_swap(std::type_index standard, std::type_index twin, SwapRule rule);
} // namespace detail

/// Teaches `optimize_for_mps` a pair of one's own: modules that are exactly a
/// `StandardImpl` are swapped for a `TwinImpl`, which is constructed from
/// `const StandardImpl&` and shares its tensors (see `Twin`).
///
/// A standard that does not derive from `Swappable` is swapped in containers
/// (`Sequential`, `ModuleList`, `ModuleDict`) only, and reported as left
/// elsewhere: nothing can reach a parent's typed member then.
template <typename StandardImpl, typename TwinImpl>
void register_swap() {
  static_assert(
      std::is_base_of_v<StandardImpl, TwinImpl>,
      "register_swap: the twin derives from the standard");
  detail::register_swap(
      typeid(StandardImpl),
      typeid(TwinImpl),
      {[](const torch::nn::Module& standard)
           -> std::shared_ptr<torch::nn::Module> {
         return std::make_shared<TwinImpl>(
             dynamic_cast<const StandardImpl&>(standard));
       },
       [](const std::shared_ptr<torch::nn::Module>& twin) {
         return torch::nn::AnyModule(std::dynamic_pointer_cast<TwinImpl>(twin));
       }});
}

/// Options for `setup_mps_optimizations`; what is not given is left alone.
struct SIGNALLLM_API MPSSetupOptions {
  /// Threads of the CPU's operators.
  TORCH_ARG(std::optional<int64_t>, threads) = std::nullopt;
  /// Upper limit of MPS memory over the recommended maximum, 0..2 (0: none).
  TORCH_ARG(std::optional<double>, memory_fraction) = std::nullopt;
  /// Whether operators that MPS lacks run on the CPU. torch reads
  /// PYTORCH_ENABLE_MPS_FALLBACK when it is loaded, so this can only check.
  TORCH_ARG(std::optional<bool>, fallback) = std::nullopt;
};

/// What `setup_mps_optimizations` found and set.
struct SIGNALLLM_API MPSSetupReport {
  /// torch was built with MPS and a device answers.
  bool available = false;
  bool macos = false;
  int64_t threads = 0;
  std::optional<double> memory_fraction;
  /// Bytes; 0 without MPS.
  uint64_t allocated = 0, recommended_max = 0;
  /// PYTORCH_ENABLE_MPS_FALLBACK as torch found it at load time.
  bool fallback = false;
  /// What was asked for and could not be done, and how to get it.
  std::vector<std::string> notes;
};
SIGNALLLM_API std::ostream& operator<<(
    std::ostream& stream,
    const MPSSetupReport& report);

/// Looks at the platform and sets what `options` asks for.
SIGNALLLM_API MPSSetupReport
setup_mps_optimizations(const MPSSetupOptions& options = {});

} // namespace signalllm

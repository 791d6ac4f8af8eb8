#pragma once

#include <signalllm/export.h>
#include <signalllm/training/safetensors.h>

#include <torch/arg.h>
#include <torch/nn/module.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace signalllm::training {

struct SIGNALLLM_API AdamWOptions {
  AdamWOptions() = default;

  TORCH_ARG(double, beta1) = 0.9;
  TORCH_ARG(double, beta2) = 0.99;
  TORCH_ARG(double, eps) = 1e-8;
  TORCH_ARG(double, weight_decay) = 0.1;
  /// Decay of the coefficients of Fourier kernels (`...kernel_terms`).
  TORCH_ARG(double, kernel_decay) = 0.0;
  /// Gradients are scaled down to this global norm; 0 leaves them alone.
  TORCH_ARG(double, clip) = 1.0;
  /// The matrices of blocks by Muon instead (Jordan and others, 2024): their
  /// update is the orthogonal factor of the gradients' mean (`momentum`, with
  /// Nesterov's look ahead) times `0.2 sqrt(max(rows, columns))` (Liu and
  /// others, "Muon is scalable for LLM training", 2025), which makes it as
  /// long as AdamW's, so that rate and decay serve both.
  TORCH_ARG(bool, muon) = false;
  TORCH_ARG(double, momentum) = 0.95;
};

class Muon;

/// Whether weight decay makes sense for a parameter: matrices named
/// `...weight` or `...coefficients`, but not the taps of filters.
SIGNALLLM_API bool decays(const std::string& name, const at::Tensor& parameter);

/// AdamW (Loshchilov and Hutter, 2019) through ATen's fused kernel, with
/// clipping in the same pass over the gradients. A step whose gradients are
/// not finite changes nothing. Nothing is read back to the host.
class SIGNALLLM_API FusedAdamW {
 public:
  using Predicate = std::function<bool(const std::string&, const at::Tensor&)>;

  /// Takes the parameters of `model` that require gradients. They must be on
  /// the device where they will be trained.
  explicit FusedAdamW(
      const torch::nn::Module& model,
      AdamWOptions options = {},
      const Predicate& has_decay = decays);

  /// One update with the gradients at hand (parameters without one are left
  /// alone). Returns the gradients' global norm before clipping, a scalar on
  /// the device.
  at::Tensor step(double learning_rate);
  /// The same with a rate that lies on the device, a float32 scalar.
  at::Tensor step(const at::Tensor& learning_rate);

  /// Drops the gradients.
  void zero_grad();

  /// Moments and step count, under the parameters' names.
  TensorMap state() const;
  /// Throws `c10::Error` naming what is missing or has another shape.
  void load_state(const TensorMap& state);

 private:
  struct Slot {
    std::string name;
    at::Tensor parameter;
    at::Tensor mean;
    at::Tensor square;
  };
  // Parameters that share a type and the decision on decay: one kernel each.
  struct Group {
    double weight_decay;
    std::vector<Slot> slots;
  };
  template <typename Rate>
  at::Tensor step_with(const Rate& rate);
  // The parameters of one type on MPS: their moments are views of `moments`.
  struct Flat {
    at::Tensor moments; // [2, count]
    std::vector<size_t> groups;
  };
  template <typename Rate>
  void update(const Group& group, const Rate& rate, const at::Tensor& norm);
  void lay_flat();
  template <typename Rate>
  at::Tensor step_flat(const Rate& rate);
  // `rate` a scalar on the device, 0 where the step is not `finite`.
  void step_muon(
      const at::Tensor& norm,
      const at::Tensor& finite,
      const at::Tensor& rate);

  AdamWOptions options_;
  std::vector<Group> groups_;
  std::vector<Flat> flat_; // empty but on MPS
  std::shared_ptr<Muon> muon_; // null: all by AdamW
  at::Tensor steps_; // float32 scalar, what the kernel wants
};

} // namespace signalllm::training

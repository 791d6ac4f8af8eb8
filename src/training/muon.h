#pragma once

#include <signalllm/training/safetensors.h>

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#pragma GCC visibility push(default) // the tests use it

namespace signalllm::training {

/// Whether a parameter is a matrix between channels: those of the blocks, not
/// embeddings, whose rows are tokens.
bool is_channel_matrix(const std::string& name, const at::Tensor& parameter);

/// About U V^T of matrices `[n, rows, columns]` = U S V^T, by five steps of a
/// quintic Newton-Schulz iteration, which leave singular values between about
/// 0.7 and 1.2; in bfloat16 on CUDA, else in float32. Returns float32.
at::Tensor orthogonalized(const at::Tensor& matrices);

/// The matrices' half of `FusedAdamW` with `muon(true)`, see there. Nothing is
/// read back to the host.
class Muon {
 public:
  explicit Muon(double momentum) : momentum_(momentum) {}

  void add(
      const std::string& name,
      const at::Tensor& parameter,
      double weight_decay);

  /// Appends the gradients at hand.
  void gradients(std::vector<at::Tensor>& to) const;

  /// `rate` float32 scalar, 0 where the step is to change nothing, `finite` a
  /// boolean scalar that says so, gradients over `divisor`.
  void step(
      const at::Tensor& rate,
      const at::Tensor& finite,
      const at::Tensor& divisor);

  void zero_grad();

  /// `adamw.mean.NAME`, the live tensors.
  void state(TensorMap& to) const;

 private:
  struct Slot {
    std::string name;
    at::Tensor parameter;
    int64_t first; // among the group's matrices
    int64_t count; // of matrices that stand one on the other in it
  };
  // Matrices of one shape: one product for all.
  struct Group {
    int64_t rows, columns;
    double weight_decay;
    std::vector<Slot> slots;
    at::Tensor mean; // [n, rows, columns]
  };
  void update(
      Group& group,
      const at::Tensor& rate,
      const at::Tensor& finite,
      const at::Tensor& divisor);

  double momentum_;
  std::vector<Group> groups_;
};

} // namespace signalllm::training

#pragma GCC visibility pop

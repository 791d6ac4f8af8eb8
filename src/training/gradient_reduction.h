#pragma once

#include <signalllm/training/distributed.h>
#include <signalllm/training/trainer.h>

#include <torch/nn/module.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace c10d {
class Logger;
class Reducer;
} // namespace c10d

namespace signalllm::training {

/// The mean of all processes' gradients, by c10d's Reducer: gradients are put
/// into buckets in the order in which backward has them, and a bucket is summed
/// while backward goes on. The order is found in the first backward, whose
/// buckets are summed behind it, so that a bucket is the same in every step and
/// a resumed run adds what an undisturbed one adds.
class GradientReduction {
 public:
  GradientReduction(
      std::shared_ptr<Processes> processes,
      const torch::nn::Module& model);
  ~GradientReduction();

  /// Before the forward pass of a step's last batch.
  void begin();
  /// Collective: backward of that batch; afterwards the gradients, with what
  /// batches before it have left there, are the mean of all processes'.
  void backward(const at::Tensor& loss);

  Reduction report() const;

 private:
  using Named = std::pair<std::string, at::Tensor>;

  void backward_in_order(const at::Tensor& loss);
  void check_same_order();
  void assign();
  void reduce_buckets();
  void make_reducer();

  std::shared_ptr<Processes> processes_;
  std::vector<Named> parameters_; // that have gradients, as backward has them
  std::vector<Named> without_; // the others
  std::vector<std::vector<std::size_t>> buckets_; // of indices of parameters_
  std::shared_ptr<c10d::Reducer> reducer_;
  std::shared_ptr<c10d::Logger> logger_;
};

} // namespace signalllm::training

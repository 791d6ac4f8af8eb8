#include "optimize_move.h"

#include <c10/util/Type.h>
#include <torch/optim/adagrad.h>
#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/optim/lbfgs.h>
#include <torch/optim/rmsprop.h>
#include <torch/optim/sgd.h>

#include <unordered_set>

namespace signalllm::detail {

namespace {

using Kind = OptimizeEntry::Kind;

/// What MPS has instead of `type`.
at::ScalarType allowed_type(at::ScalarType type, c10::Device device) {
  if (!device.is_mps()) {
    return type;
  }
  return type == at::kDouble       ? at::kFloat
      : type == at::kComplexDouble ? at::kComplexFloat
                                   : type;
}

class Mover {
 public:
  explicit Mover(OptimizeReport& report) : report_(report) {}

  /// A parameter or buffer, in place, with its gradient.
  void move_in_place(const std::string& name, at::Tensor& tensor) {
    if (!tensor.defined() ||
        !seen_.insert(tensor.unsafeGetTensorImpl()).second) {
      return;
    }
    const auto type = tensor.scalar_type();
    const auto new_type = allowed_type(type, report_.device);
    auto gradient = tensor.grad();
    if (gradient.defined()) {
      // Away while the tensor changes: the two must agree at all times.
      tensor.mutable_grad() = at::Tensor();
    }
    if (tensor.device() != report_.device || type != new_type) {
      tensor.set_data(tensor.to(report_.device, new_type));
      ++report_.moved;
    }
    if (gradient.defined()) {
      move(gradient);
      tensor.mutable_grad() = gradient;
    }
    if (type != new_type) {
      report_.entries.push_back(
          {Kind::Converted,
           name,
           c10::toString(type),
           c10::toString(new_type),
           "MPS has no float64"});
    }
  }

  /// A tensor that nothing else identifies.
  void move(at::Tensor& tensor) {
    if (!tensor.defined()) {
      return;
    }
    const auto type = allowed_type(tensor.scalar_type(), report_.device);
    if (tensor.device() != report_.device || tensor.scalar_type() != type) {
      tensor = tensor.to(report_.device, type);
      ++report_.moved;
    }
  }

  void move_state(torch::optim::OptimizerParamState& state) {
    using namespace torch::optim;
    if (auto* adam = dynamic_cast<AdamParamState*>(&state)) {
      move_all(adam->exp_avg(), adam->exp_avg_sq(), adam->max_exp_avg_sq());
    } else if (auto* adamw = dynamic_cast<AdamWParamState*>(&state)) {
      move_all(adamw->exp_avg(), adamw->exp_avg_sq(), adamw->max_exp_avg_sq());
    } else if (auto* sgd = dynamic_cast<SGDParamState*>(&state)) {
      move(sgd->momentum_buffer());
    } else if (auto* rmsprop = dynamic_cast<RMSpropParamState*>(&state)) {
      move_all(
          rmsprop->square_avg(),
          rmsprop->momentum_buffer(),
          rmsprop->grad_avg());
    } else if (auto* adagrad = dynamic_cast<AdagradParamState*>(&state)) {
      move(adagrad->sum());
    } else if (auto* lbfgs = dynamic_cast<LBFGSParamState*>(&state)) {
      move_all(lbfgs->d(), lbfgs->H_diag(), lbfgs->prev_flat_grad());
      for (auto* tensors :
           {&lbfgs->old_dirs(), &lbfgs->old_stps(), &lbfgs->ro()}) {
        for (auto& tensor : *tensors) {
          move(tensor);
        }
      }
      if (lbfgs->al()) {
        for (auto& tensor : *lbfgs->al()) {
          move(tensor);
        }
      }
    } else {
      report_.entries.push_back(
          {Kind::Left,
           "optimizer",
           c10::demangle(typeid(state).name()),
           c10::demangle(typeid(state).name()),
           "an optimizer whose state is not known here; move it yourself"});
    }
  }

  bool has_seen(const void* impl) const {
    return seen_.count(impl) > 0;
  }

 private:
  template <typename... Tensors>
  void move_all(Tensors&... tensors) {
    (move(tensors), ...);
  }

  OptimizeReport& report_;
  std::unordered_set<const void*> seen_;
};

} // namespace

void move_tensors(
    torch::nn::Module& model,
    torch::optim::Optimizer* optimizer,
    OptimizeReport& report) {
  Mover mover(report);
  for (auto& item : model.named_parameters()) {
    mover.move_in_place(item.key(), item.value());
  }
  for (auto& item : model.named_buffers()) {
    mover.move_in_place(item.key(), item.value());
  }
  if (!optimizer) {
    return;
  }
  // The optimizer may hold other parameters than this model's.
  for (auto& [key, state] : optimizer->state()) {
    if (mover.has_seen(key)) {
      mover.move_state(*state);
    }
  }
}

} // namespace signalllm::detail

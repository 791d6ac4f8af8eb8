#include <signalllm/training/adamw.h>

#include "training/muon.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <map>
#include <optional>

namespace signalllm::training {

bool decays(const std::string& name, const at::Tensor& parameter) {
  return parameter.dim() == 2 &&
      (name.ends_with("weight") || name.ends_with("coefficients")) &&
      name.find("filter") == std::string::npos;
}

FusedAdamW::FusedAdamW(
    const torch::nn::Module& model,
    AdamWOptions options,
    const Predicate& has_decay)
    : options_(std::move(options)) {
  std::map<std::pair<double, at::ScalarType>, Group> groups;
  for (const auto& item : model.named_parameters()) {
    const auto& parameter = item.value();
    if (!parameter.requires_grad()) {
      continue;
    }
    const double decay = item.key().ends_with("kernel_terms")
        ? options_.kernel_decay()
        : has_decay(item.key(), parameter) ? options_.weight_decay()
                                           : 0.0;
    if (options_.muon() && is_channel_matrix(item.key(), parameter)) {
      if (!muon_) {
        muon_ = std::make_shared<Muon>(options_.momentum());
      }
      muon_->add(item.key(), parameter, decay);
      continue;
    }
    auto& group = groups[{decay, parameter.scalar_type()}];
    group.weight_decay = decay;
    group.slots.push_back(
        {item.key(),
         parameter,
         at::zeros_like(parameter, at::MemoryFormat::Preserve),
         at::zeros_like(parameter, at::MemoryFormat::Preserve)});
    if (!steps_.defined()) {
      steps_ = at::zeros({}, parameter.options().dtype(at::kFloat))
                   .requires_grad_(false);
    }
  }
  TORCH_CHECK(steps_.defined(), "FusedAdamW: the model has no parameters");
  for (auto& [key, group] : groups) {
    groups_.push_back(std::move(group));
  }
  if (steps_.is_mps()) {
    lay_flat();
  }
}

at::Tensor FusedAdamW::step(double learning_rate) {
  return step_with(learning_rate);
}

at::Tensor FusedAdamW::step(const at::Tensor& learning_rate) {
  return step_with(learning_rate);
}

template <typename Rate>
at::Tensor FusedAdamW::step_with(const Rate& rate) {
  at::NoGradGuard no_grad;
  if (!flat_.empty()) {
    return step_flat(rate);
  }
  std::vector<at::Tensor> norms;
  for (const auto& group : groups_) {
    std::vector<at::Tensor> gradients;
    for (const auto& slot : group.slots) {
      if (slot.parameter.grad().defined()) {
        gradients.push_back(slot.parameter.grad());
      }
    }
    if (gradients.empty()) {
      continue; // ATen wants at least one
    }
    for (auto& norm : at::_foreach_norm(gradients, 2)) {
      norms.push_back(norm.to(at::kFloat));
    }
  }
  if (muon_) {
    std::vector<at::Tensor> gradients;
    muon_->gradients(gradients);
    if (!gradients.empty()) {
      for (auto& norm : at::_foreach_norm(gradients, 2)) {
        norms.push_back(norm.to(at::kFloat));
      }
    }
  }
  TORCH_CHECK(
      !norms.empty(),
      "FusedAdamW::step: no parameter has a gradient; call backward() first");
  const auto norm = at::linalg_vector_norm(at::stack(norms));
  if (muon_) {
    const auto finite = at::isfinite(norm);
    step_muon(norm, finite, finite.to(at::kFloat) * rate);
  }
  for (const auto& group : groups_) {
    update(group, rate, norm);
  }
  return norm;
}

void FusedAdamW::step_muon(
    const at::Tensor& norm,
    const at::Tensor& finite,
    const at::Tensor& rate) {
  muon_->step(
      rate,
      finite,
      options_.clip() > 0 ? ((norm + 1e-6) / options_.clip()).clamp_min(1.0)
                          : at::ones_like(norm));
}

template <typename Rate>
void FusedAdamW::update(
    const Group& group,
    const Rate& rate,
    const at::Tensor& norm) {
  std::vector<at::Tensor> parameters, gradients, means, squares;
  for (const auto& slot : group.slots) {
    if (slot.parameter.grad().defined()) {
      parameters.push_back(slot.parameter);
      gradients.push_back(slot.parameter.grad());
      means.push_back(slot.mean);
      squares.push_back(slot.square);
    }
  }
  if (parameters.empty()) {
    return;
  }
  std::optional<at::Tensor> divisor;
  const auto step = steps_ + 1;
  if (options_.clip() > 0) {
    divisor = ((norm + 1e-6) / options_.clip()).clamp_min(1.0);
  }
  const auto found_inf = at::isfinite(norm).logical_not().to(at::kFloat);
  const std::vector<at::Tensor> steps(parameters.size(), step);
  at::_fused_adamw_(
      parameters,
      gradients,
      means,
      squares,
      /*max_exp_avg_sqs=*/{},
      steps,
      rate,
      options_.beta1(),
      options_.beta2(),
      group.weight_decay,
      options_.eps(),
      /*amsgrad=*/false,
      /*maximize=*/false,
      divisor,
      found_inf);
  if (&group == &groups_.back()) {
    steps_.copy_(step - found_inf);
  }
}

void FusedAdamW::zero_grad() {
  for (auto& group : groups_) {
    for (auto& slot : group.slots) {
      slot.parameter.mutable_grad() = at::Tensor();
    }
  }
  if (muon_) {
    muon_->zero_grad();
  }
}

TensorMap FusedAdamW::state() const {
  TensorMap state{{"adamw.steps", steps_}};
  for (const auto& group : groups_) {
    for (const auto& slot : group.slots) {
      state["adamw.mean." + slot.name] = slot.mean;
      state["adamw.square." + slot.name] = slot.square;
    }
  }
  if (muon_) {
    muon_->state(state);
  }
  return state;
}

void FusedAdamW::load_state(const TensorMap& state) {
  at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : this->state()) {
    const auto found = state.find(name);
    TORCH_CHECK(
        found != state.end(), "FusedAdamW::load_state: no tensor '", name, "'");
    TORCH_CHECK(
        found->second.sizes() == tensor.sizes(),
        "FusedAdamW::load_state: '",
        name,
        "' has shape ",
        found->second.sizes(),
        ", expected ",
        tensor.sizes());
    at::Tensor(tensor).copy_(found->second);
  }
}

} // namespace signalllm::training

#include <signalllm/training/adamw.h>

#include "training/flat_moments.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <limits>
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
  if (!steps_.is_mps()) {
    return;
  }
  std::map<at::ScalarType, std::vector<size_t>> types;
  for (size_t i = 0; i < groups_.size(); ++i) {
    types[groups_[i].slots[0].parameter.scalar_type()].push_back(i);
  }
  for (const auto& [type, members] : types) {
    int64_t count = 0;
    for (const auto i : members) {
      for (const auto& slot : groups_[i].slots) {
        count += slot.parameter.numel();
      }
    }
    const auto moments = at::zeros({2, count}, steps_.options().dtype(type));
    int64_t first = 0;
    for (const auto i : members) {
      for (auto& slot : groups_[i].slots) {
        slot.mean = laid_out_like(moments[0], first, slot.parameter);
        slot.square = laid_out_like(moments[1], first, slot.parameter);
        first += slot.parameter.numel();
      }
    }
    flat_.push_back({moments, members});
  }
}

at::Tensor FusedAdamW::step(double learning_rate) {
  return step_with(learning_rate);
}

at::Tensor FusedAdamW::step(const at::Tensor& learning_rate) {
  return step_with(learning_rate);
}

namespace {

void check_any(bool gradients) {
  TORCH_CHECK(
      gradients,
      "FusedAdamW::step: no parameter has a gradient; call backward() first");
}

} // namespace

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
  check_any(!norms.empty());
  auto norm = at::linalg_vector_norm(at::stack(norms));
  for (const auto& group : groups_) {
    update(group, rate, norm);
  }
  return norm;
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

// MPS's kernel ignores `grad_scale` and `found_inf`, and what `_foreach_`
// operators do there is a launch a tensor. So the gradients of a type are
// joined; where they are not finite they become 0, the rate becomes 0 and the
// moments get their old values back.
template <typename Rate>
at::Tensor FusedAdamW::step_flat(const Rate& rate) {
  std::vector<at::Tensor> gradients, norms; // of every type
  for (const auto& flat : flat_) {
    std::vector<at::Tensor> parts;
    for (const auto i : flat.groups) {
      for (const auto& slot : groups_[i].slots) {
        if (slot.parameter.grad().defined()) {
          parts.push_back(in_order_of(slot.parameter.grad(), slot.parameter));
        }
      }
    }
    gradients.push_back(parts.empty() ? at::Tensor() : at::cat(parts));
    if (!parts.empty()) {
      norms.push_back(at::linalg_vector_norm(
          gradients.back(), 2, at::OptionalIntArrayRef(), false, at::kFloat));
    }
  }
  check_any(!norms.empty());
  const auto norm =
      norms.size() == 1 ? norms[0] : at::linalg_vector_norm(at::stack(norms));
  const auto finite =
      norm.lt(std::numeric_limits<double>::infinity()); // false for NaN
  const auto not_finite = finite.logical_not();
  const auto applied = finite.to(at::kFloat);
  const auto scale = options_.clip() > 0
      ? std::optional(
            ((norm + 1e-6) / options_.clip()).clamp_min_(1.0).reciprocal_())
      : std::nullopt;
  const auto step = steps_ + 1;
  for (size_t f = 0; f < flat_.size(); ++f) {
    auto& gradient = gradients[f];
    if (!gradient.defined()) {
      continue;
    }
    if (scale) {
      gradient.mul_(*scale);
    }
    gradient.masked_fill_(not_finite, 0.0);
    const auto before = flat_[f].moments.clone();
    int64_t first = 0;
    for (const auto i : flat_[f].groups) {
      std::vector<at::Tensor> parameters, parts, means, squares;
      for (const auto& slot : groups_[i].slots) {
        if (slot.parameter.grad().defined()) {
          parameters.push_back(slot.parameter);
          parts.push_back(laid_out_like(gradient, first, slot.parameter));
          means.push_back(slot.mean);
          squares.push_back(slot.square);
          first += slot.parameter.numel();
        }
      }
      if (parameters.empty()) {
        continue;
      }
      at::_fused_adamw_(
          parameters,
          parts,
          means,
          squares,
          /*max_exp_avg_sqs=*/{},
          std::vector<at::Tensor>(parameters.size(), step),
          applied * rate,
          options_.beta1(),
          options_.beta2(),
          groups_[i].weight_decay,
          options_.eps(),
          /*amsgrad=*/false,
          /*maximize=*/false);
    }
    at::where_out(flat_[f].moments, finite, flat_[f].moments, before);
  }
  steps_ += applied;
  return norm;
}

void FusedAdamW::zero_grad() {
  for (auto& group : groups_) {
    for (auto& slot : group.slots) {
      slot.parameter.mutable_grad() = at::Tensor();
    }
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

// FusedAdamW on MPS, where an operator's launch is what a small tensor costs.
#include <signalllm/training/adamw.h>

#include "training/flat_moments.h"
#include "training/muon.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <limits>
#include <map>

namespace signalllm::training {

void FusedAdamW::lay_flat() {
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
  if (muon_) {
    std::vector<at::Tensor> parts;
    muon_->gradients(parts);
    for (auto& part : parts) {
      part = part.reshape({-1});
    }
    if (!parts.empty()) {
      norms.push_back(at::linalg_vector_norm(
          at::cat(parts), 2, at::OptionalIntArrayRef(), false, at::kFloat));
    }
  }
  TORCH_CHECK(
      !norms.empty(),
      "FusedAdamW::step: no parameter has a gradient; call backward() first");
  const auto norm =
      norms.size() == 1 ? norms[0] : at::linalg_vector_norm(at::stack(norms));
  const auto finite =
      norm.lt(std::numeric_limits<double>::infinity()); // false for NaN
  const auto not_finite = finite.logical_not();
  const auto applied = finite.to(at::kFloat);
  const auto applied_rate = applied * rate;
  if (muon_) {
    step_muon(norm, finite, applied_rate);
  }
  at::Tensor divisor;
  if (options_.clip() > 0) {
    divisor = (norm + 1e-6).div_(options_.clip()).clamp_min_(1.0);
  }
  const auto step = steps_ + 1;
  for (size_t f = 0; f < flat_.size(); ++f) {
    auto& gradient = gradients[f];
    if (!gradient.defined()) {
      continue;
    }
    if (divisor.defined()) {
      gradient.div_(divisor);
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
          applied_rate,
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

template at::Tensor FusedAdamW::step_flat(const double&);
template at::Tensor FusedAdamW::step_flat(const at::Tensor&);

} // namespace signalllm::training

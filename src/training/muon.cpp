#include "training/muon.h"

#include <signalllm/training/adamw.h>

#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sub.h>
#include <ATen/ops/baddbmm.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace signalllm::training {
namespace {

/// Queries, keys and values stand one on the other in a mixer's `in_proj`;
/// they are matrices of their own.
int64_t stacked(const std::string& name, const at::Tensor& parameter) {
  const bool mixer = name.ends_with("in_proj.weight") &&
      name.find("feed_forward") == std::string::npos;
  return mixer && parameter.size(0) % 3 == 0 ? 3 : 1;
}

} // namespace

bool is_channel_matrix(const std::string& name, const at::Tensor& parameter) {
  return decays(name, parameter) && name.ends_with("weight") &&
      name.find("embedding") == std::string::npos;
}

at::Tensor orthogonalized(const at::Tensor& matrices) {
  constexpr std::array<double, 3> a{3.4445, -4.7750, 2.0315};
  const bool tall = matrices.size(-2) > matrices.size(-1);
  const auto size =
      at::linalg_vector_norm(matrices, 2, at::IntArrayRef{-2, -1}, true);
  auto x = (matrices / (size + 1e-7))
               .to(matrices.is_cuda() ? at::kBFloat16 : at::kFloat);
  if (tall) { // the smaller of the two products
    x = x.transpose(-2, -1);
  }
  for (int i = 0; i < 5; ++i) {
    const auto square = at::bmm(x, x.transpose(-2, -1));
    const auto polynomial = at::baddbmm(square, square, square, a[1], a[2]);
    x = at::baddbmm(x, polynomial, x, a[0], 1);
  }
  return (tall ? x.transpose(-2, -1) : x).to(at::kFloat);
}

void Muon::add(
    const std::string& name,
    const at::Tensor& parameter,
    double weight_decay) {
  const auto count = stacked(name, parameter);
  const auto rows = parameter.size(0) / count;
  const auto columns = parameter.size(1);
  auto found =
      std::find_if(groups_.begin(), groups_.end(), [&](const Group& group) {
        return group.rows == rows && group.columns == columns &&
            group.weight_decay == weight_decay &&
            group.mean.scalar_type() == parameter.scalar_type();
      });
  const auto fresh =
      at::zeros({count, rows, columns}, parameter.options()).detach();
  if (found == groups_.end()) {
    groups_.push_back({rows, columns, weight_decay, {}, fresh});
    groups_.back().slots.push_back({name, parameter, 0, count});
  } else {
    found->slots.push_back({name, parameter, found->mean.size(0), count});
    found->mean = at::cat({found->mean, fresh});
  }
}

void Muon::gradients(std::vector<at::Tensor>& to) const {
  for (const auto& group : groups_) {
    for (const auto& slot : group.slots) {
      if (slot.parameter.grad().defined()) {
        to.push_back(slot.parameter.grad());
      }
    }
  }
}

void Muon::step(
    const at::Tensor& rate,
    const at::Tensor& finite,
    const at::Tensor& divisor) {
  for (auto& group : groups_) {
    update(group, rate, finite, divisor);
  }
}

void Muon::update(
    Group& group,
    const at::Tensor& rate,
    const at::Tensor& finite,
    const at::Tensor& divisor) {
  std::vector<at::Tensor> gradients;
  for (const auto& slot : group.slots) {
    const auto& gradient = slot.parameter.grad();
    gradients.push_back(
        (gradient.defined() ? gradient : at::zeros_like(slot.parameter))
            .reshape({slot.count, group.rows, group.columns}));
  }
  auto gradient = at::cat(gradients) / divisor;
  gradient = at::where(finite, gradient, at::zeros({}, gradient.options()));
  group.mean.lerp_(
      gradient, finite.to(gradient.scalar_type()) * (1 - momentum_));
  // Nesterov's look ahead, and as long a step as AdamW's usual one.
  const auto length =
      0.2 * std::sqrt(static_cast<double>(std::max(group.rows, group.columns)));
  const auto change =
      orthogonalized(gradient.lerp(group.mean, momentum_)) * (rate * length);
  std::vector<at::Tensor> parameters, changes;
  for (const auto& slot : group.slots) {
    if (slot.parameter.grad().defined()) {
      parameters.push_back(slot.parameter);
      changes.push_back(change.narrow(0, slot.first, slot.count)
                            .reshape(slot.parameter.sizes())
                            .to(slot.parameter.scalar_type()));
    }
  }
  if (!parameters.empty()) {
    at::_foreach_mul_(parameters, 1 - rate * group.weight_decay);
    at::_foreach_sub_(parameters, changes);
  }
}

void Muon::zero_grad() {
  for (auto& group : groups_) {
    for (auto& slot : group.slots) {
      slot.parameter.mutable_grad() = at::Tensor();
    }
  }
}

void Muon::state(TensorMap& to) const {
  for (const auto& group : groups_) {
    for (const auto& slot : group.slots) {
      to["adamw.mean." + slot.name] =
          group.mean.narrow(0, slot.first, slot.count)
              .view(slot.parameter.sizes());
    }
  }
}

} // namespace signalllm::training

#include "training/gradient_reduction.h"

#include "training/process_group.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/distributed/c10d/logger.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>

#include <algorithm>
#include <set>
#include <unordered_map>

namespace signalllm::training {
namespace {

// As torch's DistributedDataParallel has them: the first bucket is small, so
// that the network has something to do early.
constexpr std::size_t first_bytes = std::size_t{1} << 20;
constexpr std::size_t bucket_bytes = std::size_t{25} << 20;

} // namespace

GradientReduction::GradientReduction(
    std::shared_ptr<Processes> processes,
    const torch::nn::Module& model)
    : processes_(std::move(processes)) {
  std::set<const void*> seen; // a parameter with two names counts once
  for (const auto& item : model.named_parameters()) {
    if (item.value().requires_grad() &&
        seen.insert(item.value().unsafeGetTensorImpl()).second) {
      without_.emplace_back(item.key(), item.value());
    }
  }
}

GradientReduction::~GradientReduction() = default;

void GradientReduction::begin() {
  if (reducer_) {
    logger_->set_runtime_stats_and_log();
    reducer_->prepare_for_forward();
    among(*processes_, [&] { reducer_->rebuild_buckets(); });
  }
}

void GradientReduction::backward(const at::Tensor& loss) {
  if (reducer_) {
    reducer_->prepare_for_backward({}); // every one of them gets a gradient
    among(*processes_, [&] { loss.backward(); });
  } else {
    backward_in_order(loss);
    check_same_order();
    assign();
    reduce_buckets();
    make_reducer();
  }
  for (const auto& [name, parameter] : without_) {
    TORCH_CHECK(
        !parameter.grad().defined(),
        "several processes train a model that does the same in every step; "
        "this one has its first gradient of ",
        name,
        " in a later one");
  }
}

void GradientReduction::backward_in_order(const at::Tensor& loss) {
  std::vector<std::size_t> order;
  std::vector<unsigned> hooks;
  for (std::size_t i = 0; i < without_.size(); ++i) {
    hooks.push_back(without_[i].second.register_hook(
        [&order, i](const at::Tensor&) { order.push_back(i); }));
  }
  loss.backward();
  std::set<std::size_t> seen;
  for (const auto i : order) {
    if (seen.insert(i).second) {
      parameters_.push_back(without_[i]);
    }
  }
  std::vector<Named> rest;
  for (std::size_t i = 0; i < without_.size(); ++i) {
    without_[i].second.remove_hook(hooks[i]);
    if (!seen.contains(i)) {
      rest.push_back(without_[i]);
    }
  }
  without_ = std::move(rest);
}

void GradientReduction::check_same_order() {
  std::string mine;
  for (const auto& [name, parameter] : parameters_) {
    mine += c10::str(name, parameter.sizes(), parameter.scalar_type(), "\n");
  }
  const auto theirs = processes_->share(mine);
  processes_->together([&] {
    TORCH_CHECK(
        mine == theirs,
        "the model of process ",
        processes_->rank(),
        " is not that of process 0");
  });
}

void GradientReduction::assign() {
  std::vector<at::Tensor> tensors;
  for (const auto& [name, parameter] : parameters_) {
    tensors.push_back(parameter);
  }
  buckets_ = std::get<0>(c10d::compute_bucket_assignment_by_size(
      tensors,
      {first_bytes, bucket_bytes},
      std::vector<bool>(tensors.size(), false)));
}

void GradientReduction::reduce_buckets() {
  const at::NoGradGuard no_grad;
  const double share = 1.0 / static_cast<double>(processes_->count());
  for (const auto& bucket : buckets_) {
    int64_t size = 0;
    for (const auto i : bucket) {
      size += parameters_[i].second.numel();
    }
    const auto flat =
        at::empty({size}, parameters_[bucket[0]].second.options());
    // Views of the bucket as the Reducer has them: in the parameter's layout.
    std::vector<at::Tensor> views;
    int64_t offset = 0;
    for (const auto i : bucket) {
      const auto& parameter = parameters_[i].second;
      const auto part = flat.narrow(0, offset, parameter.numel());
      views.push_back(
          parameter.is_non_overlapping_and_dense()
              ? part.as_strided(parameter.sizes(), parameter.strides())
              : part.view(parameter.sizes()));
      views.back().copy_(parameter.grad() * share);
      offset += parameter.numel();
    }
    processes_->sum(flat);
    for (std::size_t i = 0; i < bucket.size(); ++i) {
      parameters_[bucket[i]].second.mutable_grad().copy_(views[i]);
    }
  }
}

void GradientReduction::make_reducer() {
  std::vector<at::Tensor> tensors;
  std::unordered_map<std::size_t, std::string> names;
  for (const auto& [name, parameter] : parameters_) {
    names[tensors.size()] = name;
    tensors.push_back(parameter);
  }
  const std::vector<bool> sparse(tensors.size(), false);
  reducer_ = std::make_shared<c10d::Reducer>(
      tensors,
      buckets_,
      processes_->parts().group,
      sparse,
      static_cast<int64_t>(bucket_bytes),
      /*find_unused_parameters=*/false,
      /*gradient_as_bucket_view=*/true,
      names,
      static_cast<int64_t>(first_bytes),
      /*skip_all_reduce_unused_params=*/false,
      /*use_python_reducer=*/false,
      std::vector<int64_t>{});
  logger_ = std::make_shared<c10d::Logger>(reducer_);
  reducer_->set_logger(logger_);
  logger_->set_construction_data_and_log(
      "Trainer", {}, -1, false, false, false);
}

Reduction GradientReduction::report() const {
  Reduction report;
  for (const auto& [name, parameter] : parameters_) {
    report.bytes += static_cast<int64_t>(parameter.nbytes());
  }
  report.buckets = static_cast<int64_t>(buckets_.size());
  if (logger_) {
    auto numbers = logger_->get_ddp_logging_data().ints_map;
    const auto seconds = [&](const char* name) {
      return static_cast<double>(numbers[name]) * 1e-9;
    };
    report.seconds = seconds("avg_backward_comm_time");
    report.hidden_seconds = seconds("avg_backward_compute_comm_overlap_time");
    report.backward_seconds = seconds("avg_backward_compute_time");
  }
  return report;
}

} // namespace signalllm::training

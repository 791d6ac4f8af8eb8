#include <signalllm/training/checkpoint.h>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/isnan.h>
#include <c10/util/Exception.h>

namespace signalllm::training {

TensorMap module_tensors(const torch::nn::Module& module) {
  TensorMap tensors;
  for (const auto& item : module.named_parameters()) {
    tensors[item.key()] = item.value();
  }
  for (const auto& item : module.named_buffers()) {
    tensors[item.key()] = item.value();
  }
  return tensors;
}

void load_module(torch::nn::Module& module, const TensorMap& tensors) {
  at::NoGradGuard no_grad;
  auto targets = module_tensors(module);
  for (auto& [name, target] : targets) {
    const auto found = tensors.find(name);
    TORCH_CHECK(
        found != tensors.end(),
        "load_module: the file has no tensor '",
        name,
        "', which the model needs");
    TORCH_CHECK(
        found->second.sizes() == target.sizes(),
        "load_module: '",
        name,
        "' has shape ",
        found->second.sizes(),
        " in the file and ",
        target.sizes(),
        " in the model");
  }
  for (const auto& [name, tensor] : tensors) {
    TORCH_CHECK(
        targets.count(name) == 1,
        "load_module: the model has no tensor '",
        name,
        "', which the file holds");
    if (at::isFloatingType(tensor.scalar_type())) {
      // ATen compares no 8-bit floating point numbers.
      const auto bad =
          (tensor.element_size() > 1 ? tensor : tensor.to(at::kFloat))
              .isnan()
              .sum()
              .item<int64_t>();
      TORCH_CHECK(
          bad == 0,
          "load_module: '",
          name,
          "' has NaN in ",
          bad,
          " of its ",
          tensor.numel(),
          " places in the file; weights must be numbers");
    }
  }
  for (const auto& [name, tensor] : tensors) {
    targets[name].copy_(tensor);
  }
}

} // namespace signalllm::training

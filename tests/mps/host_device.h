#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Allocator.h>

#include <functional>
#include <string>
#include <vector>

/// What the parts of the host-backed MPS share.
namespace signalllm::host_mps {

c10::Allocator& allocator();

/// The same memory as a CPU tensor; other tensors as they are.
at::Tensor on_cpu(const at::Tensor& tensor);

/// A copy on MPS, with the strides of `cpu`; no copy that is counted.
at::Tensor to_device(const at::Tensor& cpu);

/// Throws `c10::TypeError` for what MPS has not: float64 and complex128.
void check_type(c10::ScalarType type);

/// Throws where an operator is called in a form that is known to go wrong on
/// MPS.
void check_rules(
    const std::string& name,
    const std::vector<c10::IValue>& arguments);

} // namespace signalllm::host_mps

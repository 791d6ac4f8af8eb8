#pragma once

#include "transform.h"

namespace signalllm::cuda {

/// Analysis and synthesis as in transform.h by the kernels for what models use
/// most: short filters, shared by all channels, few levels, a border rule that
/// looks no further than a few rows. False, and nothing done, for the rest.
bool analyse_in_one_pass(
    const at::Tensor& input,
    const ops::Signal& signal,
    const Bank& bank,
    const FilterPair& filters,
    const std::vector<int64_t>& lengths,
    const std::vector<at::Tensor>& details,
    at::Tensor& approximation);
bool synthesise_in_one_pass(
    const at::Tensor& approximation,
    const std::vector<at::Tensor>& details,
    const ops::Signal& signal,
    const Bank& bank,
    const FilterPair& filters,
    const std::vector<int64_t>& lengths,
    at::Tensor& output);

} // namespace signalllm::cuda

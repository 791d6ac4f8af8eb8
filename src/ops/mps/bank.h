#pragma once

#include "ops/mps/library.h"
#include "ops/mps/tile_plan.h"
#include "ops/signal.h"

#include <tuple>
#include <vector>

/// Multilevel transforms of MPS tensors by the kernels of wavedec.metal,
/// waverec.metal and bank_gradient.metal: one launch where the tiles of all
/// levels fit into threadgroup memory (10 levels at most), else one for as many
/// levels as do, with float sums between them.
namespace signalllm::mps {

/// What the launches of one transform have in common.
struct BankSetting {
  const ops::Signal& signal;
  Border border;
  int64_t offset;
  const std::vector<int64_t>& lengths; // of the levels, the signal's first
  const at::Tensor& lo;
  const at::Tensor& hi;
  bool reconstruction; // the filters are waverec's
};

/// Whether there are kernels for these types and indices that suffice.
bool bank_takes(const BankSetting& setting, at::ScalarType type);

/// Details [level - 1] and the approximation, contiguous; rows of it behind
/// lengths.back() become zero.
void analyse(
    const BankSetting& setting,
    const at::Tensor& signal,
    const std::vector<at::Tensor>& details,
    const at::Tensor& approximation);

/// The signal, contiguous. Rows of the approximation behind lengths.back() do
/// not count.
void synthesise(
    const BankSetting& setting,
    const at::Tensor& approximation,
    const std::vector<at::Tensor>& details,
    const at::Tensor& signal);

/// The gradients of both filters, two launches where the tiles fit, and what
/// the first of them makes on its way: for wavedec (`reconstruction` is false)
/// its input's gradient `out` from the coefficients' gradients, for waverec the
/// coefficients' gradients `out` (the approximation's) and `out_details` from
/// the signal's. See bank_gradient.metal. Undefined and empty are not made.
/// Undefined gradients, and nothing done, where 32-bit indices do not suffice.
std::tuple<at::Tensor, at::Tensor> filter_gradients(
    const BankSetting& setting,
    const at::Tensor& signal,
    const at::Tensor& approximation,
    const std::vector<at::Tensor>& details,
    const at::Tensor& out,
    const std::vector<at::Tensor>& out_details);

/// `[cA_n, cD_n, ..., cD_1]` to the details of level 1, 2, ...
std::vector<at::Tensor> details_of(at::TensorList coefficients);

/// Fresh memory for coefficients of the given lengths, in that order.
std::vector<at::Tensor> empty_coefficients(
    const at::Tensor& like,
    const ops::Signal& signal,
    const std::vector<int64_t>& lengths,
    int64_t approximation);

} // namespace signalllm::mps

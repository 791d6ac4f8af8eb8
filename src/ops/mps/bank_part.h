#pragma once

#include "ops/mps/bank.h"

/// How the launches of a transform are put together.
namespace signalllm::mps {

using Tensors = std::vector<at::Tensor>;

/// Values and indices that a launch takes: 32 bits hold twice as many.
constexpr int64_t kMostValues = int64_t{1} << 30;

/// Levels [begin, end) of a transform in one launch.
struct Part {
  int64_t begin, end;
  Bank bank;
};

/// All levels in as few launches as fit, from the signal on. Every part takes
/// as many levels as it can.
std::vector<Part> parts_of(const BankSetting& set, Direction direction);

/// A tensor's memory as the kernels read it, with the steps of the three axes
/// [batch, rows, inner]. Only axes that do not merge cost a copy.
struct View {
  at::Tensor memory; // one-dimensional, or contiguous
  Strides strides;

  View(const at::Tensor& tensor, int64_t dim);

 private:
  bool read(const at::Tensor& t, int64_t dim);
};

/// A tensor in its own type or in float: the kernels have a buffer for either,
/// and something has to be bound to both.
struct Either {
  at::Tensor own, wide;
  bool is_wide;

  Either(const at::Tensor& t, at::ScalarType type);
};

/// The details of a part for a kernel's ten buffers; their steps go to `bank`.
Tensors
read_details(const Tensors& details, const Part& part, int64_t dim, Bank& bank);

/// Those that a kernel writes.
Tensors written(const Tensors& details, int64_t begin, int64_t end);

/// Floats for the approximation of `level` between two launches.
at::Tensor
scratch(const BankSetting& set, const at::Tensor& like, int64_t level);

Grid grid_of(const Bank& bank);

/// `analyse` with details of `type`; without details only the approximation is
/// made.
void analyse_as(
    const BankSetting& set,
    const at::Tensor& signal,
    const Tensors& details,
    const at::Tensor& approximation,
    at::ScalarType type);

} // namespace signalllm::mps

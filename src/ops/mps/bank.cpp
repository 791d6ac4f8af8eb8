#include "ops/mps/bank_part.h"

#include <ATen/Functions.h>

#include <algorithm>

namespace signalllm::mps {
namespace {

void analyse_part(
    const BankSetting& set,
    const Part& part,
    const at::Tensor& from,
    const Tensors& details,
    const at::Tensor& to,
    at::ScalarType type) {
  Bank b = part.bank;
  const View view(from, set.signal.dim);
  const Either x(view.memory, type), y(to, type);
  b.strides[0] = view.strides;
  b.wide_signal = x.is_wide;
  b.wide_out = y.is_wide;
  b.top_rows = static_cast<int32_t>(to.size(set.signal.dim));
  b.wanted = details.empty() ? kApproximation : kDetails | kApproximation;
  launch(
      kernel("wavedec", type, set.lo.scalar_type()),
      grid_of(b),
      y.own,
      y.wide,
      x.own,
      x.wide,
      set.lo.contiguous(),
      set.hi.contiguous(),
      details.empty() ? Tensors(kBankLevels, y.own)
                      : written(details, part.begin, part.end),
      b);
}

void synthesise_part(
    const BankSetting& set,
    const Part& part,
    const at::Tensor& from,
    const Tensors& details,
    const at::Tensor& to,
    at::ScalarType type) {
  Bank b = part.bank;
  const View view(from, set.signal.dim);
  const auto d = read_details(details, part, set.signal.dim, b);
  const Either a(view.memory, type), y(to, type);
  b.top = view.strides;
  b.wide_top = a.is_wide;
  b.wide_out = y.is_wide;
  b.wanted = kSignal;
  launch(
      kernel("waverec", type, set.lo.scalar_type()),
      grid_of(b),
      y.own,
      y.wide,
      a.own,
      a.wide,
      set.lo.contiguous(),
      set.hi.contiguous(),
      d,
      b);
}

} // namespace

void analyse_as(
    const BankSetting& set,
    const at::Tensor& signal,
    const Tensors& details,
    const at::Tensor& approximation,
    at::ScalarType type) {
  at::Tensor from = signal;
  const auto parts = parts_of(set, Direction::analysis);
  for (const auto& part : parts) {
    const bool last = &part == &parts.back();
    const auto to = last ? approximation : scratch(set, signal, part.end);
    analyse_part(set, part, from, details, to, type);
    from = to;
  }
}

bool bank_takes(const BankSetting& set, at::ScalarType type) {
  const auto columns = set.signal.batch * set.signal.inner;
  const auto longest =
      *std::max_element(set.lengths.begin(), set.lengths.end());
  return columns > 0 && columns * longest < kMostValues &&
      longest < kMostValues / 8 && set.lo.numel() < kMostValues &&
      kernel("wavedec", type, set.lo.scalar_type()) != nullptr;
}

void analyse(
    const BankSetting& set,
    const at::Tensor& signal,
    const Tensors& details,
    const at::Tensor& approximation) {
  analyse_as(set, signal, details, approximation, details[0].scalar_type());
}

void synthesise(
    const BankSetting& set,
    const at::Tensor& approximation,
    const Tensors& details,
    const at::Tensor& signal) {
  at::Tensor from = approximation;
  const auto parts = parts_of(set, Direction::synthesis);
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    const bool last = part->begin == 0;
    const auto to = last ? signal : scratch(set, signal, part->begin);
    synthesise_part(set, *part, from, details, to, details[0].scalar_type());
    from = to;
  }
}

std::vector<at::Tensor> details_of(at::TensorList coefficients) {
  return {
      std::make_reverse_iterator(coefficients.end()),
      std::make_reverse_iterator(coefficients.begin() + 1)};
}

std::vector<at::Tensor> empty_coefficients(
    const at::Tensor& like,
    const ops::Signal& signal,
    const std::vector<int64_t>& lengths,
    int64_t approximation) {
  const auto make = [&](int64_t length) {
    return at::empty(signal.sizes_for(length), like.options());
  };
  std::vector<at::Tensor> out{make(approximation)};
  for (auto l = lengths.size() - 1; l > 0; --l) {
    out.push_back(make(lengths[l]));
  }
  return out;
}

} // namespace signalllm::mps

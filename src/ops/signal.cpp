#include "ops/signal.h"

#include "ops/checks.h"

#include <c10/util/Exception.h>

namespace signalllm::ops {

std::vector<int64_t> Signal::sizes_for(int64_t new_length) const {
  auto out = sizes;
  out[dim] = new_length;
  return out;
}

namespace {

/// `dim` counted from the front.
int64_t check_axis(std::string_view op, const at::Tensor& input, int64_t dim) {
  check_dense(op, "input", input);
  TORCH_CHECK(
      at::isFloatingType(input.scalar_type()),
      op,
      ": input must be a floating point tensor, got ",
      input.scalar_type());
  const int64_t rank = input.dim();
  TORCH_CHECK(rank >= 1, op, ": input must have rank 1 or more, got a scalar");
  TORCH_CHECK(
      dim >= -rank && dim < rank,
      op,
      ": dim ",
      dim,
      " is outside an input of rank ",
      rank,
      "; allowed: ",
      -rank,
      " to ",
      rank - 1,
      rank == 1 ? " (a signal of rank 1 needs dim=-1)" : "");
  return dim < 0 ? dim + rank : dim;
}

void check_device(
    std::string_view op,
    std::string_view argument,
    const at::Tensor& tensor,
    const at::Tensor& input) {
  check_dense(op, argument, tensor);
  TORCH_CHECK(
      tensor.device() == input.device(),
      op,
      ": ",
      argument,
      " is on ",
      tensor.device(),
      " but input is on ",
      input.device(),
      "; move one of them");
}

} // namespace

int64_t check_symbolic(
    std::string_view op,
    const at::Tensor& input,
    int64_t dim,
    std::initializer_list<std::pair<std::string_view, at::Tensor>> beside) {
  const auto axis = check_axis(op, input, dim);
  for (const auto& [argument, tensor] : beside) {
    check_device(op, argument, tensor, input);
    TORCH_CHECK(
        tensor.dim() >= 1,
        op,
        ": ",
        argument,
        " must have rank 1 or more, got a scalar");
  }
  return axis;
}

Signal check_signal(std::string_view op, const at::Tensor& input, int64_t dim) {
  Signal s;
  s.dim = check_axis(op, input, dim);
  const int64_t rank = input.dim();
  s.sizes = input.sizes().vec();
  for (int64_t i = 0; i < rank; ++i) {
    (i < s.dim ? s.batch : i == s.dim ? s.length : s.inner) *= s.sizes[i];
  }
  s.channels = s.dim == rank - 1 ? 1 : s.sizes.back();
  TORCH_CHECK(
      s.length >= 1,
      op,
      ": input has length 0 along dim ",
      dim,
      "; at least 1 is needed");
  return s;
}

at::Tensor canonical(const at::Tensor& input, const Signal& s) {
  return input.reshape({s.batch, s.length, s.inner});
}

at::Tensor own(const at::Tensor& value, at::ScalarType type) {
  const auto out = value.to(type);
  return out.is_contiguous() && out.sym_storage_offset() == 0 &&
          !out.is_alias_of(value)
      ? out
      : out.clone(at::MemoryFormat::Contiguous);
}

void check_filter(
    std::string_view op,
    std::string_view argument,
    const at::Tensor& filter,
    const at::Tensor& input,
    const Signal& s) {
  const bool shared = filter.dim() == 1;
  const bool per_channel = filter.dim() == 2 && s.dim != input.dim() - 1 &&
      filter.size(0) == s.channels;
  TORCH_CHECK(
      (shared || per_channel) && filter.size(-1) >= 1,
      op,
      ": ",
      argument,
      " must be [taps] or [channels, taps] with the ",
      s.channels,
      " channels of the input's last axis, got ",
      filter.sizes());
  TORCH_CHECK(
      filter.scalar_type() == input.scalar_type() ||
          filter.scalar_type() == accumulate_type(input.scalar_type()),
      op,
      ": ",
      argument,
      " has dtype ",
      filter.scalar_type(),
      " beside an input of ",
      input.scalar_type(),
      "; allowed: the input's dtype",
      accumulate_type(input.scalar_type()) == input.scalar_type()
          ? ""
          : " or Float");
  check_device(op, argument, filter, input);
}

void check_filters(
    std::string_view op,
    std::string_view lo_name,
    const at::Tensor& lo,
    std::string_view hi_name,
    const at::Tensor& hi,
    const at::Tensor& input,
    const Signal& s,
    bool even) {
  check_filter(op, lo_name, lo, input, s);
  check_filter(op, hi_name, hi, input, s);
  TORCH_CHECK(
      lo.sizes() == hi.sizes() && lo.scalar_type() == hi.scalar_type(),
      op,
      ": ",
      lo_name,
      " and ",
      hi_name,
      " must have one shape and dtype, got ",
      lo.sizes(),
      " ",
      lo.scalar_type(),
      " and ",
      hi.sizes(),
      " ",
      hi.scalar_type());
  TORCH_CHECK(
      !even || lo.size(-1) % 2 == 0,
      op,
      ": ",
      lo_name,
      " has ",
      lo.size(-1),
      " taps; an even number is needed (pad one end with a zero)");
}

void check_level(std::string_view op, int64_t level) {
  check_level_from(op, level, -1);
}

std::vector<int64_t> analysis_lengths(
    std::string_view op,
    Mode mode,
    int64_t length,
    int64_t taps,
    int64_t level) {
  check_level(op, level);
  if (level == -1) {
    level = max_level(length, taps);
  }
  std::vector<int64_t> lengths;
  lengths.reserve(level + 1);
  lengths.push_back(length);
  for (int64_t l = 0; l < level; ++l) {
    const int64_t n = lengths.back();
    TORCH_CHECK(
        n > 1 || (mode != Mode::reflect && mode != Mode::antireflect),
        op,
        ": mode ",
        mode == Mode::reflect ? "reflect" : "antireflect",
        " cannot extend a signal of length 1 (level ",
        l + 1,
        "); use a longer signal, fewer levels or another mode");
    lengths.push_back(coefficient_length(mode, n, taps));
  }
  return lengths;
}

at::Tensor
expand_filter(const at::Tensor& filter, const Signal& s, at::ScalarType type) {
  const auto f = filter.to(type);
  if (f.dim() == 1) {
    return f.unsqueeze(0);
  }
  return s.inner == s.channels ? f : f.repeat({s.inner / s.channels, 1});
}

at::Tensor reduce_filter(
    const at::Tensor& gradient,
    const at::Tensor& filter,
    const Signal& s) {
  auto g = gradient;
  if (filter.dim() == 1) {
    g = g.sum(0);
  } else if (g.size(0) != s.channels) {
    g = g.reshape({s.inner / s.channels, s.channels, -1}).sum(0);
  }
  return g.to(filter.scalar_type());
}

} // namespace signalllm::ops

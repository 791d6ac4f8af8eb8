#include <signalllm/nn/positional_encoding.h>

#include "ops/attention_heads.h"

#include <ATen/OpMathType.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>

#include <numbers>

namespace signalllm {

SignalPositionalEncodingOptions::SignalPositionalEncodingOptions(int64_t dim)
    : dim_(dim) {}

SignalPositionalEncodingImpl::SignalPositionalEncodingImpl(
    const SignalPositionalEncodingOptions& options_)
    : options(options_) {
  TORCH_CHECK(
      options.dim() >= 1 &&
          (options.kind() != PositionKind::Rotary || options.dim() % 2 == 0),
      "SignalPositionalEncoding: dim is ",
      options.dim(),
      ", it must be positive, and even for Rotary");
  TORCH_CHECK(
      options.max_length() >= 1,
      "SignalPositionalEncoding: max_length is ",
      options.max_length(),
      ", it must be at least 1");
  TORCH_CHECK(
      options.scales() >= 1,
      "SignalPositionalEncoding: scales is ",
      options.scales(),
      ", it must be at least 1");
  TORCH_CHECK(
      options.base() > 1,
      "SignalPositionalEncoding: base is ",
      options.base(),
      ", it must be greater than 1");
  reset();
}

void SignalPositionalEncodingImpl::reset() {
  if (options.kind() == PositionKind::Ricker) {
    const auto make = [&](const char* name) {
      return register_parameter(
          name, torch::empty({options.dim(), options.scales()}));
    };
    weights = make("weights");
    log_widths = make("log_widths");
    centres = make("centres");
    reset_parameters();
  }
  if (options.kind() != PositionKind::Absolute) {
    return;
  }
  table = register_parameter(
      "table", torch::empty({options.max_length(), options.dim()}));
  modulation = register_parameter("modulation", torch::empty({options.dim()}));
  shift = register_parameter("shift", torch::empty({options.dim()}));
  reset_parameters();
}

void SignalPositionalEncodingImpl::reset_parameters() {
  torch::NoGradGuard no_grad;
  if (options.kind() == PositionKind::Ricker) {
    weights.normal_(0, 0.02);
    log_widths.copy_(at::arange(options.scales()) * std::numbers::ln2);
    centres.zero_();
  }
  if (options.kind() != PositionKind::Absolute) {
    return;
  }
  auto turn = ops::rotary_angles(
      0, options.max_length(), options.dim(), options.base(), table.options());
  auto waves = at::cat({turn.sin(), turn.cos()}, 1);
  // As large as a fresh embedding, so that neither drowns the other.
  table.copy_(waves.slice(1, 0, options.dim()) * 0.02);
  modulation.fill_(1);
  shift.zero_();
}

void SignalPositionalEncodingImpl::pretty_print(std::ostream& stream) const {
  stream << "signalllm::SignalPositionalEncoding(dim=" << options.dim();
  if (options.kind() == PositionKind::Rotary) {
    stream << ", kind=rotary, base=" << options.base() << ")";
  } else if (options.kind() == PositionKind::Ricker) {
    stream << ", kind=ricker, scales=" << options.scales() << ")";
  } else {
    stream << ", kind=absolute, max_length=" << options.max_length() << ")";
  }
}

torch::Tensor SignalPositionalEncodingImpl::bias(
    int64_t queries,
    int64_t keys,
    int64_t offset) const {
  TORCH_CHECK(
      options.kind() == PositionKind::Ricker,
      "SignalPositionalEncoding::bias: only the kind ricker has one");
  const auto wide = at::toOpMathType(weights.scalar_type());
  const auto like = weights.options().dtype(wide).requires_grad(false);
  // The distances run along one diagonal, so the wavelets are computed once a
  // distance and spread over the square: entry (t, s) is at t - s + keys - 1.
  const auto distance =
      at::arange(offset - keys + 1, offset + queries, like).unsqueeze(1);
  const auto column = [&](const at::Tensor& parameter) {
    return parameter.to(wide).unsqueeze(1);
  };
  const auto u = distance * column(-log_widths).exp() - column(centres);
  const auto square = u.square();
  const auto wave = ((1 - square) * (square * -0.5).exp() * column(weights))
                        .sum(-1); // [heads, queries + keys - 1]
  return wave.unfold(1, keys, 1).flip(2);
}

torch::Tensor SignalPositionalEncodingImpl::forward(
    const torch::Tensor& input,
    int64_t offset) {
  if (options.kind() == PositionKind::Ricker) {
    TORCH_CHECK(
        input.dim() >= 3 && input.size(-3) == options.dim(),
        "SignalPositionalEncoding: input has shape ",
        input.sizes(),
        ", it must be scores [..., ",
        options.dim(),
        " heads, queries, keys]");
    return input +
        bias(input.size(-2), input.size(-1), offset).to(input.scalar_type());
  }
  TORCH_CHECK(
      input.dim() >= 2 && input.size(-1) == options.dim(),
      "SignalPositionalEncoding: input has shape ",
      input.sizes(),
      ", it must be [..., length, ",
      options.dim(),
      "]");
  TORCH_CHECK(
      offset >= 0,
      "SignalPositionalEncoding: offset is ",
      offset,
      ", it must not be negative");
  auto length = input.size(-2);
  if (options.kind() == PositionKind::Absolute) {
    TORCH_CHECK(
        offset + length <= options.max_length(),
        "SignalPositionalEncoding: positions ",
        offset,
        " to ",
        offset + length - 1,
        " are asked for, the table ends at max_length = ",
        options.max_length());
    return input + table.slice(0, offset, offset + length) * modulation + shift;
  }
  auto wide = at::toOpMathType(input.scalar_type());
  auto turn = ops::rotary_angles(
      offset, length, options.dim(), options.base(), input.options());
  auto cosine = turn.cos().to(wide);
  auto sine = turn.sin().to(wide);
  auto halves = input.to(wide).chunk(2, -1);
  return at::cat(
             {halves[0] * cosine - halves[1] * sine,
              halves[0] * sine + halves[1] * cosine},
             -1)
      .to(input.scalar_type());
}

torch::Tensor SignalPositionalEncodingImpl::forward_at(
    const torch::Tensor& input,
    const torch::Tensor& positions) const {
  TORCH_CHECK(
      options.kind() == PositionKind::Absolute,
      "SignalPositionalEncoding::forward_at: only the kind absolute has it");
  return input + table.index_select(0, positions) * modulation + shift;
}

} // namespace signalllm

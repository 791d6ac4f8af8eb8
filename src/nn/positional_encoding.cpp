#include <signalllm/nn/positional_encoding.h>

#include <ATen/OpMathType.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>

#include <cmath>

namespace signalllm {

SignalPositionalEncodingOptions::SignalPositionalEncodingOptions(int64_t dim)
    : dim_(dim) {}

namespace {

/// t base^(-2i/dim) for `length` positions from `offset`, `[length, dim/2]`.
/// In float64 where the device has it: float32 loses far positions.
at::Tensor angles(
    int64_t offset,
    int64_t length,
    int64_t dim,
    double base,
    const at::TensorOptions& like) {
  auto wide = like.device().is_mps() ? at::kFloat : at::kDouble;
  auto position = at::arange(offset, offset + length, like.dtype(wide));
  auto pair = at::arange(0, dim, 2, like.dtype(wide));
  auto frequency = (pair * (-std::log(base) / static_cast<double>(dim))).exp();
  return position.unsqueeze(1) * frequency;
}

} // namespace

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
      options.base() > 1,
      "SignalPositionalEncoding: base is ",
      options.base(),
      ", it must be greater than 1");
  reset();
}

void SignalPositionalEncodingImpl::reset() {
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
  if (options.kind() != PositionKind::Absolute) {
    return;
  }
  torch::NoGradGuard no_grad;
  auto turn = angles(
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
  } else {
    stream << ", kind=absolute, max_length=" << options.max_length() << ")";
  }
}

torch::Tensor SignalPositionalEncodingImpl::forward(
    const torch::Tensor& input,
    int64_t offset) {
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
  auto turn =
      angles(offset, length, options.dim(), options.base(), input.options());
  auto cosine = turn.cos().to(wide);
  auto sine = turn.sin().to(wide);
  auto halves = input.to(wide).chunk(2, -1);
  return at::cat(
             {halves[0] * cosine - halves[1] * sine,
              halves[0] * sine + halves[1] * cosine},
             -1)
      .to(input.scalar_type());
}

} // namespace signalllm

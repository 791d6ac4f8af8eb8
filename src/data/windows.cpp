#include <signalllm/data/windows.h>

#include <ATen/ops/stack.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <vector>

namespace signalllm::data {
namespace {

void check(const char* who, const at::Tensor& tokens, int64_t context) {
  TORCH_CHECK(
      context >= 1, who, ": the context is ", context, "; at least 1 needed");
  TORCH_CHECK(
      tokens.dim() == 1 && tokens.is_cpu() &&
          at::isIntegralType(tokens.scalar_type(), /*includeBool=*/false),
      who,
      ": tokens must be a 1-D integer tensor on the CPU, got ",
      tokens.scalar_type(),
      " ",
      tokens.sizes(),
      " on ",
      tokens.device());
  TORCH_CHECK(
      tokens.numel() > context,
      who,
      ": the text has ",
      tokens.numel(),
      " tokens, too short for a context of ",
      context,
      ": at least ",
      context + 1,
      " are needed (a smaller --context, or more text)");
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014): a bijection that
/// turns a counter into well-mixed bits.
uint64_t mix(uint64_t bits) {
  bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9;
  bits = (bits ^ bits >> 27) * 0x94d049bb133111eb;
  return bits ^ bits >> 31;
}

/// Widened before they are stacked, which torch does not do for uint16.
at::Tensor window(const at::Tensor& tokens, int64_t first, int64_t context) {
  return tokens.narrow(0, first, context + 1).to(at::kLong);
}

Batch split(const std::vector<at::Tensor>& windows) {
  const auto rows = at::stack(windows);
  const auto context = rows.size(1) - 1;
  return {
      rows.narrow(1, 0, context).contiguous(),
      rows.narrow(1, 1, context).contiguous()};
}

} // namespace

RandomWindows::RandomWindows(at::Tensor tokens, int64_t context, uint64_t seed)
    : tokens_(std::move(tokens)), context_(context), seed_(seed) {
  check("RandomWindows", tokens_, context_);
}

Batch RandomWindows::rows(int64_t first, int64_t count) const {
  TORCH_CHECK(
      count >= 1,
      "RandomWindows::rows: the batch is ",
      count,
      " rows; at least 1 needed");
  // The modulo's bias is below places / 2^64.
  const auto places = static_cast<uint64_t>(tokens_.numel() - context_);
  const uint64_t stream = mix(seed_ + 0x9e3779b97f4a7c15);
  std::vector<at::Tensor> windows;
  windows.reserve(count);
  for (int64_t row = first; row < first + count; ++row) {
    const uint64_t bits =
        mix(stream + static_cast<uint64_t>(row + 1) * 0x9e3779b97f4a7c15);
    windows.push_back(
        window(tokens_, static_cast<int64_t>(bits % places), context_));
  }
  return split(windows);
}

ConsecutiveWindows::ConsecutiveWindows(at::Tensor tokens, int64_t context)
    : tokens_(std::move(tokens)), context_(context) {
  check("ConsecutiveWindows", tokens_, context_);
}

int64_t ConsecutiveWindows::size() const {
  return (tokens_.numel() - 1) / context_;
}

Batch ConsecutiveWindows::rows(int64_t first, int64_t count) const {
  std::vector<at::Tensor> windows;
  const auto last = std::min(first + count, size());
  TORCH_CHECK(
      first >= 0 && first < last,
      "ConsecutiveWindows::rows: no window number ",
      first,
      " of ",
      size());
  for (int64_t row = first; row < last; ++row) {
    windows.push_back(window(tokens_, row * context_, context_));
  }
  return split(windows);
}

} // namespace signalllm::data

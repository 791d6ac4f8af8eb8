#include <signalllm/nn/spectral_gap_analyzer.h>

#include <ATen/OpMathType.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_eigvalsh.h>

namespace signalllm {

SpectralGapAnalyzerOptions::SpectralGapAnalyzerOptions(double bandwidth)
    : bandwidth_(bandwidth) {}

SpectralGapAnalyzerImpl::SpectralGapAnalyzerImpl(
    const SpectralGapAnalyzerOptions& options_)
    : options(options_) {
  TORCH_CHECK(
      options.bandwidth() >= 0,
      "SpectralGapAnalyzer: bandwidth is ",
      options.bandwidth(),
      ", it must not be negative");
  reset();
}

void SpectralGapAnalyzerImpl::reset() {}

void SpectralGapAnalyzerImpl::pretty_print(std::ostream& stream) const {
  stream << "signalllm::SpectralGapAnalyzer(bandwidth=" << options.bandwidth()
         << ")";
}

torch::Tensor SpectralGapAnalyzerImpl::eigenvalues(
    const torch::Tensor& states) {
  TORCH_CHECK(
      states.dim() == 3 && states.size(1) >= 2 &&
          at::isFloatingType(states.scalar_type()),
      "SpectralGapAnalyzer: states are ",
      states.scalar_type(),
      " of shape ",
      states.sizes(),
      ", they must be floating point [batch, length, dim] with length >= 2");
  const auto x = states.to(at::toOpMathType(states.scalar_type()));
  const auto count = x.size(1);
  // Centred, the differences of large norms below lose less.
  const auto centred = x - x.mean(1, /*keepdim=*/true);
  const auto norm = centred.square().sum(-1);
  const auto squared = (norm.unsqueeze(1) + norm.unsqueeze(2) -
                        2 * centred.matmul(centred.transpose(1, 2)))
                           .clamp_min(0);
  const auto identity = at::eye(count, x.options().requires_grad(false));
  // The diagonal of `squared` is rounding, and does not count.
  const auto others = 1 - identity;
  const auto scale = options.bandwidth() > 0
      ? x.new_full({}, options.bandwidth() * options.bandwidth())
      : (squared * others).sum(at::IntArrayRef({1, 2}), /*keepdim=*/true) /
          static_cast<double>(count * (count - 1));
  // States that are all equal have no scale; any will do.
  const auto similarity = (squared / (scale * -2 - 1e-30)).exp() * others;
  const auto root = similarity.sum(-1).clamp_min(1e-30).rsqrt();
  auto laplacian =
      identity - similarity * root.unsqueeze(1) * root.unsqueeze(2);
  if (x.device().is_mps()) {
    return at::linalg_eigvalsh(laplacian.cpu()).to(x.device());
  }
  return at::linalg_eigvalsh(laplacian);
}

torch::Tensor SpectralGapAnalyzerImpl::forward(const torch::Tensor& states) {
  return eigenvalues(states).select(-1, 1);
}

} // namespace signalllm

#include <signalllm/nn/stochastic_transform.h>

#include <ATen/OpMathType.h>
#include <ATen/ops/empty.h>

namespace signalllm {

StochasticTransformOptions::StochasticTransformOptions(double keep)
    : keep_(keep) {}

namespace {

void check_input(const char* function, const torch::Tensor& input) {
  TORCH_CHECK(
      input.dim() == 3,
      function,
      ": input has shape ",
      input.sizes(),
      ", it must be [batch, length, channels]");
}

} // namespace

StochasticTransformImpl::StochasticTransformImpl(
    const StochasticTransformOptions& options_)
    : options(options_) {
  TORCH_CHECK(
      options.keep() > 0 && options.keep() <= 1,
      "StochasticTransform: keep is ",
      options.keep(),
      ", it must be greater than 0 and at most 1");
  TORCH_CHECK(
      options.level() >= 0,
      "StochasticTransform: level is ",
      options.level(),
      ", it must not be negative");
  TORCH_CHECK(
      Wavelet(options.wavelet()).is_orthogonal(),
      "StochasticTransform: wavelet '",
      options.wavelet(),
      "' is not orthogonal, so that the error would have no bound; allowed "
      "are the families haar, db, sym, coif and lattice(...)");
  reset();
}

void StochasticTransformImpl::reset() {
  transform = register_module(
      "transform",
      WaveletTransform(WaveletTransformOptions(Wavelet(options.wavelet()))
                           .level(options.level())
                           .mode("periodization")
                           .causal(options.causal())));
}

void StochasticTransformImpl::pretty_print(std::ostream& stream) const {
  stream << "signalllm::StochasticTransform(keep=" << options.keep()
         << ", wavelet=" << options.wavelet() << ", level=" << options.level()
         << ", causal=" << std::boolalpha << options.causal() << ")";
}

torch::Tensor StochasticTransformImpl::forward(const torch::Tensor& input) {
  check_input("StochasticTransform", input);
  if (!is_training() || options.keep() == 1 || options.level() == 0) {
    return input;
  }
  auto coefficients = transform->forward(input);
  for (size_t j = 1; j < coefficients.size(); ++j) {
    auto& d = coefficients[j];
    const auto kept =
        at::empty({d.size(0), d.size(1), 1}, d.options().requires_grad(false))
            .bernoulli_(options.keep());
    d = d * (kept / options.keep());
  }
  return transform->inverse(coefficients, input.size(1));
}

torch::Tensor StochasticTransformImpl::error_bound(const torch::Tensor& input) {
  check_input("StochasticTransform::error_bound", input);
  const auto wide = input.to(at::toOpMathType(input.scalar_type()));
  const auto coefficients = transform->forward(wide);
  auto power = wide.new_zeros({wide.size(0)});
  for (size_t j = 1; j < coefficients.size(); ++j) {
    power = power + coefficients[j].square().sum(at::IntArrayRef({1, 2}));
  }
  return (power * (1 / options.keep() - 1)).sqrt();
}

} // namespace signalllm

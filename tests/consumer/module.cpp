// A module inside another, swapped in a program that only links the package:
// types and registrations must be one across the library's border.
#include <signalllm/nn/wavelet_transform.h>
#include <signalllm/optimize.h>

#include <ATen/ops/allclose.h>
#include <ATen/ops/randn.h>
#include <torch/nn/modules/container/modulelist.h>

struct ParentImpl : torch::nn::Module {
  ParentImpl() {
    wavelet = register_module(
        "wavelet",
        signalllm::WaveletTransform(
            signalllm::WaveletTransformOptions("db2").level(2)));
  }
  at::Tensor forward(const at::Tensor& input) {
    return wavelet->inverse(wavelet->forward(input), input.size(-2));
  }
  signalllm::WaveletTransform wavelet{nullptr};
};
TORCH_MODULE(Parent);

int main() {
  Parent parent;
  const auto input = at::randn({2, 33, 3});
  const auto before = parent->forward(input);
  const auto report = signalllm::optimize_for_mps(parent, at::kCPU);
  const bool swapped =
      report.count(signalllm::OptimizeEntry::Kind::Swapped) == 1;
  const auto after = parent->forward(input);
  return swapped && at::allclose(before, after, 1e-5, 1e-6) &&
          at::allclose(before, input, 1e-5, 1e-5)
      ? 0
      : 1;
}

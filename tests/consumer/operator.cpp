// The operators by their C++ wrappers.
#include <signalllm/functional.h>

#include <ATen/ops/allclose.h>
#include <ATen/ops/randn.h>

int main() {
  namespace F = signalllm::functional;
  const auto signal = at::randn({2, 37, 3}, at::kDouble);
  const auto coefficients = F::wavedec(signal, "db4", /*level=*/3);
  const auto back =
      F::waverec(coefficients, "db4", "reflect", /*dim=*/-2, /*length=*/37);
  return at::allclose(signal, back, 1e-7, 1e-7) ? 0 : 1;
}

// An operator by its schema alone: nothing here names a symbol of the library.
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros_like.h>

#include <vector>

int main() {
  using Signature = std::vector<at::Tensor>(
      const at::Tensor&, const at::Tensor&, int64_t, int64_t);
  const auto op = c10::Dispatcher::singleton()
                      .findSchemaOrThrow("signalllm::causal_wavedec", "")
                      .typed<Signature>();
  const auto input = at::randn({2, 11, 3});
  auto sum = at::zeros_like(input);
  for (const auto& part : op.call(input, at::full({2}, 0.5), 3, -2)) {
    sum += part;
  }
  return at::allclose(sum, input, 1e-5, 1e-6) ? 0 : 1;
}

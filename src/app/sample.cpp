#include "app/sample.h"

#include <signalllm/training/interrupt.h>

#include <c10/util/Exception.h>

#include <cstdio>

namespace signalllm::app {
namespace {

void put(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

} // namespace

void write_sample(
    SignalLLM& model,
    const data::Tokenizer& tokenizer,
    const std::string& prompt,
    const GenerateOptions& options) {
  TORCH_CHECK(!prompt.empty(), "--prompt is empty; it takes one character");
  const auto tokens = tokenizer.encode(prompt).to(at::kLong).unsqueeze(0);
  const training::InterruptGuard guard;
  put(prompt);
  const auto device = model->parameters().front().device();
  model->generate(tokens.to(device), options, [&](const torch::Tensor& next) {
    put(tokenizer.decode(next));
    return training::interrupt_signal() == 0 && std::ferror(stdout) == 0;
  });
  put("\n");
}

} // namespace signalllm::app

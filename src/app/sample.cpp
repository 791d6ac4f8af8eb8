#include "app/sample.h"

#include <signalllm/training/interrupt.h>

#include <c10/util/Exception.h>

#include <cstdio>

namespace signalllm::app {
namespace {

void write_out(const std::string& text) {
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
  write_out(prompt);
  const auto device = model->parameters().front().device();
  model->generate(tokens.to(device), options, [&](const torch::Tensor& next) {
    write_out(tokenizer.decode(next));
    return training::interrupt_signal() == 0 && std::ferror(stdout) == 0;
  });
  write_out("\n");
}

} // namespace signalllm::app

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

torch::Tensor encoded(
    const data::Tokenizer& tokenizer,
    const std::string& prompt) {
  TORCH_CHECK(!prompt.empty(), "--prompt is empty; it takes one character");
  return tokenizer.encode(prompt).to(at::kLong);
}

} // namespace

void write_sample(
    SignalLLM& model,
    const data::Tokenizer& tokenizer,
    const std::string& prompt,
    const GenerateOptions& options) {
  const auto tokens = encoded(tokenizer, prompt).unsqueeze(0);
  const training::InterruptGuard guard;
  write_out(prompt);
  const auto device = model->parameters().front().device();
  model->generate(tokens.to(device), options, [&](const torch::Tensor& next) {
    write_out(tokenizer.decode(next));
    return training::interrupt_signal() == 0 && std::ferror(stdout) == 0;
  });
  write_out("\n");
}

void write_samples(
    SignalLLM& model,
    const data::Tokenizer& tokenizer,
    const std::vector<std::string>& prompts,
    const GenerateOptions& options) {
  const auto device = model->parameters().front().device();
  std::vector<torch::Tensor> tokens;
  for (const auto& prompt : prompts) {
    tokens.push_back(encoded(tokenizer, prompt).to(device));
  }
  const training::InterruptGuard guard;
  const auto texts =
      model->generate(tokens, options, [](const torch::Tensor& /*next*/) {
        return training::interrupt_signal() == 0;
      });
  for (size_t i = 0; i < texts.size(); ++i) {
    auto text = (i > 0 ? "\n==> " : "==> ") + std::to_string(i + 1) + " <==\n" +
        prompts[i];
    const auto more = texts[i].slice(0, tokens[i].size(0)).cpu();
    for (const auto& token : more.split(1)) { // as one sample is written
      text += tokenizer.decode(token);
    }
    write_out(text + "\n");
  }
}

} // namespace signalllm::app

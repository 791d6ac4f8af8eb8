#pragma once

#include <signalllm/data/tokenizer.h>
#include <signalllm/nn/model.h>

#include <string>
#include <vector>

namespace signalllm::app {

/// Writes the prompt and its continuation to stdout, token by token. Ctrl-C
/// ends it.
void write_sample(
    SignalLLM& model,
    const data::Tokenizer& tokenizer,
    const std::string& prompt,
    const GenerateOptions& options);

/// Writes several prompts, generated side by side, each with its continuation
/// and under a line with its number, when all are done. Ctrl-C ends them where
/// they are.
void write_samples(
    SignalLLM& model,
    const data::Tokenizer& tokenizer,
    const std::vector<std::string>& prompts,
    const GenerateOptions& options);

} // namespace signalllm::app

#pragma once

#include <signalllm/data/tokenizer.h>
#include <signalllm/nn/model.h>

#include <string>

namespace signalllm::app {

/// Writes the prompt and its continuation to stdout, token by token. Ctrl-C
/// ends it.
void write_sample(
    SignalLLM& model,
    const data::Tokenizer& tokenizer,
    const std::string& prompt,
    const GenerateOptions& options);

} // namespace signalllm::app

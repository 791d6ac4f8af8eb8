#pragma once

#include "transformer.h"

#include "app/command.h"
#include "app/settings.h"

#include <signalllm/training/evaluate.h>

#include <memory>

namespace signalllm::benchmarks {

/// A model to measure, whichever it is.
struct Model {
  std::shared_ptr<torch::nn::Module> module;
  training::Forward forward;
  int64_t parameters = 0;
};

Transformer make_transformer(
    const app::Settings& settings,
    int64_t vocab_size,
    c10::Device device);

/// `kind` is signalllm or transformer.
Model make(
    const std::string& kind,
    const app::Settings& settings,
    int64_t vocab_size,
    c10::Device device);

/// The words of `command` into `settings`, and what else `more` adds.
std::optional<int> parse(
    const std::string& command,
    const std::string& summary,
    const app::Words& words,
    app::Settings& settings,
    std::string* kind = nullptr,
    std::string* trace = nullptr,
    std::string* test = nullptr);

int run_speed(const app::Words& words);
int run_generation(const app::Words& words);

} // namespace signalllm::benchmarks

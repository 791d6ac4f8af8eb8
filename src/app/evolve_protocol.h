#pragma once

#include "app/settings.h"

#include <signalllm/data/tokenizer.h>
#include <signalllm/evolution.h>

#include <memory>
#include <string>

/// What a search and its workers (`signalllm evolve-worker`) say to each other,
/// a line of JSON each.
namespace signalllm::app {

/// The first line.
struct EvolveHello {
  Settings settings;
  int64_t rungs = 1;
  std::shared_ptr<data::Tokenizer> tokenizer;
  std::string checkpoints; // folder of trainings that go on later
};

std::string evolve_hello(const EvolveHello& hello);
std::string evolve_request(const BasisTrial& trial);
/// Of an answer; throws what went wrong in the worker.
BasisScore evolve_score(const std::string& answer);

} // namespace signalllm::app

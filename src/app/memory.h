#pragma once

#include "app/settings.h"

#include <c10/core/Device.h>

#include <cstdint>

namespace signalllm::app {

/// Bytes that this process can still get, swap included and within the
/// control group's limit; 0 where the system does not say.
int64_t available_memory();

/// How much memory this process takes more than when it was made, at the
/// highest. Only on Linux; elsewhere it knows nothing.
class PeakMemory {
 public:
  PeakMemory();
  /// 0 where nobody knows.
  int64_t bytes() const;

 private:
  int64_t start_;
};

/// About what a training step needs at its highest beyond the program itself,
/// rather too little than too much: weights with their gradients, moments and
/// average, and for every token of a batch what the blocks keep for the
/// backward pass and the logits with their gradient.
double training_bytes(
    const Settings& settings,
    const SignalLLMOptions& model,
    int64_t parameters);

/// The same of scoring `batch` windows of `context` tokens.
double scoring_bytes(
    const SignalLLMOptions& model,
    int64_t parameters,
    int64_t batch,
    int64_t context);

/// Throws where the CPU's memory cannot hold so many bytes: the system would
/// end the program without a word. GPUs complain for themselves.
void check_memory(
    double bytes,
    int64_t batch,
    int64_t context,
    c10::Device device);

} // namespace signalllm::app

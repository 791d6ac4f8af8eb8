#include <signalllm/nn/decoder.h>

#include "nn/model_tokens.h"
#include "training/recording.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <utility>

namespace signalllm {

Decoder::Decoder(SignalLLMImpl& model, SignalLLMState state, bool record)
    : model_(model), state_(std::move(state)) {
  TORCH_CHECK(
      state_.length >= 1 && state_.embedding.defined(),
      "Decoder: the state has seen no token; begin with "
      "SignalLLM::forward_incremental");
  TORCH_CHECK(
      !model_.is_training(),
      "Decoder: the model is in training mode; it must be in eval mode");
  if (record && model_.has_fixed_step()) {
    recording_ = training::make_recording(state_.embedding.device());
  }
  if (recording_) {
    tokens_ = at::empty(
        {state_.batch, 1},
        at::dtype(at::kLong).device(state_.embedding.device()));
    model_.advance(state_, 0); // makes room for a position
  }
}

Decoder::~Decoder() = default;

torch::Tensor Decoder::step(const torch::Tensor& tokens) {
  TORCH_CHECK(
      tokens.dim() == 1,
      "Decoder::step: tokens have shape ",
      tokens.sizes(),
      ", they must be [batch]");
  const at::NoGradGuard no_grad;
  const auto column = tokens.unsqueeze(1);
  if (!recording_) {
    return model_.forward_incremental(column, state_).select(1, 0);
  }
  model_.check_state("Decoder::step", column, state_);
  tokens_.copy_(column);
  run();
  if (model_.advance(state_, 1)) {
    recorded_ = false;
    rehearsals_ = 0;
  }
  return logits_;
}

void Decoder::run() {
  const auto work = [this] {
    logits_ = model_.step(tokens_, state_, /*fixed=*/true);
  };
  // These steps count.
  if (rehearsals_ < 2) {
    ++rehearsals_;
    return recording_->rehearse(work);
  }
  if (!recorded_) {
    try {
      recording_->record(work);
      recorded_ = true;
    } catch (const c10::Error& error) {
      TORCH_WARN(
          "a decoding step cannot be recorded, it goes on without: ",
          error.what_without_backtrace());
      recording_.reset();
      return work();
    }
  }
  recording_->replay();
}

} // namespace signalllm

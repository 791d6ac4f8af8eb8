#pragma once

#include <signalllm/export.h>
#include <signalllm/nn/model.h>

#include <cstdint>
#include <memory>

namespace signalllm::training {
class Recording;
} // namespace signalllm::training

namespace signalllm {

/// Continues sequences by one token a step.
///
/// On CUDA, if `SignalLLM::has_fixed_step`, the device's work of a step is
/// recorded once (a CUDA graph) and repeated as a whole, so that it does not
/// wait for the launches of its parts. It is recorded again when the state has
/// outgrown its tensors: each time its length has doubled. Elsewhere a step is
/// `SignalLLM::forward_incremental`.
///
/// ```
/// torch::NoGradGuard no_grad;
/// model->eval();
/// auto state = model->make_state(1);
/// auto logits = model->forward_incremental(prompt, state).select(1, -1);
/// Decoder decoder(*model, state);
/// for (int i = 0; i < 100; ++i) {
///   logits = decoder.step(logits.argmax(-1));
/// }
/// ```
class SIGNALLLM_API Decoder {
 public:
  /// Goes on from `state`, which has seen a token and is the decoder's from
  /// here on. The model must outlive it and keep its weights and its mode,
  /// eval.
  Decoder(SignalLLMImpl& model, SignalLLMState state, bool record = true);
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder();

  /// Logits `[B, V]` after the next tokens `[B]`. The next step may overwrite
  /// them.
  torch::Tensor step(const torch::Tensor& tokens);

  /// Whether steps are recorded, or will be.
  bool records() const {
    return recording_ != nullptr;
  }
  const SignalLLMState& state() const {
    return state_;
  }

 private:
  void run();

  SignalLLMImpl& model_;
  SignalLLMState state_;
  std::unique_ptr<training::Recording> recording_; // null: not recorded
  int64_t rehearsals_ = 0; // since the last change of the state's tensors
  bool recorded_ = false;
  // What a recorded step reads and writes.
  torch::Tensor tokens_, logits_;
};

} // namespace signalllm

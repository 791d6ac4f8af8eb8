#include "training/retreat.h"

#include <c10/util/Exception.h>

#include <utility>

namespace signalllm::training {
namespace {

TensorMap on_host(const TensorMap& tensors) {
  TensorMap copies;
  for (const auto& [name, tensor] : tensors) {
    copies[name] = tensor.detach().to(
        at::kCPU, tensor.scalar_type(), /*non_blocking=*/false, /*copy=*/true);
  }
  return copies;
}

} // namespace

Retreat::Retreat(std::optional<RunFolder> folder, int64_t keep)
    : folder_(std::move(folder)), keep_(keep) {}

void Retreat::keep_copy(const Checkpoint& checkpoint) {
  copy_ = Checkpoint{
      checkpoint.step,
      on_host(checkpoint.model),
      on_host(checkpoint.average),
      on_host(checkpoint.optimizer),
      checkpoint.state};
}

void Retreat::drop_copy() {
  copy_.reset();
}

Checkpoint Retreat::choose(const Trainer& trainer) const {
  if (copy_) {
    return *copy_;
  }
  const auto steps = folder_->checkpoints();
  std::optional<Checkpoint> suspect;
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    try {
      auto checkpoint = folder_->load(*step);
      if (suspect || trainer.rollbacks() == 0 ||
          *step != trainer.rollback_step()) {
        return checkpoint;
      }
      suspect = std::move(checkpoint);
    } catch (const c10::Error&) {
      // Damaged: the one before it then.
    }
  }
  TORCH_CHECK(
      suspect, "fit: no checkpoint in ", folder_->path(), " is whole any more");
  return *suspect;
}

void Retreat::settle(const Trainer& trainer, int64_t spare) const {
  if (folder_) {
    // In this order a process that is killed between the two has a newest
    // checkpoint that leads here again.
    folder_->save(trainer.checkpoint(), keep_, spare);
    folder_->discard_after(trainer.steps_done());
  }
}

} // namespace signalllm::training

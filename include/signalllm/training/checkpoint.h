#pragma once

#include <signalllm/export.h>
#include <signalllm/training/safetensors.h>

#include <torch/nn/module.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace signalllm::training {

/// Everything that training needs to go on as if it had never stopped.
struct SIGNALLLM_API Checkpoint {
  int64_t step = 0;
  /// Parameters and buffers under their names in the module tree.
  TensorMap model;
  /// Averaged weights under the same names; empty where none are kept.
  TensorMap average;
  /// Moments, random states; empty where training is to begin with new ones.
  TensorMap optimizer;
  /// Counters, as JSON.
  std::string state = "{}";
};

/// Parameters and buffers of a module under their names.
SIGNALLLM_API TensorMap module_tensors(const torch::nn::Module& module);

/// Copies `tensors` into the module, across types and devices. Throws
/// `c10::Error`, before anything is copied, naming a tensor that is missing,
/// unknown, of another shape, or has NaN in it.
SIGNALLLM_API void load_module(
    torch::nn::Module& module,
    const TensorMap& tensors);

/// Keeps other processes from writing a run's folder for as long as it lives
/// (an advisory lock on the file `.lock` in it, which stays there).
class SIGNALLLM_API RunLock {
 public:
  /// Holds nothing.
  RunLock() = default;
  /// Throws where another `RunLock`, also of this process, holds the folder.
  explicit RunLock(const std::string& folder);
  RunLock(RunLock&& other) noexcept;
  RunLock& operator=(RunLock&& other) noexcept;
  ~RunLock();

 private:
  int descriptor_ = -1;
};

/// The folder of one training run:
/// ```
/// config.json  tokenizer.json  log.jsonl  ...       texts by name
/// checkpoint-00001000/  model.safetensors  optimizer.safetensors  state.json
/// ```
/// A checkpoint is written under a temporary name, synced and renamed, so one
/// that is there is whole; checksums in `state.json` find what the disk did to
/// it later. One that replaces another of its step is there before that goes.
class SIGNALLLM_API RunFolder {
 public:
  explicit RunFolder(std::string path) : path_(std::move(path)) {}

  const std::string& path() const {
    return path_;
  }
  /// The path of a file in the folder.
  std::string file(const std::string& name) const;

  /// Makes the folder and locks it for the caller, who is to write it. A run
  /// in it that has nothing to lose, neither a checkpoint nor a file that
  /// training does not begin with, makes room. Throws where it holds another,
  /// or another process writes it.
  RunLock create() const;
  /// Locks a run's folder, to go on with it.
  RunLock reopen() const;
  /// Throws where it holds none, saying what was looked for.
  void check_exists() const;

  void write_text(const std::string& name, const std::string& text) const;
  std::string read_text(const std::string& name) const;

  /// Steps with a checkpoint, ascending.
  std::vector<int64_t> checkpoints() const;
  /// Writes one and removes older ones, so that it and the `keep` - 1 before
  /// it stay (0 keeps all), as does that of step `spare`. Of the same step the
  /// older one goes when the new one is whole and in its place.
  void save(const Checkpoint& checkpoint, int64_t keep = 2, int64_t spare = -1)
      const;
  /// Removes the checkpoints of steps after `step`, a future that is given up.
  void discard_after(int64_t step) const;
  /// Throws where the checkpoint of that step is missing or damaged.
  Checkpoint load(int64_t step) const;
  /// The newest checkpoint that is whole; what is wrong with newer ones is
  /// appended to `problems`. Throws where there is none.
  Checkpoint load_latest(std::vector<std::string>* problems = nullptr) const;

  /// The same for the checkpoint whose validation in `log.jsonl` has the lowest
  /// loss; the newest where none has one.
  Checkpoint load_best(std::vector<std::string>* problems = nullptr) const;

  /// Removes lines of `log.jsonl` about steps after `step`, which a run that
  /// resumes there will write again.
  void truncate_log(int64_t step) const;

 private:
  /// The folder of a step's checkpoint.
  std::string place(int64_t step) const;
  void remove(int64_t step) const;
  void sweep() const;

  std::string path_;
};

} // namespace signalllm::training

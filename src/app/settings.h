#pragma once

#include <signalllm/nn/model.h>
#include <signalllm/training/fit.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace signalllm::app {

inline constexpr int64_t default_vocab_size = 4096;
inline constexpr double default_decay_fraction = 0.2;

/// Everything that decides how a training run goes, as the user can say it.
struct Settings {
  std::string data;
  std::string valid;
  double valid_fraction = 0.1;
  std::string extensions;
  int64_t max_bytes = 0;
  std::string tokenizer = "bytes";
  int64_t vocab_size = default_vocab_size;

  int64_t dim = 128;
  int64_t layers = 4;
  int64_t heads = 4;
  double attention = 0.5;
  int64_t context = 128;
  double dropout = 0.0;
  std::string model;

  int64_t steps = 2000;
  int64_t batch = 16;
  int64_t accumulate = 1;
  double lr = 2e-3;
  double min_lr = 1e-4;
  int64_t warmup = 100;
  std::string schedule = "cosine";
  double decay_fraction = default_decay_fraction;
  std::string optimizer = "adamw";
  double weight_decay = 0.1;
  double kernel_decay = 0.0;
  double beta1 = 0.9;
  double beta2 = 0.99;
  double clip = 1.0;
  double average = 0.999;
  double divergence = 2.0;
  int64_t rollbacks = 3;
  int64_t patience = 0;
  double min_delta = 0.0;
  std::string precision = "float32";
  uint64_t seed = 1;

  std::string out;
  std::string resume;
  std::string device = "auto";
  bool record = true;
  int64_t threads = 0;
  int64_t timeout = 300;
  int64_t report_every = 10;
  int64_t evaluate_every = 500;
  int64_t checkpoint_every = 500;
  int64_t keep = 2;
  double peak_tflops = 0;
  bool tensorboard = false;

  /// Go on although the text has changed: said anew each time, in no file.
  bool force_data = false;
};

/// Groups of settings; what a resumed run may not change comes first.
inline constexpr const char* data_group = "Text";
inline constexpr const char* model_group = "Model";
inline constexpr const char* training_group = "Training";
inline constexpr const char* run_group = "Run";

/// The table of settings: calls `visit(group, name, value, help)` for each.
/// Command line, files and checks all go through it.
template <typename SettingsType, typename Visit>
void visit_settings(SettingsType& s, Visit&& visit) {
  const auto* group = data_group;
  visit(
      group,
      "data",
      s.data,
      "text or token file to learn, or a folder of texts");
  visit(
      group, "valid", s.valid, "text to be judged on; else the end of --data");
  visit(group, "valid-fraction", s.valid_fraction, "how much of the end");
  visit(
      group,
      "extensions",
      s.extensions,
      "in a folder, only files with these endings (\".txt .md\"; * for all)");
  visit(group, "max-bytes", s.max_bytes, "read no more than this; 0 for all");
  visit(
      group,
      "tokenizer",
      s.tokenizer,
      "bytes (any file), chars (UTF-8), sentencepiece, or a file with one");
  visit(
      group, "vocab-size", s.vocab_size, "sub-words that sentencepiece learns");
  group = model_group;
  visit(group, "dim", s.dim, "width");
  visit(group, "layers", s.layers, "blocks");
  visit(group, "heads", s.heads, "heads; each is dim / heads wide");
  visit(
      group,
      "attention",
      s.attention,
      "share of the width that attends; the rest convolves");
  visit(group, "context", s.context, "tokens the model sees at once");
  visit(group, "dropout", s.dropout, "for small texts: 0.1 to 0.3");
  visit(
      group,
      "model",
      s.model,
      "further options of SignalLLM (\"wavelet=db4,levels=4\")");
  group = training_group;
  visit(group, "steps", s.steps, "updates of the weights");
  visit(group, "batch", s.batch, "windows of --context tokens a batch");
  visit(group, "accumulate", s.accumulate, "batches a step");
  visit(group, "lr", s.lr, "learning rate at its highest");
  visit(group, "min-lr", s.min_lr, "and at the end");
  visit(group, "warmup", s.warmup, "steps until the highest");
  visit(group, "schedule", s.schedule, "cosine, linear, wsd or constant");
  visit(
      group,
      "decay-fraction",
      s.decay_fraction,
      "of wsd: share of the steps, at the end, in which the rate falls");
  visit(group, "optimizer", s.optimizer, "adamw, or muon for the matrices");
  visit(group, "weight-decay", s.weight_decay, "of the matrices");
  visit(group, "kernel-decay", s.kernel_decay, "of the Fourier kernels");
  visit(group, "beta1", s.beta1, "memory of AdamW's mean");
  visit(group, "beta2", s.beta2, "memory of AdamW's square");
  visit(group, "clip", s.clip, "largest norm of the gradient; 0 for any");
  visit(
      group,
      "average",
      s.average,
      "keep weights averaged with this decay (0.999) and use them; 0: off");
  visit(
      group,
      "divergence",
      s.divergence,
      "a loss this many times its median has diverged; 0: never");
  visit(
      group,
      "rollbacks",
      s.rollbacks,
      "times to go back, with other batches, from a loss that is NaN or "
      "diverged");
  visit(
      group,
      "patience",
      s.patience,
      "end after this many validations without a new best, and use the best "
      "one's weights; 0: never");
  visit(
      group,
      "min-delta",
      s.min_delta,
      "with --patience: nats that a new best must be lower by");
  visit(group, "precision", s.precision, "float32 or bfloat16");
  visit(group, "seed", s.seed, "of weights, dropout and data order");
  group = run_group;
  visit(group, "out", s.out, "folder of the run; default: a new one in runs/");
  visit(group, "resume", s.resume, "go on with the run in this folder");
  visit(group, "device", s.device, "auto, cpu, mps or cuda");
  visit(
      group,
      "record",
      s.record,
      "true: a GPU repeats a recorded step (CUDA graph); or false");
  visit(group, "threads", s.threads, "CPU threads; 0: all cores");
  visit(
      group,
      "timeout",
      s.timeout,
      "seconds to wait for another process of the run");
  visit(
      group, "report-every", s.report_every, "steps between lines of the log");
  visit(group, "evaluate-every", s.evaluate_every, "steps between validations");
  visit(
      group,
      "checkpoint-every",
      s.checkpoint_every,
      "steps between checkpoints");
  visit(group, "keep", s.keep, "checkpoints kept; 0: all");
  visit(
      group,
      "peak-tflops",
      s.peak_tflops,
      "most that the device can do, for the MFU; 0: of a table of GPUs");
  visit(
      group,
      "tensorboard",
      s.tensorboard,
      "write events for TensorBoard into the run's folder");
}

/// What `--model` says, by name. Throws where a name is given twice.
std::map<std::string, std::string> model_words(const Settings& settings);
SignalLLMOptions model_options(const Settings& settings, int64_t vocab_size);
training::TrainerOptions trainer_options(const Settings& settings);

/// The effective settings, as config.json and as a TOML file for `--config`
/// (without the run's own folder).
std::string to_json(const Settings& settings, const SignalLLMOptions& model);
std::string to_toml(const Settings& settings);
/// Settings and model as config.json has them.
Settings settings_from_json(const std::string& json, const std::string& where);
SignalLLMOptions model_from_json(
    const std::string& json,
    const std::string& where);

/// Throws naming a setting that cannot be.
void check(const Settings& settings);

} // namespace signalllm::app

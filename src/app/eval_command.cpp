#include "app/command.h"
#include "app/command_line.h"
#include "app/memory.h"
#include "app/progress.h"
#include "app/run_text.h"
#include "app/session.h"

#include <signalllm/nn/spectral_gap_analyzer.h>

#include <c10/util/Exception.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <optional>

namespace signalllm::app {
namespace {

/// Mean over the first `batch` windows of the gap of the states that the head
/// takes.
double mean_gap(
    TrainedModel& trained,
    const data::ConsecutiveWindows& windows,
    int64_t batch) {
  const at::NoGradGuard no_grad;
  const auto rows = windows.rows(0, std::min(batch, windows.size()));
  const auto device = trained.model->parameters().front().device();
  const auto states = trained.model->hidden(rows.inputs.to(device));
  return SpectralGapAnalyzer()->forward(states).mean().item<double>();
}

} // namespace

int run_eval(const Words& words) {
  std::string run, text, device = "auto";
  int64_t batch = 32, threads = 0;
  bool json = false, gap = false;
  CommandLine line(
      "eval",
      "Scores a text with a trained model: every window of the context's\n"
      "length, none overlapping.",
      "  signalllm eval --run runs/book\n"
      "  signalllm eval --run runs/book --data other.txt --json\n");
  line.add("Options", "run", run, "folder of the run");
  line.add(
      "Options", "data", text, "text to score; default: what was held out");
  line.add("Options", "batch", batch, "windows at once");
  line.add("Options", "device", device, "auto, cpu, mps or cuda");
  line.add("Options", "threads", threads, "CPU threads; 0: all cores");
  line.flag(
      "Options",
      "spectral-gap",
      gap,
      "also how well the states of a window hang together");
  line.flag("Options", "json", json, "print one JSON object");
  if (const auto code = line.parse(words)) {
    return *code;
  }
  TORCH_CHECK(batch >= 1, "--batch is ", batch, "; at least 1");
  set_threads(threads);
  auto trained = load_run(run, choose_device(device));
  auto settings = trained.settings;
  if (!text.empty()) {
    settings.data = text;
    settings.valid.clear();
    settings.valid_fraction = 0;
  }
  auto read = read_run_text(settings);
  if (text.empty()) {
    // What is held out of another text may have been learned.
    check_text(
        training::RunFolder(run),
        read,
        settings.data,
        "--data names a text to score");
  }
  read.tokenize(settings, trained.tokenizer);
  const auto tokens = text.empty() ? read.valid : read.train;
  TORCH_CHECK(
      tokens.numel() > 0,
      "the run held out no text; --data names one to score");
  const data::ConsecutiveWindows windows(tokens, settings.context);
  check_memory(
      scoring_bytes(
          trained.model->options,
          trained.model->num_parameters(),
          std::min(batch, windows.size()),
          settings.context),
      batch,
      settings.context,
      trained.model->parameters().front().device());
  const auto result = training::evaluate(
      *trained.model,
      [&](const at::Tensor& inputs) { return trained.model->forward(inputs); },
      windows,
      trained.tokenizer->token_bytes(),
      training::EvaluateOptions().batch(batch).bfloat16(
          settings.precision == "bfloat16"));
  const auto spectral_gap =
      gap ? std::optional(mean_gap(trained, windows, batch)) : std::nullopt;
  if (json) {
    nlohmann::ordered_json object = {
        {"run", run},
        {"step", trained.step},
        {"data", settings.data},
        {"tokenizer", trained.tokenizer->kind()},
        {"context", settings.context},
        {"windows", windows.size()},
        {"tokens", result.tokens},
        {"bytes", result.bytes},
        {"loss", result.loss()},
        {"perplexity", result.perplexity()},
        {"bits_per_byte", result.bits_per_byte()}};
    if (spectral_gap) {
      object["spectral_gap"] = *spectral_gap;
    }
    fmt::print("{}\n", object.dump());
    return 0;
  }
  fmt::print(
      "text           {}{}\n"
      "scored         {} of {} tokens ({}), {} windows of {}\n"
      "loss           {:.4f} nats per token\n"
      "perplexity     {:.3f} per token\n"
      "bits per byte  {:.4f}\n",
      settings.data,
      text.empty() ? " (what was held out)" : "",
      format_count(result.tokens),
      format_count(tokens.numel()),
      trained.tokenizer->kind(),
      format_count(windows.size()),
      settings.context,
      result.loss(),
      result.perplexity(),
      result.bits_per_byte());
  if (spectral_gap) {
    fmt::print(
        "spectral gap   {:.4f} of the token states' similarity (1 all alike, "
        "0 apart)\n",
        *spectral_gap);
  }
  return 0;
}

} // namespace signalllm::app

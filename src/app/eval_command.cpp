#include "app/command.h"
#include "app/command_line.h"
#include "app/progress.h"
#include "app/session.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace signalllm::app {

int run_eval(const Words& words) {
  std::string run, text, device = "auto";
  int64_t batch = 32, threads = 0;
  bool json = false;
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
  const auto corpus = read_text(settings);
  const auto& scored = text.empty() ? corpus.valid : corpus.train;
  TORCH_CHECK(
      !scored.empty(), "the run held out no text; --data names one to score");
  const auto tokens = trained.tokenizer->encode(scored);
  const data::ConsecutiveWindows windows(tokens, settings.context);
  const auto result = training::evaluate(
      *trained.model,
      [&](const at::Tensor& inputs) { return trained.model->forward(inputs); },
      windows,
      trained.tokenizer->token_bytes(),
      training::EvaluateOptions().batch(batch).bfloat16(
          settings.precision == "bfloat16"));
  if (json) {
    const nlohmann::ordered_json object = {
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
  return 0;
}

} // namespace signalllm::app

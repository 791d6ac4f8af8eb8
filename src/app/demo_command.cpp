#include "app/command.h"
#include "app/command_line.h"
#include "app/compression.h"
#include "app/external.h"
#include "app/sample.h"
#include "app/training_run.h"

#include <signalllm/training/interrupt.h>

#include <ATen/Parallel.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>

namespace signalllm::app {
namespace {

/// The settings that a demonstration changes.
Settings demo_settings() {
  Settings settings;
  settings.max_bytes = 4'000'000;
  settings.valid_fraction = 0.04;
  settings.context = 128;
  settings.batch = 8; // many small steps learn the most in a short time
  settings.lr = 3e-3;
  settings.steps = 0; // by --minutes
  settings.report_every = 5;
  settings.evaluate_every = 0;
  settings.checkpoint_every = 200;
  return settings;
}

/// Steps for so many minutes on this machine as it is now. Where the user left
/// the threads open, one or all of them, whichever is faster: on a machine that
/// is busy with other things, threads wait for each other.
void size_run(Settings& settings, double minutes) {
  double seconds = TrainingRun::measure_step(settings);
  const auto threads = at::get_num_threads();
  if (settings.threads == 0 && threads > 1) {
    settings.threads = 1;
    const double alone = TrainingRun::measure_step(settings);
    if (seconds <= alone) {
      settings.threads = threads;
    }
    seconds = std::min(seconds, alone);
  }
  settings.steps =
      std::clamp<int64_t>(std::llround(minutes * 60 / seconds), 20, 100'000);
}

/// The bytes that `evaluate` scores: the targets of whole windows.
std::string scored_bytes(const std::string& held_out, int64_t context) {
  const auto whole =
      (static_cast<int64_t>(held_out.size()) - 1) / context * context;
  return held_out.substr(1, static_cast<std::size_t>(whole));
}

void compare(const TrainingRun& run, double bits_per_byte, int64_t context) {
  const auto scored = scored_bytes(run.corpus().valid, context);
  fmt::print("\nbits per byte on the same {} held-out bytes:\n", scored.size());
  const auto row = [](const std::string& name, const std::string& value) {
    fmt::print("  {:<32}{}\n", name, value);
  };
  for (const auto& result : compress(scored, run.corpus().train)) {
    row(result.name,
        result.bits_per_byte ? fmt::format("{:.3f}", *result.bits_per_byte)
                             : "not installed");
  }
  row("this model", fmt::format("{:.3f}", bits_per_byte));
  fmt::print(
      "(gzip looks back 32 KB, xz 64 MB, this model {} bytes)\n", context);
}

/// A start for the sample: of Python where that was learned, else the first
/// words that were held out.
std::string prompt_for(const Settings& settings, const std::string& held_out) {
  if (settings.extensions == ".py") {
    return "def forward(self, ";
  }
  const auto end = held_out.find_first_of(" \n", 24);
  return held_out.substr(0, std::min<std::size_t>(end, 48));
}

} // namespace

int run_demo(const Words& words) {
  auto settings = demo_settings();
  double minutes = 3;
  int64_t tokens = 600;
  CommandLine line(
      "demo",
      "Learns some text and writes more of it; needs no download. Without\n"
      "--data the text is the Python source of the torch package.",
      "  signalllm demo\n"
      "  signalllm demo --data book.txt --minutes 10\n");
  const auto* group = "Options";
  line.add(group, "data", settings.data, "text to learn: a file or a folder");
  line.add(group, "minutes", minutes, "about how long to train");
  line.add(group, "steps", settings.steps, "train this many steps instead");
  line.add(group, "max-bytes", settings.max_bytes, "how much text to take");
  line.add(group, "tokens", tokens, "length of the sample");
  line.add(group, "out", settings.out, "folder; default: a new one in runs/");
  line.add(group, "seed", settings.seed, "of weights and data order");
  line.add(group, "device", settings.device, "auto, cpu, mps or cuda");
  line.add(group, "threads", settings.threads, "CPU threads; 0: all cores");
  if (const auto code = line.parse(words)) {
    return *code;
  }
  TORCH_CHECK(minutes > 0, "--minutes is ", minutes, "; more than 0");
  TORCH_CHECK(settings.steps >= 0, "--steps is ", settings.steps);
  TORCH_CHECK(tokens >= 1, "--tokens is ", tokens, "; at least 1");
  if (settings.data.empty()) {
    settings.data = torch_package();
    settings.extensions = ".py";
  } else {
    TORCH_CHECK(
        !data::is_token_file(settings.data),
        "demo shows a text, and --data ",
        settings.data,
        " is a token file; signalllm train takes one");
    TORCH_CHECK(
        std::filesystem::is_regular_file(settings.data) ||
            std::filesystem::is_directory(settings.data) ||
            !std::filesystem::exists(settings.data),
        "demo reads its text several times, and --data ",
        settings.data,
        " is a pipe; signalllm train takes one, or a file");
    settings.data =
        std::filesystem::absolute(settings.data).lexically_normal().string();
  }
  if (settings.out.empty()) {
    settings.out = next_folder("demo");
  }
  if (settings.steps == 0) {
    size_run(settings, minutes);
  }
  settings.warmup = std::min<int64_t>(100, settings.steps / 10);

  TrainingRun run(settings);
  run.describe();
  if (const int code = run.train(); code != 0) {
    return code;
  }
  compare(run, run.validation()->bits_per_byte(), settings.context);
  fmt::print("\na sample:\n");
  write_sample(
      run.model(),
      run.tokenizer(),
      prompt_for(settings, run.corpus().valid),
      GenerateOptions().max_new_tokens(tokens).temperature(0.7).seed(
          settings.seed));
  fmt::print("\n");
  run.draw_losses();
  fmt::print(
      "next: signalllm generate --run {0} --prompt \"import \"\n",
      run.folder().path());
  return training::interrupt_signal() == 0 ? 0
                                           : 128 + training::interrupt_signal();
}

} // namespace signalllm::app

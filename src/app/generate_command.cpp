#include "app/command.h"
#include "app/command_line.h"
#include "app/sample.h"
#include "app/session.h"

#include <signalllm/training/interrupt.h>

#include <c10/util/Exception.h>

#include <iostream>
#include <iterator>
#include <random>
#include <string>

namespace signalllm::app {

namespace {

/// All of it, without UTF-8's byte order mark.
std::string read_standard_input() {
  const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  TORCH_CHECK(!text.empty(), "--prompt - reads standard input, which is empty");
  return text.starts_with("\xEF\xBB\xBF") ? text.substr(3) : text;
}

} // namespace

int run_generate(const Words& words) {
  std::string run, device = "auto", prompt = "\n";
  int64_t tokens = 256, top_k = 0, threads = 0;
  double temperature = 0.8, top_p = 1.0;
  int64_t seed = -1;
  CommandLine line(
      "generate",
      "Lets a trained model write.",
      "  signalllm generate --run runs/demo --prompt \"def forward(\"\n"
      "  signalllm generate --run runs/book --tokens 1000 --temperature 0.7 "
      "--top-p 0.95 --seed 1\n");
  line.add("Options", "run", run, "folder of the run");
  line.add(
      "Options",
      "prompt",
      prompt,
      "what the text begins with; - reads standard input");
  line.add("Options", "tokens", tokens, "how many to write");
  line.add(
      "Options",
      "temperature",
      temperature,
      "below 1 more likely, above 1 more daring; 0: always the likeliest");
  line.add("Options", "top-k", top_k, "only the k likeliest; 0: all");
  line.add(
      "Options",
      "top-p",
      top_p,
      "only the likeliest that reach this probability together");
  line.add("Options", "seed", seed, "of the draws; -1: another text each time");
  line.add("Options", "device", device, "auto, cpu, mps or cuda");
  line.add("Options", "threads", threads, "CPU threads; 0: all cores");
  if (const auto code = line.parse(words)) {
    return *code;
  }
  TORCH_CHECK(tokens >= 1, "--tokens is ", tokens, "; at least 1");
  TORCH_CHECK(
      temperature >= 0, "--temperature is ", temperature, "; at least 0");
  TORCH_CHECK(top_k >= 0, "--top-k is ", top_k, "; at least 0");
  TORCH_CHECK(
      top_p > 0 && top_p <= 1, "--top-p is ", top_p, "; above 0, at most 1");
  TORCH_CHECK(seed >= -1, "--seed is ", seed, "; at least 0, or -1");
  if (prompt == "-") {
    prompt = read_standard_input();
  }
  set_threads(threads);
  auto trained = load_run(run, choose_device(device));
  std::random_device entropy;
  write_sample(
      trained.model,
      *trained.tokenizer,
      prompt,
      GenerateOptions()
          .max_new_tokens(tokens)
          .temperature(temperature)
          .top_k(top_k)
          .top_p(top_p)
          .seed(seed >= 0 ? static_cast<uint64_t>(seed) : entropy()));
  return training::interrupt_signal() == 0 ? 0
                                           : 128 + training::interrupt_signal();
}

} // namespace signalllm::app

#include "app/command.h"
#include "app/command_line.h"
#include "app/sample.h"
#include "app/session.h"

#include <signalllm/training/interrupt.h>

#include <c10/util/Exception.h>

#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <sstream>
#include <string>
#include <vector>

namespace signalllm::app {

namespace {

std::string without_byte_order_mark(std::string text) {
  return text.starts_with("\xEF\xBB\xBF") ? text.substr(3) : text;
}

/// All of it.
std::string read_standard_input() {
  const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  TORCH_CHECK(!text.empty(), "--prompt - reads standard input, which is empty");
  return without_byte_order_mark(text);
}

/// The lines of a file that are not empty.
std::vector<std::string> read_prompts(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  TORCH_CHECK(in, "--prompts: cannot read ", path);
  std::istringstream text(
      without_byte_order_mark({std::istreambuf_iterator<char>(in), {}}));
  std::vector<std::string> prompts;
  for (std::string line; std::getline(text, line);) {
    if (line.ends_with('\r')) {
      line.pop_back();
    }
    if (!line.empty()) {
      prompts.push_back(line);
    }
  }
  TORCH_CHECK(!in.bad(), "--prompts: cannot read ", path);
  TORCH_CHECK(!prompts.empty(), "--prompts ", path, " has no prompt in it");
  return prompts;
}

} // namespace

int run_generate(const Words& words) {
  std::string run, device = "auto", prompt = "\n", prompts;
  int64_t tokens = 256, samples = 1, top_k = 0, threads = 0;
  double temperature = 0.8, top_p = 1.0;
  int64_t seed = -1;
  CommandLine line(
      "generate",
      "Lets a trained model write.",
      "  signalllm generate --run runs/demo --prompt \"def forward(\"\n"
      "  signalllm generate --run runs/book --tokens 1000 --temperature 0.7 "
      "--top-p 0.95 --seed 1\n"
      "  signalllm generate --run runs/book --prompts beginnings.txt --samples "
      "3\n");
  line.add("Options", "run", run, "folder of the run");
  line.add(
      "Options",
      "prompt",
      prompt,
      "what the text begins with; - reads standard input");
  line.add(
      "Options",
      "prompts",
      prompts,
      "a file with a prompt a line, in place of --prompt; their texts are "
      "written side by side and shown when all are done");
  line.add(
      "Options",
      "samples",
      samples,
      "texts for each prompt, written side by side too");
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
  TORCH_CHECK(samples >= 1, "--samples is ", samples, "; at least 1");
  TORCH_CHECK(
      prompts.empty() || !line.given("prompt"),
      "--prompts and --prompt are two ways to say one thing; give one");
  if (prompt == "-") {
    prompt = read_standard_input();
  }
  const auto all = prompts.empty() ? std::vector<std::string>{prompt}
                                   : read_prompts(prompts);
  set_threads(threads);
  auto trained = load_run(run, choose_device(device));
  std::random_device entropy;
  const auto options =
      GenerateOptions()
          .max_new_tokens(tokens)
          .temperature(temperature)
          .top_k(top_k)
          .top_p(top_p)
          .seed(seed >= 0 ? static_cast<uint64_t>(seed) : entropy());
  if (samples == 1 && prompts.empty()) {
    write_sample(trained.model, *trained.tokenizer, prompt, options);
  } else {
    std::vector<std::string> rows;
    for (const auto& one : all) {
      rows.insert(rows.end(), static_cast<size_t>(samples), one);
    }
    write_samples(trained.model, *trained.tokenizer, rows, options);
  }
  return training::interrupt_signal() == 0 ? 0
                                           : 128 + training::interrupt_signal();
}

} // namespace signalllm::app

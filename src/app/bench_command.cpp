#include "app/bench.h"
#include "app/nearest.h"

#include <fmt/format.h>

#include <cstdio>

namespace signalllm::app {
namespace {

struct Bench {
  const char* name;
  const char* summary;
  int (*run)(const Words& words);
};

constexpr Bench benches[] = {
    {"recall",
     "train a small model to recall, score it with and without a window",
     run_bench_recall}};

} // namespace

int run_bench(const Words& words) {
  if (words.empty() || words[0] == "--help" || words[0] == "-h") {
    fmt::print("Usage: signalllm bench NAME [OPTIONS]\n\nThere are:\n");
    for (const auto& bench : benches) {
      fmt::print("  {:<10}{}\n", bench.name, bench.summary);
    }
    return words.empty() ? usage_error : 0;
  }
  std::vector<std::string> names;
  for (const auto& bench : benches) {
    if (bench.name == words[0]) {
      return bench.run({words.begin() + 1, words.end()});
    }
    names.emplace_back(bench.name);
  }
  fmt::print(
      stderr,
      "signalllm: there is no bench '{}'{}; signalllm bench --help lists "
      "them\n",
      words[0],
      did_you_mean(words[0], names));
  return usage_error;
}

} // namespace signalllm::app

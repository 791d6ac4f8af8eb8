#pragma once

#include <string>
#include <vector>

/// The program's commands. Each takes the words behind its name and returns
/// the exit code; what the user did wrong is thrown.
namespace signalllm::app {

using Words = std::vector<std::string>;

int run_demo(const Words& words);
int run_train(const Words& words);
int run_eval(const Words& words);
int run_evolve(const Words& words);
int run_evolve_worker(const Words& words);
int run_generate(const Words& words);
int run_visualize(const Words& words);
int run_bench(const Words& words);
int run_tokenize(const Words& words);
int run_export(const Words& words);
int run_import(const Words& words);
int run_version(const Words& words);

/// Exit codes: what went wrong while running, and how it was called.
inline constexpr int failure = 1;
inline constexpr int usage_error = 2;

} // namespace signalllm::app

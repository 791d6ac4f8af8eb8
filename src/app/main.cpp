#include "app/command.h"
#include "app/nearest.h"

#include <signalllm/training/distributed.h>
#include <signalllm/version.h>

#include <c10/util/Exception.h>
#include <fmt/format.h>
#include <torch/headeronly/version.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <string>

namespace signalllm::app {
namespace {

struct Command {
  const char* name;
  const char* summary; // null: not for users
  int (*run)(const Words& words);
};

constexpr Command commands[] = {
    {"demo", "learn some text in three minutes and write more of it", run_demo},
    {"train", "train a model on a text of your own", run_train},
    {"tokenize",
     "write a large text as token numbers to train on",
     run_tokenize},
    {"eval", "score a text with a trained model", run_eval},
    {"evolve",
     "search the wavelet that a text is learned with best",
     run_evolve},
    {"evolve-worker", nullptr, run_evolve_worker},
    {"generate", "let a trained model write", run_generate},
    {"visualize",
     "draw transforms, attention, filters and embedding",
     run_visualize},
    {"export", "write a trained model for other programs", run_export},
    {"import", "make a run of a model that others wrote", run_import},
    {"bench", "measure what models can do", run_bench},
    {"version", "what this program was built from", run_version}};

void print_help() {
  fmt::print(
      "signalllm: language models made of signal processing.\n\n"
      "Usage: signalllm COMMAND [OPTIONS]\n\nCommands:\n");
  for (const auto& command : commands) {
    if (command.summary != nullptr) {
      fmt::print("  {:<10}{}\n", command.name, command.summary);
    }
  }
  fmt::print(
      "\nA first try, no download needed:\n"
      "  signalllm demo\n\n"
      "With a text of your own:\n"
      "  signalllm train --data book.txt --out runs/book\n"
      "  signalllm generate --run runs/book --prompt \"Once upon\"\n\n"
      "signalllm COMMAND --help explains a command's options.\n");
}

int run(const Words& words) {
  if (words.empty() || words[0] == "--help" || words[0] == "-h" ||
      words[0] == "help") {
    print_help();
    return words.empty() ? usage_error : 0;
  }
  const auto name = words[0] == "--version" ? "version" : words[0];
  std::vector<std::string> names;
  for (const auto& command : commands) {
    if (command.name == name) {
      return command.run({words.begin() + 1, words.end()});
    }
    if (command.summary != nullptr) {
      names.emplace_back(command.name);
    }
  }
  fmt::print(
      stderr,
      "signalllm: there is no command '{}'{}; signalllm --help lists them\n",
      name,
      did_you_mean(name, names));
  return usage_error;
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

} // namespace

int run_version(const Words&) {
  fmt::print(
      "signalllm {}.{}.{}, torch {}\n",
      SIGNALLLM_VERSION_MAJOR,
      SIGNALLLM_VERSION_MINOR,
      SIGNALLLM_VERSION_PATCH,
      TORCH_VERSION);
  return 0;
}

} // namespace signalllm::app

int main(int argc, char** argv) {
  using namespace signalllm::app;
  // A limit on file sizes then fails the write, as a full disk does, and the
  // error is told instead of the program killed.
  std::signal(SIGXFSZ, SIG_IGN);
  std::string problem;
  try {
    const int code = run({argv + 1, argv + argc});
    if (code != 0 || (std::fflush(stdout) == 0 && std::ferror(stdout) == 0)) {
      return code;
    }
    problem =
        std::string("cannot write to standard output: ") + std::strerror(errno);
  } catch (const signalllm::training::OtherProcessFailed&) {
    return failure; // it says why
  } catch (const c10::Error& error) {
    problem = error.what_without_backtrace(); // the trace helps no user
  } catch (const std::bad_alloc&) {
    problem = "out of memory: try a smaller --batch, --context or --dim";
  } catch (const std::exception& error) {
    problem = error.what();
  }
  std::fflush(stdout);
  // Not fmt::print, which throws where nobody reads.
  std::fputs(("signalllm: " + first_line(problem) + "\n").c_str(), stderr);
  return failure;
}

#pragma once

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif

extern "C" char** environ;

namespace signalllm {

/// The words that train a model as small as can be, where `more` does not say
/// otherwise.
inline std::vector<std::string> tiny(const std::vector<std::string>& more) {
  constexpr const char* sizes[][2] = {
      {"--dim", "16"},
      {"--layers", "1"},
      {"--heads", "2"},
      {"--context", "16"},
      {"--batch", "2"},
      {"--threads", "1"}};
  std::vector<std::string> words{"train"};
  for (const auto& [name, value] : sizes) {
    if (std::find(more.begin(), more.end(), name) == more.end()) {
      words.insert(words.end(), {name, value});
    }
  }
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

/// What a run of the program gave.
struct Outcome {
  int code = -1;
  std::string out;
  std::string error;
  /// The most memory that it had, pages of mapped files included.
  int64_t peak_bytes = 0;

  bool says(const std::string& part) const {
    return out.find(part) != std::string::npos;
  }
  /// The error is one line and has this in it.
  bool complains(const std::string& part) const {
    return error.find(part) != std::string::npos &&
        error.find('\n') == error.size() - 1;
  }
};

/// The program `signalllm` of this build, in a folder of the caller's.
class Program {
 public:
  explicit Program(std::string folder) : folder_(std::move(folder)) {}

  /// Beside the tests; empty where it was not built.
  static std::string path() {
#ifdef __APPLE__
    char name[4096];
    uint32_t size = sizeof name;
    const std::filesystem::path self =
        _NSGetExecutablePath(name, &size) == 0 ? name : "";
#else
    const std::filesystem::path self = "/proc/self/exe";
#endif
    const auto program =
        std::filesystem::canonical(self).parent_path() / "signalllm";
    return std::filesystem::exists(program) ? program.string() : "";
  }

  /// Starts it; what it says goes to files in the folder, or to `out`.
  /// `program` is another to start in its place.
  pid_t start(
      std::vector<std::string> words,
      const std::string& out = "",
      const std::string& program = path()) const {
    words.insert(words.begin(), program);
    std::vector<char*> arguments;
    for (auto& word : words) {
      arguments.push_back(word.data());
    }
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    constexpr int flags = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_addopen(
        &actions,
        1,
        (out.empty() ? folder_ + "/out" : out).c_str(),
        flags,
        0644);
    posix_spawn_file_actions_addopen(
        &actions, 2, (folder_ + "/error").c_str(), flags, 0644);
    pid_t child = -1;
    ::posix_spawn(
        &child, arguments[0], &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    return child;
  }

  Outcome finish(pid_t child) const {
    int status = 0;
    struct rusage usage {};
    ::wait4(child, &status, 0, &usage);
    Outcome outcome;
#ifdef __APPLE__
    outcome.peak_bytes = usage.ru_maxrss;
#else
    outcome.peak_bytes = usage.ru_maxrss * 1024;
#endif
    outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    outcome.out = read("out");
    outcome.error = read("error");
    return outcome;
  }

  Outcome operator()(std::vector<std::string> words) const {
    return finish(start(std::move(words)));
  }

 private:
  std::string read(const std::string& name) const {
    std::ifstream in(folder_ + "/" + name);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
  }

  std::string folder_;
};

} // namespace signalllm

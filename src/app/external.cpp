#include "app/external.h"

#include <c10/util/Exception.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif

extern "C" char** environ;

namespace signalllm::app {
namespace {

namespace fs = std::filesystem;

fs::path own_folder() {
  return fs::path(own_program()).parent_path();
}

std::string read_to_end(int descriptor) {
  std::string text;
  char buffer[65536];
  for (;;) {
    const auto count = ::read(descriptor, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      return text;
    }
    text.append(buffer, static_cast<std::size_t>(count));
  }
}

bool runs(const std::string& program) {
  return capture({program, "-c", "pass"}).has_value();
}

} // namespace

std::string own_program() {
#ifdef __APPLE__
  char name[4096];
  uint32_t size = sizeof name;
  const std::string path = _NSGetExecutablePath(name, &size) == 0 ? name : "";
#else
  const std::string path = "/proc/self/exe";
#endif
  std::error_code error;
  return fs::canonical(path, error).string();
}

std::optional<std::string> capture(
    const std::vector<std::string>& words,
    std::string* error) {
  int out[2];
  TORCH_CHECK(::pipe(out) == 0, "cannot make a pipe");
  // A file takes the complaints, so that two full pipes cannot lock up.
  auto* complaints = std::tmpfile();
  TORCH_CHECK(complaints != nullptr, "cannot make a temporary file");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(
      &actions, ::fileno(complaints), STDERR_FILENO);
  posix_spawn_file_actions_addclose(&actions, out[0]);
  posix_spawn_file_actions_addopen(
      &actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  std::vector<char*> arguments;
  for (const auto& word : words) {
    arguments.push_back(const_cast<char*>(word.c_str()));
  }
  arguments.push_back(nullptr);
  pid_t child = 0;
  const int failed = ::posix_spawnp(
      &child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(out[1]);
  std::string text;
  int status = -1;
  if (failed == 0) {
    text = read_to_end(out[0]);
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
  }
  ::close(out[0]);
  if (error != nullptr) {
    ::lseek(::fileno(complaints), 0, SEEK_SET); // shared with the child
    *error = failed == 0 ? read_to_end(::fileno(complaints)) : "not found";
  }
  std::fclose(complaints);
  if (failed != 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return std::nullopt;
  }
  return text;
}

std::optional<std::string> find_python() {
  if (const char* named = std::getenv("SIGNALLLM_PYTHON")) {
    TORCH_CHECK(
        runs(named), "SIGNALLLM_PYTHON is ", named, ", which is no Python");
    return named;
  }
  std::vector<std::string> candidates{".venv/bin/python"};
  for (auto folder = own_folder(); folder.has_relative_path();
       folder = folder.parent_path()) {
    candidates.push_back((folder / ".venv/bin/python").string());
  }
  for (const auto& candidate : candidates) {
    if (fs::exists(candidate) && runs(candidate)) {
      return candidate;
    }
  }
  return runs("python3") ? std::optional<std::string>("python3") : std::nullopt;
}

std::optional<std::string> find_script(const std::string& name) {
  const auto here = own_folder();
  for (const auto& folder :
       {here,
        here.parent_path() / "share/signalllm",
        fs::path(SIGNALLLM_SOURCE_ROOT) / "benchmarks"}) {
    if (fs::exists(folder / name)) {
      return (folder / name).string();
    }
  }
  return std::nullopt;
}

std::string torch_package() {
  const char* named = std::getenv("SIGNALLLM_TORCH_ROOT");
  const std::string path = named != nullptr ? named : SIGNALLLM_TORCH_ROOT;
  TORCH_CHECK(
      fs::is_directory(path),
      "the torch package that this program was built with is not at ",
      path,
      " any more; --data takes any file or folder, or set "
      "SIGNALLLM_TORCH_ROOT");
  return path;
}

std::string run_script(
    const std::string& script,
    const std::vector<std::string>& arguments) {
  const auto python = find_python();
  const auto path = find_script(script);
  if (!python || !path) {
    return (python ? script : "Python") + " not found";
  }
  std::vector<std::string> words{*python, *path};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::string error;
  if (capture(words, &error)) {
    return "";
  }
  while (!error.empty() && error.back() == '\n') {
    error.pop_back();
  }
  error = error.substr(error.rfind('\n') + 1);
  return error.empty() ? script + " failed" : error;
}

std::string draw(
    const std::string& script,
    const std::string& input,
    const std::string& picture) {
  const auto problem = run_script(script, {input, picture});
  return problem.empty() ? "picture: " + picture : "no picture: " + problem;
}

} // namespace signalllm::app

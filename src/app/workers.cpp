#include "app/workers.h"

#include "app/external.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <iostream>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" char** environ;

namespace signalllm::app {
namespace {

/// A pipe that no program started later inherits.
void make_pipe(int ends[2]) {
  TORCH_CHECK(::pipe(ends) == 0, "cannot make a pipe: ", std::strerror(errno));
  for (int i = 0; i < 2; ++i) {
    ::fcntl(ends[i], F_SETFD, FD_CLOEXEC);
  }
}

/// False where nobody reads any more.
bool write_all(int descriptor, const std::string& text) {
  std::size_t written = 0;
  while (written < text.size()) {
    const auto count =
        ::write(descriptor, text.data() + written, text.size() - written);
    if (count < 0 && errno != EINTR) {
      return false;
    }
    written += static_cast<std::size_t>(std::max<ssize_t>(count, 0));
  }
  return true;
}

std::string parent; // its process number

} // namespace

Workers::Workers(int64_t count, std::string command, std::string hello)
    : count_(count), command_(std::move(command)), hello_(std::move(hello)) {}

Workers::~Workers() {
  for (const auto& worker : workers_) {
    ::close(worker.to);
    ::close(worker.from);
    if (worker.process > 0) {
      ::kill(worker.process, SIGKILL);
    }
  }
  for (const auto& worker : workers_) {
    while (worker.process > 0 && ::waitpid(worker.process, nullptr, 0) < 0 &&
           errno == EINTR) {
    }
  }
}

Workers::Worker Workers::start() const {
  int requests[2], answers[2];
  make_pipe(requests);
  make_pipe(answers);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, requests[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, answers[1], STDOUT_FILENO);
  auto program = own_program();
  auto command = command_;
  auto self = std::to_string(::getpid());
  char* words[] = {program.data(), command.data(), self.data(), nullptr};
  Worker worker;
  const int failed = ::posix_spawn(
      &worker.process, words[0], &actions, nullptr, words, environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(requests[0]);
  ::close(answers[1]);
  worker.to = requests[1];
  worker.from = answers[0];
  if (failed != 0) {
    ::close(worker.to);
    ::close(worker.from);
    TORCH_CHECK(false, "cannot start ", program, ": ", std::strerror(failed));
  }
  put(worker, hello_);
  return worker;
}

void Workers::put(const Worker& worker, const std::string& line) {
  // Where the worker is gone, its end says so.
  auto* const before = std::signal(SIGPIPE, SIG_IGN);
  write_all(worker.to, line + "\n");
  std::signal(SIGPIPE, before);
}

bool Workers::ask(
    const std::vector<std::string>& requests,
    const std::function<void(std::size_t, const std::string&)>& done,
    const std::function<bool()>& stop) {
  std::size_t next = 0, answered = 0;
  const auto count_one = [&](std::size_t index, const std::string& answer) {
    ++answered;
    done(index, answer);
  };
  const auto hand_out = [&](Worker& worker) {
    worker.request = static_cast<std::ptrdiff_t>(next);
    put(worker, requests[next++]);
  };
  while (answered < requests.size()) {
    for (auto& worker : workers_) {
      if (worker.request < 0 && next < requests.size()) {
        hand_out(worker);
      }
    }
    while (next < requests.size() &&
           static_cast<int64_t>(workers_.size()) < count_) {
      workers_.push_back(start());
      hand_out(workers_.back());
    }
    std::vector<struct pollfd> waiting;
    for (const auto& worker : workers_) {
      waiting.push_back({worker.from, POLLIN, 0});
    }
    constexpr int milliseconds = 200;
    const auto ready = ::poll(waiting.data(), waiting.size(), milliseconds);
    if (stop()) {
      return false;
    }
    for (std::size_t i = 0; ready > 0 && i < waiting.size(); ++i) {
      if (waiting[i].revents != 0) {
        collect(workers_[i], count_one);
      }
    }
  }
  return true;
}

void Workers::collect(
    Worker& worker,
    const std::function<void(std::size_t, const std::string&)>& done) {
  char buffer[4096];
  const auto count = ::read(worker.from, buffer, sizeof buffer);
  if (count < 0 && errno == EINTR) {
    return;
  }
  if (count <= 0) {
    report_end(worker);
  }
  worker.read.append(buffer, static_cast<std::size_t>(count));
  const auto end = worker.read.find('\n');
  if (end == std::string::npos) {
    return;
  }
  const auto line = worker.read.substr(0, end);
  worker.read.erase(0, end + 1);
  const auto index = static_cast<std::size_t>(worker.request);
  worker.request = -1;
  done(index, line);
}

void Workers::report_end(Worker& worker) {
  int status = 0;
  while (::waitpid(worker.process, &status, 0) < 0 && errno == EINTR) {
  }
  worker.process = 0; // the number may be another's now
  if (WIFSIGNALED(status)) {
    TORCH_CHECK(
        false,
        "a worker was ended by signal ",
        WTERMSIG(status),
        WTERMSIG(status) == SIGKILL
            ? "; too little memory? fewer --jobs or a smaller --batch need less"
            : "");
  }
  TORCH_CHECK(
      false, "a worker ended with code ", WEXITSTATUS(status), "; see above");
}

int serve(
    const Words& words,
    const std::function<void(const std::string& hello)>& begin,
    const std::function<std::string(const std::string& request)>& answer) {
  std::signal(SIGINT, SIG_IGN);
  std::signal(SIGHUP, SIG_IGN);
  parent = words.empty() ? "" : words[0];
  const int answers = ::dup(STDOUT_FILENO);
  ::dup2(STDERR_FILENO, STDOUT_FILENO);
  std::string line;
  if (std::getline(std::cin, line)) {
    begin(line);
  }
  while (std::getline(std::cin, line)) {
    end_without_parent();
    if (!write_all(answers, answer(line) + "\n")) {
      break;
    }
  }
  return 0;
}

void end_without_parent() {
  if (std::to_string(::getppid()) != parent) {
    ::_exit(1);
  }
}

} // namespace signalllm::app

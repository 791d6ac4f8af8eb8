#pragma once

#include "app/command.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace signalllm::app {

/// Processes of this program that answer lines with lines, each one at a time.
/// They end with the object, or when this process does.
class Workers {
 public:
  /// At most `count` of `signalllm COMMAND`, started when there is work; each
  /// gets `hello` first.
  Workers(int64_t count, std::string command, std::string hello);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// Asks all `requests`; `done(index, answer)` gets the answers as they come.
  /// `stop` is called several times a second; true gives up what is not done.
  /// Returns whether all was. Throws where a worker ends.
  bool ask(
      const std::vector<std::string>& requests,
      const std::function<void(std::size_t, const std::string&)>& done,
      const std::function<bool()>& stop);

 private:
  struct Worker {
    pid_t process = 0;
    int to = -1, from = -1;
    std::string read; // of its answer
    std::ptrdiff_t request = -1; // that it works on
  };

  Worker start() const;
  void collect(
      Worker& worker,
      const std::function<void(std::size_t, const std::string&)>& done);
  static void put(const Worker& worker, const std::string& line);
  [[noreturn]] static void report_end(Worker& worker);

  int64_t count_;
  std::string command_, hello_;
  std::vector<Worker> workers_;
};

/// What a worker does, given the command's words: `begin` gets the first line,
/// then `answer` every other one until there are no more. Nothing else that is
/// written to stdout gets into the answers. Ctrl-C is the other process's
/// affair.
int serve(
    const Words& words,
    const std::function<void(const std::string& hello)>& begin,
    const std::function<std::string(const std::string& request)>& answer);

/// Ends this process where the one that started it is gone.
void end_without_parent();

} // namespace signalllm::app

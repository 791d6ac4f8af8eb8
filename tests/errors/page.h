#pragma once

#include "messages.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace signalllm::test {

/// A wrong input and what is said to it: a row of docs/errors.md.
struct Wrong {
  /// What was done wrong, for people.
  std::string what;
  /// The call or the command line.
  std::string call;
  /// Makes the call and returns its complaint, "" if there was none.
  std::function<std::string()> complaint;
  /// What the complaint must name: the function or command, the argument or
  /// file, its value, what is allowed.
  std::vector<std::string> names;
};

/// Thrown by a complaint that this machine cannot bring about (a full disk
/// without the right to mount one): the page keeps its row.
struct CannotBeTriedHere {};

/// One `Wrong`; the text of the call is the code itself.
#define SIGNALLLM_WRONG(what, call, ...)                                  \
  ::signalllm::test::Wrong {                                              \
    what, #call,                                                          \
        [&] { return ::signalllm::message_of([&] { (void)(call); }); }, { \
      __VA_ARGS__                                                         \
    }                                                                     \
  }

/// Expects that every case complains in one line that names what it must, and
/// that the table of the section in docs/errors.md holds exactly these rows.
/// `scrub` are texts of this run (folders, process numbers) and what stands
/// for them on the page. With SIGNALLLM_WRITE_ERRORS in the environment the
/// table is written instead.
void expect_refused(
    const std::string& section,
    const std::vector<Wrong>& cases,
    const std::vector<std::pair<std::string, std::string>>& scrub = {});

} // namespace signalllm::test

#pragma once

#include "app/program.h"
#include "temporary_folder.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace signalllm {

/// A test that starts the program on a small text in a folder of its own.
class ProgramTest : public testing::Test {
 protected:
  /// `lines` the text has. Most tests train, and pictures are not the point:
  /// with `draws` false a program that does nothing stands for Python.
  explicit ProgramTest(int lines = 200, bool draws = true)
      : lines_(lines), draws_(draws) {}

  void SetUp() override {
    if (Program::path().empty()) {
      GTEST_SKIP() << "the program was not built";
    }
    std::string text;
    for (int line = 0; line < lines_; ++line) {
      text += "line " + std::to_string(line % 17) + " of a small text\n";
    }
    text_ = folder_.write("text.txt", text);
    if (!draws_) {
      ::setenv("SIGNALLLM_PYTHON", "true", 1);
    }
  }
  void TearDown() override {
    if (!draws_) {
      ::unsetenv("SIGNALLLM_PYTHON");
    }
  }

  /// Waits until it holds: minutes, where the machine has other work.
  template <class Holds>
  static void wait_until(Holds holds) {
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + std::chrono::minutes(10);
    while (!holds()) {
      ASSERT_LT(Clock::now(), end);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  TemporaryFolder folder_;
  Program program_{folder_.path()};
  std::string text_;

 private:
  int lines_;
  bool draws_;
};

} // namespace signalllm

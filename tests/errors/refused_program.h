#pragma once

#include "app/program.h"
#include "errors/page.h"
#include "temporary_folder.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <functional>
#include <regex>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

namespace signalllm::test {

/// Wrong inputs of the program, each a run of the built executable, beside a
/// small text.
class RefusedProgram : public testing::Test {
 protected:
  void SetUp() override {
    if (Program::path().empty()) {
      GTEST_SKIP() << "the program was not built";
    }
    std::string text;
    for (int line = 0; line < 100; ++line) {
      text += "line " + std::to_string(line % 17) + " of a small text\n";
    }
    folder_.write("book.txt", text);
  }

  /// The words of a command line; `%` stands for the folder.
  std::vector<std::string> words(const std::string& line) const {
    std::vector<std::string> words;
    std::istringstream stream(line);
    for (std::string word; stream >> word;) {
      const auto at = word.find('%');
      words.push_back(
          at == std::string::npos ? word : word.replace(at, 1, folder_.path()));
    }
    return words;
  }

  /// A command line that the program refuses with this exit code.
  Wrong refused(
      const std::string& what,
      const std::string& line,
      std::vector<std::string> names,
      int code = 1) {
    auto shown = "signalllm " + line;
    for (auto at = shown.find('%'); at != std::string::npos;
         at = shown.find('%')) {
      shown.replace(at, 1, "FOLDER");
    }
    return {
        what,
        shown,
        [this, line, code] {
          const auto outcome = program_(words(line));
          EXPECT_EQ(outcome.code, code) << line << "\n" << outcome.error;
          const std::regex temporary("tmp-[0-9]+"); // a process's number
          return std::regex_replace(
              outcome.error.substr(0, outcome.error.find_last_not_of('\n') + 1),
              temporary,
              "tmp-N");
        },
        std::move(names)};
  }

  /// `refused` while a file of the run holds something else.
  Wrong changed(
      const std::string& what,
      const std::string& file,
      std::function<std::string(std::string)> change,
      const std::string& line,
      std::vector<std::string> names) {
    auto wrong = refused(what, line, std::move(names));
    wrong.complaint = [this, file, change, inner = wrong.complaint] {
      const auto whole = folder_.read(file);
      folder_.write(file, change(whole));
      auto complaint = inner();
      folder_.write(file, whole);
      return complaint;
    };
    return wrong;
  }

  void train(const std::string& out) {
    const auto outcome = program_(tiny(
        words("--data %/book.txt --steps 2 --tokenizer chars --out %/" + out)));
    ASSERT_EQ(outcome.code, 0) << outcome.error;
  }

  std::vector<std::pair<std::string, std::string>> scrub() const {
    return {
        {folder_.path(), "FOLDER"},
        {"process " + std::to_string(::getpid()), "process N"}};
  }

  TemporaryFolder folder_;
  Program program_{folder_.path()};
};

/// The JSON text with one more change.
template <typename Change>
std::function<std::string(std::string)> edit(Change change) {
  return [change](const std::string& text) {
    auto json = nlohmann::ordered_json::parse(text);
    change(json);
    return json.dump();
  };
}

} // namespace signalllm::test

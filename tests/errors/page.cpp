#include "errors/page.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

namespace signalllm::test {
namespace {

const char* const page_path = SIGNALLLM_SOURCE_ROOT "/docs/errors.md";

std::string read_page() {
  std::ifstream in(page_path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string
replaced(std::string text, const std::string& from, const std::string& to) {
  for (auto at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

/// A vertical bar would end a cell of the table.
std::string cell(const std::string& text) {
  return replaced(text, "|", "\\|");
}

std::string row_start(const Wrong& wrong) {
  return "| " + cell(wrong.what) + " | `" + cell(wrong.call) + "` | ";
}

using Scrub = std::vector<std::pair<std::string, std::string>>;

std::string complaint_of(const Wrong& wrong, const Scrub& scrub) {
  auto complaint = wrong.complaint();
  for (const auto& [from, to] : scrub) {
    complaint = replaced(complaint, from, to);
  }
  EXPECT_FALSE(complaint.empty()) << wrong.call << " was accepted";
  EXPECT_EQ(complaint.find('\n'), std::string::npos) << complaint;
  for (const auto& name : wrong.names) {
    EXPECT_TRUE(contains(complaint, name))
        << wrong.call << " says\n"
        << complaint << "\nwhich does not name " << name;
  }
  return complaint;
}

} // namespace

void expect_refused(
    const std::string& section,
    const std::vector<Wrong>& cases,
    const std::vector<std::pair<std::string, std::string>>& scrub) {
  const auto page = read_page();
  const auto mark = "<!-- " + section + ":begin -->\n";
  const auto begin = page.find(mark);
  const auto end = page.find("<!-- " + section + ":end -->");
  ASSERT_TRUE(begin != std::string::npos && end != std::string::npos)
      << page_path << " has no section " << section;
  const auto written =
      page.substr(begin + mark.size(), end - begin - mark.size());
  std::map<std::string, std::string> known; // rows by their start
  std::istringstream lines(written);
  for (std::string line; std::getline(lines, line);) {
    for (const auto& wrong : cases) {
      if (line.starts_with(row_start(wrong))) {
        known[row_start(wrong)] = line + "\n";
      }
    }
  }
  std::string table = "| wrong | call | message |\n|---|---|---|\n";
  for (const auto& wrong : cases) {
    const auto start = row_start(wrong);
    try {
      table += start + cell(complaint_of(wrong, scrub)) + " |\n";
    } catch (const CannotBeTriedHere&) {
      table += known[start];
    }
  }
  if (std::getenv("SIGNALLLM_WRITE_ERRORS") == nullptr) {
    EXPECT_EQ(written, table)
        << page_path << " says something else; SIGNALLLM_WRITE_ERRORS=1 "
        << "./run.sh test -R errors brings it up to date";
    return;
  }
  std::ofstream(page_path) << page.substr(0, begin + mark.size()) << table
                           << page.substr(end);
}

} // namespace signalllm::test

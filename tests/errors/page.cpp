#include "errors/page.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

namespace signalllm::test {
namespace {

const char* const page_path = SIGNALLLM_SOURCE_ROOT "/docs/errors.md";

/// The page is this process's while it lives: ctest runs several, and each
/// writes its own sections.
class PageLock {
 public:
  PageLock() : page_(::open(page_path, O_RDONLY)) {
    ::flock(page_, LOCK_EX);
  }
  ~PageLock() {
    ::close(page_);
  }
  PageLock(const PageLock&) = delete;
  PageLock& operator=(const PageLock&) = delete;

 private:
  int page_;
};

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
  const auto begin = "<!-- " + section + ":begin -->\n";
  const auto end = "<!-- " + section + ":end -->";
  std::string written;
  {
    const PageLock lock;
    const auto page = read_page();
    ASSERT_TRUE(
        page.find(begin) != std::string::npos &&
        page.find(end) != std::string::npos)
        << page_path << " has no section " << section;
    const auto at = page.find(begin) + begin.size();
    written = page.substr(at, page.find(end) - at);
  }
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
  const PageLock lock;
  const auto page = read_page();
  std::ofstream(page_path) << page.substr(0, page.find(begin)) << begin << table
                           << page.substr(page.find(end));
}

} // namespace signalllm::test

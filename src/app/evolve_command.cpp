#include "app/command.h"
#include "app/command_line.h"
#include "app/evolve_search.h"
#include "app/session.h"

#include <signalllm/training/interrupt.h>

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <cstring>
#include <filesystem>

namespace signalllm::app {
namespace {

constexpr const char* evolve_examples =
    "  signalllm evolve --data book.txt --generations 6\n"
    "  signalllm evolve --data book.txt --search random --out runs/chance\n"
    "  signalllm evolve --resume runs/evolve --generations 12\n";

/// What the words say, and whether they say it.
struct EvolveWords {
  Settings settings = evolve_defaults();
  EvolveSettings evolve;
  int64_t generations = 4;
  int64_t jobs = 0;
};

std::string shown(const std::string& value) {
  return value.empty() ? "nothing" : value;
}
template <class Value>
Value shown(Value value) {
  return value;
}

/// Throws where a value that was given is not the one that the search has.
/// What may be said anew is not among them.
void check_same_search(
    const CommandLine& line,
    const EvolveWords& given,
    const Settings& settings,
    const EvolveSettings& evolve,
    bool may_move) {
  const auto check = [&](const char* name, const auto& now, const auto& then) {
    TORCH_CHECK(
        now == then || !line.given(name),
        "--",
        name,
        " of the search in ",
        given.settings.resume,
        " is ",
        shown(then),
        " and cannot become ",
        shown(now));
  };
  const auto free = [&](const std::string& name) {
    return name == "resume" || name == "out" || name == "device" ||
        (may_move && (name == "data" || name == "valid"));
  };
  // Two passes over one table, since its values have many types.
  visit_settings(
      given.settings,
      [&](const char*, const char* name, const auto& now, auto) {
        if (!evolve_uses(name) || free(name)) {
          return;
        }
        visit_settings(
            settings,
            [&](const char*, const char* other, const auto& then, auto) {
              if constexpr (std::is_same_v<decltype(now), decltype(then)>) {
                if (std::strcmp(name, other) == 0) {
                  check(name, now, then);
                }
              }
            });
      });
  visit_evolve(given.evolve, [&](const char* name, const auto& now, auto) {
    visit_evolve(evolve, [&](const char* other, const auto& then, auto) {
      if constexpr (std::is_same_v<decltype(now), decltype(then)>) {
        if (std::strcmp(name, other) == 0) {
          check(name, now, then);
        }
      }
    });
  });
}

/// The search in the folder, with what may be said anew.
void take_up(const CommandLine& line, EvolveWords& words) {
  const training::RunFolder folder(words.settings.resume);
  folder.check_exists();
  TORCH_CHECK(
      std::filesystem::exists(folder.file(search_file)),
      "the folder ",
      folder.path(),
      " holds no search: it has no ",
      search_file);
  auto settings = settings_from_json(
      folder.read_text("config.json"), folder.file("config.json"));
  const auto evolve =
      evolve_from_json(folder.read_text(search_file), folder.file(search_file));
  const bool may_move = has_text_record(folder);
  check_same_search(line, words, settings, evolve, may_move);
  const auto renew = [&](const char* name, auto Settings::*member) {
    if (line.given(name)) {
      settings.*member = words.settings.*member;
    }
  };
  renew("device", &Settings::device);
  renew("data", &Settings::data);
  renew("valid", &Settings::valid);
  settings.resume = words.settings.resume;
  words.settings = settings;
  words.evolve = evolve;
}

std::string full_path(const std::string& path) {
  return path.empty() ? path : std::filesystem::absolute(path).string();
}

} // namespace

int run_evolve(const Words& words) {
  EvolveWords given;
  CommandLine line(
      "evolve",
      "Searches the wavelet of the model's filters by evolution: short\n"
      "trainings, scored in bits per byte on text held out of training.",
      evolve_examples);
  visit_settings(
      given.settings,
      [&](const char* group, const char* name, auto& value, const char* help) {
        if (evolve_uses(name)) {
          line.add(group, name, value, help);
        }
      });
  line.add("Search", "generations", given.generations, "the first included");
  visit_evolve(
      given.evolve, [&](const char* name, auto& value, const char* help) {
        line.add("Search", name, value, help);
      });
  line.add(
      "Search",
      "jobs",
      given.jobs,
      "trials at once, a process each; 0: a core each (on a GPU: 1)");
  if (const auto code = line.parse(words)) {
    return *code;
  }
  TORCH_CHECK(
      given.generations >= 1,
      "--generations is ",
      given.generations,
      "; at least 1");
  TORCH_CHECK(given.jobs >= 0, "--jobs is ", given.jobs, "; at least 0");
  if (!given.settings.resume.empty()) {
    TORCH_CHECK(
        given.settings.out.empty() ||
            given.settings.out == given.settings.resume,
        "--resume goes on in its own folder; --out cannot be given too");
    given.settings.out.clear();
    take_up(line, given);
  } else if (given.settings.out.empty()) {
    given.settings.out = next_folder("evolve");
  }
  // So that the search can be resumed from anywhere.
  given.settings.data = full_path(given.settings.data);
  given.settings.valid = full_path(given.settings.valid);
  EvolveSearch search(given.settings, given.evolve, given.jobs);
  const training::InterruptGuard guard;
  search.run(given.generations);
  search.report();
  return training::interrupt_signal() == 0 ? 0
                                           : 128 + training::interrupt_signal();
}

} // namespace signalllm::app

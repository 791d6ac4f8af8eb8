#include "app/visualize.h"

#include "app/command.h"
#include "app/command_line.h"
#include "app/external.h"
#include "app/session.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace signalllm::app {
namespace {

namespace fs = std::filesystem;

constexpr const char* script = "visualize.py";

/// The CPU's name where the system tells it.
std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) {
      return line.substr(line.find(':') + 2);
    }
  }
  return at::get_cpu_capability();
}

std::string describe(c10::Device device) {
  if (device.is_cpu()) {
    const auto threads = at::get_num_threads();
    return fmt::format(
        "CPU ({}, {} thread{})", cpu_name(), threads, threads == 1 ? "" : "s");
  }
  return device.is_mps() ? "Apple GPU (mps)" : device.str();
}

/// Where the numbers go. Made first, so that a folder which cannot be written
/// is found before anything is computed.
fs::path open_folder(const std::string& out) {
  std::error_code error;
  fs::create_directories(out, error);
  const auto path = fs::path(out) / "visualize.json";
  errno = 0;
  const bool writes = !error && std::ofstream(path, std::ios::app).is_open();
  TORCH_CHECK(
      writes,
      "--out ",
      out,
      ": cannot write a file there: ",
      error ? error.message() : std::strerror(errno));
  return path;
}

void check_python() {
  const auto problem = run_script(script, {"--check"});
  TORCH_CHECK(problem.empty(), "visualize draws with Python: ", problem);
}

void write(const fs::path& path, const Json& data) {
  std::ofstream file(path);
  // A token may be part of a character.
  file << data.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
  file.close();
  TORCH_CHECK(file, "cannot write ", path.string(), ": ", std::strerror(errno));
}

void say(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

/// Numbers and pictures.
void draw_all(const fs::path& path, const std::string& out, const Json& data) {
  write(path, data);
  const auto problem = run_script(script, {path.string(), out});
  TORCH_CHECK(problem.empty(), "no pictures: ", problem);
  say(fmt::format("pictures: {}/*.png", out));
}

int draw_search(
    const CommandLine& line,
    const std::string& run,
    const std::string& out) {
  for (const auto* name : {"text", "seconds", "device"}) {
    TORCH_CHECK(
        !line.given(name),
        "--run ",
        run,
        " is a search; --",
        name,
        " cannot be given too");
  }
  const auto path = open_folder(out);
  check_python();
  say(fmt::format("the search in {}", run));
  draw_all(path, out, {{"search", show_search(run)}});
  return 0;
}

} // namespace

int run_visualize(const Words& words) {
  std::string out = "benchmarks", run, text, device_name = "auto";
  int64_t steps = 300, threads = 1;
  double seconds = 0.4;
  CommandLine line(
      "visualize",
      "Draws what wavelets do to signals, what the optimized modules save, "
      "and\n"
      "what a model has learned: attention, filters, kernels, embedding; or "
      "what\n"
      "a search of evolve found.",
      "  signalllm visualize\n"
      "  signalllm visualize --run runs/book --out pictures\n"
      "  signalllm visualize --run runs/evolve --out pictures\n");
  const auto* group = "Options";
  line.add(group, "out", out, "folder of the pictures");
  line.add(
      group,
      "run",
      run,
      "look into this run or search; default: a small model");
  line.add(group, "text", text, "what the attention of --run is shown over");
  line.add(group, "steps", steps, "train the small model for so many");
  line.add(group, "seconds", seconds, "to measure for, at each length");
  line.add(group, "device", device_name, "to measure on: auto, cpu, mps, cuda");
  line.add(group, "threads", threads, "CPU threads; 0: all cores");
  if (const auto code = line.parse(words)) {
    return *code;
  }
  TORCH_CHECK(steps >= 1, "--steps is ", steps, "; at least 1");
  TORCH_CHECK(seconds > 0, "--seconds is ", seconds, "; more than 0");
  TORCH_CHECK(
      run.empty() || !line.given("steps"),
      "--run is trained already; --steps cannot be given too");
  TORCH_CHECK(
      text.empty() || !run.empty(), "--text is for --run, which is missing");
  if (!run.empty()) {
    training::RunFolder(run).check_exists();
    if (is_search(run)) {
      return draw_search(line, run, out);
    }
  }
  set_threads(threads);
  const auto device = choose_device(device_name);
  const auto path = open_folder(out);
  check_python();

  say(fmt::format("transforms on {}", describe(device)));
  Json data = {
      {"device", describe(device)},
      {"apple", device.is_mps()},
      {"transforms", show_transforms(device, seconds)}};
  say(run.empty() ? fmt::format("a small model, {} steps", steps)
                  : fmt::format("the model of {}", run));
  data["model"] = show_model(
      run.empty() ? train_small_model(steps) : load_model(run, text));
  draw_all(path, out, data);
  return 0;
}

} // namespace signalllm::app

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// Other programs that are of use where they are installed.
namespace signalllm::app {

/// The path of this program; empty where the system does not say.
std::string own_program();

/// Runs a program without a shell; its output, or nothing where it could not
/// be started or failed. `error` gets the end of what it complained about.
std::optional<std::string> capture(
    const std::vector<std::string>& words,
    std::string* error = nullptr);

/// A Python: $SIGNALLLM_PYTHON, a .venv here or above the program, python3.
/// Throws where $SIGNALLLM_PYTHON names nothing that can be run.
std::optional<std::string> find_python();

/// A script that came with the program: beside it, in its share folder, or in
/// the source tree it was built from.
std::optional<std::string> find_script(const std::string& name);

/// Where torch's Python package is: $SIGNALLLM_TORCH_ROOT, or where it was when
/// this program was built. Throws where neither is there.
std::string torch_package();

/// Runs a script that came with the program. What went wrong, in one line;
/// empty where nothing did.
std::string run_script(
    const std::string& script,
    const std::vector<std::string>& arguments);

/// Draws `PICTURE` from a run's log by `script`. One line that says what came
/// of it.
std::string draw(
    const std::string& script,
    const std::string& input,
    const std::string& picture);

} // namespace signalllm::app

// A checkpoint: any bytes up to the first zero as state.json, as they are and
// under a checksum that is right, and the bytes behind it as weights.
#include "fuzz/scratch.h"
#include "training/checkpoint_state.h"
#include "training/durable_file.h"

#include <signalllm/training/checkpoint.h>

#include <c10/util/Exception.h>
#include <nlohmann/json.hpp>

namespace {

using namespace signalllm;

const std::string file = "run/checkpoint-00000001/";

void load(const std::string& state) {
  fuzz::write("run/config.json", "{}");
  fuzz::write(file + "state.json", state);
  try {
    training::RunFolder(fuzz::folder() + "/run").load(1);
  } catch (const c10::Error&) {
  }
}

/// The text with the checksum over itself that a reader wants to see.
std::string sealed(std::string_view text) {
  auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || text.size() > 4096) { // dump() recurses
    return std::string(text);
  }
  json.erase("crc32c");
  const auto dump =
      json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  json["crc32c"] = training::crc32c(dump);
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const auto text = all.substr(0, all.find('\0'));
  const auto weights =
      text.size() == size ? std::string_view() : all.substr(text.size() + 1);
  const auto path = fuzz::write(file + "model.safetensors", weights);
  load(std::string(text));
  load(sealed(text));
  // A state that is right about the weights, so that they are read too.
  load(training::write_state(
      {1, {{"model.safetensors", training::fingerprint(path)}}, "{}"}));
  return 0;
}

#include <signalllm/training/model_folder.h>

#include "strict_json.h"
#include "training/model_files.h"
#include "training/safetensors_header.h"

#include <signalllm/training/checkpoint.h>

#include <c10/util/Exception.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <map>
#include <utility>

namespace signalllm::training {
namespace {

namespace fs = std::filesystem;

/// Keys of config.json that say nothing about the model; Hugging Face's
/// programs add some.
constexpr const char* other_keys[] = {
    "_name_or_path",
    "architectures",
    "dtype",
    "model_type",
    "signalllm_version",
    "torch_dtype",
    "transformers_version"};

/// What weights are read as, by the format's names.
constexpr const char* weight_names[] = {"F32", "F64", "BF16", "F16"};

/// The options in config.json.
SignalLLMOptions read_config(const RunFolder& folder) {
  const auto where = folder.file(config_file);
  const auto config = parse_json_object(where, folder.read_text(config_file));
  TORCH_CHECK(
      config.contains("model_type") && config["model_type"] == model_type,
      where,
      config.contains("model_type")
          ? ": model_type is " + config["model_type"].dump()
          : std::string(": there is no model_type"),
      "; it must be \"signalllm\"");
  std::map<std::string, std::string> values;
  for (const auto& [key, value] : config.items()) {
    if (is_among(other_keys, key)) {
      continue;
    }
    TORCH_CHECK(
        value.is_string() || value.is_number() || value.is_boolean(),
        where,
        ": ",
        key,
        " is ",
        value.dump().substr(0, 60),
        ", it must be a number, true, false or a text");
    values[key] = value.is_string() ? value.get<std::string>() : value.dump();
  }
  try {
    return SignalLLMOptions::parse(values);
  } catch (const c10::Error& error) {
    TORCH_CHECK(false, where, ": ", error.what_without_backtrace());
  }
}

std::shared_ptr<data::Tokenizer> tokenizer_in(const RunFolder& folder) {
  for (const auto* name : {tokenizer_file, pieces_file}) {
    if (fs::exists(folder.file(name))) {
      return data::read_tokenizer(folder.file(name));
    }
  }
  TORCH_CHECK(
      false,
      "import_model: the folder ",
      folder.path(),
      " has no tokenizer.json or tokenizer.model; --tokenizer names one "
      "(bytes, or a file)");
}

void load_weights(const std::string& path, SignalLLM& model) {
  const auto tensors = load_safetensors(path).tensors;
  for (const auto& [name, tensor] : tensors) {
    TORCH_CHECK(
        is_among(weight_names, dtype_name(tensor.scalar_type())),
        path,
        ": '",
        name,
        "' is ",
        dtype_name(tensor.scalar_type()),
        "; weights are F32, F64, BF16 or F16");
  }
  try {
    load_module(*model, tensors);
  } catch (const c10::Error& error) {
    TORCH_CHECK(false, path, ": ", error.what_without_backtrace());
  }
}

} // namespace

ImportedModel import_model(
    const std::string& path,
    std::shared_ptr<data::Tokenizer> tokenizer) {
  const RunFolder folder(path);
  for (const auto* name : {config_file, weights_file}) {
    TORCH_CHECK(
        fs::exists(folder.file(name)),
        "import_model: no model in ",
        path,
        ": there is no ",
        name);
  }
  const auto options = read_config(folder);
  ImportedModel read;
  read.tokenizer = tokenizer ? std::move(tokenizer) : tokenizer_in(folder);
  TORCH_CHECK(
      read.tokenizer->vocab_size() == options.vocab_size(),
      "import_model: the tokenizer has ",
      read.tokenizer->vocab_size(),
      " tokens, but vocab_size in ",
      folder.file(config_file),
      " is ",
      options.vocab_size());
  read.model = SignalLLM(options);
  load_weights(folder.file(weights_file), read.model);
  read.model->eval();
  return read;
}

} // namespace signalllm::training

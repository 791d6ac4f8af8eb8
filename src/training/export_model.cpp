#include <signalllm/training/model_folder.h>

#include "data/base64.h"
#include "strict_json.h"
#include "training/durable_file.h"
#include "training/model_files.h"

#include <signalllm/training/checkpoint.h>
#include <signalllm/version.h>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/randint.h>
#include <c10/util/Exception.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <utility>

#include <unistd.h>

namespace signalllm::training {
namespace {

namespace fs = std::filesystem;

constexpr std::pair<at::ScalarType, const char*> weight_dtypes[] = {
    {at::kFloat, "float32"},
    {at::kBFloat16, "bfloat16"},
    {at::kHalf, "float16"}};

const char* weight_dtype_name(at::ScalarType dtype) {
  for (const auto& [known, name] : weight_dtypes) {
    if (known == dtype) {
      return name;
    }
  }
  TORCH_CHECK(
      false,
      "export_model: dtype is ",
      dtype,
      ", allowed are float32, bfloat16 and float16");
}

/// What the model is made of, as it is written.
TensorMap weights_of(const SignalLLM& model, at::ScalarType dtype) {
  const at::NoGradGuard no_grad;
  auto tensors = module_tensors(*model);
  for (const auto& item : model->named_parameters()) {
    auto& tensor = tensors[item.key()];
    tensor = tensor.to(dtype);
    TORCH_CHECK(
        at::isfinite(tensor).all().item<bool>(),
        "export_model: '",
        item.key(),
        "' has values that ",
        weight_dtype_name(dtype),
        " cannot hold");
  }
  return tensors;
}

std::string config_text(const SignalLLMOptions& options, at::ScalarType dtype) {
  nlohmann::ordered_json config{
      {"architectures", {"SignalLLM"}},
      {"model_type", model_type},
      {"signalllm_version",
       c10::str(
           SIGNALLLM_VERSION_MAJOR,
           '.',
           SIGNALLLM_VERSION_MINOR,
           '.',
           SIGNALLLM_VERSION_PATCH)},
      {"torch_dtype", weight_dtype_name(dtype)}};
  for (const auto& [name, text] : options.describe()) {
    auto value = nlohmann::json::parse(text, nullptr, false);
    config[name] = value.is_number() || value.is_boolean()
        ? std::move(value)
        : nlohmann::json(text);
  }
  return config.dump(2) + "\n";
}

/// Tokens, and what a model with these weights makes of them.
TensorMap example_of(
    const SignalLLMOptions& options,
    const TensorMap& weights) {
  const at::NoGradGuard no_grad;
  SignalLLM reader(options);
  load_module(*reader, weights);
  reader->eval();
  const auto tokens = at::randint(
      options.vocab_size(),
      {1, options.max_length()},
      at::detail::createCPUGenerator(0),
      at::kLong);
  return {{"tokens", tokens}, {"logits", reader->forward(tokens)}};
}

/// Throws where the folder cannot be written without a loss.
void check_room(const fs::path& path, bool replace) {
  if (!fs::exists(path)) {
    return;
  }
  TORCH_CHECK(
      fs::is_directory(path),
      "export_model: ",
      path.string(),
      " is a file; the model becomes a folder");
  TORCH_CHECK(
      replace || fs::is_empty(path),
      "export_model: the folder ",
      path.string(),
      " is there already; --force replaces a model in it, or choose another");
  for (const auto& entry : fs::directory_iterator(path)) {
    const auto name = entry.path().filename().string();
    TORCH_CHECK(
        is_among(model_files, name),
        "export_model: the folder ",
        path.string(),
        " holds ",
        name,
        ", which is no part of a model; choose another");
  }
}

/// Gives a folder its name, in the place of what has it.
void put_in_place(const fs::path& from, const fs::path& to) {
  const auto old = to.string() + ".replaced-" + std::to_string(::getpid());
  const bool replaces = fs::exists(to);
  if (replaces) {
    fs::rename(to, old);
  }
  try {
    fs::rename(from, to);
  } catch (...) {
    if (replaces) {
      fs::rename(old, to);
    }
    throw;
  }
  sync_folder("export_model", to.parent_path().string());
  fs::remove_all(old);
}

} // namespace

void export_model(
    const std::string& folder,
    const SignalLLM& model,
    const data::Tokenizer& tokenizer,
    const ExportOptions& options) {
  auto path = fs::weakly_canonical(fs::absolute(folder));
  if (!path.has_filename()) {
    path = path.parent_path();
  }
  check_room(path, options.replace());
  const auto config = config_text(model->options, options.dtype());
  const auto weights = weights_of(model, options.dtype());
  const auto words = tokenizer.to_json();
  fs::create_directories(path.parent_path());
  const RunFolder aside(path.string() + ".tmp-" + std::to_string(::getpid()));
  try {
    fs::create_directory(aside.path());
    save_safetensors(aside.file(weights_file), {weights, {{"format", "pt"}}});
    aside.write_text(tokenizer_file, words + "\n");
    if (tokenizer.kind() == "sentencepiece") {
      aside.write_text(
          pieces_file,
          data::from_base64(parse_json_object("export_model", words)["model"]
                                .get<std::string>()));
    }
    if (options.example()) {
      save_safetensors(
          aside.file(example_file),
          {example_of(model->options, weights), {{"format", "pt"}}});
    }
    aside.write_text(config_file, config);
    put_in_place(aside.path(), path);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(aside.path(), ignored);
    throw;
  }
}

} // namespace signalllm::training

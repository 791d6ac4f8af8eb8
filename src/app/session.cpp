#include "app/session.h"

#include "most_threads.h"

#include <signalllm/optimize.h>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <sstream>

namespace signalllm::app {

namespace fs = std::filesystem;

c10::Device choose_device(const std::string& name) {
  if (name == "auto") {
    return at::hasMPS() ? at::kMPS : at::hasCUDA() ? at::kCUDA : at::kCPU;
  }
  TORCH_CHECK(
      name == "cpu" || name == "mps" || name == "cuda",
      "--device is '",
      name,
      "'; there are auto, cpu, mps and cuda");
  const c10::Device device(name);
  TORCH_CHECK(
      device.is_cpu() || (device.is_mps() && at::hasMPS()) ||
          (device.is_cuda() && at::hasCUDA()),
      "--device ",
      name,
      ": this torch finds no such device here; --device auto takes the best "
      "there is");
  return device;
}

void set_threads(int64_t threads) {
  TORCH_CHECK(threads >= 0, "--threads is ", threads, "; at least 0");
  TORCH_CHECK(
      threads <= most_threads(),
      "--threads is ",
      threads,
      ", but this machine takes at most ",
      most_threads(),
      " (four a core), or 0 for all cores");
  if (threads > 0) {
    at::set_num_threads(static_cast<int>(threads));
  }
}

data::Corpus read_text(const Settings& settings) {
  TORCH_CHECK(!settings.data.empty(), "no text: --data names a file or folder");
  std::vector<std::string> extensions;
  std::istringstream words(settings.extensions);
  for (std::string word; words >> word;) {
    extensions.push_back(
        word == "*" || word.starts_with('.') ? word : "." + word);
  }
  return data::read_corpus(data::CorpusOptions(settings.data)
                               .valid_path(settings.valid)
                               .valid_fraction(settings.valid_fraction)
                               .extensions(extensions)
                               .max_bytes(settings.max_bytes));
}

SignalLLM make_model(const SignalLLMOptions& options, c10::Device device) {
  SignalLLM model(options);
  optimize_for_mps(model, device);
  return model;
}

std::shared_ptr<data::Tokenizer> load_tokenizer(
    const training::RunFolder& folder,
    const SignalLLMOptions& model) {
  const auto text = folder.read_text("tokenizer.json");
  std::shared_ptr<data::Tokenizer> tokenizer;
  try {
    tokenizer = data::Tokenizer::from_json(text);
  } catch (const c10::Error& error) {
    TORCH_CHECK(
        false,
        folder.file("tokenizer.json"),
        ": ",
        error.what_without_backtrace());
  }
  TORCH_CHECK(
      tokenizer->vocab_size() == model.vocab_size(),
      folder.file("tokenizer.json"),
      ": ",
      tokenizer->vocab_size(),
      " tokens, but vocab_size of the model in config.json is ",
      model.vocab_size(),
      "; the two must be of one run");
  return tokenizer;
}

void report_damage(const std::vector<std::string>& problems) {
  for (const auto& problem : problems) {
    fmt::print(
        stderr,
        "signalllm: passed over a checkpoint: {}\n",
        problem.substr(0, problem.find('\n')));
  }
}

namespace {

training::Checkpoint
load_step(const training::RunFolder& folder, int64_t step, bool best) {
  if (step < 0) {
    std::vector<std::string> problems;
    auto checkpoint =
        best ? folder.load_best(&problems) : folder.load_latest(&problems);
    report_damage(problems);
    return checkpoint;
  }
  const auto steps = folder.checkpoints();
  TORCH_CHECK(
      std::find(steps.begin(), steps.end(), step) != steps.end(),
      "--step is ",
      step,
      "; the checkpoints in ",
      folder.path(),
      " are of the steps ",
      c10::Join(", ", steps));
  return folder.load(step);
}

training::TensorMap choose_weights(
    const training::Checkpoint& checkpoint,
    const std::string& kind) {
  TORCH_CHECK(
      kind.empty() || kind == "averaged" || kind == "last",
      "--weights is '",
      kind,
      "'; there are averaged and last");
  TORCH_CHECK(
      kind != "averaged" || !checkpoint.average.empty(),
      "--weights is averaged, but the run has averaged none; last are the only "
      "ones");
  auto tensors = checkpoint.model;
  if (kind != "last") {
    for (const auto& [name, tensor] : checkpoint.average) {
      tensors[name] = tensor;
    }
  }
  return tensors;
}

} // namespace

TrainedModel load_run(
    const std::string& path,
    c10::Device device,
    const WeightsChoice& choice) {
  TORCH_CHECK(!path.empty(), "no run: --run names the folder of one");
  const training::RunFolder folder(path);
  folder.check_exists();
  const auto config = folder.read_text("config.json");
  const auto where = folder.file("config.json");
  TrainedModel run;
  run.settings = settings_from_json(config, where);
  const auto checkpoint =
      load_step(folder, choice.step, run.settings.patience > 0);
  const auto options = model_from_json(config, where);
  run.tokenizer = load_tokenizer(folder, options);
  run.model = make_model(options, device);
  training::load_module(*run.model, choose_weights(checkpoint, choice.kind));
  run.model->eval();
  run.step = checkpoint.step;
  return run;
}

std::string next_folder(const std::string& name) {
  auto path = "runs/" + name;
  for (int number = 2; fs::exists(path); ++number) {
    path = fmt::format("runs/{}-{}", name, number);
  }
  return path;
}

} // namespace signalllm::app

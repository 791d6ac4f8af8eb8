#include "app/command.h"
#include "app/command_line.h"
#include "app/progress.h"
#include "app/session.h"

#include <signalllm/training/model_folder.h>

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <string>
#include <utility>

namespace signalllm::app {
namespace {

at::ScalarType export_dtype(const std::string& name) {
  constexpr std::pair<const char*, at::ScalarType> known[] = {
      {"float32", at::kFloat},
      {"bfloat16", at::kBFloat16},
      {"float16", at::kHalf}};
  for (const auto& [dtype, type] : known) {
    if (name == dtype) {
      return type;
    }
  }
  TORCH_CHECK(
      false,
      "--dtype is '",
      name,
      "'; there are float32, bfloat16 and float16");
}

} // namespace

int run_export(const Words& words) {
  std::string run, out, dtype = "float32";
  WeightsChoice weights;
  bool example = false, force = false;
  CommandLine line(
      "export",
      "Writes a trained model as a folder that other programs read:\n"
      "model.safetensors, config.json and the tokenizer (docs/export.md).",
      "  signalllm export --run runs/book --out book\n"
      "  signalllm import --model book --out runs/book-again\n");
  line.add("Options", "run", run, "folder of the run");
  line.add("Options", "out", out, "folder to write");
  line.add(
      "Options",
      "weights",
      weights.kind,
      "averaged or last; default: averaged where the run has them");
  line.add(
      "Options", "step", weights.step, "of the checkpoint; -1: the newest");
  line.add(
      "Options", "dtype", dtype, "of the weights: float32, bfloat16, float16");
  line.flag(
      "Options",
      "example",
      example,
      "also tokens and their logits, for readers to check themselves with");
  line.flag("Options", "force", force, "replace a model that is there");
  if (const auto code = line.parse(words)) {
    return *code;
  }
  TORCH_CHECK(!out.empty(), "no folder to write: --out names one");
  const auto type = export_dtype(dtype);
  const auto trained = load_run(run, at::kCPU, weights);
  training::export_model(
      out,
      trained.model,
      *trained.tokenizer,
      training::ExportOptions().dtype(type).example(example).replace(force));
  fmt::print(
      "{}: {} parameters of step {} ({}), {} tokens ({})\n",
      out,
      format_count(trained.model->num_parameters()),
      format_count(trained.step),
      dtype,
      format_count(trained.tokenizer->vocab_size()),
      trained.tokenizer->kind());
  return 0;
}

} // namespace signalllm::app

// signalllm_baseline: the transformer and SignalLLM side by side, with the
// trainer, the data, the optimizer and the options of `signalllm train`.

#include "baseline.h"

#include "app/command_line.h"
#include "app/progress.h"
#include "app/session.h"

#include <signalllm/training/fit.h>
#include <signalllm/training/interrupt.h>
#include <signalllm/training/trainer.h>

#include <ATen/Context.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>

namespace signalllm::benchmarks {

Transformer make_transformer(
    const app::Settings& s,
    int64_t vocab_size,
    c10::Device device) {
  auto options = TransformerOptions(vocab_size)
                     .dim(s.dim)
                     .layers(s.layers)
                     .heads(s.heads)
                     .dropout(s.dropout);
  options.set(s.model);
  Transformer model(options);
  model->to(device);
  return model;
}

Model make(
    const std::string& kind,
    const app::Settings& s,
    int64_t vocab_size,
    c10::Device device) {
  const auto wrap = [](auto model) {
    return Model{
        model.ptr(),
        [model](const at::Tensor& x) mutable { return model->forward(x); },
        model->num_parameters()};
  };
  TORCH_CHECK(
      kind == "signalllm" || kind == "transformer",
      "--kind is '",
      kind,
      "'; there are signalllm and transformer");
  return kind == "transformer"
      ? wrap(make_transformer(s, vocab_size, device))
      : wrap(app::make_model(app::model_options(s, vocab_size), device));
}

std::optional<int> parse(
    const std::string& command,
    const std::string& summary,
    const app::Words& words,
    app::Settings& settings,
    std::string* kind,
    std::string* trace) {
  app::CommandLine line(command, summary, "  see docs/results.md\n");
  app::visit_settings(
      settings,
      [&](const char* group, const char* name, auto& value, const char* help) {
        line.add(group, name, value, help);
      });
  if (kind != nullptr) {
    line.add("Model", "kind", *kind, "signalllm or transformer");
  }
  if (trace != nullptr) {
    line.add("Run", "trace", *trace, "write a step's kernels to this file");
  }
  return line.parse(words);
}

namespace {

/// As `fit` writes it to `log.jsonl`, without the checkpoints beside it.
class Log {
 public:
  explicit Log(const std::string& folder) {
    std::filesystem::create_directories(folder);
    out_.open(folder + "/log.jsonl");
    TORCH_CHECK(out_, "cannot write to --out ", folder);
  }
  void write(const nlohmann::ordered_json& line) {
    out_ << line.dump() << std::endl;
  }

 private:
  std::ofstream out_;
};

int run_train(const app::Words& words) {
  app::Settings s;
  std::string kind = "transformer";
  if (const auto code = parse(
          "train",
          "Trains either model on a text and keeps the log only.",
          words,
          s,
          &kind)) {
    return *code;
  }
  app::check(s);
  TORCH_CHECK(!s.out.empty(), "--out names the folder of the run");
  const auto device = app::choose_device(s.device);
  app::set_threads(s.threads);
  const auto corpus = app::read_text(s);
  const auto tokenizer =
      data::make_tokenizer(s.tokenizer, corpus.train + corpus.valid);
  at::manual_seed(s.seed);
  const auto model = make(kind, s, tokenizer->vocab_size(), device);
  const training::InterruptGuard guard;
  training::Trainer trainer(
      model.module,
      model.forward,
      data::RandomWindows(tokenizer->encode(corpus.train), s.context, s.seed),
      app::trainer_options(s));
  Log log(s.out);
  log.write(
      {{"kind", kind},
       {"parameters", model.parameters},
       {"seed", s.seed},
       {"model", s.model}});
  auto options = training::FitOptions()
                     .steps(s.steps)
                     .report_every(s.report_every)
                     .evaluate_every(s.evaluate_every)
                     .validation(data::ConsecutiveWindows(
                         tokenizer->encode(corpus.valid), s.context))
                     .token_bytes(tokenizer->token_bytes())
                     .stop([] { return training::interrupt_signal() != 0; });
  training::FitCallbacks callbacks;
  callbacks.on_report = [&](const auto& report, double speed) {
    log.write(
        {{"step", report.step},
         {"loss", report.loss},
         {"gradient_norm", report.gradient_norm},
         {"tokens_per_second", std::round(speed)}});
  };
  callbacks.on_evaluation = [&](int64_t step, const auto& evaluation) {
    log.write(
        {{"step", step},
         {"valid_loss", evaluation.loss()},
         {"valid_bits_per_byte", evaluation.bits_per_byte()}});
    fmt::print(
        "{} {} seed {} step {}: {:.4f} nats, {:.4f} bits/byte\n",
        kind,
        app::format_count(model.parameters),
        s.seed,
        step,
        evaluation.loss(),
        evaluation.bits_per_byte());
    std::fflush(stdout);
  };
  const auto result = fit(trainer, options, callbacks);
  log.write({{"seconds", result.seconds}});
  return result.finished ? 0 : app::failure;
}

int run(const app::Words& words) {
  const std::string command = words.empty() ? "" : words[0];
  const app::Words rest(words.begin() + (words.empty() ? 0 : 1), words.end());
  if (command == "train") {
    return run_train(rest);
  }
  if (command == "speed") {
    return run_speed(rest);
  }
  if (command == "generation") {
    return run_generation(rest);
  }
  fmt::print(
      stderr,
      "Usage: signalllm_baseline train|speed|generation [OPTIONS]\n"
      "  train       either model on a text, as `signalllm train` would\n"
      "  speed       training steps of either model on random tokens\n"
      "  generation  SignalLLM's time per token and state far into a text\n");
  return app::usage_error;
}

} // namespace
} // namespace signalllm::benchmarks

int main(int argc, char** argv) {
  try {
    return signalllm::benchmarks::run({argv + 1, argv + argc});
  } catch (const c10::Error& error) {
    fmt::print(
        stderr, "signalllm_baseline: {}\n", error.what_without_backtrace());
  } catch (const std::exception& error) {
    fmt::print(stderr, "signalllm_baseline: {}\n", error.what());
  }
  return signalllm::app::failure;
}

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

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace signalllm::benchmarks {

namespace {

/// The hidden width with which the transformer has the parameters of SignalLLM
/// at its defaults: a multiple of 16 or 8 where that is near enough.
int64_t
equal_hidden(TransformerOptions options, app::Settings s, int64_t vocab_size) {
  s.model.clear();
  const auto wanted =
      SignalLLM(app::model_options(s, vocab_size))->num_parameters();
  const auto channel = 2 * options.dim() * options.layers();
  const auto others =
      Transformer(options.hidden(1))->num_parameters() - channel;
  const auto exact = static_cast<double>(wanted - others) /
      static_cast<double>(std::max<int64_t>(channel, 1));
  for (const int64_t unit : {16, 8}) {
    const auto hidden = unit * std::llround(exact / static_cast<double>(unit));
    const auto off = std::abs(others + hidden * channel - wanted);
    if (hidden > 0 &&
        static_cast<double>(off) < 0.003 * static_cast<double>(wanted)) {
      return hidden;
    }
  }
  return std::max<int64_t>(std::llround(exact), 1);
}

} // namespace

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
  if (options.hidden() == 0) {
    options.hidden(equal_hidden(options, s, vocab_size));
    at::manual_seed(s.seed); // counting took random numbers
  }
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
    std::string* trace,
    std::string* test) {
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
  if (test != nullptr) {
    line.add("Text", "test", *test, "a text to be judged on once, at the end");
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

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  TORCH_CHECK(in && text.tellp() > 0, "cannot read --test ", path);
  return text.str();
}

int run_train(const app::Words& words) {
  app::Settings s;
  std::string kind = "transformer", test;
  if (const auto code = parse(
          "train",
          "Trains either model on a text and keeps the log only.",
          words,
          s,
          &kind,
          /*trace=*/nullptr,
          &test)) {
    return *code;
  }
  app::check(s);
  TORCH_CHECK(
      s.patience == 0 && !s.tensorboard,
      "--patience and --tensorboard are for signalllm train");
  TORCH_CHECK(!s.out.empty(), "--out names the folder of the run");
  const auto device = app::choose_device(s.device);
  app::set_threads(s.threads);
  const auto corpus = app::read_text(s);
  const auto tokenizer =
      data::make_tokenizer(s.tokenizer, corpus.train + corpus.valid);
  std::optional<data::ConsecutiveWindows> test_windows;
  if (!test.empty()) { // read before the training, which a typo would waste
    test_windows.emplace(tokenizer->encode(read_file(test)), s.context);
  }
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
  callbacks.on_report = [&](const auto& report, const auto& speed) {
    log.write(
        {{"step", report.step},
         {"loss", report.loss},
         {"gradient_norm", report.gradient_norm},
         {"tokens_per_second", std::round(speed.tokens_per_second)}});
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
  log.write({{"seconds", result.seconds}}); // validations in between included
  if (test_windows && result.finished) {
    const auto judged =
        trainer.evaluate(*test_windows, tokenizer->token_bytes());
    log.write(
        {{"step", s.steps},
         {"test_loss", judged.loss()},
         {"test_bits_per_byte", judged.bits_per_byte()}});
  }
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

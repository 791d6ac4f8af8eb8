#include "app/command.h"
#include "app/command_line.h"
#include "app/memory.h"
#include "app/run_text.h"
#include "app/session.h"

#include <signalllm/evolution.h>
#include <signalllm/training/interrupt.h>
#include <signalllm/training/trainer.h>

#include <ATen/Context.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <chrono>
#include <filesystem>

namespace signalllm::app {
namespace {

constexpr const char* evolve_examples =
    "  signalllm evolve --data book.txt --generations 6\n"
    "  signalllm evolve --resume runs/evolve --generations 12\n";

/// What a genome is judged by: a short training with it, always from the same
/// weights and on the same batches, scored on a slice of the training text
/// that no batch touches.
class Trial {
 public:
  explicit Trial(const Settings& settings)
      : settings_(settings), device_(choose_device(settings.device)),
        text_(read_run_text(settings)) {
    text_.tokenize(settings);
    tokenizer_ = text_.tokenizer;
    const auto tokens = text_.train;
    const auto judged = tokens.numel() / 10;
    TORCH_CHECK(
        judged > settings.context,
        "the text to learn has ",
        tokens.numel(),
        " tokens, too short to hold out a tenth for --context ",
        settings.context);
    learned_ = tokens.slice(0, 0, tokens.numel() - judged);
    judged_ = tokens.slice(0, tokens.numel() - judged);
    const auto model = options();
    check_memory(
        training_bytes(settings_, model, SignalLLM(model)->num_parameters()),
        settings_.batch,
        settings_.context,
        device_);
  }

  const RunText& text() const {
    return text_;
  }

  SignalLLMOptions options() const {
    return model_options(settings_, tokenizer_->vocab_size());
  }

  BasisScore operator()(const BasisFunction& basis) const {
    const auto start = std::chrono::steady_clock::now();
    at::manual_seed(settings_.seed);
    auto model = make_model(
        options()
            .attention_filter(FilterKind::Wavelet)
            .wavelet(basis.wavelet().name())
            .levels(basis.levels()),
        device_);
    training::Trainer trainer(
        model,
        data::RandomWindows(learned_, settings_.context, settings_.seed),
        trainer_options(settings_));
    for (int64_t i = 0; i < settings_.steps; ++i) {
      trainer.step();
    }
    const auto result = trainer.evaluate(
        data::ConsecutiveWindows(judged_, settings_.context),
        tokenizer_->token_bytes());
    return {
        result.bits_per_byte(),
        static_cast<double>(basis.multiply_adds()),
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
            .count()};
  }

 private:
  Settings settings_;
  c10::Device device_;
  RunText text_;
  std::shared_ptr<data::Tokenizer> tokenizer_;
  at::Tensor learned_, judged_;
};

void print(const Individual& one) {
  fmt::print(
      "{:>4} {:>4}  {:<8} {:>4} {:>6} {:>10.4f} {:>8.0f} {:>7.1f} s\n",
      one.generation,
      one.id,
      one.basis.family(),
      2 * one.basis.angles().size(),
      one.basis.levels(),
      one.score.loss,
      one.score.cost,
      one.score.seconds);
  std::fflush(stdout);
}

} // namespace

int run_evolve(const Words& words) {
  Settings settings;
  settings.steps = 100;
  settings.warmup = 10;
  settings.average = 0;
  settings.context = 128;
  HRFEvoOptions evo;
  int64_t generations = 4, population = evo.population();
  CommandLine line(
      "evolve",
      "Searches the wavelet of the model's filters by evolution: short\n"
      "trainings, scored in bits per byte on text held out of training.",
      evolve_examples);
  visit_settings(
      settings,
      [&](const char* group, const char* name, auto& value, const char* help) {
        line.add(group, name, value, help);
      });
  line.add("Search", "generations", generations, "in all, the first included");
  line.add("Search", "population", population, "genomes a generation");
  if (const auto code = line.parse(words)) {
    return *code;
  }
  TORCH_CHECK(
      generations >= 1, "--generations is ", generations, "; at least 1");
  const bool resume = !settings.resume.empty();
  const training::RunFolder folder(
      resume                     ? settings.resume
          : settings.out.empty() ? next_folder("evolve")
                                 : settings.out);
  if (resume) {
    folder.check_exists();
    const auto given = settings;
    settings = settings_from_json(
        folder.read_text("config.json"), folder.file("config.json"));
    if (has_text_record(folder)) { // it may have moved
      settings.data = line.given("data") ? given.data : settings.data;
      settings.valid = line.given("valid") ? given.valid : settings.valid;
    }
  }
  check(settings);
  // Those of the search that goes on: sums depend on them.
  set_threads(settings.threads);
  if (!settings.data.empty()) {
    // So that the search can be resumed from anywhere.
    settings.data = std::filesystem::absolute(settings.data).string();
  }
  const Trial trial(settings);
  if (resume) {
    check_text(
        folder,
        trial.text(),
        settings.data,
        "--data names the old one; another text is another search");
  }
  auto search = resume
      ? HRFEvoController::from_json(folder.read_text("evolution.json"), trial)
      : HRFEvoController(evo.population(population).seed(settings.seed), trial);
  if (!resume) {
    folder.create();
    record_text(folder, trial.text());
    folder.write_text("config.json", to_json(settings, trial.options()));
  }
  fmt::print(" gen   id  family   taps levels bits/byte  mul-adds    time\n");
  const training::InterruptGuard guard;
  size_t shown = search.history().size();
  while (search.generation() < generations &&
         training::interrupt_signal() == 0) {
    search.step();
    folder.write_text("evolution.json", search.to_json());
    for (; shown < search.history().size(); ++shown) {
      print(search.history()[shown]);
    }
  }
  fmt::print("\nthe front: less cost, or less loss, has no other\n");
  for (const auto& one : search.front()) {
    print(one);
  }
  const auto& best = search.best();
  fmt::print(
      "\nbest: {:.4f} bits per byte after {} steps\n"
      "use it: signalllm train --data {} --model "
      "\"wavelet={},levels={},attention_filter=wavelet\"\n",
      best.score.loss,
      settings.steps,
      settings.data,
      best.basis.wavelet().name(),
      best.basis.levels());
  return training::interrupt_signal() == 0 ? 0
                                           : 128 + training::interrupt_signal();
}

} // namespace signalllm::app

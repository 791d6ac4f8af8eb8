#include "app/evolve_search.h"

#include "app/evolve_protocol.h"
#include "app/evolve_trial.h"
#include "app/memory.h"
#include "app/session.h"

#include <signalllm/training/interrupt.h>

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <thread>

namespace signalllm::app {
namespace {

/// A signal came while trials ran.
struct SearchStopped {};

int64_t job_count(int64_t jobs, const Settings& settings, c10::Device device) {
  if (jobs > 0) {
    return jobs;
  }
  const auto cores = static_cast<int64_t>(std::thread::hardware_concurrency());
  return device.is_cpu() && settings.threads > 0
      ? std::max<int64_t>(cores / settings.threads, 1)
      : 1;
}

/// Steps that all trials of a generation train, but for other seeds.
int64_t generation_steps(const Settings& settings, const EvolveSettings& s) {
  int64_t sum = 0, before = 0, count = s.population;
  for (int64_t rung = 0; rung < s.rungs; ++rung) {
    const auto steps = rung_steps(settings.steps, s.rungs, rung);
    sum += count * (steps - before);
    before = steps;
    count = (count + 1) / 2;
  }
  return sum;
}

} // namespace

EvolveSearch::EvolveSearch(
    const Settings& settings,
    EvolveSettings evolve,
    int64_t jobs)
    : settings_(settings), evolve_(std::move(evolve)),
      folder_(settings.resume.empty() ? settings.out : settings.resume),
      start_(Clock::now()) {
  const bool resume = !settings_.resume.empty();
  check(settings_);
  const auto options = evolve_options(settings_, evolve_);
  set_threads(settings_.threads);
  if (resume) {
    lock_ = folder_.reopen();
  }
  text_ = read_run_text(settings_);
  text_.tokenize(
      settings_,
      resume ? load_tokenizer(
                   folder_,
                   model_from_json(
                       folder_.read_text("config.json"),
                       folder_.file("config.json")))
             : nullptr);
  if (resume) {
    check_text(
        folder_,
        text_,
        settings_.data,
        "--data names the old one; another text is another search");
  }
  const EvolveTrial trial(settings_, evolve_.rungs, text_, "");
  search_ = std::make_unique<HRFEvoController>(
      options, [this](const auto& trials) { return measure(trials); });
  const auto model = trial.model();
  jobs_ = job_count(jobs, settings_, trial.device());
  check_memory(
      static_cast<double>(jobs_) *
          training_bytes(settings_, model, SignalLLM(model)->num_parameters()),
      settings_.batch,
      settings_.context,
      trial.device());
  if (!resume) {
    lock_ = folder_.create();
    record_text(folder_, text_);
    folder_.write_text("tokenizer.json", text_.tokenizer->to_json());
    folder_.write_text(search_file, to_json(evolve_));
    // The last: where it is there is a search.
    folder_.write_text("config.json", to_json(settings_, model));
  }
  history_ = std::make_unique<EvolveHistory>(folder_);
  history_->mend();
  workers_ = std::make_unique<Workers>(
      jobs_,
      "evolve-worker",
      evolve_hello(
          {settings_, evolve_.rungs, text_.tokenizer, folder_.file("trials")}));
}

void EvolveSearch::run(int64_t generations) {
  generations_ = generations;
  planned_ = generations * generation_steps(settings_, evolve_);
  print_header();
  try {
    while (search_->generation() < generations &&
           training::interrupt_signal() == 0) {
      const auto before = trained_;
      search_->step();
      if (trained_ > before) { // else another generation's may lie there
        std::filesystem::remove_all(folder_.file("trials"));
      }
    }
  } catch (const SearchStopped&) {
  }
  line_.finish();
}

std::vector<BasisScore> EvolveSearch::measure(
    const std::vector<BasisTrial>& trials) {
  std::vector<BasisScore> scores(trials.size());
  std::vector<std::size_t> missing;
  std::vector<std::string> requests;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    if (const auto* known = history_->find(trials[i])) {
      scores[i] = *known;
      known_ += effort(trials[i]);
    } else {
      missing.push_back(i);
      requests.push_back(evolve_request(trials[i]));
    }
  }
  const bool all = workers_->ask(
      requests,
      [&](std::size_t index, const std::string& answer) {
        const auto& trial = trials[missing[index]];
        auto& score = scores[missing[index]];
        score = evolve_score(answer);
        history_->append(
            trial,
            score,
            rung_steps(settings_.steps, evolve_.rungs, trial.rung));
        trained_ += effort(trial);
        show(trial, score);
      },
      [&] {
        show_progress();
        return training::interrupt_signal() != 0;
      });
  if (!all) {
    throw SearchStopped();
  }
  return scores;
}

int64_t EvolveSearch::effort(const BasisTrial& trial) const {
  const auto steps = [&](int64_t rung) {
    return rung_steps(settings_.steps, evolve_.rungs, rung);
  };
  return steps(trial.rung) -
      (trial.seed == 0 && trial.rung > 0 ? steps(trial.rung - 1) : 0);
}

void EvolveSearch::show_progress() {
  if (trained_ == 0) {
    return;
  }
  const std::chrono::duration<double> elapsed = Clock::now() - start_;
  // Trainings with other seeds are not planned, but count in the pace.
  const auto planned = std::max(planned_, known_ + trained_);
  const auto left = static_cast<double>(planned - known_ - trained_) *
      elapsed.count() / static_cast<double>(trained_);
  line_.show(
      static_cast<double>(known_ + trained_) / static_cast<double>(planned),
      fmt::format(
          "generation {}/{}  {} trials  {} left",
          search_->generation() + 1,
          generations_,
          history_->size(),
          format_duration(left)),
      false);
}

} // namespace signalllm::app

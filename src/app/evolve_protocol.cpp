#include "app/evolve_protocol.h"

#include "app/command.h"
#include "app/evolve_trial.h"
#include "app/session.h"
#include "app/workers.h"

#include <c10/util/Exception.h>
#include <nlohmann/json.hpp>

#include <limits>

namespace signalllm::app {
namespace {

BasisTrial trial_from(const std::string& request) {
  const auto json = nlohmann::json::parse(request);
  Individual one{
      json.at("id").get<int64_t>(),
      0,
      {},
      BasisFunction::from_json(json.at("basis").get<std::string>()),
      0,
      {},
      {}};
  return {
      0,
      std::move(one),
      json.at("rung").get<int64_t>(),
      json.at("seed").get<int64_t>()};
}

std::string as_answer(const BasisScore& score) {
  return nlohmann::ordered_json{
      {"loss", score.loss}, // null where it is not a number
      {"cost", score.cost},
      {"seconds", score.seconds},
      {"bytes", score.bytes}}
      .dump();
}

} // namespace

std::string evolve_hello(const EvolveHello& hello) {
  return nlohmann::ordered_json{
      {"settings", to_json(hello.settings, SignalLLMOptions(1))},
      {"rungs", hello.rungs},
      {"tokenizer", hello.tokenizer->to_json()},
      {"checkpoints", hello.checkpoints}}
      .dump();
}

std::string evolve_request(const BasisTrial& trial) {
  return nlohmann::ordered_json{
      {"id", trial.individual.id},
      {"rung", trial.rung},
      {"seed", trial.seed},
      {"basis", trial.individual.basis.to_json()}}
      .dump();
}

BasisScore evolve_score(const std::string& answer) {
  const auto json = nlohmann::json::parse(answer);
  TORCH_CHECK(
      !json.contains("error"), json.value("error", std::string("no reason")));
  const auto number = [&](const char* name) {
    return json.at(name).is_null() ? std::numeric_limits<double>::quiet_NaN()
                                   : json.at(name).get<double>();
  };
  return {number("loss"), number("cost"), number("seconds"), number("bytes")};
}

int run_evolve_worker(const Words& words) {
  RunText text; // token files must stay
  std::unique_ptr<EvolveTrial> evaluate;
  return serve(
      words,
      [&](const std::string& hello) {
        const auto json = nlohmann::json::parse(hello);
        const auto settings = settings_from_json(
            json.at("settings").get<std::string>(), "the search's settings");
        set_threads(settings.threads);
        text = read_run_text(settings);
        text.tokenize(
            settings,
            data::Tokenizer::from_json(
                json.at("tokenizer").get<std::string>()));
        evaluate = std::make_unique<EvolveTrial>(
            settings,
            json.at("rungs").get<int64_t>(),
            text,
            json.at("checkpoints").get<std::string>());
      },
      [&](const std::string& request) -> std::string {
        try {
          return as_answer(
              (*evaluate)(trial_from(request), end_without_parent));
        } catch (const c10::Error& error) {
          return nlohmann::json{{"error", error.what_without_backtrace()}}
              .dump();
        }
      });
}

} // namespace signalllm::app

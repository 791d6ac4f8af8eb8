// Searches that are refused, each a run of the built executable.

#include "errors/refused_program.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace signalllm::test {
namespace {

class EvolveErrors : public RefusedProgram {
 protected:
  const std::string sizes_ =
      " --dim 16 --layers 1 --heads 2 --context 16 --batch 2 --threads 1 ";
  const std::string search_ = "evolve --data %/book.txt --out %/new" + sizes_;
};

TEST_F(EvolveErrors, Settings) {
  const std::string tiny = search_ + "--attention 0.5 ";
  folder_.write("short.txt", "a short text to learn");
  folder_.write("run/config.json", "{}");
  const auto model_word = [&](const std::string& name,
                              const std::string& value) {
    return refused(
        "--model " + name + ", which the search is about",
        tiny + "--model " + name + "=" + value,
        {"--model", name, value, "--places"});
  };
  expect_refused(
      "evolve",
      {
          refused("no text", "evolve", {"--data", "file or folder"}),
          refused(
              "an option that short trainings have no use for",
              tiny + "--keep 3",
              {"evolve", "--keep"},
              2),
          refused(
              "an unknown search",
              tiny + "--search anneal",
              {"'anneal'", "evolve and random"}),
          refused(
              "no generations",
              tiny + "--generations 0",
              {"--generations", "0", "at least 1"}),
          refused(
              "fewer than no trials at once",
              tiny + "--jobs -1",
              {"--jobs", "-1", "at least 0"}),
          refused(
              "a population of one",
              tiny + "--population 1",
              {"population", "1", "at least 2"}),
          refused("no seeds", tiny + "--seeds 0", {"seeds", "0", "at least 1"}),
          refused(
              "no mutation",
              tiny + "--mutation 0",
              {"mutation", "0", "positive"}),
          refused("no rungs", tiny + "--rungs 0", {"--rungs", "0"}),
          refused(
              "more rungs than steps can be halved",
              tiny + "--steps 4 --rungs 4",
              {"--rungs", "4", "--steps"}),
          refused(
              "no stages",
              tiny + "--model wavelet=haar --max-stages 0",
              {"--max-stages", "0"}),
          refused(
              "a start of more stages than allowed",
              tiny + "--model wavelet=db6 --max-stages 4",
              {"wavelet=db6", "6 stages", "--max-stages 4"}),
          refused(
              "a start of more levels than allowed",
              tiny + "--model wavelet=db2,levels=5 --max-levels 4",
              {"levels=5", "--max-levels 4"}),
          refused(
              "a start that is not orthogonal",
              tiny + "--model wavelet=bior2.2",
              {"'bior2.2'", "not orthogonal"}),
          refused(
              "an unknown place",
              tiny + "--places head",
              {"'head'", "attention,fourier,feed_forward"}),
          refused(
              "a place that the model has not",
              search_ + "--attention 0 --places attention",
              {"--places", "attention", "only fourier,feed_forward"}),
          refused(
              "a model without a place",
              search_ + "--attention 1 --model attention=frequency",
              {"no genome would matter", "--places feed_forward"}),
          refused(
              "something unknown that is held",
              tiny + "--hold angles",
              {"--hold", "angles", "places, levels"}),
          model_word("attention_filter", "wavelet"),
          model_word("fourier_filter", "wavelet"),
          model_word("feed_forward", "causal_wavelet"),
          refused(
              "a wavelet that is dropped now and then",
              tiny + "--model stochastic_keep=0.5",
              {"--model", "stochastic_keep"}),
          refused(
              "a text too short to hold some of it out",
              "evolve --data %/short.txt --out %/new --attention 0.5" + sizes_,
              {"18 tokens", "too short", "--context 16"}),
          refused(
              "a folder of a run that is no search",
              "evolve --resume %/run",
              {"FOLDER/run", "no search.json"}),
          refused(
              "a search that is not there",
              "evolve --resume %/none",
              {"FOLDER/none", "no such run folder"}),
          refused(
              "another folder to go on in",
              "evolve --resume %/run --out %/new",
              {"--resume", "--out"}),
      },
      scrub());
}

TEST_F(EvolveErrors, Resume) {
  folder_.write("other.txt", std::string(2000, 'x'));
  const auto outcome = program_(words(
      "evolve --data %/book.txt --out %/run --attention 0.5 --generations 1 "
      "--population 2 --steps 2 --rungs 1 --seeds 1 --jobs 1 --warmup 1" +
      sizes_));
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  const std::string resume = "evolve --resume %/run";
  const auto first_line = [](auto change) {
    return [change](const std::string& text) {
      const auto end = text.find('\n');
      return edit(change)(text.substr(0, end)) + text.substr(end);
    };
  };
  expect_refused(
      "evolve-resume",
      {
          refused("another width", resume + " --dim 32", {"--dim", "16", "32"}),
          refused(
              "another population",
              resume + " --population 9",
              {"--population", "2", "9"}),
          refused(
              "something else held",
              resume + " --hold places",
              {"--hold", "places"}),
          refused(
              "another text",
              resume + " --data %/other.txt",
              {"FOLDER/other.txt", "another text is another search"}),
          refused(
              "a text for the pictures of a search",
              "visualize --run %/run --out %/drawn --text fox",
              {"FOLDER/run", "is a search", "--text"}),
          changed(
              "pictures of a search without a whole generation",
              "run/history.jsonl",
              [](const std::string& text) {
                return text.substr(0, text.find('\n') + 1);
              },
              "visualize --run %/run --out %/drawn",
              {"FOLDER/run", "no generation", "evolve --resume"}),
          changed(
              "an unknown key in search.json",
              "run/search.json",
              edit([](auto& json) { json["populatoin"] = 3; }),
              resume,
              {"FOLDER/run/search.json", "'populatoin'", "'population'"}),
          changed(
              "a word for a number in search.json",
              "run/search.json",
              edit([](auto& json) { json["population"] = "two"; }),
              resume,
              {"FOLDER/run/search.json", "damaged"}),
          changed(
              "a damaged line of the history",
              "run/history.jsonl",
              [](const std::string& text) { return "{}\n" + text; },
              resume,
              {"FOLDER/run/history.jsonl", "line 1", "damaged"}),
          changed(
              "a genome in the history that the search did not ask for",
              "run/history.jsonl",
              first_line([](auto& json) { json["basis"]["family"] = "db5"; }),
              resume,
              {"FOLDER/run/history.jsonl", "trial 0", "another search"}),
      },
      scrub());
}

} // namespace
} // namespace signalllm::test

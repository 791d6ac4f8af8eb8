#include "app/bench.h"
#include "app/command_line.h"
#include "app/session.h"

#include <signalllm/data/recall.h>
#include <signalllm/training/adamw.h>
#include <signalllm/training/interrupt.h>
#include <signalllm/training/schedule.h>

#include "training/autocast.h"

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <sstream>

namespace signalllm::app {
namespace {

struct RecallSettings {
  std::string task = "mqar";
  int64_t length = 512;
  int64_t pairs = 64;
  int64_t vocab = 8192;
  bool random_filler = false;

  int64_t dim = 128;
  int64_t layers = 2;
  int64_t heads = 4;
  double attention = 0.5;
  int64_t window = 64;
  int64_t opened = 0;
  std::string model = "rotary=false,attention_filter=short";

  int64_t steps = 3000;
  double seconds = 0;
  int64_t batch = 128;
  double lr = 3e-3;
  double weight_decay = 0.1;
  double ramp = 0.4;
  std::string precision = "float32";
  uint64_t seed = 1;

  std::string score = "64:0 64:4 64:8 0:0";
  int64_t tests = 3000;
  std::string generate;
  std::string device = "auto";
  int64_t threads = 0;
  int64_t report_every = 200;
  bool json = false;
};

template <typename Visit>
void visit_settings(RecallSettings& s, Visit&& visit) {
  const auto* group = "Task";
  visit(group, "task", s.task, "mqar (associative recall) or copying");
  visit(group, "length", s.length, "tokens of a sequence");
  visit(group, "pairs", s.pairs, "mqar: keys and values to remember");
  visit(group, "vocab", s.vocab, "mqar: tokens, half of them keys");
  group = "Model";
  visit(group, "dim", s.dim, "width");
  visit(group, "layers", s.layers, "blocks");
  visit(group, "heads", s.heads, "heads; each is dim / heads wide");
  visit(
      group,
      "attention",
      s.attention,
      "share of the width that attends; the rest convolves");
  visit(group, "window", s.window, "the attention's window; 0: dense");
  visit(group, "opened", s.opened, "nodes that a query opens a level");
  visit(
      group,
      "model",
      s.model,
      "further options of SignalLLM (\"wavelet=db4,levels=4\")");
  group = "Training";
  visit(group, "steps", s.steps, "updates of the weights");
  visit(
      group,
      "seconds",
      s.seconds,
      "take no longer: the schedule follows the clock; 0: by steps");
  visit(group, "batch", s.batch, "new sequences a step");
  visit(group, "lr", s.lr, "learning rate at its highest");
  visit(group, "weight-decay", s.weight_decay, "of the matrices (AdamW)");
  visit(group, "ramp", s.ramp, "share of the steps with fewer pairs first");
  visit(group, "precision", s.precision, "float32 or bfloat16");
  visit(group, "seed", s.seed, "of weights and data");
  group = "Run";
  visit(
      group,
      "score",
      s.score,
      "windows and opened nodes to score the same weights with");
  visit(group, "tests", s.tests, "sequences to score with");
  visit(
      group,
      "generate",
      s.generate,
      "positions at which to time generation with each of them");
  visit(group, "device", s.device, "auto, cpu, mps or cuda");
  visit(group, "threads", s.threads, "CPU threads; 0: all cores");
  visit(group, "report-every", s.report_every, "steps between lines");
}

/// Which keys the attention sees: "64:4" is window 64, 4 nodes opened.
struct Sight {
  int64_t window = 0;
  int64_t opened = 0;
};

std::vector<Sight> parse_sights(const std::string& text) {
  std::vector<Sight> sights;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    std::istringstream parts(word);
    Sight sight;
    char colon = 0;
    parts >> sight.window >> colon >> sight.opened;
    TORCH_CHECK(
        !parts.fail() && colon == ':' && parts.peek() == EOF,
        "--score wants WINDOW:OPENED, separated by blanks, got '",
        word,
        "'");
    sights.push_back(sight);
  }
  return sights;
}

std::vector<int64_t> parse_positions(const std::string& text) {
  std::vector<int64_t> positions;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    std::istringstream number(word);
    int64_t position = 0;
    number >> position;
    TORCH_CHECK(
        !number.fail() && number.peek() == EOF && position >= 1,
        "--generate wants positions, separated by blanks, got '",
        word,
        "'");
    positions.push_back(position);
  }
  return positions;
}

class RecallBench {
 public:
  RecallBench(const RecallSettings& settings, c10::Device device)
      : s_(settings), device_(device),
        model_(make_model(options({s_.window, s_.opened}), device)) {}

  int64_t parameters() const {
    return model_->num_parameters();
  }

  void train() {
    training::FusedAdamW optimizer(
        *model_,
        training::AdamWOptions().beta2(0.98).weight_decay(s_.weight_decay),
        [](const std::string& name, const at::Tensor& parameter) {
          return training::decays(name, parameter) &&
              !name.starts_with("embedding");
        });
    const auto schedule = training::ScheduleOptions()
                              .peak(s_.lr)
                              .floor(s_.lr / 50)
                              .warmup(std::min<int64_t>(100, s_.steps / 10))
                              .steps(s_.steps);
    const auto start = std::chrono::steady_clock::now();
    model_->train();
    const auto elapsed = [&] {
      return std::chrono::duration<double>(
                 std::chrono::steady_clock::now() - start)
          .count();
    };
    const auto whole = static_cast<double>(s_.steps);
    for (steps_ = 0; steps_ < s_.steps; ++steps_) {
      auto share = static_cast<double>(steps_) / whole;
      if (s_.seconds > 0) {
        share = std::max(share, elapsed() / s_.seconds);
      }
      if (share >= 1 || training::interrupt_signal() != 0) {
        break;
      }
      const auto data =
          batch(s_.batch, s_.ramp > 0 ? std::min(1.0, share / s_.ramp) : 1);
      at::Tensor logits;
      {
        const training::Autocast autocast(
            device_.type(), s_.precision == "bfloat16");
        logits = answer(*model_, data);
      }
      const auto loss = at::cross_entropy_loss(
          logits.flatten(0, 1).to(at::kFloat), data.answers.flatten());
      optimizer.zero_grad();
      loss.backward();
      optimizer.step(training::learning_rate(
          schedule,
          steps_ < schedule.warmup() ? steps_
                                     : static_cast<int64_t>(share * whole)));
      if (s_.report_every > 0 && (steps_ + 1) % s_.report_every == 0) {
        fmt::print(
            stderr,
            "step {:5}  loss {:.4f}  {:.1f} s\n",
            steps_ + 1,
            loss.item<double>(),
            elapsed());
      }
    }
  }

  int64_t steps() const {
    return steps_;
  }

  /// The same weights with other sight.
  SignalLLM seeing(const Sight& sight) const {
    auto other = make_model(options(sight), device_);
    const at::NoGradGuard no_grad;
    const auto from = model_->parameters();
    const auto to = other->parameters();
    for (size_t i = 0; i < from.size(); ++i) {
      to[i].copy_(from[i]);
    }
    other->eval();
    return other;
  }

  /// Share of right answers; the same sequences every time.
  double accuracy(SignalLLMImpl& model) const {
    const at::NoGradGuard no_grad;
    at::manual_seed(s_.seed + 1);
    auto right = at::zeros({}, at::dtype(at::kLong).device(device_));
    int64_t asked = 0;
    for (int64_t done = 0; done < s_.tests;) {
      const auto data = batch(std::min(s_.batch, s_.tests - done), 1);
      right += answer(model, data).argmax(-1).eq(data.answers).sum();
      asked += data.answers.numel();
      done += data.answers.size(0);
    }
    return right.item<double>() / static_cast<double>(asked);
  }

  struct Generation {
    double milliseconds = 0;
    int64_t attention_bytes = 0;
  };

  /// A token after `position` others, and the attention's state there.
  Generation generation(SignalLLMImpl& model, int64_t position) const {
    const at::NoGradGuard no_grad;
    const auto whole = at::dtype(at::kLong).device(device_);
    auto state = model.make_state(1);
    model.forward_incremental(
        at::randint(model.options.vocab_size(), {1, position}, whole), state);
    const auto token = at::zeros({1, 1}, whole);
    constexpr int count = 64;
    std::chrono::steady_clock::time_point start;
    for (int i = -8; i < count; ++i) { // the first ones set things up
      if (i == 0) {
        start = std::chrono::steady_clock::now();
      }
      // The read-back is what a program that writes text waits for.
      model.forward_incremental(token, state).argmax(-1).item<int64_t>();
    }
    const std::chrono::duration<double, std::milli> time =
        std::chrono::steady_clock::now() - start;
    Generation result{time.count() / count, 0};
    for (const auto& block : state.blocks) {
      const auto& attention = block.attention;
      result.attention_bytes += attention.tree.bytes();
      for (const auto& tensor : {attention.keys, attention.values}) {
        if (tensor.defined()) {
          result.attention_bytes += static_cast<int64_t>(tensor.nbytes());
        }
      }
    }
    return result;
  }

 private:
  SignalLLMOptions options(const Sight& sight) const {
    Settings settings;
    settings.dim = s_.dim;
    settings.layers = s_.layers;
    settings.heads = s_.heads;
    settings.attention = s_.attention;
    settings.context = s_.length;
    settings.model = s_.model;
    return model_options(settings, s_.task == "mqar" ? s_.vocab : 10)
        .window(sight.window)
        .opened(sight.opened);
  }

  data::RecallBatch batch(int64_t rows, double share) const {
    if (s_.task == "copying") {
      return data::copying(rows, s_.length, device_);
    }
    const auto pairs = static_cast<int64_t>(share * s_.pairs);
    return data::associative_recall(
        rows,
        data::AssociativeRecallOptions()
            .length(s_.length)
            .vocab_size(s_.vocab)
            .random_filler(s_.random_filler)
            .pairs(std::max(std::min<int64_t>(2, s_.pairs), pairs)),
        device_);
  }

  /// Logits only where an answer is asked for, `[rows, queries, V]`.
  static at::Tensor answer(
      SignalLLMImpl& model,
      const data::RecallBatch& data) {
    const auto table = model.embedding->weight();
    auto x = at::embedding(table, data.inputs);
    for (const auto run :
         block_runs(model.options.layers(), model.options.passes())) {
      x = model.blocks->at<WaveletTransformerBlockImpl>(run).forward(x);
    }
    const auto places =
        data.positions.unsqueeze(-1).expand({-1, -1, x.size(2)});
    return model.norm->forward(x.gather(1, places)).matmul(table.t());
  }

  RecallSettings s_;
  c10::Device device_;
  SignalLLM model_;
  int64_t steps_ = 0;
};

void check(const RecallSettings& s) {
  TORCH_CHECK(
      s.task == "mqar" || s.task == "copying",
      "--task is '",
      s.task,
      "'; there are mqar and copying");
  TORCH_CHECK(
      s.precision == "float32" || s.precision == "bfloat16",
      "--precision is '",
      s.precision,
      "'; there are float32 and bfloat16");
  TORCH_CHECK(s.steps >= 1, "--steps is ", s.steps, "; at least 1");
  TORCH_CHECK(s.batch >= 1, "--batch is ", s.batch, "; at least 1");
  TORCH_CHECK(s.tests >= 1, "--tests is ", s.tests, "; at least 1");
  TORCH_CHECK(
      s.ramp >= 0 && s.ramp <= 1, "--ramp is ", s.ramp, "; allowed are 0 to 1");
}

} // namespace

int run_bench_recall(const Words& words) {
  RecallSettings settings;
  CommandLine line(
      "bench recall",
      "Trains a small model to recall what stood far back and scores the same\n"
      "weights with several windows. Rows of it that say opened > 0 keep all\n"
      "fine keys while they generate; with a window alone the state grows "
      "with\n"
      "the logarithm of the text.",
      "  signalllm bench recall\n"
      "  signalllm bench recall --length 128 --pairs 16 --vocab 512 --dim 64 "
      "--window 16 \\\n    --score \"16:0 16:4 0:0\" --steps 1500 --batch 32\n"
      "  signalllm bench recall --task copying --length 200 --steps 2000\n");
  visit_settings(
      settings,
      [&](const char* group, const char* name, auto& value, const char* help) {
        line.add(group, name, value, help);
      });
  line.flag(
      "Task",
      "random-filler",
      settings.random_filler,
      "mqar: random tokens between the queries instead of 0");
  line.flag("Run", "json", settings.json, "print one JSON object");
  if (const auto code = line.parse(words)) {
    return *code;
  }
  check(settings);
  const auto sights = parse_sights(settings.score);
  const auto positions = parse_positions(settings.generate);
  set_threads(settings.threads);
  at::manual_seed(settings.seed);
  const training::InterruptGuard guard;
  RecallBench bench(settings, choose_device(settings.device));
  bench.train();
  if (const int signal = training::interrupt_signal(); signal != 0) {
    return 128 + signal;
  }
  nlohmann::ordered_json json = {
      {"task", settings.task},
      {"length", settings.length},
      {"parameters", bench.parameters()},
      {"steps", bench.steps()},
      {"seed", settings.seed},
      {"results", nlohmann::ordered_json::array()}};
  if (!settings.json) {
    fmt::print(
        "{} of length {}, {} parameters, {} steps\n{:>8}{:>8}{:>10}",
        settings.task,
        settings.length,
        bench.parameters(),
        bench.steps(),
        "window",
        "opened",
        "recall");
    for (const auto position : positions) {
      fmt::print("{:>24}", fmt::format("ms, state at {}", position));
    }
    fmt::print("\n");
  }
  for (const auto& sight : sights) {
    auto model = bench.seeing(sight);
    const auto accuracy = bench.accuracy(*model);
    nlohmann::ordered_json row = {
        {"window", sight.window},
        {"opened", sight.opened},
        {"recall", accuracy},
        {"generation", nlohmann::ordered_json::array()}};
    std::string text = fmt::format(
        "{:>8}{:>8}{:>10.4f}", sight.window, sight.opened, accuracy);
    for (const auto position : positions) {
      const auto result = bench.generation(*model, position);
      row["generation"].push_back(
          {{"position", position},
           {"milliseconds", result.milliseconds},
           {"attention_bytes", result.attention_bytes}});
      text += fmt::format(
          "{:>24}",
          fmt::format(
              "{:.3f}, {:.0f} KiB",
              result.milliseconds,
              static_cast<double>(result.attention_bytes) / 1024));
    }
    json["results"].push_back(row);
    if (!settings.json) {
      fmt::print("{}\n", text);
      std::fflush(stdout);
    }
  }
  if (settings.json) {
    fmt::print("{}\n", json.dump());
  }
  return 0;
}

} // namespace signalllm::app

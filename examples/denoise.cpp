/// Denoising by wavelet shrinkage, and evolution of its basis: a worked example
/// of `HRFEvoController` on a task where the basis decides.
///
/// A signal is a sum of sudden onsets that decay, the quicker the later they
/// come. Noise is added; the details of a transform of five levels, each with a
/// bank of its own, shrink towards 0 by a threshold a level, which is learned,
/// and the inverse gives the signal back. Losses are the energy of the error
/// over that of the signal in dB: -13 is better than -12.
///
///   signalllm_denoise
///     a short search; returns 1 unless what it finds denoises new signals
///     better than db4
///   signalllm_denoise search evolve|random SEED GENERATIONS
///     prints a line of JSON a generation, the last with the best wavelets
///   signalllm_denoise train fixed|learned|lattice WAVELETS SEED STEPS
///     learns the thresholds and, if not fixed, the banks too (see
///     `FilterTraining`); prints a line of JSON with the loss on new signals
#include <signalllm/evolution.h>
#include <signalllm/functional/threshold.h>
#include <signalllm/nn/causal_filter.h>
#include <signalllm/ops/wavedec.h>
#include <signalllm/ops/waverec.h>

#include <c10/util/Exception.h>
#include <torch/optim/adam.h>
#include <torch/utils.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <numbers>
#include <string>
#include <vector>

namespace {

namespace sl = signalllm;
using torch::Tensor;

constexpr int64_t length = 512, signals = 256, rows = 32, levels = 5;
constexpr double noise = 0.3;

/// `[signals, length, 1]`.
Tensor make_signals(uint64_t seed) {
  torch::manual_seed(seed);
  const auto t = torch::arange(length, torch::kFloat);
  auto sum = torch::zeros({signals, length});
  for (int onset = 0; onset < 10; ++onset) {
    const auto place = torch::rand({signals, 1});
    const auto decay = 5 + 40 * torch::rand({signals, 1}) * (1 - place);
    const auto after = t - length * place;
    sum +=
        (1 + torch::rand({signals, 1})) *
        torch::where(
            after > 0, (-after.clamp_min(0) / decay).exp(), torch::zeros({1}));
  }
  return sum.unsqueeze(2);
}

Tensor with_noise(const Tensor& clean) {
  return clean + noise * torch::randn_like(clean);
}

/// Shrinkage in a basis of wavelets.
struct Denoiser {
  Denoiser(const std::string& wavelets, sl::FilterTraining training)
      : training(training) {
    auto banks = sl::wavelets_of_levels(wavelets);
    TORCH_CHECK(
        banks.size() == 1 || banks.size() == levels,
        "signalllm_denoise: one wavelet or ",
        levels,
        " are needed, got ",
        banks.size());
    banks.resize(levels, banks[0]);
    std::vector<Tensor> all;
    for (const auto& bank : banks) {
      all.push_back(torch::tensor(bank.angles(), torch::kFloat));
    }
    angles = torch::stack(all);
    sums = angles.sum(1, true);
    angles.set_requires_grad(training != sl::FilterTraining::Fixed);
    thresholds = torch::full({levels}, std::log(2 * noise));
    thresholds.set_requires_grad(true);
  }

  std::vector<Tensor> parameters() const {
    return angles.requires_grad() ? std::vector{thresholds, angles}
                                  : std::vector{thresholds};
  }

  Tensor operator()(const Tensor& noisy) const {
    auto held = angles;
    if (training == sl::FilterTraining::Lattice && angles.size(1) > 1) {
      held = angles + (sums - angles.sum(1, true)) / angles.size(1);
    }
    const auto [low, high] = sl::lattice_filters(held);
    auto rest = noisy;
    std::vector<Tensor> details;
    std::vector<int64_t> lengths;
    for (int64_t level = 0; level < levels; ++level) {
      lengths.push_back(rest.size(1));
      const auto parts = sl::ops::wavedec(
          rest, low[level].flip(0), high[level].flip(0), 1, "periodization");
      rest = parts[0];
      details.push_back(
          sl::functional::threshold(parts[1], thresholds[level].exp()));
    }
    for (auto level = levels - 1; level >= 0; --level) {
      rest = sl::ops::waverec(
          {rest, details[static_cast<size_t>(level)]},
          low[level],
          high[level],
          "periodization");
    }
    return rest;
  }

  sl::FilterTraining training;
  Tensor angles, sums, thresholds; // [levels, K], [levels, 1], [levels]
};

/// Trains on batches with new noise; all denoisers of a seed see the same.
void train(Denoiser& denoiser, const Tensor& clean, int steps, uint64_t seed) {
  torch::manual_seed(seed);
  torch::optim::Adam optimizer(
      denoiser.parameters(), torch::optim::AdamOptions(0.02));
  for (int step = 0; step < steps; ++step) {
    const auto batch =
        clean.index_select(0, torch::randint(signals, {rows}, torch::kLong));
    const auto loss = (denoiser(with_noise(batch)) - batch).square().mean();
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
  }
}

double loss_on(const Denoiser& denoiser, const Tensor& clean) {
  const torch::NoGradGuard no_grad;
  torch::manual_seed(99);
  const auto error = denoiser(with_noise(clean)) - clean;
  const auto ratio = error.square().mean() / clean.square().mean();
  return 10 * ratio.log10().item<double>();
}

/// Genomes have five levels and at most db4's four stages, so that none costs
/// more than db4.
sl::HRFEvoController make_search(sl::SearchKind kind, uint64_t seed) {
  const auto learned = make_signals(1), judged = make_signals(2);
  return sl::HRFEvoController(
      sl::HRFEvoOptions()
          .search(kind)
          .population(16)
          .levels(levels)
          .limits({4, levels, sl::PlaceAttention, true, true})
          .seeds(3)
          .seed(seed),
      sl::HRFEvoController::each([=](const sl::BasisTrial& trial) {
        const auto& basis = trial.individual.basis;
        Denoiser denoiser(basis.wavelets(), sl::FilterTraining::Fixed);
        train(denoiser, learned, 40, static_cast<uint64_t>(trial.seed));
        return sl::BasisScore{
            loss_on(denoiser, judged),
            static_cast<double>(basis.multiply_adds())};
      }));
}

double loss_on_new_signals(
    const std::string& wavelets,
    sl::FilterTraining training,
    uint64_t seed,
    int steps) {
  Denoiser denoiser(wavelets, training);
  train(denoiser, make_signals(1), steps, seed);
  return loss_on(denoiser, make_signals(3));
}

void search(const std::string& kind, uint64_t seed, int generations) {
  auto search = make_search(sl::parse_search_kind(kind), seed);
  for (int generation = 1; generation <= generations; ++generation) {
    search.step();
    const auto& best = search.best();
    std::printf(
        "{\"search\": \"%s\", \"seed\": %llu, \"genomes\": %zu, "
        "\"reference\": %.4f, \"best\": %.4f, \"spread\": %.4f, "
        "\"wavelets\": \"%s\"}\n",
        kind.c_str(),
        static_cast<unsigned long long>(seed),
        search.history().size(),
        search.history()[0].score.loss,
        best.score.loss,
        search.spread(best),
        best.basis.wavelets().c_str());
    std::fflush(stdout);
  }
}

/// Whether a short search finds something better than db4.
bool demonstrate() {
  auto search = make_search(sl::SearchKind::Evolve, 1);
  for (int generation = 0; generation < 6; ++generation) {
    search.step();
  }
  const auto wavelets = search.best().basis.wavelets();
  double mine = 0, reference = 0;
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    const auto fixed = sl::FilterTraining::Fixed;
    mine += loss_on_new_signals(wavelets, fixed, seed, 100) / 3;
    reference += loss_on_new_signals("db4", fixed, seed, 100) / 3;
  }
  std::printf(
      "error on new signals: db4 %.2f dB, evolved %.2f dB\n%s\n",
      reference,
      mine,
      wavelets.c_str());
  return mine < reference;
}

int run(const std::vector<std::string>& words) {
  const auto number = [&](size_t i) {
    return static_cast<int>(std::strtol(words[i].c_str(), nullptr, 10));
  };
  if (words.empty()) {
    return demonstrate() ? 0 : 1;
  }
  if (words.size() == 4 && words[0] == "search") {
    search(words[1], static_cast<uint64_t>(number(2)), number(3));
    return 0;
  }
  if (words.size() == 5 && words[0] == "train") {
    const auto training = sl::parse_filter_training(words[1]);
    std::printf(
        "{\"loss\": %.5f}\n",
        loss_on_new_signals(
            words[2], training, static_cast<uint64_t>(number(3)), number(4)));
    return 0;
  }
  std::fprintf(
      stderr,
      "signalllm_denoise: without words a demonstration; or search "
      "evolve|random SEED GENERATIONS; or train fixed|learned|lattice WAVELETS "
      "SEED STEPS\n");
  return 2;
}

} // namespace

int main(int argc, char** argv) {
  torch::set_num_threads(1);
  try {
    return run({argv + 1, argv + argc});
  } catch (const c10::Error& error) {
    std::fprintf(
        stderr, "signalllm_denoise: %s\n", error.what_without_backtrace());
    return 1;
  }
}

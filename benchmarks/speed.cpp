#include "baseline.h"

#include "app/session.h"

#include <signalllm/nn/decoder.h>
#include <signalllm/training/trainer.h>

#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <torch/csrc/autograd/profiler_kineto.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <numeric>
#include <utility>
#include <vector>

namespace signalllm::benchmarks {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void wait(c10::Device device) {
  if (!device.is_cpu()) {
    at::accelerator::synchronizeDevice(at::accelerator::getDeviceIndex());
  }
}

/// Largest number of bytes in tensors since the last call; 0 on the CPU.
int64_t peak_bytes(c10::Device device) {
  if (device.is_cpu()) {
    return 0;
  }
  const auto index = at::accelerator::getDeviceIndex();
  const auto stats = at::accelerator::getDeviceStats(index);
  at::accelerator::resetPeakStats(index);
  return stats.allocated_bytes[0].peak;
}

/// One step's kernels in Chrome's trace format.
void write_trace(training::Trainer& trainer, const std::string& path) {
  using namespace torch::autograd::profiler;
  const torch::profiler::impl::ProfilerConfig config(
      torch::profiler::impl::ProfilerState::KINETO);
  const std::set<torch::profiler::impl::ActivityType> activities{
      torch::profiler::impl::ActivityType::CPU,
      torch::profiler::impl::ActivityType::CUDA};
  prepareProfiler(config, activities);
  enableProfiler(config, activities);
  trainer.step();
  trainer.report();
  disableProfiler()->save(path);
}

double median(std::vector<double> values) {
  std::nth_element(
      values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

} // namespace

int run_speed(const app::Words& words) {
  app::Settings s;
  std::string kind = "signalllm", trace;
  if (const auto code = parse(
          "speed",
          "Times training steps on random bytes.",
          words,
          s,
          &kind,
          &trace)) {
    return *code;
  }
  app::check(s);
  app::set_threads(s.threads);
  const auto device = app::choose_device(s.device);
  at::manual_seed(s.seed);
  const auto model = make(kind, s, 256, device);
  const auto tokens = at::randint(256, {4 << 20}, at::kLong).to(at::kByte);
  training::Trainer trainer(
      model.module,
      model.forward,
      data::RandomWindows(tokens, s.context, s.seed),
      app::trainer_options(s));
  peak_bytes(device);
  for (int i = 0; i < 6; ++i) { // sets things up, and records
    trainer.step();
  }
  trainer.report();
  const auto peak = peak_bytes(device);
  if (!trace.empty()) {
    write_trace(trainer, trace);
  }
  // Five runs of steps, the median of their times.
  std::vector<double> times;
  for (int i = 0; i < 5; ++i) {
    wait(device);
    const auto start = Clock::now();
    for (int64_t step = 0; step < s.steps; ++step) {
      trainer.step();
    }
    wait(device);
    times.push_back(since(start) / static_cast<double>(s.steps));
  }
  const auto step = median(times);
  const auto count = s.batch * s.accumulate * s.context;
  fmt::print(
      "{}\n",
      Json{
          {"kind", kind},
          {"parameters", model.parameters},
          {"context", s.context},
          {"tokens_a_step", count},
          {"ms_a_step", step * 1e3},
          {"tokens_per_second", static_cast<double>(count) / step},
          {"peak_mib", static_cast<double>(peak) / (1 << 20)}}
          .dump());
  return 0;
}

namespace {

/// A state that has read `position` random tokens.
SignalLLMState
read_text(SignalLLM& model, const app::Settings& s, int64_t position) {
  const auto like =
      at::device(model->parameters().front().device()).dtype(at::kLong);
  auto state = model->make_state(s.batch);
  for (int64_t at = 0; at < position; at += s.context) {
    model->forward_incremental(
        at::randint(256, {s.batch, s.context}, like), state);
  }
  return state;
}

/// Seconds of `count` tokens, each drawn and read back, after a few that set
/// things up, and record.
std::vector<double> token_times(Decoder& decoder, int64_t count) {
  const auto& state = decoder.state();
  auto next = at::zeros(
      {state.batch}, at::device(state.embedding.device()).dtype(at::kLong));
  std::vector<double> times;
  for (int64_t i = -8; i < count; ++i) {
    const auto start = Clock::now();
    next = sample(decoder.step(next), {});
    next.to(at::kCPU);
    if (i >= 0) {
      times.push_back(since(start));
    }
  }
  return times;
}

} // namespace

int run_generation(const app::Words& words) {
  app::Settings s;
  if (const auto code = parse(
          "generation",
          "Times single tokens after --context of them and after 64 times as "
          "many: each step launched part by part, and recorded where the "
          "device records.",
          words,
          s)) {
    return *code;
  }
  app::check(s);
  app::set_threads(s.threads);
  const auto device = app::choose_device(s.device);
  at::manual_seed(s.seed);
  auto model = app::make_model(app::model_options(s, 256), device);
  if (s.precision == "bfloat16") {
    model->to(at::kBFloat16);
  }
  model->eval();
  const at::NoGradGuard no_grad;
  for (const int64_t position : {s.context, 64 * s.context}) {
    for (const bool record : {false, true}) {
      auto state = read_text(model, s, position);
      const auto bytes = state.bytes();
      Decoder decoder(*model, std::move(state), record);
      if (record && !decoder.records()) {
        continue;
      }
      // Two windows of the tree, so that the mean has what their ends cost.
      const auto times = token_times(
          decoder, std::max<int64_t>(128, 2 * model->options.window()));
      fmt::print(
          "{}\n",
          Json{
              {"parameters", model->num_parameters()},
              {"batch", s.batch},
              {"precision", s.precision},
              {"position", position},
              {"recorded", record},
              {"ms_a_token", median(times) * 1e3},
              {"mean_ms_a_token",
               std::accumulate(times.begin(), times.end(), 0.0) /
                   static_cast<double>(times.size()) * 1e3},
              {"state_bytes", bytes}}
              .dump());
      std::fflush(stdout);
    }
  }
  return 0;
}

} // namespace signalllm::benchmarks

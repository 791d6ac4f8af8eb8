#include "baseline.h"

#include "app/session.h"

#include <signalllm/training/trainer.h>

#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/randint.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <torch/csrc/autograd/profiler_kineto.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
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

int64_t bytes_of(const at::Tensor& t) {
  return t.defined() ? static_cast<int64_t>(t.nbytes()) : 0;
}

int64_t bytes_of(const CausalFilterState& state) {
  int64_t bytes = 0;
  for (const auto& t : state.history) {
    bytes += bytes_of(t);
  }
  return bytes;
}

/// What grows or not with the text: without the weights' copies.
int64_t bytes_of(const SignalLLMState& state) {
  int64_t bytes = 0;
  for (const auto& block : state.blocks) {
    const auto& attention = block.attention;
    if (attention.keys.defined()) {
      bytes += bytes_of(attention.keys.slice(2, 0, attention.length)) +
          bytes_of(attention.values.slice(2, 0, attention.length));
    }
    bytes += attention.tree.bytes() + bytes_of(attention.filter) +
        bytes_of(block.fourier.filter) + bytes_of(block.fourier.real) +
        bytes_of(block.fourier.imaginary) + bytes_of(block.feed_forward.filter);
  }
  return bytes;
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

int run_generation(const app::Words& words) {
  app::Settings s;
  if (const auto code = parse(
          "generation",
          "Times single tokens after --context of them and after 64 times as "
          "many.",
          words,
          s)) {
    return *code;
  }
  app::check(s);
  app::set_threads(s.threads);
  const auto device = app::choose_device(s.device);
  at::manual_seed(s.seed);
  auto model = app::make_model(app::model_options(s, 256), device);
  model->eval();
  const at::NoGradGuard no_grad;
  const auto like = at::device(device).dtype(at::kLong);
  for (const int64_t position : {s.context, 64 * s.context}) {
    auto state = model->make_state(s.batch);
    for (int64_t at = 0; at < position; at += s.context) {
      model->forward_incremental(
          at::randint(256, {s.batch, s.context}, like), state);
    }
    const auto bytes = bytes_of(state);
    std::vector<double> times;
    for (int64_t i = 0; i < 100; ++i) {
      const auto token = at::randint(256, {s.batch, 1}, like);
      wait(device);
      const auto start = Clock::now();
      model->forward_incremental(token, state);
      wait(device);
      times.push_back(since(start));
    }
    fmt::print(
        "{}\n",
        Json{
            {"parameters", model->num_parameters()},
            {"batch", s.batch},
            {"position", position},
            {"ms_a_token", median(times) * 1e3},
            {"state_bytes", bytes}}
            .dump());
    std::fflush(stdout);
  }
  return 0;
}

} // namespace signalllm::benchmarks

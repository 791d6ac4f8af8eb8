// Where there is no Gloo, one process trains.

#include <signalllm/training/distributed.h>

#include "training/backend.h"
#include "training/gradient_reduction.h"

#include <c10/util/Exception.h>

#include <cstdlib>
#include <cstring>

namespace signalllm::training {
namespace {

[[noreturn]] void refuse() {
  TORCH_CHECK(false, "several processes can train together on Linux only");
}

} // namespace

struct Processes::Parts {};

std::optional<ProcessPlace> ProcessPlace::from_environment() {
  const char* count = std::getenv("WORLD_SIZE");
  if (count != nullptr && std::strcmp(count, "1") != 0) {
    refuse();
  }
  return {};
}

Processes::Processes(const ProcessPlace& place, std::chrono::seconds)
    : place_(place) {
  refuse();
}

Processes::~Processes() = default;

c10::Device Processes::use(c10::Device) {
  refuse();
}

int64_t Processes::least(int64_t) {
  refuse();
}

std::string Processes::share(const std::string&) {
  refuse();
}

void Processes::broadcast(const std::vector<at::Tensor>&) {
  refuse();
}

void Processes::sum(const at::Tensor&) {
  refuse();
}

void Processes::together(const std::function<void()>&) {
  refuse();
}

void Processes::finish() {
  refuse();
}

void register_backend(c10::DeviceType, MakeBackend) {}

GradientReduction::GradientReduction(
    std::shared_ptr<Processes>,
    const torch::nn::Module&) {
  refuse();
}

GradientReduction::~GradientReduction() = default;

void GradientReduction::begin() {
  refuse();
}

void GradientReduction::backward(const at::Tensor&) {
  refuse();
}

Reduction GradientReduction::report() const {
  refuse();
}

} // namespace signalllm::training

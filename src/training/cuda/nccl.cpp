// Part of the plug-in: processes that send what is on the GPU through NCCL.

#include "training/backend.h"

#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

namespace signalllm::training {
namespace {

c10::intrusive_ptr<c10d::Backend> make_nccl(
    const c10::intrusive_ptr<c10d::Store>& store,
    int rank,
    int count,
    std::chrono::milliseconds timeout) {
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = timeout;
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(
      store, rank, count, options);
}

[[maybe_unused]] const bool registered = [] {
  register_backend(c10::kCUDA, make_nccl);
  return true;
}();

} // namespace
} // namespace signalllm::training

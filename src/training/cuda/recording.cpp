// Part of the plug-in: recordings as CUDA graphs.

#include "training/recording.h"

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

namespace signalllm::training {
namespace {

class CudaRecording final : public Recording {
 public:
  explicit CudaRecording(c10::Device device)
      : device_(device), stream_(c10::cuda::getStreamFromPool(
                             /*isHighPriority=*/false,
                             device.index())) {}

  void rehearse(const std::function<void()>& work) override {
    const c10::cuda::CUDAGuard guard(device_);
    const auto current = c10::cuda::getCurrentCUDAStream(device_.index());
    wait(stream_, current);
    {
      const c10::cuda::CUDAStreamGuard on(stream_);
      work();
    }
    wait(current, stream_);
  }

  void record(const std::function<void()>& work) override {
    // The recording has memory of its own; the rehearsals' goes back.
    C10_CUDA_CHECK(cudaDeviceSynchronize());
    graph_.reset(); // of what was recorded before
    c10::cuda::CUDACachingAllocator::emptyCache();
    rehearse([&] {
      // Other threads (autograd's) may call what a capture forbids.
      graph_.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
      try {
        work();
      } catch (...) {
        try {
          graph_.capture_end();
        } catch (...) { // the first error says more
        }
        throw;
      }
      graph_.capture_end();
    });
  }

  void replay() override {
    const c10::cuda::CUDAGuard guard(device_);
    graph_.replay();
  }

 private:
  static void wait(c10::cuda::CUDAStream later, c10::cuda::CUDAStream earlier) {
    cudaEvent_t event = nullptr;
    C10_CUDA_CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    C10_CUDA_CHECK(cudaEventRecord(event, earlier));
    C10_CUDA_CHECK(cudaStreamWaitEvent(later, event));
    C10_CUDA_CHECK(cudaEventDestroy(event)); // once it has happened
  }

  c10::Device device_;
  c10::cuda::CUDAStream stream_;
  at::cuda::CUDAGraph graph_;
};

[[maybe_unused]] const bool registered = [] {
  register_recording(c10::kCUDA, [](c10::Device device) {
    return std::unique_ptr<Recording>(new CudaRecording(device));
  });
  return true;
}();

} // namespace
} // namespace signalllm::training

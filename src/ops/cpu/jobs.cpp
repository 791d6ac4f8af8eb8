#include "ops/cpu/jobs.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <new>

namespace signalllm::ops::cpu {

void run_jobs(
    int64_t jobs,
    int64_t cost,
    const std::function<void(int64_t)>& job) {
  // Waking a thread costs about what a few thousand values do.
  constexpr int64_t kGrainValues = 16 * 1024;
  const int64_t grain =
      std::max<int64_t>(1, kGrainValues / std::max<int64_t>(1, cost));
  at::parallel_for(0, jobs, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      job(i);
    }
  });
}

int64_t available_threads() {
  return at::in_parallel_region() ? 1 : at::get_num_threads();
}

void AlignedDelete::operator()(char* p) const {
  ::operator delete[](p, std::align_val_t{64});
}

AlignedMemory aligned_memory(size_t bytes) {
  return AlignedMemory(static_cast<char*>(
      ::operator new[](std::max<size_t>(bytes, 64), std::align_val_t{64})));
}

Scratch::Scratch(size_t bytes) {
  // A rare call that needs much more gives it back afterwards.
  constexpr size_t kKept = size_t{1} << 20;
  thread_local AlignedMemory memory;
  thread_local size_t size = 0;
  if (bytes > size || (size > kKept && bytes <= kKept)) {
    memory.reset();
    size = 0;
    const size_t wanted =
        bytes > kKept ? bytes : (bytes + 65535) / 65536 * 65536;
    memory = aligned_memory(wanted);
    size = wanted;
  }
  next_ = memory.get();
}

} // namespace signalllm::ops::cpu

#pragma once

#include <signalllm/training/trainer.h>

#include "free_port.h"
#include "training/small_model.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace signalllm::training {

/// Does the work in `count` threads that stand for processes.
inline void in_processes(
    int64_t count,
    const std::function<void(std::shared_ptr<Processes>)>& work) {
  // torch keeps a record of collectives for the process, which is not safe for
  // the groups of several threads.
  setenv("TORCH_FR_BUFFER_SIZE", "0", /*overwrite=*/1);
  const auto port = free_port();
  std::vector<std::thread> threads;
  for (int64_t rank = 0; rank < count; ++rank) {
    threads.emplace_back([=, &work] {
      ProcessPlace place;
      place.rank = rank;
      place.count = count;
      place.port = port;
      place.serves = rank == 0;
      try {
        work(std::make_shared<Processes>(place, std::chrono::seconds(60)));
      } catch (const std::exception& error) {
        ADD_FAILURE() << "process " << rank << ": " << error.what();
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
}

/// One process, or several.
inline void in_all(
    int64_t count,
    const std::function<void(std::shared_ptr<Processes>)>& work) {
  count == 1 ? work(nullptr) : in_processes(count, work);
}

inline data::RandomWindows small_windows() {
  return {torch::arange(500).remainder(11).to(torch::kByte), 8, 3};
}

inline TrainerOptions small_options() {
  return TrainerOptions()
      .batch(12)
      .schedule(ScheduleOptions().peak(0.02).warmup(5).steps(50))
      .average(0.9);
}

/// Weights of rank `rank` differ before the trainer makes them alike.
inline SmallModel model_of(
    const std::shared_ptr<Processes>& processes,
    double rate) {
  static std::mutex mutex; // of the generator that all threads share
  const std::lock_guard lock(mutex);
  torch::manual_seed(processes ? processes->rank() : 0);
  return SmallModel(11, rate);
}

} // namespace signalllm::training

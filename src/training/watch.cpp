#include "training/watch.h"

#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

#include <cstdio>

#include <unistd.h>

namespace signalllm::training {
namespace {

constexpr int tag = 4711; // of farewells
constexpr std::chrono::hours forever(24 * 365);
constexpr std::chrono::seconds grace(10);

std::vector<at::Tensor> token() {
  return {at::zeros({1})};
}

} // namespace

Watch::Watch(
    c10::intrusive_ptr<c10d::Backend> backend,
    const ProcessPlace& place,
    std::chrono::seconds timeout)
    : backend_(std::move(backend)), rank_(static_cast<int>(place.rank)),
      count_(static_cast<int>(place.count)), timeout_(timeout) {
  auto letter = token();
  farewell_ = backend_->recv(letter, (rank_ + 1) % count_, tag);
  thread_ = std::thread([this] { run(); });
}

Watch::~Watch() {
  {
    const std::lock_guard lock(mutex_);
    leaving_ = true;
  }
  changed_.notify_all();
  farewell_->abort();
  thread_.join();
}

void Watch::run() {
  try {
    farewell_->wait(forever);
    const std::lock_guard lock(mutex_);
    heard_ = true;
    changed_.notify_all();
    return;
  } catch (const std::exception&) {
    // The connection is gone.
  }
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, grace, [this] { return leaving_; })) {
    std::fputs(("signalllm: " + message() + "\n").c_str(), stderr);
    ::_exit(1);
  }
}

void Watch::farewell() {
  auto letter = token();
  backend_->send(letter, (rank_ + count_ - 1) % count_, tag)->wait();
  std::unique_lock lock(mutex_);
  TORCH_CHECK_WITH(
      DistBackendError,
      changed_.wait_for(lock, timeout_, [this] { return heard_; }),
      message());
}

std::string Watch::message() const {
  return c10::str(
      "lost contact with another of the ",
      count_,
      " processes: it has ended, or did not answer for ",
      timeout_.count(),
      " s; started again, all go on from the last checkpoint");
}

} // namespace signalllm::training

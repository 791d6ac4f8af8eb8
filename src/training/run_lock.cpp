#include <signalllm/training/checkpoint.h>

#include <c10/util/Exception.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace signalllm::training {
namespace {

/// The process that wrote its number into the file.
std::string owner(int descriptor) {
  char text[32] = {};
  const auto size = ::pread(descriptor, text, sizeof text - 1, 0);
  return size > 0 ? "process " + std::string(text, static_cast<size_t>(size))
                  : "another process";
}

} // namespace

RunLock::RunLock(const std::string& folder) {
  const auto path = folder + "/.lock";
  // The system lets go of the lock however the process ends. The file stays:
  // removing it would let two processes lock two files of one name.
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  TORCH_CHECK(
      descriptor_ >= 0,
      "RunLock: cannot write ",
      path,
      ": ",
      std::strerror(errno));
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    const auto reason = errno;
    const auto holder = owner(descriptor_);
    ::close(std::exchange(descriptor_, -1));
    TORCH_CHECK(
        reason != EWOULDBLOCK,
        "RunLock: the folder ",
        folder,
        " is being written by ",
        holder,
        "; wait until that has ended, or choose another --out");
    return; // a file system without locks: two writers are not noticed
  }
  const auto number = std::to_string(::getpid());
  if (::ftruncate(descriptor_, 0) == 0) {
    // Only for the message above: the lock holds without it.
    [[maybe_unused]] const auto written =
        ::pwrite(descriptor_, number.data(), number.size(), 0);
  }
}

RunLock::RunLock(RunLock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

RunLock& RunLock::operator=(RunLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

RunLock::~RunLock() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
}

} // namespace signalllm::training

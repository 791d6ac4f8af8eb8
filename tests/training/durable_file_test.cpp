// Disks that report errors, and what stands on them at every moment: the
// system's calls are watched on their way.

#include <signalllm/training/checkpoint.h>

#include "messages.h"
#include "temporary_folder.h"

#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdio>
#include <functional>

#ifdef __linux__

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

int folder_error = 0; // of fsync on folders, 0 for none
std::function<void()>* before_rename = nullptr;

} // namespace

extern "C" __attribute__((visibility("default"))) int fsync(int descriptor) {
  struct stat status {};
  if (folder_error != 0 && ::fstat(descriptor, &status) == 0 &&
      S_ISDIR(status.st_mode)) {
    errno = folder_error;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_fsync, descriptor));
}

extern "C" __attribute__((visibility("default"))) int rename(
    const char* from,
    const char* to) noexcept {
  if (before_rename != nullptr) {
    (*before_rename)();
  }
  return static_cast<int>(
      ::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}

namespace signalllm::training {
namespace {

TEST(DurableFile, AnErrorOfTheFoldersDiskIsAnError) {
  const TemporaryFolder folder;
  const RunFolder run(folder.path());
  const auto write = [&](int error) {
    folder_error = error;
    const auto message = message_of([&] { run.write_text("a.txt", "text"); });
    folder_error = 0;
    return message;
  };
  EXPECT_EQ(write(0), "");
  EXPECT_EQ(write(EINVAL), ""); // a file system that does not know it
  EXPECT_EQ(write(ENOTSUP), "");
  const auto message = write(EIO);
  EXPECT_TRUE(
      contains(message, "RunFolder: cannot sync the folder " + folder.path()))
      << message;
  EXPECT_TRUE(contains(message, "Input/output error")) << message;
}

TEST(DurableFile, ACheckpointIsThereWhileItIsReplaced) {
  const TemporaryFolder folder;
  const RunFolder run(folder.path());
  run.write_text("config.json", "{}");
  Checkpoint checkpoint;
  checkpoint.step = 5;
  const auto save = [&](int value) {
    checkpoint.model["x"] = at::full({8}, value);
    run.save(checkpoint);
  };
  const auto value = [&] {
    return run.load_latest().model.at("x")[0].item<int>();
  };
  save(1);
  int looks = 0;
  std::function<void()> look = [&] {
    ++looks;
    EXPECT_EQ(run.checkpoints(), (std::vector<int64_t>{5}));
    EXPECT_EQ(value(), 1) << looks;
  };
  before_rename = &look;
  save(2);
  before_rename = nullptr;
  EXPECT_GE(looks, 4); // three files, and the folder
  EXPECT_EQ(value(), 2);
  // Killed between two renamings.
  const std::string name = "checkpoint-00000005";
  std::rename((folder / name).c_str(), (folder / ("replaced-" + name)).c_str());
  EXPECT_EQ(value(), 2);
  save(3);
  EXPECT_EQ(value(), 3);
  EXPECT_FALSE(std::filesystem::exists(folder / ("replaced-" + name)));
}

} // namespace
} // namespace signalllm::training

#else

namespace signalllm::training {

TEST(DurableFile, WatchingTheSystem) {
  GTEST_SKIP() << "only where a program can stand before the C library";
}

} // namespace signalllm::training

#endif

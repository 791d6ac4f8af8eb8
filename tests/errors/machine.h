#pragma once

#include "errors/page.h"

#include <cerrno>
#include <csignal>
#include <string>

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/mount.h>
#endif

namespace signalllm::test {

/// While it lives nobody may read `path`, the superuser neither: permissions
/// do not bind him, so this process becomes somebody else.
class Unreadable {
 public:
  explicit Unreadable(std::string path) : path_(std::move(path)) {
    ::chmod(path_.c_str(), 0);
    if (was_ == 0 && ::seteuid(65534) != 0) {
      ::chmod(path_.c_str(), 0755);
      throw CannotBeTriedHere();
    }
  }
  ~Unreadable() {
    if (was_ == 0 && ::seteuid(0) != 0) {
      std::abort();
    }
    ::chmod(path_.c_str(), 0755);
  }
  Unreadable(const Unreadable&) = delete;
  Unreadable& operator=(const Unreadable&) = delete;

 private:
  std::string path_;
  uid_t was_ = ::geteuid();
};

/// A disk of `kilobytes` mounted on `path` while it lives.
class SmallDisk {
 public:
  SmallDisk(std::string path, int kilobytes) : path_(std::move(path)) {
    ::mkdir(path_.c_str(), 0755);
#ifdef __linux__
    const auto size = "size=" + std::to_string(kilobytes) + "k";
    if (::mount("tmpfs", path_.c_str(), "tmpfs", 0, size.c_str()) == 0) {
      return;
    }
#endif
    throw CannotBeTriedHere();
  }
  ~SmallDisk() {
#ifdef __linux__
    ::umount2(path_.c_str(), MNT_DETACH);
#endif
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

 private:
  std::string path_;
};

/// While it lives neither this process nor one it starts can make a file
/// longer than `bytes`.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    auto limit = before_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  struct rlimit before_ {};
  void (*handler_)(int);
};

} // namespace signalllm::test

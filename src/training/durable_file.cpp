#include "training/durable_file.h"

#include <c10/util/Exception.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace signalllm::training {
namespace {

[[noreturn]] void
fail(const std::string& who, const char* verb, const std::string& path) {
  const auto* reason = std::strerror(errno);
  TORCH_CHECK(false, who, ": cannot ", verb, " ", path, ": ", reason);
}

} // namespace

DurableFile::DurableFile(std::string who, std::string path)
    : who_(std::move(who)), path_(std::move(path)),
      temporary_(path_ + ".tmp-" + std::to_string(::getpid())),
      descriptor_(
          ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644)) {
  if (descriptor_ < 0) {
    fail(who_, "write", path_);
  }
}

DurableFile::~DurableFile() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
    ::unlink(temporary_.c_str());
  }
}

void DurableFile::write(const void* data, std::size_t size) {
  const auto* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const auto written = ::write(descriptor_, bytes, size);
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written < 0) {
      fail(who_, "write", path_);
    }
    bytes += written;
    size -= written;
  }
}

void DurableFile::commit() {
  if (::fsync(descriptor_) != 0 ||
      ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    fail(who_, "write", path_);
  }
  ::close(descriptor_);
  descriptor_ = -1;
  const auto parent = std::filesystem::path(path_).parent_path().string();
  sync_folder(who_, parent.empty() ? "." : parent);
}

void write_durably(
    const std::string& who,
    const std::string& path,
    std::string_view text) {
  DurableFile file(who, path);
  file.write(text.data(), text.size());
  file.commit();
}

void sync_folder(const std::string& who, const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY);
  if (descriptor < 0) {
    fail(who, "open the folder", path);
  }
  // Some file systems do not know it for folders: no matter.
  const bool synced =
      ::fsync(descriptor) == 0 || errno == EINVAL || errno == ENOTSUP;
  const int reason = errno;
  ::close(descriptor);
  if (!synced) {
    errno = reason;
    fail(who, "sync the folder", path);
  }
}

MappedFile::MappedFile(const std::string& who, const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY);
  struct stat status {};
  if (descriptor < 0 || ::fstat(descriptor, &status) != 0) {
    fail(who, "read", path);
  }
  if (S_ISDIR(status.st_mode)) {
    ::close(descriptor);
    errno = EISDIR;
    fail(who, "read", path);
  }
  size_ = status.st_size;
  if (size_ > 0) {
    void* address = ::mmap(
        nullptr,
        static_cast<std::size_t>(size_),
        PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_NORESERVE, // files may be larger than memory
        descriptor,
        0);
    ::close(descriptor);
    if (address == MAP_FAILED) {
      fail(who, "map", path);
    }
    data_ = static_cast<char*>(address);
  } else {
    ::close(descriptor);
  }
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) {
    ::munmap(data_, static_cast<std::size_t>(size_));
  }
}

uint32_t crc32c(std::string_view bytes) {
  // Slicing by eight (Kounavis and Berry, 2005): eight tables of 256.
  static const auto tables = [] {
    std::array<std::array<uint32_t, 256>, 8> t{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) {
        value = value >> 1 ^ (value & 1 ? 0x82F63B78U : 0U);
      }
      t[0][i] = value;
    }
    for (uint32_t i = 0; i < 256; ++i) {
      for (int k = 1; k < 8; ++k) {
        t[k][i] = t[k - 1][i] >> 8 ^ t[0][t[k - 1][i] & 0xFF];
      }
    }
    return t;
  }();
  uint32_t crc = 0xFFFFFFFF;
  const char* p = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, p += 8) {
    uint64_t word = 0;
    std::memcpy(&word, p, 8);
    word ^= crc;
    crc = 0;
    for (int k = 0; k < 8; ++k) {
      crc ^= tables[7 - k][word >> (8 * k) & 0xFF];
    }
  }
  for (; left > 0; --left, ++p) {
    crc = crc >> 8 ^ tables[0][(crc ^ static_cast<unsigned char>(*p)) & 0xFF];
  }
  return ~crc;
}

} // namespace signalllm::training

#pragma once

#include <signalllm/export.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace signalllm::training {

/// A file that appears under its name whole or not at all: written under a
/// temporary name, synced, then renamed by `commit`. Without `commit` nothing
/// is left behind. Failures throw `c10::Error` that begins with `who`, the
/// function that the user called, and names the path and the reason.
class DurableFile {
 public:
  DurableFile(std::string who, std::string path);
  ~DurableFile();
  DurableFile(const DurableFile&) = delete;
  DurableFile& operator=(const DurableFile&) = delete;

  void write(const void* data, std::size_t size);
  void commit();

 private:
  std::string who_;
  std::string path_;
  std::string temporary_;
  int descriptor_;
};

void write_durably(
    const std::string& who,
    const std::string& path,
    std::string_view text);

/// Makes a renaming inside the folder survive a power failure. Throws where the
/// disk reports an error.
void sync_folder(const std::string& who, const std::string& path);

/// A file mapped privately: reading is on demand, writing stays in memory.
class MappedFile {
 public:
  MappedFile(const std::string& who, const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  char* data() const {
    return data_;
  }
  int64_t size() const {
    return size_;
  }

 private:
  char* data_ = nullptr;
  int64_t size_ = 0;
};

/// CRC-32C (Castagnoli), the checksum of iSCSI and of TensorBoard's records.
SIGNALLLM_API uint32_t crc32c(std::string_view bytes);

} // namespace signalllm::training

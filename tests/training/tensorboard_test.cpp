#include "training/tensorboard.h"

#include "temporary_folder.h"
#include "training/durable_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

namespace signalllm::training {
namespace {

TEST(TensorBoard, ChecksumsAsPublished) {
  // RFC 3720, B.4, and the usual check of a CRC.
  EXPECT_EQ(crc32c("123456789"), 0xe3069283U);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aaU);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43U);
  std::string ascending;
  for (char byte = 0; byte < 32; ++byte) {
    ascending += byte;
  }
  EXPECT_EQ(crc32c(ascending), 0x46dd794eU);
  EXPECT_EQ(crc32c(""), 0U);
}

TEST(TensorBoard, ARecordHasItsFrame) {
  // The first 12 bytes of every event file that TensorFlow wrote.
  const auto record = tfrecord(std::string(24, 'x'));
  EXPECT_EQ(record.size(), 8U + 4 + 24 + 4);
  EXPECT_EQ(
      record.substr(0, 12),
      std::string("\x18\0\0\0\0\0\0\0\xa3\x7f\x4b\x22", 12));
  EXPECT_EQ(record.substr(12, 24), std::string(24, 'x'));
}

TEST(TensorBoard, AFileBeginsWithItsVersionAndTheStep) {
  const TemporaryFolder folder;
  EventFile events(folder.path(), 6);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  events.scalar(7, "loss", 1.5);
  const auto name =
      std::filesystem::directory_iterator(folder.path())->path().filename();
  EXPECT_TRUE(name.string().starts_with("events.out.tfevents."));
  const auto text = folder.read(name);
  // Each record: 12 bytes, the event, 4 bytes. An event begins with the 9 bytes
  // of its time, then the step in 2.
  EXPECT_EQ(text.substr(12 + 9, 15), std::string("\x1a\x0d") + "brain.Event:2");
  EXPECT_EQ(
      text.substr(40 + 12 + 9, 6), std::string("\x10\x07\x3a\x02\x08\x01"));
  EXPECT_EQ(
      text.substr(40 + 31 + 12 + 9, 17),
      std::string("\x10\x07\x2a\x0d\x0a\x0b\x0a\x04loss\x15\0\0\xc0\x3f", 17));
  EXPECT_EQ(text.size(), 40U + 31 + 12 + 9 + 17 + 4);
}

} // namespace
} // namespace signalllm::training

#include <signalllm/training/safetensors.h>

#include "temporary_folder.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/tensor.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace signalllm::training {
namespace {

SafeTensors some_tensors() {
  SafeTensors file;
  for (const auto dtype :
       {at::kDouble,
        at::kFloat,
        at::kHalf,
        at::kBFloat16,
        at::kLong,
        at::kInt,
        at::kShort,
        at::kChar,
        at::kByte,
        at::kBool,
        at::kComplexFloat}) {
    file.tensors[c10::toString(dtype)] = at::arange(6).view({2, 3}).to(dtype);
  }
  file.tensors["scalar"] = at::tensor(3.5);
  file.tensors["empty"] = at::empty({0, 4});
  file.tensors["transposed"] = at::rand({3, 5}).t();
  file.tensors["a name \"quoted\" \u20ac"] = at::ones({1});
  file.metadata["format"] = "pt";
  return file;
}

std::string with_header(const std::string& json, std::size_t data) {
  const uint64_t size = json.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &size, 8);
  return file + json + std::string(data, '\0');
}

TEST(SafeTensors, RoundTrip) {
  const TemporaryFolder folder;
  const auto before = some_tensors();
  save_safetensors(folder / "a.safetensors", before);
  const auto after = load_safetensors(folder / "a.safetensors");
  EXPECT_EQ(after.metadata, before.metadata);
  ASSERT_EQ(after.tensors.size(), before.tensors.size());
  for (const auto& [name, tensor] : before.tensors) {
    const auto& loaded = after.tensors.at(name);
    EXPECT_EQ(loaded.scalar_type(), tensor.scalar_type()) << name;
    EXPECT_EQ(loaded.sizes(), tensor.sizes()) << name;
    EXPECT_TRUE(loaded.equal(tensor)) << name;
  }
  // Nothing else lies in the folder: no temporary file is left.
  EXPECT_EQ(
      std::distance(
          std::filesystem::directory_iterator(folder.path()),
          std::filesystem::directory_iterator()),
      1);
}

TEST(SafeTensors, LoadedTensorsMayBeWrittenTo) {
  const TemporaryFolder folder;
  save_safetensors(folder / "a", {{{"x", at::ones({4})}}, {}});
  auto x = load_safetensors(folder / "a").tensors.at("x");
  x.add_(1); // the file's mapping lives in the tensor
  EXPECT_EQ(x.sum().item<float>(), 8);
  EXPECT_EQ(
      load_safetensors(folder / "a").tensors.at("x").sum().item<float>(), 4);
}

TEST(SafeTensors, TruncatedAnywhere) {
  const TemporaryFolder folder;
  save_safetensors(
      folder / "a", {{{"x", at::ones({3})}, {"y", at::ones({2})}}, {}});
  const auto whole = folder.read("a");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto path = folder.write("cut", whole.substr(0, size));
    try {
      load_safetensors(path);
      FAIL() << size << " of " << whole.size() << " bytes were accepted";
    } catch (const c10::Error& error) {
      EXPECT_NE(std::string(error.what()).find(path), std::string::npos);
    }
  }
  EXPECT_THROW(load_safetensors(folder.write("long", whole + "x")), c10::Error);
}

TEST(SafeTensors, DamagedHeadersNeverCrash) {
  const TemporaryFolder folder;
  save_safetensors(
      folder / "a", {{{"x", at::ones({3})}, {"y", at::ones({2})}}, {}});
  const auto whole = folder.read("a");
  // A flipped bit may leave a valid file (another name); it must never read
  // outside of it.
  for (std::size_t bit = 0; bit < (whole.size() - 20) * 8; ++bit) {
    auto damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    const auto path = folder.write("flipped", damaged);
    try {
      for (const auto& [name, tensor] : load_safetensors(path).tensors) {
        tensor.to(at::kDouble).sum();
      }
    } catch (const c10::Error&) {
    }
  }
}

TEST(SafeTensors, LyingHeadersAreRefused) {
  const TemporaryFolder folder;
  const char* const headers[] = {
      R"([])",
      R"({"x": 3})",
      R"({"x": {"dtype": "F32", "shape": [2]}})",
      R"({"x": {"dtype": "F99", "shape": [2], "data_offsets": [0, 8]}})",
      R"({"x": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}})",
      R"({"x": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}})",
      R"({"x": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}})",
      R"({"x": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}})",
      // Overflow, a gap, an overlap, a key twice.
      R"({"x": {"dtype": "F32", "shape": [4611686018427387906], "data_offsets": [0, 8]}})",
      R"({"x": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}})",
      R"({"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})",
      R"({"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
          "y": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}})",
      R"({"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
          "x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})",
      R"({"__metadata__": {"a": 1},
          "x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})"};
  for (const auto* header : headers) {
    EXPECT_THROW(
        load_safetensors(folder.write("a", with_header(header, 8))), c10::Error)
        << header;
  }
  const auto* good =
      R"({"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}} )";
  // A header of odd length: its tensor is not aligned and has to be copied.
  EXPECT_EQ(
      load_safetensors(folder.write("a", with_header(good, 8)))
          .tensors.at("x")
          .numel(),
      2);
}

TEST(SafeTensors, WhatCannotBeWrittenIsNamed) {
  const TemporaryFolder folder;
  EXPECT_THROW(
      save_safetensors(folder / "no/folder", some_tensors()), c10::Error);
  EXPECT_THROW(
      save_safetensors(folder / "a", {{{"x", at::Tensor()}}, {}}), c10::Error);
  EXPECT_THROW(load_safetensors(folder / "none"), c10::Error);
  EXPECT_THROW(load_safetensors(folder.path()), c10::Error);
}

} // namespace
} // namespace signalllm::training

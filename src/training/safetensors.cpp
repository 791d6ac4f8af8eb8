#include <signalllm/training/safetensors.h>

#include "training/durable_file.h"
#include "training/safetensors_header.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>

namespace signalllm::training {
namespace {

static_assert(
    std::endian::native == std::endian::little,
    "safetensors files are little-endian");

constexpr int64_t largest_header = 100'000'000; // the reference reader's limit

} // namespace

void save_safetensors(const std::string& path, const SafeTensors& file) {
  SafeTensorsHeader header;
  header.metadata = file.metadata;
  for (const auto& [name, tensor] : file.tensors) {
    TORCH_CHECK(
        tensor.defined() && name != "__metadata__",
        "save_safetensors: tensor '",
        name,
        "' cannot be saved");
    header.tensors.push_back(
        {name, tensor.scalar_type(), tensor.sizes().vec(), 0, 0});
  }
  std::stable_sort(
      header.tensors.begin(),
      header.tensors.end(),
      [](const auto& a, const auto& b) {
        return c10::elementSize(a.dtype) > c10::elementSize(b.dtype);
      });
  int64_t position = 0;
  for (auto& entry : header.tensors) {
    entry.begin = position;
    position += static_cast<int64_t>(file.tensors.at(entry.name).nbytes());
    entry.end = position;
  }
  const auto json = write_header(header);
  const uint64_t length = json.size();
  DurableFile out("save_safetensors", path);
  out.write(&length, sizeof length);
  out.write(json.data(), json.size());
  for (const auto& entry : header.tensors) {
    const auto tensor =
        file.tensors.at(entry.name).detach().to(at::kCPU).contiguous();
    out.write(tensor.const_data_ptr(), tensor.nbytes());
  }
  out.commit();
}

SafeTensors load_safetensors(const std::string& file_path) {
  const std::string who = "load_safetensors";
  const auto path = who + ": " + file_path; // what messages begin with
  const auto mapping = std::make_shared<MappedFile>(who, file_path);
  const auto size = mapping->size();
  uint64_t length = 0;
  TORCH_CHECK(
      size >= 8, path, ": truncated: ", size, " bytes, the header needs 8");
  std::memcpy(&length, mapping->data(), sizeof length);
  TORCH_CHECK(
      length <= largest_header,
      path,
      ": damaged, or not a safetensors file: a header of ",
      length,
      " bytes");
  TORCH_CHECK(
      static_cast<int64_t>(length) <= size - 8,
      path,
      ": truncated: a header of ",
      length,
      " bytes in a file of ",
      size);
  auto* data = mapping->data() + 8 + length;
  const auto header = parse_header(
      path,
      {mapping->data() + 8, length},
      size - 8 - static_cast<int64_t>(length));
  SafeTensors file;
  file.metadata = header.metadata;
  for (const auto& entry : header.tensors) {
    auto* start = data + entry.begin;
    at::Tensor tensor;
    const auto aligned =
        reinterpret_cast<uintptr_t>(start) % c10::elementSize(entry.dtype) == 0;
    if (aligned && entry.end > entry.begin) {
      tensor = at::from_blob(
          start, entry.shape, [mapping](void*) {}, entry.dtype);
    } else { // other writers need not align
      tensor = at::empty(entry.shape, entry.dtype);
      if (entry.end > entry.begin) {
        std::memcpy(tensor.data_ptr(), start, entry.end - entry.begin);
      }
    }
    file.tensors.emplace(entry.name, std::move(tensor));
  }
  return file;
}

} // namespace signalllm::training

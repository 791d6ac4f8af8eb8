#pragma once

#include <signalllm/export.h>

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

namespace signalllm::training {

using TensorMap = std::map<std::string, at::Tensor>;

/// The content of a safetensors file
/// (https://github.com/huggingface/safetensors): named tensors and a few
/// strings beside them.
struct SIGNALLLM_API SafeTensors {
  TensorMap tensors;
  std::map<std::string, std::string> metadata;
};

/// Writes `file` aside, syncs it to the disk and renames it to `path`, so that
/// a reader sees the old file or the new one. Tensors of any device and any
/// strides; the widest types come first, which aligns all of them.
SIGNALLLM_API void save_safetensors(
    const std::string& path,
    const SafeTensors& file);

/// Maps the file into memory; the tensors are on the CPU, may be written to
/// (the file is not changed) and keep the mapping alive. Throws `c10::Error`
/// naming the file and the fault for one that is truncated, whose header is
/// damaged, or whose tensors overlap or leave gaps.
SIGNALLLM_API SafeTensors load_safetensors(const std::string& path);

} // namespace signalllm::training

#pragma once

#include <algorithm>
#include <iterator>
#include <string>

/// What the folder of an exported model is made of.
namespace signalllm::training {

inline constexpr const char* model_type = "signalllm";
inline constexpr const char* config_file = "config.json";
inline constexpr const char* weights_file = "model.safetensors";
inline constexpr const char* tokenizer_file = "tokenizer.json";
inline constexpr const char* pieces_file = "tokenizer.model";
inline constexpr const char* example_file = "example.safetensors";

/// All that an exported model may consist of.
inline constexpr const char* model_files[] =
    {config_file, weights_file, tokenizer_file, pieces_file, example_file};

template <typename Names>
bool is_among(const Names& names, const std::string& name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

} // namespace signalllm::training

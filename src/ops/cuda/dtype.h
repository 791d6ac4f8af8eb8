#pragma once

namespace signalllm::cuda {

enum class Dtype { float32, float64, float16, bfloat16 };

inline int size_of(Dtype type) {
  return type == Dtype::float64 ? 8 : type == Dtype::float32 ? 4 : 2;
}
inline int size_of_sum(Dtype type) {
  return type == Dtype::float64 ? 8 : 4;
}

} // namespace signalllm::cuda

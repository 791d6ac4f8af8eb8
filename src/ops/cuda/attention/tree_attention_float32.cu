#include "tree_launch.cuh"

namespace signalllm::cuda::tree {
template struct Launch<float>;
} // namespace signalllm::cuda::tree

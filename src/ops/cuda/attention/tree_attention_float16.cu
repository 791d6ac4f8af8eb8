#include "tree_launch.cuh"

namespace signalllm::cuda::tree {
template struct Launch<__half>;
} // namespace signalllm::cuda::tree

#include "tree_launch.cuh"

namespace signalllm::cuda::tree {
template struct Launch<__nv_bfloat16>;
} // namespace signalllm::cuda::tree

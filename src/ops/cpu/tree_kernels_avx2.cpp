#define SIGNALLLM_KERNELS avx2
#define SIGNALLLM_VECTOR_BYTES 32
#include "ops/cpu/tree_kernels_impl.h"

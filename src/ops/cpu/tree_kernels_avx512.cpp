#define SIGNALLLM_KERNELS avx512
#define SIGNALLLM_VECTOR_BYTES 64
#include "ops/cpu/tree_kernels_impl.h"

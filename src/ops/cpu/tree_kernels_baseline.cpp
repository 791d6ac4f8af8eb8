#define SIGNALLLM_KERNELS baseline
#define SIGNALLLM_VECTOR_BYTES 16
#include "ops/cpu/tree_kernels_impl.h"

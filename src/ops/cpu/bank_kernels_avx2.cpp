#define SIGNALLLM_KERNELS avx2
#define SIGNALLLM_VECTOR_BYTES 32
#include "ops/cpu/bank_kernels_impl.h"

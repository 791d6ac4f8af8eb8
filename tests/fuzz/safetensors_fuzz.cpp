// A file of weights: any bytes.
#include "fuzz/scratch.h"

#include <signalllm/training/safetensors.h>

#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>

#include <cstdint>

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace signalllm;
  const auto path =
      fuzz::write("a", {reinterpret_cast<const char*>(data), size});
  try {
    // Reads every byte of every tensor.
    volatile uint8_t seen = 0;
    for (const auto& [name, tensor] :
         training::load_safetensors(path).tensors) {
      const auto* bytes = static_cast<const uint8_t*>(tensor.const_data_ptr());
      for (size_t i = 0; i < tensor.nbytes(); ++i) {
        seen = seen ^ bytes[i];
      }
    }
  } catch (const c10::Error&) {
  }
  return 0;
}

// Part of libsignalllm: loads the plug-in with the CUDA kernels that lies
// beside it, where the process has torch's CUDA library already or the machine
// has an NVIDIA device. With SIGNALLLM_NO_CUDA set it stays out, and CUDA
// tensors, if there are any, take the composite path.

#include <cstdlib>
#include <filesystem>

#if defined(__linux__)
#include <dlfcn.h>

namespace {

bool cuda_is_there() {
  // Loading torch's CUDA library takes a second: not without a device.
  std::error_code ignored;
  return dlopen("libtorch_cuda.so", RTLD_NOLOAD | RTLD_LAZY) != nullptr ||
      std::filesystem::exists("/dev/nvidiactl", ignored) ||
      std::filesystem::exists("/dev/dxg", ignored);
}

void load() {
  if (std::getenv("SIGNALLLM_NO_CUDA") != nullptr || !cuda_is_there()) {
    return;
  }
  Dl_info self{};
  if (dladdr(reinterpret_cast<void*>(&load), &self) == 0) {
    return;
  }
  const auto plugin = std::filesystem::path(self.dli_fname)
                          .replace_filename("libsignalllm_cuda.so");
  std::error_code ignored;
  if (std::filesystem::exists(plugin, ignored)) {
    // The plug-in names libtorch_cuda as needed: where there is none, as in a
    // CPU-only installation, this fails and nothing is lost.
    dlopen(plugin.c_str(), RTLD_NOW | RTLD_LOCAL);
  }
}

} // namespace

// The operators' schemas are registered by constructors of this library; a
// later constructor of the same library finds them there.
__attribute__((constructor(65535))) static void load_cuda_kernels() {
  load();
}
#endif

#pragma once

namespace signalllm::cuda {

/// What plans ask of a device; an H100's numbers where none is asked.
struct Device {
  int multiprocessors = 132;
  int shared_bytes = 227 * 1024; // that a block may have
};

} // namespace signalllm::cuda

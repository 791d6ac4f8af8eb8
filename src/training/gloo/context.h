// torch's wheels carry ProcessGroupGloo.hpp but not the headers of Gloo that it
// includes. These files, found in their place, name what it needs to compile;
// what they name is in libtorch_cpu.
#pragma once

#include <chrono>

namespace gloo {

class Context {
 public:
  void setTimeout(std::chrono::milliseconds timeout);
};

} // namespace gloo

#include <signalllm/nn/swappable.h>

namespace signalllm {

// Out of line, so that the class has one home: dynamic_cast across libraries
// compares addresses of type information on macOS.
SwappableBase::~SwappableBase() = default;

bool SwappableBase::is_twin() const noexcept {
  return false;
}

} // namespace signalllm

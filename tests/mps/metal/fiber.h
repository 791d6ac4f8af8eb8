#pragma once

#include <cstddef>

/// Stacks that run in turn in one thread. C++14.
namespace metal_host {

/// A stack that begins with `entry`, which must not return.
class Fiber {
 public:
  explicit Fiber(void (*entry)());
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// From the thread's own stack to this one, until `suspend`.
  void resume();
  /// From this stack back to where `resume` was called.
  void suspend();
  /// First thing in `entry`.
  void begun();

 private:
  void* memory_; // a page that faults, then the stack
  std::size_t size_;
  void* context_; // where it goes on
  void* fake_ = nullptr; // the sanitizer's
};

} // namespace metal_host

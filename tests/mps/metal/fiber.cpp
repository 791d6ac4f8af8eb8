#include "mps/metal/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <new>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define METAL_HOST_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/common_interface_defs.h>
#define METAL_HOST_ASAN 1
#endif
#endif

#if defined(__x86_64__)
// swapcontext asks the kernel for the signal mask every time, which made the
// switches most of a kernel's run.
asm(R"(
.text
.type metal_host_switch, @function
metal_host_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size metal_host_switch, .-metal_host_switch
)");
extern "C" void metal_host_switch(void** from, void* to);
#endif

namespace metal_host {
namespace {

constexpr std::size_t stack_size = 128 << 10;

#if defined(__x86_64__)
void* main_context = nullptr;

void* make_context(char* stack, std::size_t size, void (*entry)()) {
  auto* top = reinterpret_cast<void**>(stack + size);
  top[-1] = nullptr; // the end for who walks the stack
  top[-2] = reinterpret_cast<void*>(entry);
  for (int i = 3; i <= 8; ++i) {
    top[-i] = nullptr;
  }
  return top - 8;
}
void free_context(void*) {}
void go(void*& from, void* to) {
  metal_host_switch(&from, to);
}
#else
void* main_context = new ucontext_t;

void* make_context(char* stack, std::size_t size, void (*entry)()) {
  auto* context = new ucontext_t;
  getcontext(context);
  context->uc_stack.ss_sp = stack;
  context->uc_stack.ss_size = size;
  context->uc_link = nullptr;
  makecontext(context, entry, 0);
  return context;
}
void free_context(void* context) {
  delete static_cast<ucontext_t*>(context);
}
void go(void*& from, void* to) {
  swapcontext(static_cast<ucontext_t*>(from), static_cast<ucontext_t*>(to));
}
#endif

#if defined(METAL_HOST_ASAN)
void* main_fake = nullptr;
const void* main_stack = nullptr;
std::size_t main_size = 0;
#endif

} // namespace

Fiber::Fiber(void (*entry)()) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  size_ = stack_size + page;
  memory_ = mmap(
      nullptr,
      size_,
      PROT_READ | PROT_WRITE,
      MAP_PRIVATE | MAP_ANONYMOUS,
      -1,
      0);
  if (memory_ == MAP_FAILED) {
    throw std::bad_alloc();
  }
  mprotect(memory_, page, PROT_NONE);
  context_ =
      make_context(static_cast<char*>(memory_) + page, stack_size, entry);
}

Fiber::~Fiber() {
  free_context(context_);
  munmap(memory_, size_);
}

void Fiber::resume() {
#if defined(METAL_HOST_ASAN)
  __sanitizer_start_switch_fiber(
      &main_fake,
      static_cast<char*>(memory_) + (size_ - stack_size),
      stack_size);
#endif
  go(main_context, context_);
#if defined(METAL_HOST_ASAN)
  __sanitizer_finish_switch_fiber(main_fake, nullptr, nullptr);
#endif
}

void Fiber::begun() {
#if defined(METAL_HOST_ASAN)
  __sanitizer_finish_switch_fiber(fake_, &main_stack, &main_size);
#endif
}

void Fiber::suspend() {
#if defined(METAL_HOST_ASAN)
  __sanitizer_start_switch_fiber(&fake_, main_stack, main_size);
#endif
  go(context_, main_context);
  begun();
}

} // namespace metal_host

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

/// The threads of a threadgroup on the host: each a fiber, run in turn, from
/// one barrier to the next. C++14, as is the text that they run.
namespace metal_host {

/// Address spaces that threads share, each with its fence.
enum class space { device, threadgroup, constant };

constexpr std::size_t max_threads = 1024;
constexpr std::size_t max_group_memory = 32768;
constexpr unsigned simd_width = 32;

struct uint_triple {
  uint32_t x, y, z;
};

/// What a kernel may ask of the thread that runs it.
struct Thread {
  uint_triple in_grid, in_group, group;
  uint_triple group_size, grid_size, groups;
  uint32_t index; // in its group
};

/// Who touched a shared value last, to find threads that race for it.
struct Cell {
  uint32_t written = 0, read = 0; // the time; 0: never
  uint16_t writer = 0, reader = 0;
};

/// Times are numbers of stretches between barriers, over all groups of a
/// dispatch.
struct Now {
  const Thread* thread = nullptr;
  uint32_t group_began = 0;
  uint32_t time[2] = {0, 0}; // by space
};
extern Now now;

/// Throws, naming the kernel and the thread.
[[noreturn]] void fail(const std::string& what);

void barrier(unsigned spaces, int line);

/// Memory of the group's own, the same for all its threads; `id` tells the
/// arrays of a kernel apart.
struct Shared {
  void* memory;
  Cell* cells;
};
Shared group_memory(int id, std::size_t bytes, std::size_t count);

/// Hands 8 bytes to the other lanes; all lanes of the SIMD group have to come.
void simd_share(const void* value, std::size_t bytes, int line);
const void* simd_value(unsigned lane); // of the last simd_share
unsigned simd_lanes(); // that there are, 32 but in the last group
unsigned simd_lane();

[[noreturn]] void race(const char* what, space where, const Cell& cell);

inline void touch(Cell& c, space where, bool write) {
  const auto me = static_cast<uint16_t>(now.thread->index);
  const uint32_t time = now.time[static_cast<int>(where)];
  if (c.written != 0) {
    if (c.written < now.group_began) {
      race("another group wrote", where, c);
    }
    if (c.written == time && c.writer != me) {
      race("wrote", where, c);
    }
  } else if (!write && where == space::threadgroup) {
    fail("threadgroup memory is read that nobody has written");
  }
  constexpr uint16_t several = 0xffff;
  if (write) {
    if (c.read != 0 && c.read < now.group_began) {
      race("another group read", where, c);
    }
    if (c.read == time && c.reader != me) {
      race("read", where, c);
    }
    c.written = time;
    c.writer = me;
  } else {
    c.reader = c.read == time && c.reader != me ? several : me;
    c.read = time;
  }
}

} // namespace metal_host

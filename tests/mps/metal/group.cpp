#include "mps/metal/group.h"

#include "mps/metal/checked.h"
#include "mps/metal/fiber.h"
#include "mps/metal/kernel.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <stdexcept>

namespace metal_host {

Now now;

namespace {

enum class State { ready, at_barrier, at_simd, done };

struct Lane {
  std::unique_ptr<Fiber> fiber;
  Thread thread;
  State state = State::done;
  int line = 0; // of the barrier or SIMD function it waits at
  unsigned spaces = 0;
  unsigned turn = 0; // SIMD values alternate between two places
};

struct Array {
  int id;
  Shared shared;
  std::unique_ptr<Cell[]> cells;
};

/// The one group that runs.
struct Group {
  std::vector<Lane> lanes = std::vector<Lane>(max_threads);
  Lane* lane = nullptr;
  std::exception_ptr error;
  const std::string* name = nullptr;
  const Kernel* kernel = nullptr;
  const Bound* bound = nullptr;
  uint32_t clock = 0;
  alignas(16) std::array<char, max_group_memory> memory;
  std::size_t used = 0;
  std::vector<Array> arrays;
  uint64_t simd[2][max_threads];
};

Group& group() {
  static auto* const group = new Group;
  return *group;
}

/// What a fiber does for ever: the thread it is given, then the next.
void work() {
  auto& g = group();
  Lane* const lane = g.lane;
  lane->fiber->begun();
  for (;;) {
    try {
      g.kernel->run(g.bound);
    } catch (...) {
      g.error = std::current_exception();
    }
    lane->state = State::done;
    lane->fiber->suspend();
  }
}

void wait(State state, int line) {
  auto* const lane = group().lane;
  lane->state = state;
  lane->line = line;
  lane->fiber->suspend();
}

std::string place(const uint_triple& p) {
  return "(" + std::to_string(p.x) + ", " + std::to_string(p.y) + ", " +
      std::to_string(p.z) + ")";
}

const char* name_of(space s) {
  return s == space::threadgroup ? "a threadgroup array"
      : s == space::device       ? "a buffer"
                                 : "a constant buffer";
}

/// Whether lanes [from, to) wait at one place in one state.
bool together(std::size_t from, std::size_t to, State state) {
  auto& lanes = group().lanes;
  for (auto i = from; i < to; ++i) {
    if (lanes[i].state != state || lanes[i].line != lanes[from].line ||
        lanes[i].spaces != lanes[from].spaces) {
      return false;
    }
  }
  return true;
}

void release(std::size_t from, std::size_t to) {
  for (auto i = from; i < to; ++i) {
    group().lanes[i].state = State::ready;
  }
}

/// Lets go who may: false if all are done.
bool step(std::size_t count) {
  auto& g = group();
  bool released = false, all_done = true;
  const Lane* waiting = nullptr;
  for (std::size_t i = 0; i < count; i += simd_width) {
    const auto end = std::min(count, i + simd_width);
    if (together(i, end, State::at_simd)) {
      release(i, end);
      released = true;
    }
    for (auto j = i; j < end; ++j) {
      if (g.lanes[j].state != State::done) {
        all_done = false;
        waiting = waiting ? waiting : &g.lanes[j];
      }
    }
  }
  if (released || all_done) {
    return !all_done;
  }
  if (together(0, count, State::at_barrier)) {
    ++g.clock;
    for (unsigned s = 0; s < 2; ++s) {
      if ((g.lanes[0].spaces >> s) & 1u) {
        now.time[s] = g.clock;
      }
    }
    release(0, count);
    return true;
  }
  std::size_t here = 0;
  for (std::size_t i = 0; i < count; ++i) {
    here += g.lanes[i].state == waiting->state &&
            g.lanes[i].line == waiting->line &&
            g.lanes[i].spaces == waiting->spaces
        ? 1
        : 0;
  }
  now.thread = &waiting->thread;
  fail(
      std::string(
          waiting->state == State::at_barrier ? "the barrier"
                                              : "the SIMD function") +
      " in line " + std::to_string(waiting->line) + " is reached by " +
      std::to_string(here) + " of " + std::to_string(count) + " threads");
}

void run_lanes(std::size_t count) {
  auto& g = group();
  do {
    for (std::size_t i = 0; i < count; ++i) {
      auto& lane = g.lanes[i];
      if (lane.state == State::ready) {
        if (!lane.fiber) {
          lane.fiber = std::make_unique<Fiber>(&work);
        }
        g.lane = &lane;
        now.thread = &lane.thread;
        lane.fiber->resume();
        if (g.error) {
          std::rethrow_exception(g.error);
        }
      }
    }
  } while (step(count));
}

void run_group(
    const uint_triple& at,
    const uint_triple& groups,
    const uint64_t (&grid)[3],
    const uint64_t (&size)[3]) {
  auto& g = group();
  const uint64_t first[3] = {at.x * size[0], at.y * size[1], at.z * size[2]};
  uint32_t here[3]; // the last group of a row may be smaller
  for (int i = 0; i < 3; ++i) {
    here[i] = static_cast<uint32_t>(std::min(size[i], grid[i] - first[i]));
  }
  std::size_t count = 0;
  for (uint32_t z = 0; z < here[2]; ++z) {
    for (uint32_t y = 0; y < here[1]; ++y) {
      for (uint32_t x = 0; x < here[0]; ++x) {
        auto& lane = g.lanes[count];
        lane.thread = {
            {static_cast<uint32_t>(first[0]) + x,
             static_cast<uint32_t>(first[1]) + y,
             static_cast<uint32_t>(first[2]) + z},
            {x, y, z},
            at,
            {here[0], here[1], here[2]},
            {static_cast<uint32_t>(grid[0]),
             static_cast<uint32_t>(grid[1]),
             static_cast<uint32_t>(grid[2])},
            groups,
            static_cast<uint32_t>(count)};
        lane.state = State::ready;
        lane.spaces = 0;
        lane.turn = 0; // the lanes of a SIMD group keep step
        ++count;
      }
    }
  }
  now.group_began = now.time[0] = now.time[1] = ++g.clock;
  g.used = 0;
  g.arrays.clear();
  run_lanes(count);
}

} // namespace

void fail(const std::string& what) {
  const auto& g = group();
  std::string where = "Metal kernel " + *g.name;
  if (now.thread != nullptr) {
    where += ", group " + place(now.thread->group) + ", thread " +
        place(now.thread->in_group);
  }
  throw std::runtime_error(where + ": " + what);
}

void fail_index(std::ptrdiff_t index, std::ptrdiff_t count, space s) {
  fail(
      "index " + std::to_string(index) + " outside " + name_of(s) + " of " +
      std::to_string(count) + " values");
}

void race(const char* what, space where, const Cell& cell) {
  fail(
      std::string("a value in ") + name_of(where) +
      " is used that another thread " + what +
      ", with no barrier between (thread " + std::to_string(cell.writer) +
      " wrote last)");
}

void barrier(unsigned spaces, int line) {
  group().lane->spaces = spaces;
  wait(State::at_barrier, line);
}

Shared group_memory(int id, std::size_t bytes, std::size_t count) {
  auto& g = group();
  for (const auto& array : g.arrays) {
    if (array.id == id) {
      return array.shared;
    }
  }
  const auto begin = g.used;
  g.used = (begin + bytes + 15) / 16 * 16;
  if (g.used > max_group_memory) {
    fail(
        std::to_string(g.used) + " bytes of threadgroup memory; Metal has " +
        std::to_string(max_group_memory));
  }
  // Nothing of a group before it.
  std::memset(g.memory.data() + begin, 0xff, bytes);
  std::unique_ptr<Cell[]> cells(new Cell[count]);
  const Shared shared{g.memory.data() + begin, cells.get()};
  g.arrays.push_back({id, shared, std::move(cells)});
  return shared;
}

void simd_share(const void* value, std::size_t bytes, int line) {
  auto& g = group();
  if (bytes > sizeof(uint64_t)) {
    fail("SIMD functions take up to 8 bytes here");
  }
  auto* const lane = g.lane;
  lane->turn ^= 1u;
  std::memcpy(&g.simd[lane->turn][lane->thread.index], value, bytes);
  lane->spaces = 0;
  wait(State::at_simd, line);
}

unsigned simd_lane() {
  return now.thread->index % simd_width;
}

const void* simd_value(unsigned lane) {
  const auto& g = group();
  return &g.simd[g.lane->turn][now.thread->index - simd_lane() + lane];
}

unsigned simd_lanes() {
  const auto& size = now.thread->group_size;
  const auto first = now.thread->index - simd_lane();
  return std::min(simd_width, size.x * size.y * size.z - first);
}

uint_triple attribute(source from) {
  const auto& t = *now.thread;
  const auto threads = t.group_size.x * t.group_size.y * t.group_size.z;
  switch (from) {
    case source::thread_position_in_grid:
      return t.in_grid;
    case source::thread_position_in_threadgroup:
      return t.in_group;
    case source::threadgroup_position_in_grid:
      return t.group;
    case source::threads_per_threadgroup:
      return t.group_size;
    case source::threads_per_grid:
      return t.grid_size;
    case source::threadgroups_per_grid:
      return t.groups;
    case source::thread_index_in_threadgroup:
      return {t.index, 0, 0};
    case source::thread_index_in_simdgroup:
      return {simd_lane(), 0, 0};
    case source::simdgroup_index_in_threadgroup:
      return {t.index / simd_width, 0, 0};
    case source::simdgroups_per_threadgroup:
      return {(threads + simd_width - 1) / simd_width, 0, 0};
    case source::buffer:
      break;
  }
  fail("not an attribute");
}

void run(
    const std::string& name,
    const Kernel& kernel,
    const std::vector<Bound>& bound,
    const uint64_t (&grid)[3],
    const uint64_t (&size)[3]) {
  static std::mutex mutex;
  const std::lock_guard<std::mutex> lock(mutex);
  auto& g = group();
  g.name = &name;
  g.kernel = &kernel;
  g.bound = bound.data();
  g.clock = 0;
  g.error = nullptr;
  now.thread = nullptr;
  uint_triple groups{0, 0, 0};
  uint32_t* const each[3] = {&groups.x, &groups.y, &groups.z};
  for (int i = 0; i < 3; ++i) {
    *each[i] = static_cast<uint32_t>((grid[i] + size[i] - 1) / size[i]);
  }
  try {
    for (uint32_t z = 0; z < groups.z; ++z) {
      for (uint32_t y = 0; y < groups.y; ++y) {
        for (uint32_t x = 0; x < groups.x; ++x) {
          run_group({x, y, z}, groups, grid, size);
        }
      }
    }
  } catch (...) {
    // Those that wait in the middle of a kernel never go on.
    for (auto& lane : g.lanes) {
      lane.fiber.reset();
      lane.state = State::done;
    }
    throw;
  }
}

namespace {
std::vector<Text>& texts() {
  static auto* const texts = new std::vector<Text>;
  return *texts;
}
} // namespace

Registrar::Registrar(Text text) {
  texts().push_back(std::move(text));
}

const Text* find_text(const std::string& text) {
  uint64_t hash = 14695981039346656037u;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  }
  for (const auto& t : texts()) {
    if (t.hash == hash && t.size == text.size()) {
      return &t;
    }
  }
  return nullptr;
}

} // namespace metal_host

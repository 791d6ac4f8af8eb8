#include "ops/cpu/synthesis.h"

#include "ops/cpu/edges.h"
#include "ops/cpu/rows.h"

#include <algorithm>

// A job is (batch entry, block of channels, tile of the output's rows). From
// the output inwards it finds which rows of each level it needs, about half as
// many per level, and then computes them from the coarsest level outwards into
// the thread's scratch, the last one into the output.
//
// Pair m makes the rows p = 2m and 2m + 1 of the full synthesis from the rows
// m - steps + 1 .. m of a and d. Pairs that lie inside go straight to their
// place. Pairs at the ends are computed in scratch from tables of row
// pointers, then copied (rows of the signal) or added with the weights of the
// extension (rows outside it, after all rows of the signal are there).

namespace signalllm::ops::cpu {
namespace {

constexpr int64_t kEdgePairs = 8; // pairs of one table

template <class A>
struct Stage {
  const Synthesis<A>& call;
  int64_t first, last; // levels; `last` - 1 is the coarsest
  int64_t block, tile; // channels; rows of level `first`'s output
  int64_t left, steps;
  std::vector<Overhang> overhang;
  const void* input; // a of level last - 1
  Storage input_storage;
  int64_t input_rows;
  void* output;
  Storage output_storage;
  bool streams = false;

  const SynthesisLevel& level(int64_t l) const {
    return call.levels[l];
  }
  int64_t tiles() const {
    return (level(first).wanted + tile - 1) / tile;
  }

  /// Pairs that make only rows before, or from, the signal's two ends.
  Range pairs_before() const {
    return {0, (left + 1) / 2};
  }
  Range pairs_after(int64_t l) const {
    return {(level(l).length + left) / 2, level(l).coefficients + steps - 1};
  }

  bool folds(int64_t l, Range out, int64_t i) const {
    const auto& row = overhang[l - first].row(i);
    for (int k = 0; k < row.count; ++k) {
      if (row.row[k] >= out.first && row.row[k] < out.last) {
        return true;
      }
    }
    return false;
  }
  bool folds_before(int64_t l, Range out) const {
    bool any = false;
    for (int64_t i = overhang[l - first].first(); i < 0 && !any; ++i) {
      any = folds(l, out, i);
    }
    return any;
  }
  bool folds_after(int64_t l, Range out) const {
    bool any = false;
    for (int64_t i = level(l).length; i < overhang[l - first].last() && !any;
         ++i) {
      any = folds(l, out, i);
    }
    return any;
  }

  /// Rows of a and d that the output rows `out` need.
  Range read(int64_t l, Range out) const {
    Range in;
    const auto include = [&](Range pairs) {
      if (pairs.size() > 0) {
        const int64_t n = level(l).coefficients;
        const int64_t a = std::max<int64_t>(pairs.first - steps + 1, 0);
        const int64_t b = std::min(pairs.last, n);
        if (a < b) {
          in.include(a);
          in.include(b - 1);
        }
      }
    };
    include({(out.first + left) / 2, (out.last - 1 + left) / 2 + 1});
    if (folds_before(l, out)) {
      include(pairs_before());
    }
    if (folds_after(l, out)) {
      include(pairs_after(l));
    }
    return in;
  }
};

/// One job's work on one level. Row k of a lies at a + k a_stride, row n of
/// the output at y + n y_stride, also where these begin before the memory.
template <class A>
struct LevelJob {
  const Stage<A>& stage;
  int64_t l;
  const A* a;
  int64_t a_stride;
  const A* d;
  int64_t d_stride;
  A* y;
  int64_t y_stride;
  int64_t channels;
  Pairs<A> pairs; // filters set
  const A* zeros;
  A* rows; // 2 kEdgePairs of scratch
  const A** table;

  /// Pairs [m, m + n) into `rows`.
  void by_table(int64_t m, int64_t wanted) {
    // A whole register tile is no dearer than a part of it.
    const int64_t n = std::max(wanted, kernels<A>().tile_rows);
    const int64_t count = n + stage.steps - 1;
    const A** d_table = table + kEdgePairs + stage.steps;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t k = m - stage.steps + 1 + i;
      const bool there =
          k >= 0 && k < stage.level(l).coefficients && k < m + wanted;
      table[i] = there ? a + k * a_stride : zeros;
      d_table[i] = there ? d + k * d_stride : zeros;
    }
    auto p = pairs;
    p.a_table = table;
    p.d_table = d_table;
    p.y = rows;
    p.y_stride = channels;
    p.pairs = n;
    p.channels = channels;
    p.prefetch = 0;
    p.stream = false;
    kernels<A>().pairs(p);
  }

  /// The rows of some pairs that lie in `out`.
  void copy(Range some, Range out) {
    for (int64_t m = some.first; m < some.last; m += kEdgePairs) {
      const int64_t n = std::min(kEdgePairs, some.last - m);
      by_table(m, n);
      for (int64_t i = 0; i < 2 * n; ++i) {
        const int64_t row = 2 * m + i - stage.left;
        if (row >= out.first && row < out.last) {
          std::copy_n(rows + i * channels, channels, y + row * y_stride);
        }
      }
    }
  }

  /// The rows of some pairs that lie outside the signal, folded into `out`.
  void fold(Range some, Range out) {
    const auto& overhang = stage.overhang[l - stage.first];
    for (int64_t m = some.first; m < some.last; m += kEdgePairs) {
      const int64_t n = std::min(kEdgePairs, some.last - m);
      by_table(m, n);
      for (int64_t i = 0; i < 2 * n; ++i) {
        const int64_t row = 2 * m + i - stage.left;
        if ((row >= 0 && row < stage.level(l).length) ||
            row < overhang.first() || row >= overhang.last()) {
          continue;
        }
        const auto& e = overhang.row(row);
        for (int k = 0; k < e.count; ++k) {
          if (e.row[k] < out.first || e.row[k] >= out.last) {
            continue;
          }
          const A w = static_cast<A>(e.weight[k]);
          Scale<A> s;
          s.x = rows + i * channels;
          s.y = y + e.row[k] * y_stride;
          s.add = s.y;
          s.w = &w;
          s.channels = channels;
          kernels<A>().scale(s);
        }
      }
    }
  }

  void run(Range out) {
    const int64_t left = stage.left;
    const Range touched{(out.first + left) / 2, (out.last - 1 + left) / 2 + 1};
    Range inside{
        std::max(stage.steps - 1, (out.first + left + 1) / 2),
        std::min(stage.level(l).coefficients, (out.last + left) / 2)};
    if (inside.size() == 0) {
      inside = {touched.last, touched.last};
    }
    if (inside.size() > 0) {
      auto p = pairs;
      p.a = a + (inside.first - stage.steps + 1) * a_stride;
      p.d = d + (inside.first - stage.steps + 1) * d_stride;
      p.a_stride = a_stride;
      p.d_stride = d_stride;
      p.y = y + (2 * inside.first - left) * y_stride;
      p.y_stride = y_stride;
      p.pairs = inside.size();
      p.channels = channels;
      kernels<A>().pairs(p);
    }
    copy({touched.first, inside.first}, out);
    copy({inside.last, touched.last}, out);
    if (stage.folds_before(l, out)) {
      fold(stage.pairs_before(), out);
    }
    if (stage.folds_after(l, out)) {
      fold(stage.pairs_after(l), out);
    }
  }
};

template <class A>
void run_job(const Stage<A>& s, int64_t job) {
  const auto& call = s.call;
  const int64_t blocks = (call.inner + s.block - 1) / s.block;
  const int64_t tiles = s.tiles();
  const int64_t t = job % tiles;
  const int64_t c0 = job / tiles % blocks * s.block;
  const int64_t b = job / tiles / blocks;
  const int64_t channels = std::min(s.block, call.inner - c0);
  const int64_t count = s.last - s.first;
  const bool half = is_half(call.storage);
  const bool half_in = is_half(s.input_storage);
  const bool half_out = is_half(s.output_storage);

  // made[i]: rows of level first + i's output.
  std::vector<Range> made(count + 1);
  made[0] = {t * s.tile, std::min((t + 1) * s.tile, s.level(s.first).wanted)};
  for (int64_t i = 0; i < count; ++i) {
    made[i + 1] = s.read(s.first + i, made[i]);
  }

  const int64_t table_rows = 2 * (kEdgePairs + s.steps);
  int64_t space[2] = {0, 0};
  int64_t widest = 0;
  for (int64_t i = 0; i <= count; ++i) {
    const bool needed = i == 0 ? half_out : i < count || half_in;
    if (needed) {
      space[i % 2] = std::max(space[i % 2], made[i].size());
    }
    widest = i > 0 && half ? std::max(widest, made[i].size()) : widest;
  }
  const size_t size = sizeof(A);
  Scratch scratch(
      Scratch::bytes_for(table_rows, sizeof(A*)) +
      Scratch::bytes_for(channels, size) +
      Scratch::bytes_for(2 * kEdgePairs * channels, size) +
      Scratch::bytes_for(space[0] * channels, size) +
      Scratch::bytes_for(space[1] * channels, size) +
      Scratch::bytes_for(widest * channels, size));
  const A** table = scratch.take<const A*>(table_rows);
  A* zeros = scratch.take<A>(channels);
  std::fill_n(zeros, channels, A(0));
  A* rows = scratch.take<A>(2 * kEdgePairs * channels);
  A* buffer[2] = {
      scratch.take<A>(space[0] * channels),
      scratch.take<A>(space[1] * channels)};
  A* d_copy = scratch.take<A>(widest * channels);

  const int64_t in_start = b * s.input_rows * call.inner + c0;
  const A* a;
  int64_t a_stride;
  if (half_in) {
    load_rows(
        s.input_storage,
        s.input,
        in_start + made[count].first * call.inner,
        call.inner,
        buffer[count % 2],
        channels,
        made[count].size(),
        channels);
    a = buffer[count % 2] - made[count].first * channels;
    a_stride = channels;
  } else {
    a = static_cast<const A*>(s.input) + in_start;
    a_stride = call.inner;
  }

  const int64_t out_start = b * s.level(s.first).wanted * call.inner + c0;
  for (int64_t i = count - 1; i >= 0; --i) {
    const int64_t l = s.first + i;
    const auto& v = s.level(l);
    const Range in = made[i + 1];
    const int64_t d_start = b * v.coefficients * call.inner + c0;
    const A* d;
    int64_t d_stride;
    if (half) {
      load_rows(
          call.storage,
          v.detail,
          d_start + in.first * call.inner,
          call.inner,
          d_copy,
          channels,
          in.size(),
          channels);
      d = d_copy - in.first * channels;
      d_stride = channels;
    } else {
      d = static_cast<const A*>(v.detail) + d_start;
      d_stride = call.inner;
    }
    const bool direct = i == 0 && !half_out;
    A* y = direct ? static_cast<A*>(s.output) + out_start
                  : buffer[i % 2] - made[i].first * channels;
    const int64_t y_stride = direct ? call.inner : channels;
    LevelJob<A> work{
        s,
        l,
        a,
        a_stride,
        d,
        d_stride,
        y,
        y_stride,
        channels,
        Pairs<A>{},
        zeros,
        rows,
        table};
    work.pairs.steps = s.steps;
    work.pairs.taps = call.filters + (call.per_channel ? c0 : 0);
    work.pairs.taps_stride = call.per_channel ? call.inner : 0;
    work.pairs.stream = s.streams && direct;
    work.pairs.prefetch = s.streams && !half && i == 0 ? 4 : 0;
    work.run(made[i]);
    a = y;
    a_stride = y_stride;
  }
  if (half_out) {
    store_rows(
        s.output_storage,
        a + made[0].first * channels,
        channels,
        s.output,
        out_start + made[0].first * call.inner,
        call.inner,
        made[0].size(),
        channels);
  }
}

/// Chooses the finest level that is done together with level last - 1, the
/// channel block and the tile.
template <class A>
void plan(Stage<A>& s) {
  const auto& call = s.call;
  const int64_t values = tile_values(call.storage);
  const int64_t narrow = std::min<int64_t>(call.inner, 32);
  int64_t length = s.level(0).wanted;
  const bool far = reads_far_end(call.mode);
  s.first = 0;
  bool tiled = !far;
  if (far && length * narrow > 2 * values) {
    s.first = s.last - 1; // level by level: everything may be read
    length = s.level(s.first).wanted;
    tiled = true;
  }
  const int64_t rows =
      tiled ? std::min(length, std::max<int64_t>(64, 8 * call.taps)) : length;
  s.block = channel_block(call.inner, rows, values);
  s.tile = tiled ? std::max(rows, values / s.block) : length;
  const auto jobs = [&] {
    return call.batch * ((call.inner + s.block - 1) / s.block) * s.tiles();
  };
  const int64_t threads = available_threads();
  const bool large = call.batch * length * call.inner > 32 * 1024;
  while (large && jobs() < threads && s.block >= 64) {
    s.block = (s.block / 2 + 31) / 32 * 32;
  }
  while (large && tiled && jobs() < threads && s.tile >= 16 * call.taps) {
    s.tile /= 2;
  }
  s.tile = s.tile >= length ? length : std::max<int64_t>(s.tile / 2, 1) * 2;
}

} // namespace

template <class A>
void synthesise(const Synthesis<A>& call) {
  const int64_t all = static_cast<int64_t>(call.levels.size());
  if (call.batch == 0 || call.inner == 0 || all == 0) {
    return;
  }
  const int64_t bytes = bytes_of(call.storage) * call.batch * call.inner *
      call.levels[0].wanted * 2;
  const bool aligned = call.inner * bytes_of(call.storage) % 64 == 0 &&
      reinterpret_cast<uintptr_t>(call.output) % 64 == 0;
  const Storage inner_storage =
      sizeof(A) == 8 ? Storage::float64 : Storage::float32;
  AlignedMemory held;
  const void* input = call.approximation;
  Storage storage = call.storage;
  int64_t input_rows = call.approximation_rows;
  for (int64_t last = all; last > 0;) {
    Stage<A> s{
        call,
        0,
        last,
        0,
        0,
        0,
        0,
        {},
        input,
        storage,
        input_rows,
        nullptr,
        inner_storage};
    s.left =
        call.mode == Mode::periodization ? call.taps / 2 - 1 : call.taps - 2;
    s.steps = call.taps / 2;
    plan(s);
    for (int64_t l = s.first; l < last; ++l) {
      const auto& v = call.levels[l];
      const int64_t end = 2 * (v.coefficients - 1) + call.taps - s.left;
      s.overhang.emplace_back(call.mode, v.length, s.left, end - v.length);
    }
    AlignedMemory next;
    if (s.first == 0) {
      s.output = call.output;
      s.output_storage = call.storage;
    } else {
      next = aligned_memory(
          sizeof(A) * call.batch * call.levels[s.first].wanted * call.inner);
      s.output = next.get();
    }
    s.streams = aligned && bytes >= kStreamBytes && s.first == 0;
    const int64_t blocks = (call.inner + s.block - 1) / s.block;
    run_jobs(
        call.batch * blocks * s.tiles(), s.tile * s.block, [&](int64_t job) {
          run_job(s, job);
        });
    held = std::move(next);
    input = held.get();
    storage = inner_storage;
    input_rows = call.levels[s.first].wanted;
    last = s.first;
  }
}

template void synthesise(const Synthesis<float>&);
template void synthesise(const Synthesis<double>&);

} // namespace signalllm::ops::cpu

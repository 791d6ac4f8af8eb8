#include "ops/cpu/analysis.h"

#include "ops/cpu/edges.h"
#include "ops/cpu/rows.h"

#include <algorithm>

// A job is (batch entry, block of channels, tile of the sequence). It owns at
// level l the output rows `own[l]` and computes all of `made[l]`: what it owns
// and what its next level reads. Approximations between levels live in the
// thread's scratch only. Jobs share nothing, so a tile's halo of at most
// (taps - 2) (2^levels - 1) rows is computed twice.
//
// Row o reads x_ext[2o + base .. 2o + base + taps). Rows that lie inside the
// signal read it by stride; the few at its ends read through a table of row
// pointers, where an extension row with several terms is built in scratch.

namespace signalllm::ops::cpu {
namespace {

constexpr int64_t kEdgeRows = 16; // outputs of one table

template <class A>
struct Stage {
  const Analysis<A>& call;
  int64_t first, last; // levels
  int64_t block, tile; // channels; rows of the stage's input
  int64_t base; // row 0 reads x_ext[base ..)
  std::vector<Overhang> overhang;
  const void* input; // of the stage; float where it is an inner one
  Storage input_storage;
  void* output; // the last level's approximation
  Storage output_storage;
  int64_t output_rows;
  bool streams = false;

  const AnalysisLevel& level(int64_t l) const {
    return call.levels[l];
  }

  int64_t tiles() const {
    return tile >= level(first).length
        ? 1
        : (level(first).length + tile - 1) / tile;
  }

  /// What tile t owns at level l's output.
  Range owned(int64_t l, int64_t t) const {
    const int64_t scale = int64_t{2} << (l - first);
    const int64_t n = level(l).coefficients;
    const auto bound = [&](int64_t i) {
      return i == tiles() ? n : std::min(n, i * tile / scale);
    };
    return {bound(t), bound(t + 1)};
  }

  /// Rows of level l's input that its output rows `out` read.
  Range read(int64_t l, const Range& out) const {
    Range in;
    if (out.size() == 0) {
      return in;
    }
    const auto& v = level(l);
    const int64_t from = 2 * out.first + base;
    const int64_t to = 2 * (out.last - 1) + base + call.taps;
    in = {std::max<int64_t>(from, 0), std::min(to, v.length)};
    const auto include = [&](int64_t i) {
      const auto& row = overhang[l - first].row(i);
      for (int k = 0; k < row.count; ++k) {
        in.include(row.row[k]);
      }
    };
    for (int64_t i = from; i < std::min<int64_t>(to, 0); ++i) {
      include(i);
    }
    for (int64_t i = std::max(from, v.length); i < to; ++i) {
      include(i);
    }
    in.last = std::min(in.last, v.present);
    return in;
  }
};

/// One job's work on one level.
template <class A>
struct LevelJob {
  const Stage<A>& stage;
  int64_t l;
  const A* x; // row 0 of the input, which may lie before the memory
  int64_t x_stride;
  int64_t channels;
  Fir<A> fir; // filters set
  const A* zeros;
  A* extended; // rows for the table
  const A** table;
  int64_t prefetch;

  const A* row(int64_t i, int64_t& used) {
    const auto& v = stage.level(l);
    if (i >= 0 && i < v.present) {
      return x + i * x_stride;
    }
    if (i >= 0 && i < v.length) {
      return zeros;
    }
    const auto& e = stage.overhang[l - stage.first].row(i);
    if (e.count == 0) {
      return zeros;
    }
    if (e.count == 1 && e.weight[0] == 1) {
      return e.row[0] < v.present ? x + e.row[0] * x_stride : zeros;
    }
    A* to = extended + used++ * channels;
    bool begun = false;
    for (int k = 0; k < e.count; ++k) {
      const A w = static_cast<A>(e.weight[k]);
      Scale<A> s;
      s.x = e.row[k] < v.present ? x + e.row[k] * x_stride : zeros;
      s.add = begun ? to : nullptr;
      s.y = to;
      s.w = &w;
      s.channels = channels;
      kernels<A>().scale(s);
      begun = true;
    }
    return to;
  }

  void by_table(Range out, A* lo, int64_t lo_stride, A* hi, int64_t hi_stride) {
    for (int64_t o = out.first; o < out.last; o += kEdgeRows) {
      const int64_t n = std::min(kEdgeRows, out.last - o);
      const int64_t rows = 2 * (n - 1) + stage.call.taps;
      int64_t used = 0;
      for (int64_t i = 0; i < rows; ++i) {
        table[i] = row(2 * o + stage.base + i, used);
      }
      auto f = fir;
      f.table = table;
      f.lo = lo + (o - out.first) * lo_stride;
      f.hi = hi ? hi + (o - out.first) * hi_stride : nullptr;
      f.lo_stride = lo_stride;
      f.hi_stride = hi_stride;
      f.rows = n;
      f.channels = channels;
      f.prefetch = 0;
      kernels<A>().fir(f);
    }
  }

  /// Output rows `out` to lo and hi, which begin at row out.first.
  void run(Range out, A* lo, int64_t lo_stride, A* hi, int64_t hi_stride) {
    if (out.size() == 0) {
      return;
    }
    const auto& v = stage.level(l);
    const int64_t wanted = kernels<A>().tile_rows;
    const auto clip = [&](int64_t o) {
      return std::clamp(o, out.first, out.last);
    };
    int64_t inside = clip((1 - stage.base) / 2);
    // v.present - taps - base may be negative: the floor of its half.
    const int64_t most = v.present - stage.call.taps - stage.base;
    int64_t outside = clip(most < 0 ? 0 : most / 2 + 1);
    if (outside < inside + wanted) {
      by_table(out, lo, lo_stride, hi, hi_stride);
      return;
    }
    // A table of a whole register tile is no dearer than a part of it.
    if (inside > out.first) {
      inside = std::min(std::max(inside, out.first + wanted), outside);
    }
    if (outside < out.last) {
      outside = std::max(std::min(outside, out.last - wanted), inside);
    }
    const auto at = [&](A* p, int64_t stride, int64_t o) {
      return p ? p + (o - out.first) * stride : nullptr;
    };
    by_table({out.first, inside}, lo, lo_stride, hi, hi_stride);
    if (outside > inside) {
      auto f = fir;
      f.x = x + (2 * inside + stage.base) * x_stride;
      f.row_step = 2 * x_stride;
      f.tap_step = x_stride;
      f.lo = at(lo, lo_stride, inside);
      f.hi = at(hi, hi_stride, inside);
      f.lo_stride = lo_stride;
      f.hi_stride = hi_stride;
      f.rows = outside - inside;
      f.channels = channels;
      f.prefetch = prefetch;
      kernels<A>().fir(f);
    }
    by_table(
        {outside, out.last},
        at(lo, lo_stride, outside),
        lo_stride,
        at(hi, hi_stride, outside),
        hi_stride);
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
  const bool half_out = is_half(call.storage);
  const bool half_in = is_half(s.input_storage);

  // From the last level up: what each must make, and what it reads.
  std::vector<Range> made(count);
  Range read;
  for (int64_t i = count - 1; i >= 0; --i) {
    made[i] = s.owned(s.first + i, t);
    if (i < count - 1 && read.size() > 0) {
      if (made[i].size() == 0) {
        made[i] = read;
      } else {
        made[i] = {
            std::min(made[i].first, read.first),
            std::max(made[i].last, read.last)};
      }
    }
    read = s.read(s.first + i, made[i]);
  }
  if (made[0].size() == 0) {
    return;
  }

  const int64_t table_rows = 2 * kEdgeRows + call.taps;
  int64_t between[2] = {0, 0};
  for (int64_t i = 0; i + 1 < count; ++i) {
    between[i % 2] = std::max(between[i % 2], made[i].size());
  }
  const int64_t chunk = half_out ? kEdgeRows : 0;
  const size_t size = sizeof(A);
  Scratch scratch(
      Scratch::bytes_for(table_rows, sizeof(A*)) +
      Scratch::bytes_for(channels, size) +
      Scratch::bytes_for(table_rows * channels, size) +
      Scratch::bytes_for(between[0] * channels, size) +
      Scratch::bytes_for(between[1] * channels, size) +
      2 * Scratch::bytes_for(chunk * channels, size) +
      Scratch::bytes_for(half_in ? read.size() * channels : 0, size));
  const A** table = scratch.take<const A*>(table_rows);
  A* zeros = scratch.take<A>(channels);
  std::fill_n(zeros, channels, A(0));
  A* extended = scratch.take<A>(table_rows * channels);
  A* buffer[2] = {
      scratch.take<A>(between[0] * channels),
      scratch.take<A>(between[1] * channels)};
  A* lo_chunk = scratch.take<A>(chunk * channels);
  A* hi_chunk = scratch.take<A>(chunk * channels);

  const int64_t in_start = b * s.level(s.first).present * call.inner + c0;
  const A* x;
  int64_t x_stride;
  if (half_in) {
    A* copy = scratch.take<A>(read.size() * channels);
    load_rows(
        s.input_storage,
        s.input,
        in_start + read.first * call.inner,
        call.inner,
        copy,
        channels,
        read.size(),
        channels);
    x = copy - read.first * channels;
    x_stride = channels;
  } else {
    x = static_cast<const A*>(s.input) + in_start;
    x_stride = call.inner;
  }

  for (int64_t i = 0; i < count; ++i) {
    const int64_t l = s.first + i;
    const auto& v = s.level(l);
    const bool final_level = i == count - 1;
    const Range own = s.owned(l, t);
    LevelJob<A> work{
        s,
        l,
        x,
        x_stride,
        channels,
        {},
        zeros,
        extended,
        table,
        s.streams && i == 0 && !half_in ? 4 : 0};
    work.fir.taps = call.taps;
    work.fir.taps_stride = call.per_channel ? call.inner : 0;
    work.fir.taps_lo = call.lo + (call.per_channel ? c0 : 0);
    work.fir.taps_hi = call.hi + (call.per_channel ? c0 : 0);

    // Where a of row o goes in scratch: a + o * channels.
    A* a = final_level ? nullptr : buffer[i % 2] - made[i].first * channels;
    const int64_t d_start = (b * v.coefficients) * call.inner + c0;
    const int64_t a_start = (b * s.output_rows) * call.inner + c0;

    if (!final_level) {
      for (const Range halo :
           {Range{made[i].first, std::min(own.first, made[i].last)},
            Range{std::max(own.last, made[i].first), made[i].last}}) {
        if (own.size() > 0 && halo.size() > 0) {
          work.run(halo, a + halo.first * channels, channels, nullptr, 0);
        }
      }
      if (own.size() == 0) {
        work.run(made[i], buffer[i % 2], channels, nullptr, 0);
      }
    }
    // Detail to a tensor of A, or through a chunk to half precision.
    const int64_t step =
        half_out ? kEdgeRows : std::max<int64_t>(own.size(), 1);
    for (int64_t o = own.first; o < own.last; o += step) {
      const Range part{o, std::min(o + step, own.last)};
      const bool a_half = final_level && is_half(s.output_storage);
      A* lo = !final_level ? a + o * channels
          : a_half         ? lo_chunk
                   : static_cast<A*>(s.output) + a_start + o * call.inner;
      const int64_t lo_stride = !final_level || a_half ? channels : call.inner;
      A* hi = v.detail == nullptr ? nullptr
          : half_out              ? hi_chunk
                     : static_cast<A*>(v.detail) + d_start + o * call.inner;
      work.fir.stream_lo = s.streams && final_level && !a_half;
      work.fir.stream_hi = s.streams && !half_out;
      work.run(part, lo, lo_stride, hi, half_out ? channels : call.inner);
      if (hi && half_out) {
        store_rows(
            call.storage,
            hi_chunk,
            channels,
            v.detail,
            d_start + o * call.inner,
            call.inner,
            part.size(),
            channels);
      }
      if (a_half) {
        store_rows(
            s.output_storage,
            lo_chunk,
            channels,
            s.output,
            a_start + o * call.inner,
            call.inner,
            part.size(),
            channels);
      }
    }
    x = a;
    x_stride = channels;
  }
}

/// Chooses the last level, the channel block and the tile of a stage.
template <class A>
void plan(Stage<A>& s) {
  const auto& call = s.call;
  const int64_t values = tile_values(call.storage);
  const int64_t length = s.level(s.first).length;
  const int64_t all = static_cast<int64_t>(call.levels.size());
  const int64_t narrow = std::min<int64_t>(call.inner, 32);
  // Rows that tiles of levels first .. last compute twice.
  const auto halo = [&](int64_t last) {
    return (call.taps - 2) *
        ((int64_t{1} << std::min<int64_t>(last - s.first, 40)) - 1);
  };
  if (length * narrow <= 2 * values) {
    s.last = all; // one tile of a few channels holds everything
  } else {
    s.last = s.first + 1;
    while (!reads_far_end(call.mode) && s.last < all &&
           4 * halo(s.last + 1) * narrow <= values) {
      ++s.last;
    }
  }
  const bool one_level = s.last == s.first + 1;
  const bool tiled =
      one_level || (!reads_far_end(call.mode) && 4 * halo(s.last) < length);
  const int64_t rows = tiled
      ? std::min(length, std::max<int64_t>(64, 4 * halo(s.last)))
      : length;
  s.block = channel_block(call.inner, rows, values);
  s.tile = tiled ? std::max(rows, values / s.block) : length;
  // Enough jobs for all threads, in halves.
  const auto jobs = [&] {
    return call.batch * ((call.inner + s.block - 1) / s.block) * s.tiles();
  };
  const int64_t threads = available_threads();
  while (jobs() < threads && s.block >= 64 &&
         call.batch * length * call.inner > 32 * 1024) {
    s.block = (s.block / 2 + 31) / 32 * 32;
  }
  while (tiled && jobs() < threads && s.tile >= 128 &&
         s.tile > 8 * halo(s.last) &&
         call.batch * length * call.inner > 32 * 1024) {
    s.tile /= 2;
  }
  // Boundaries that every level can halve.
  const int64_t unit = int64_t{1} << std::min<int64_t>(s.last - s.first, 40);
  s.tile =
      s.tile >= length ? length : std::max<int64_t>(s.tile / unit, 1) * unit;
}

} // namespace

template <class A>
void analyse(const Analysis<A>& call) {
  const int64_t all = static_cast<int64_t>(call.levels.size());
  if (call.batch == 0 || call.inner == 0 || all == 0) {
    return;
  }
  const int64_t bytes = bytes_of(call.storage) * call.batch * call.inner *
      call.levels[0].length * 2;
  bool aligned = call.inner * bytes_of(call.storage) % 64 == 0 &&
      reinterpret_cast<uintptr_t>(call.approximation) % 64 == 0;
  for (const auto& v : call.levels) {
    aligned = aligned && reinterpret_cast<uintptr_t>(v.detail) % 64 == 0;
  }
  AlignedMemory held;
  const void* input = call.input;
  Storage storage = call.storage;
  const Storage inner_storage =
      sizeof(A) == 8 ? Storage::float64 : Storage::float32;
  for (int64_t first = 0; first < all;) {
    Stage<A> s{
        call, first, 0, 0, 0, 0, {}, input, storage, nullptr, inner_storage, 0};
    s.base = analysis_offset(call.mode, call.taps) - (call.taps - 1);
    plan(s);
    for (int64_t l = first; l < s.last; ++l) {
      const auto& v = call.levels[l];
      const int64_t end = 2 * (v.coefficients - 1) + s.base + call.taps;
      s.overhang.emplace_back(call.mode, v.length, -s.base, end - v.length);
    }
    AlignedMemory next;
    if (s.last == all) {
      s.output = call.approximation;
      s.output_storage = call.storage;
      s.output_rows = call.approximation_rows;
    } else {
      s.output_rows = call.levels[s.last].present;
      next =
          aligned_memory(sizeof(A) * call.batch * s.output_rows * call.inner);
      s.output = next.get();
    }
    s.streams = aligned && bytes >= kStreamBytes;
    const int64_t blocks = (call.inner + s.block - 1) / s.block;
    run_jobs(
        call.batch * blocks * s.tiles(),
        std::min(s.tile, call.levels[first].length) * s.block,
        [&](int64_t job) { run_job(s, job); });
    held = std::move(next);
    input = held.get();
    storage = inner_storage;
    first = s.last;
  }
}

template void analyse(const Analysis<float>&);
template void analyse(const Analysis<double>&);

} // namespace signalllm::ops::cpu

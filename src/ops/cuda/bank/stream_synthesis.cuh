#pragma once

// Multilevel synthesis by streaming: waverec and the transpose of the analysis,
// for the filters and border rules of stream_analysis.cuh.
//
// Coefficient o of level l completes, with s = F - 2, the rows
//   2 o - s, 2 o - s + 1 of u[i] = sum_o lo[i + s - 2 o] a_l[o] + hi[..]
//   d_l[o],
// a_{l-1}[n] = u[n] and, near the ends, the u[i] beyond them that the border
// rule gives to row n. So step k reads row k of level J and the rows
// k 2^(J-l) - s (2^(J-l) - 1) ... of level l, and makes as many of level 0.
// The u[i] before the sequence come before the rows they belong to; those
// beyond its end are computed in advance (Ends::beyond()).

#include "stream_block.cuh"

namespace signalllm::cuda {

struct StreamSynthesisParams : StreamShape {
  const void* approximation = nullptr;
  int approximation_rows = 0; // stored, of which the first length[levels] count
  const void* details[kStreamLevels + 1] = {};
  void* output = nullptr;
};

template <class T, int F, int J>
struct StreamSynthesis {
  static constexpr int V = kStreamVector;
  static constexpr int kSteps = kStreamRows >> J; // of an iteration
  static constexpr int kShift = F - 2;
  using Params = StreamSynthesisParams;
  using Row = StreamRow<T>;
  using Taps = StreamFilters<F>;
  using State = StreamState<F, J>;

  /// First row of level l in step k.
  static SIGNALLLM_HD int row_of(int k, int l) {
    const int rows = 1 << (J - l);
    return k * rows - kShift * (rows - 1);
  }

  /// Steps of a warm-up before those that need details of level l.
  static constexpr int skip(int l) {
    int coefficients = 0;
    for (int i = J; i > l; --i) {
      coefficients = 2 * (coefficients + F / 2 - 1);
    }
    return coefficients >> (J - l);
  }

  static SIGNALLLM_HD void run(const Params& p, int64_t thread, Row* ring) {
    const StreamPlace at(p, thread);
    if (!at.active) {
      return;
    }
    // The first steps of the sequence, then those away from the ends.
    const int begin = at.start > 0 ? at.start
        : p.inner_begin < at.last  ? p.inner_begin
                                   : at.last;
    const int end = at.last < p.inner_end ? at.last : p.inner_end;
    const int iterations = end > begin ? (end - begin) / kSteps : 0;
    const int unneeded = at.start > 0 ? at.start : -(1 << 20);
    const int64_t channels = p.channels;
    const T* next[J + 1];
    next[0] = approximation(p, at) + begin * channels;
#pragma unroll
    for (int l = 1; l <= J; ++l) {
      next[l] = details(p, at, l) + row_of(begin, l) * channels;
    }
    const auto issue = [&](int i) {
      if (i < iterations) {
        Row* slot = ring + i % kStreamSlots * kStreamRows * kStreamThreads;
#pragma unroll
        for (int s = 0; s < kSteps; ++s) {
          fetch(slot, next[0]);
          next[0] += channels;
          slot += kStreamThreads;
#pragma unroll
          for (int l = J; l > 0; --l) {
            // The first steps of a warm-up need only the coarse levels.
            const bool needed = begin + i * kSteps + s >= unneeded + skip(l);
#pragma unroll
            for (int r = 0; r < 1 << (J - l); ++r) {
              if (needed) {
                fetch(slot, next[l]);
              }
              next[l] += channels;
              slot += kStreamThreads;
            }
          }
        }
      }
      fetch_commit();
    };
    State state;
    state.reset();
    if (at.start == 0) {
      State head = state;
      ends(p, at, 0, begin, ring, &head);
      state = head;
    }
#pragma unroll
    for (int i = 0; i < kStreamSlots - 1; ++i) {
      issue(i);
    }
    const Taps taps(p.filters);
    int k = begin;
    Inner inner{
        nullptr,
        static_cast<T*>(p.output) +
            (at.batch * p.length[0] + row_of(k, 0)) * channels + at.channel,
        channels,
        false};
#pragma unroll 1
    for (int i = 0; i < iterations; ++i) {
      fetch_wait<kStreamSlots - 2>();
      issue(i + kStreamSlots - 1);
      inner.rows = ring + i % kStreamSlots * kStreamRows * kStreamThreads;
#pragma unroll
      for (int s = 0; s < kSteps; ++s) {
        inner.live = k >= at.first;
        step(taps, state, inner);
        inner.rows += (1 << J) * kStreamThreads;
        inner.out += channels << J;
        ++k;
      }
    }
    if (k < at.last) {
      State rest = state;
      ends(p, at, k, at.last, ring, &rest);
    }
  }

 private:
  static SIGNALLLM_HD const T* approximation(
      const Params& p,
      const StreamPlace& at) {
    return static_cast<const T*>(p.approximation) +
        at.batch * p.approximation_rows * p.channels + at.channel;
  }
  static SIGNALLLM_HD const T*
  details(const Params& p, const StreamPlace& at, int l) {
    return static_cast<const T*>(p.details[l]) +
        at.batch * p.length[l] * p.channels + at.channel;
  }

  /// The pair of rows that a coefficient completes.
  static SIGNALLLM_HD void push(
      const Taps& f,
      float (&s)[State::pending][2][V],
      const float (&a)[V],
      const float (&d)[V],
      float (&even)[V],
      float (&odd)[V]) {
#pragma unroll
    for (int i = -1; i < F / 2 - 1; ++i) {
      const int j = 2 * i + 2;
      const int next = i + 2 < F / 2 ? i + 1 : 0;
      float(&y)[V] = i < 0 ? even : s[i < 0 ? 0 : i][0];
      float(&z)[V] = i < 0 ? odd : s[i < 0 ? 0 : i][1];
#pragma unroll
      for (int v = 0; v < V; ++v) {
        const float b = i + 2 < F / 2 ? s[next][0][v] : 0.0f;
        const float c = i + 2 < F / 2 ? s[next][1][v] : 0.0f;
        y[v] = b + f.lo[j] * a[v];
        z[v] = c + f.lo[j + 1] * a[v];
        y[v] += f.hi[j] * d[v];
        z[v] += f.hi[j + 1] * d[v];
      }
    }
  }

  /// Takes coefficient I of a step's coefficients of level L.
  template <int L, int I, class Rows>
  static SIGNALLLM_HD void
  take(const Taps& f, State& s, Rows& rows, const float (&a)[V]) {
    float d[V], even[V], odd[V];
    rows.template detail<L>(I, d);
    push(f, s.sums[L - 1], a, d, even, odd);
    if constexpr (L == 1) {
      rows.made(2 * I, even);
      rows.made(2 * I + 1, odd);
    } else {
      take<L - 1, 2 * I>(f, s, rows, even);
      take<L - 1, 2 * I + 1>(f, s, rows, odd);
    }
  }
  template <class Rows>
  static SIGNALLLM_HD void step(const Taps& f, State& s, Rows& rows) {
    float a[V];
    rows.approximation(a);
    take<J, 0>(f, s, rows, a);
  }

  /// A step away from the ends. Its rows in the ring: the approximation, then
  /// the details from the coarsest level on, 2^(J-l) from place 2^(J-l) on.
  struct Inner {
    const Row* rows;
    T* out;
    int64_t channels;
    bool live;

    SIGNALLLM_HD void approximation(float (&a)[V]) const {
      widen<T>(rows[0], a);
    }
    template <int L>
    SIGNALLLM_HD void detail(int i, float (&d)[V]) const {
      widen<T>(rows[((1 << (J - L)) + i) * kStreamThreads], d);
    }
    SIGNALLLM_HD void made(int i, const float (&y)[V]) const {
      if (live) {
        store<T, V>(out + i * channels, y);
      }
    }
  };

  /// The steps that know the border.
  struct Ends {
    const Params& p;
    const StreamPlace& at;
    Taps taps;
    State& state;
    float before[J][kStreamTaps][V]; // for the first F rows of a level
    float after[J][kStreamTaps][V]; // for the last F, counted from the end

    SIGNALLLM_HD Ends(const Params& p, const StreamPlace& at, State& state)
        : p(p), at(at), taps(p.filters), state(state) {}

    /// Asks for the coefficients of step k, zeros beyond the ends.
    SIGNALLLM_HD void issue(int k, int to, Row* slot) const {
#pragma unroll 1
      for (int l = J + 1; k < to && l > 0; --l) {
        // The approximation as if it were one more level.
        const bool top = l > J;
        const int level = top ? J : l, count = 1 << (J - level);
        const T* from = top ? approximation(p, at) : details(p, at, l);
        Row* place = slot + (top ? 0 : count * kStreamThreads);
#pragma unroll 1
        for (int i = 0; i < count; ++i) {
          const int row = row_of(k, level) + i;
          if (row >= 0 && row < p.length[level]) {
            fetch(
                place + i * kStreamThreads,
                from + static_cast<int64_t>(row) * p.channels);
          } else {
            place[i * kStreamThreads] = {};
          }
        }
      }
      fetch_commit();
    }

    /// u[i], i counted as EndRule does, to the rows it belongs to.
    SIGNALLLM_HD void
    fold(int i, const float (&u)[V], float (&rows)[kStreamTaps][V]) const {
      axpy(p.rule.weight(i), u, rows[p.rule.row(i)]);
      axpy(p.rule.edge_weight(i), u, rows[p.rule.edge]);
    }

    SIGNALLLM_HD void run(int k, int to, Row* ring) {
      const auto slot = [&](int k) {
        return ring + k % kStreamSlots * kStreamRows * kStreamThreads;
      };
      for (int i = 0; i < kStreamSlots - 1; ++i) {
        issue(k + i, to, slot(k + i));
      }
      if (p.folds) {
#pragma unroll 1
        for (int l = 0; l < J; ++l) {
#pragma unroll 1
          for (int i = 0; i < kStreamTaps; ++i) {
            clear(before[l][i]);
            clear(after[l][i]);
          }
        }
        if (to > p.inner_end) {
          beyond();
        }
      }
#pragma unroll 1
      for (; k < to; ++k) {
        fetch_wait<kStreamSlots - 2>();
        issue(k + kStreamSlots - 1, to, slot(k + kStreamSlots - 1));
        const Row* given = slot(k);
        float a[2][1 << J][V];
        widen<T>(given[0], a[J % 2][0]);
#pragma unroll 1
        for (int l = J; l > 0; --l) {
#pragma unroll 1
          for (int i = 0; i < 1 << (J - l); ++i) {
            float d[V];
            widen<T>(given[((1 << (J - l)) + i) * kStreamThreads], d);
            auto& rows = a[(l - 1) % 2];
            push(
                taps,
                state.sums[l - 1],
                a[l % 2][i],
                d,
                rows[2 * i],
                rows[2 * i + 1]);
#pragma unroll 1
            for (int r = 2 * i; r < 2 * i + 2; ++r) {
              made(k, l - 1, row_of(k, l - 1) + r, rows[r]);
            }
          }
        }
      }
    }

    SIGNALLLM_HD void made(int k, int l, int row, float (&y)[V]) {
      const int n = p.length[l];
      if (row < 0 || row >= n) {
        if (p.folds && row < 0 && row >= -kShift) {
          fold(row, y, before[l]);
        }
        clear(y);
        return;
      }
      if (p.folds && row < F) {
        axpy(1.0f, before[l][row], y);
      }
      if (p.folds && row >= n - F) {
        axpy(1.0f, after[l][n - 1 - row], y);
      }
      if (l == 0 && k >= at.first) {
        store<T, V>(
            static_cast<T*>(p.output) + (at.batch * n + row) * p.channels +
                at.channel,
            y);
      }
    }

    /// What the rows beyond the end of each level give to its last F rows, from
    /// the last F coefficients of the level above.
    SIGNALLLM_HD void beyond() {
      // Counted from the end: of the levels' details, of a_l.
      float d[J][kStreamTaps][V], last[2][kStreamTaps][V];
#pragma unroll 1
      for (int l = J + 1; l > 0; --l) {
        const bool top = l > J;
        const int n = p.length[top ? J : l];
        const T* from = top ? approximation(p, at) : details(p, at, l);
        auto& to = top ? last[J % 2] : d[l - 1];
#pragma unroll
        for (int i = 0; i < F; ++i) {
          load<T, V>(
              from + static_cast<int64_t>(n - 1 - i) * p.channels, to[i]);
        }
      }
#pragma unroll 1
      for (int l = J; l > 0; --l) {
        const int n = p.length[l - 1], count = p.length[l];
        // Rows beyond the end, then the last ones.
#pragma unroll 1
        for (int i = 1 - F; i < (l > 1 ? F : 0); ++i) {
          const int row = n - 1 - i, odd = row & 1;
          float u[V];
          clear(u);
#pragma unroll
          for (int j = 0; j < F / 2; ++j) {
            const int o = count - 1 - (row + kShift - odd) / 2 + j;
            if (o >= 0) {
              axpy(odd ? taps.hi[2 * j + 1] : taps.hi[2 * j], d[l - 1][o], u);
              axpy(
                  odd ? taps.lo[2 * j + 1] : taps.lo[2 * j], last[l % 2][o], u);
            }
          }
          if (i < 0) {
            fold(i, u, after[l - 1]);
          } else {
            axpy(1.0f, after[l - 1][i], u);
#pragma unroll
            for (int v = 0; v < V; ++v) {
              last[(l - 1) % 2][i][v] = u[v];
            }
          }
        }
      }
    }
  };

  SIGNALLLM_EDGE void ends(
      const Params& p,
      const StreamPlace& at,
      int from,
      int to,
      Row* ring,
      State* state) {
    Ends(p, at, *state).run(from, to, ring);
  }
};

} // namespace signalllm::cuda

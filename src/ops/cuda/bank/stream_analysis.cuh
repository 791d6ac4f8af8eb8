#pragma once

// Multilevel analysis by streaming; for filters of at most kStreamTaps taps
// and border rules that look no further than a few rows from an end.
//
// Step k reads the rows [k 2^J, (k + 1) 2^J) of the signal and makes the rows
// k 2^(J-l) ... of level l, each from two new rows of the level before:
//   a_l[o] = sum_j lo[j] ext(a_{l-1})[2 o + 1 - j], d_l[o] with hi.
// Before the sequence, ext(a_l) is made of the first rows of a_l, which prime()
// computes in advance; beyond its end, of the last ones, which finish() keeps.

#include "stream_block.cuh"

namespace signalllm::cuda {

struct StreamAnalysisParams : StreamShape {
  const void* input = nullptr;
  void* details[kStreamLevels + 1] = {};
  void* approximation = nullptr;
  int approximation_rows = 0; // rows beyond the last are zero
};

template <class T, int F, int J>
struct StreamAnalysis {
  static constexpr int V = kStreamVector;
  static constexpr int kSteps = kStreamRows >> J; // of an iteration
  using Params = StreamAnalysisParams;
  using Row = StreamRow<T>;
  using Taps = StreamFilters<F>;
  using State = StreamState<F, J>;

  static SIGNALLLM_HD void run(const Params& p, int64_t thread, Row* ring) {
    const StreamPlace at(p, thread);
    if (!at.active) {
      return;
    }
    const int end = at.last < p.inner_end ? at.last : p.inner_end;
    const int iterations = end > at.start ? (end - at.start) / kSteps : 0;
    const T* next =
        signal(p, at) + (static_cast<int64_t>(at.start) << J) * p.channels;
    const auto issue = [&](int i) {
      if (i < iterations) {
        Row* slot = ring + i % kStreamSlots * kStreamRows * kStreamThreads;
#pragma unroll
        for (int r = 0; r < kStreamRows; ++r) {
          fetch(
              slot + r * kStreamThreads,
              next + static_cast<int64_t>(r) * p.channels);
        }
        next += static_cast<int64_t>(kStreamRows) * p.channels;
      }
      fetch_commit();
    };
#pragma unroll
    for (int i = 0; i < kStreamSlots - 1; ++i) {
      issue(i);
    }
    State state;
    state.reset();
    if (at.start == 0 && F > 2 && p.folds) {
      State primed = state;
      prime(p, at, &primed);
      state = primed;
    }
    const Taps taps(p.filters);
    Inner inner(p, at);
    int k = at.start;
#pragma unroll 1
    for (int i = 0; i < iterations; ++i) {
      fetch_wait<kStreamSlots - 2>();
      issue(i + kStreamSlots - 1);
      inner.rows = ring + i % kStreamSlots * kStreamRows * kStreamThreads;
#pragma unroll
      for (int s = 0; s < kSteps; ++s) {
        inner.live = k >= at.first;
        step(taps, state, inner);
        inner.advance();
        ++k;
      }
    }
    const bool longer = p.approximation_rows > p.length[J];
    if (k < at.last || (longer && at.last == p.total)) {
      State rest = state;
      finish(p, at, k, ring, &rest);
    }
  }

 private:
  static SIGNALLLM_HD const T* signal(const Params& p, const StreamPlace& at) {
    return static_cast<const T*>(p.input) +
        at.batch * p.length[0] * p.channels + at.channel;
  }

  /// The next output of a level from two rows, x1 the later one.
  static SIGNALLLM_HD void push(
      const Taps& f,
      float (&s)[State::pending][2][V],
      const float (&x0)[V],
      const float (&x1)[V],
      float (&a)[V],
      float (&d)[V]) {
#pragma unroll
    for (int i = -1; i < F / 2 - 1; ++i) {
      // Output i + 1 from now; i < 0 is the one that is complete.
      const int j = 2 * i + 2;
      const int next = i + 2 < F / 2 ? i + 1 : 0;
      float(&y)[V] = i < 0 ? a : s[i < 0 ? 0 : i][0];
      float(&z)[V] = i < 0 ? d : s[i < 0 ? 0 : i][1];
#pragma unroll
      for (int v = 0; v < V; ++v) {
        const float b = i + 2 < F / 2 ? s[next][0][v] : 0.0f;
        const float c = i + 2 < F / 2 ? s[next][1][v] : 0.0f;
        y[v] = b + f.lo[j + 1] * x0[v];
        z[v] = c + f.hi[j + 1] * x0[v];
        y[v] += f.lo[j] * x1[v];
        z[v] += f.hi[j] * x1[v];
      }
    }
  }

  /// Row I of a step's rows of level L.
  template <int L, int I, class Rows>
  static SIGNALLLM_HD void
  make(const Taps& f, State& s, Rows& rows, float (&a)[V]) {
    if constexpr (L == 0) {
      rows.signal(I, a);
    } else {
      float x0[V], x1[V], d[V];
      make<L - 1, 2 * I>(f, s, rows, x0);
      make<L - 1, 2 * I + 1>(f, s, rows, x1);
      push(f, s.sums[L - 1], x0, x1, a, d);
      rows.template detail<L>(I, d);
    }
  }
  template <class Rows>
  static SIGNALLLM_HD void step(const Taps& f, State& s, Rows& rows) {
    float a[V];
    make<J, 0>(f, s, rows, a);
    rows.approximation(a);
  }

  /// A step away from the ends.
  struct Inner {
    const Row* rows = nullptr;
    T* out[J + 2]; // a, d_1, ... at the step's first row
    int64_t channels;
    bool live = false;

    SIGNALLLM_HD Inner(const Params& p, const StreamPlace& at)
        : channels(p.channels) {
#pragma unroll
      for (int l = 1; l <= J; ++l) {
        const int64_t row = at.batch * p.length[l] +
            (static_cast<int64_t>(at.start) << (J - l));
        out[l] = static_cast<T*>(p.details[l]) + row * p.channels + at.channel;
      }
      out[0] = static_cast<T*>(p.approximation) +
          (at.batch * p.approximation_rows + at.start) * p.channels +
          at.channel;
    }
    SIGNALLLM_HD void advance() {
      rows += (1 << J) * kStreamThreads;
      out[0] += channels;
#pragma unroll
      for (int l = 1; l <= J; ++l) {
        out[l] += channels << (J - l);
      }
    }
    SIGNALLLM_HD void signal(int i, float (&x)[V]) const {
      widen<T>(rows[i * kStreamThreads], x);
    }
    template <int L>
    SIGNALLLM_HD void detail(int i, const float (&d)[V]) const {
      if (live) {
        store<T, V>(out[L] + i * channels, d);
      }
    }
    SIGNALLLM_HD void approximation(const float (&a)[V]) const {
      if (live) {
        store<T, V>(out[0], a);
      }
    }
  };

  /// The parts of the walk that know the border.
  struct Ends {
    const Params& p;
    const StreamPlace& at;
    Taps taps;
    State& state;

    SIGNALLLM_HD void signal(int row, float (&x)[V]) const {
      load<T, V>(
          StreamAnalysis::signal(p, at) +
              static_cast<int64_t>(row) * p.channels,
          x);
    }

    /// The partial sums as the rows before the sequence leave them. Level after
    /// level, rows -(F - 2) ... of it lie from `base - (F - 2)` on.
    SIGNALLLM_HD void prime() const {
      constexpr int before = F - 2;
      constexpr int rows = (F - 1) << (J - 1);
      float buffer[before * J + rows][V];
      int base = before * J;
#pragma unroll 14
      for (int r = 0; r < rows; ++r) {
        signal(r, buffer[base + r]);
      }
#pragma unroll 1
      for (int l = 0; l < J; ++l) {
#pragma unroll 1
        for (int i = -before; i < 0; ++i) {
          clear(buffer[base + i]);
          axpy(
              p.rule.weight(i), buffer[base + p.rule.row(i)], buffer[base + i]);
          axpy(
              p.rule.edge_weight(i),
              buffer[base + p.rule.edge],
              buffer[base + i]);
        }
#pragma unroll 1
        for (int i = -before; i < 0; i += 2) {
          float a[V], d[V];
          push(
              taps,
              state.sums[l],
              buffer[base + i],
              buffer[base + i + 1],
              a,
              d);
        }
        const int next = l + 1 < J ? (F - 1) << (J - 2 - l) : 0;
#pragma unroll 1
        for (int o = 0; o < next; ++o) {
          float sum[V];
          clear(sum);
#pragma unroll
          for (int j = 0; j < F; ++j) {
            axpy(taps.lo[j], buffer[base + 2 * o + 1 - j], sum);
          }
          copy(sum, buffer[base - before + o]);
        }
        base -= before;
      }
    }

    static SIGNALLLM_HD void copy(const float (&from)[V], float (&to)[V]) {
#pragma unroll
      for (int v = 0; v < V; ++v) {
        to[v] = from[v];
      }
    }

    /// Asks for the rows of step k that exist.
    SIGNALLLM_HD void issue(int k, Row* slot) const {
      const T* from = StreamAnalysis::signal(p, at);
#pragma unroll 1
      for (int i = 0; k < at.last && i < 1 << J; ++i) {
        const int row = (k << J) + i;
        if (row < p.length[0]) {
          fetch(
              slot + i * kStreamThreads,
              from + static_cast<int64_t>(row) * p.channels);
        }
      }
      fetch_commit();
    }

    /// Row `row` of a level: beyond the end made of the last ones, of which row
    /// r is kept at r modulo kStreamTaps.
    SIGNALLLM_HD void
    keep(float (&last)[kStreamTaps][V], int row, int n, float (&a)[V]) const {
      const int i = n - 1 - row; // as EndRule counts
      if (i >= 0) {
        copy(a, last[row % kStreamTaps]);
        return;
      }
      clear(a);
      if (i > -F) {
        const int from = n - 1 - p.rule.row(i), edge = n - 1 - p.rule.edge;
        axpy(p.rule.weight(i), last[from % kStreamTaps], a);
        axpy(p.rule.edge_weight(i), last[edge % kStreamTaps], a);
      }
    }

    /// The steps from k on.
    SIGNALLLM_HD void finish(int k, Row* ring) const {
      float last[J][kStreamTaps][V];
      const auto slot = [&](int k) {
        return ring + k % kStreamSlots * kStreamRows * kStreamThreads;
      };
      for (int i = 0; i < kStreamSlots - 1; ++i) {
        issue(k + i, slot(k + i));
      }
#pragma unroll 1
      for (; k < at.last; ++k) {
        fetch_wait<kStreamSlots - 2>();
        issue(k + kStreamSlots - 1, slot(k + kStreamSlots - 1));
        float x[1 << J][V];
#pragma unroll 1
        for (int i = 0; i < 1 << J; ++i) {
          widen<T>(slot(k)[i * kStreamThreads], x[i]);
          keep(last[0], (k << J) + i, p.length[0], x[i]);
        }
#pragma unroll 1
        for (int l = 1; l <= J; ++l) {
#pragma unroll 1
          for (int i = 0; i < 1 << (J - l); ++i) {
            const int row = (k << (J - l)) + i, n = p.length[l];
            float a[V], d[V];
            push(taps, state.sums[l - 1], x[2 * i], x[2 * i + 1], a, d);
            if (row < n && k >= at.first) {
              put(p.details[l], n, row, d);
              if (l == J) {
                put(p.approximation, p.approximation_rows, row, a);
              }
            }
            if (l < J) {
              keep(last[l], row, n, a);
              copy(a, x[i]);
            }
          }
        }
      }
      if (at.last == p.total) {
        float zero[V];
        clear(zero);
        for (int row = p.length[J]; row < p.approximation_rows; ++row) {
          put(p.approximation, p.approximation_rows, row, zero);
        }
      }
    }

    SIGNALLLM_HD void put(void* to, int rows, int row, const float (&x)[V])
        const {
      store<T, V>(
          static_cast<T*>(to) + (at.batch * rows + row) * p.channels +
              at.channel,
          x);
    }
  };

  SIGNALLLM_EDGE void
  prime(const Params& p, const StreamPlace& at, State* state) {
    Ends{p, at, Taps(p.filters), *state}.prime();
  }
  SIGNALLLM_EDGE void finish(
      const Params& p,
      const StreamPlace& at,
      int k,
      Row* ring,
      State* state) {
    Ends{p, at, Taps(p.filters), *state}.finish(k, ring);
  }
};

} // namespace signalllm::cuda

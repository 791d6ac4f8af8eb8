#pragma once

// All steps of a causal bank in one pass: causal_wavedec,
// causal_wavelet_filter, their transposes and, with Gradient, the gradients of
// the filters besides.
//
// Step i makes S_{i+1}[t] = sum_k lo[k] S_i[t - dilation_i k]. Its rows in a
// thread's registers are the group's; the rows before them come out of the
// ring. The transposes run backwards in time, so that row t of the forward
// state meets the k-th row of the window in the gradient of tap k. A step of
// swt looks ahead by half its filter, so its result stands for rows that are as
// much earlier: shift_{i+1} = shift_i + dilation_i offset, modulo the length.

#include "causal_stream_thread.cuh"

namespace signalllm::cuda {

/// K taps, or one less.
template <class T, int K, CausalKind Kind, bool Gradient>
struct CausalStream : CausalStreamThread<T, K, Kind> {
  using Base = CausalStreamThread<T, K, Kind>;
  using Base::add, Base::keep, Base::kFilter, Base::kReversed, Base::live;
  using Base::memory, Base::multiply_add, Base::p, Base::place, Base::R;
  using Base::tap, Base::tid, Base::V, Base::valid, Base::weight;
  using Base::window, Base::write, Base::zero;
  using typename Base::Params;
  using typename Base::Rows;
  using typename Base::Vector;

  /// Whether the steps read details.
  static constexpr bool kDetailed =
      Kind == CausalKind::analysis_transposed || Kind == CausalKind::iswt;

  /// Whether steps of other launches may come before.
  static constexpr bool kWide = descends(Kind);

  float lo[K][V];
  Rows x; // S_i
  Rows extra; // the filter's sum, the step's details, the filter's gradient
  CausalRaw<T> next; // the next chunk's input
  CausalRaw<T> ahead, along; // the next step's details, forward state
  float dlo[K][V], dhi[K][V];

  /// Whether a barrier closes a chunk: begin() writes what the last step reads.
  static SIGNALLLM_HD bool closes(const Params& p) {
    return p.steps == 1 || Kind == CausalKind::filter_transposed;
  }
  /// Rows of `shares`: of lo's taps; then of hi's, of the weights by step, of
  /// the first and the last weight.
  static SIGNALLLM_HD int sums(const Params& p) {
    return kFilter ? 2 * K + p.steps + 2 : K;
  }
  /// Vectors of shared memory before the tables: rings, later the taps' sums.
  static SIGNALLLM_HD int room(const Params& p) {
    const int rings = p.groups * R * kCausalLanes;
    const int taps = Gradient ? (kFilter ? 2 : 1) * K * kCausalThreads : 0;
    return rings > taps ? rings : taps;
  }
  static SIGNALLLM_HD int tables_size(const Params& p) {
    return has_high(Kind) ? (K + (kFilter ? p.steps + 2 : 0)) * kCausalLanes
                          : 0;
  }
  static int64_t shared_bytes(const Params& p) {
    const int weights =
        kFilter && Gradient ? (p.steps + 2) * kCausalThreads : 0;
    return (room(p) + tables_size(p) + weights) * sizeof(CausalPack);
  }

  SIGNALLLM_HD CausalStream(const Params& p, int block, int tid, void* shared)
      : Base(p, block, tid, static_cast<CausalPack*>(shared), room(p)) {}

  /// Has the filters and the first rows on their way.
  SIGNALLLM_HD void prepare() {
    this->clear_shared();
    this->taps(lo);
    if constexpr (Gradient) {
#pragma unroll
      for (int k = 0; k < K; ++k) {
        clear(dlo[k]);
        clear(dhi[k]);
      }
      const Vector none = {};
      for (int i = 0; kFilter && i < p.steps + 2; ++i) {
        this->put(weight_sum(i), none);
      }
      along.load(p.states[0], p.steps > 1, place(0), live(0));
    }
    ask_input(0);
    if constexpr (kDetailed) {
      ahead.load(p.details[0], false, place(0), valid(0));
    }
  }

  /// A chunk's rows of S_0.
  SIGNALLLM_HD void begin(int c) {
    if constexpr (Kind == CausalKind::filter_transposed) {
      next.get(false, extra);
      keep(p.ring[p.steps], c, extra);
      if (p.first) {
        Vector w;
        weight(p.steps + 1, w);
        zero(x);
        add(w, extra, x);
      } else {
        CausalRaw<T> rows;
        rows.load(p.input, true, place(c), valid(c));
        rows.get(true, x);
      }
    } else {
      next.get(kWide && p.wide_input, x);
    }
    if constexpr (Kind == CausalKind::filter) {
      Vector w;
      weight(p.steps, w);
      zero(extra);
      add(w, x, extra);
    }
    if constexpr (kDetailed) {
      take_details(0, c, x);
    }
    keep(p.ring[0], c, x);
    if (c + 1 < this->chunks()) {
      ask_input(c + 1);
    }
  }

  /// Step i of a chunk; a barrier belongs before.
  SIGNALLLM_HD void step(int i, int c) {
    const bool top = i + 1 == p.steps;
    const int count = live(c);
    Rows a, y;
    if constexpr (Gradient) {
      along.get(!top, a); // zero but for the segment's own rows
    }
    ask_ahead(i, c, top);
    zero(y);
    const auto low = [&](int k, int r, const Vector& w) {
      multiply_add(lo[k], w, y[r]);
      if constexpr (Gradient) {
        multiply_add(a[r], w, dlo[k]);
      }
    };
    const int dilation = p.dilation[i];
    if constexpr (Kind == CausalKind::analysis) {
      window(p.ring[i], dilation, c, x, low);
      write(p.details[i], false, place(c), count, [&](int r, int v) {
        return x[r][v] - y[r][v];
      });
    } else if constexpr (Kind == CausalKind::analysis_transposed) {
      window(p.ring[i], dilation, c, x, low);
      add(1, extra, y);
    } else if constexpr (is_circular(Kind)) {
      float hi[K][V];
#pragma unroll
      for (int k = 0; k < K; ++k) {
        tap(k, hi[k]);
      }
      if constexpr (Kind == CausalKind::swt) {
        zero(extra);
        window(p.ring[i], dilation, c, x, [&](int k, int r, const Vector& s) {
          low(k, r, s);
          multiply_add(hi[k], s, extra[r]);
        });
        write(
            p.details[i],
            false,
            place(c, p.shift[i + 1]),
            count,
            [&](int r, int v) { return extra[r][v]; });
      } else {
        const auto high = [&](int k, int r, const Vector& s) {
          multiply_add(hi[k], s, y[r]);
        };
        window(p.ring[i], dilation, c, x, low);
        window(p.ring[p.steps + i], dilation, c, extra, high);
      }
    } else {
      Vector w;
      float hi[K][V], sums[K][V];
      weight(i, w);
#pragma unroll
      for (int k = 0; k < K; ++k) {
        Vector h;
        tap(k, h);
        clear(hi[k]);
        clear(sums[k]);
        multiply_add(w, h, hi[k]);
      }
      if constexpr (Kind == CausalKind::filter) {
        window(p.ring[i], dilation, c, x, [&](int k, int r, const Vector& s) {
          low(k, r, s);
          multiply_add(hi[k], s, extra[r]);
        });
        if (top) {
          if (p.last) {
            weight(p.steps + 1, w);
            add(w, y, extra);
          }
          write(p.output, p.wide_output, place(c), count, [&](int r, int v) {
            return extra[r][v];
          });
          write(p.state, true, place(c), count, [&](int r, int v) {
            return y[r][v];
          });
        }
      } else {
        window(p.ring[i], dilation, c, x, low);
        const auto high = [&](int k, int r, const Vector& s) {
          multiply_add(hi[k], s, y[r]);
          if constexpr (Gradient) {
            multiply_add(a[r], s, sums[k]);
          }
        };
        window(p.ring[p.steps], dilation, c, extra, high);
        if constexpr (Gradient) {
          share(i, top, w, sums);
        }
        if (top) {
          weight(p.steps, w);
          add(w, extra, y);
        }
      }
    }
    if constexpr (Kind == CausalKind::analysis || Kind == CausalKind::swt) {
      const auto at = place(c, p.shift[i + 1]);
      write(
          p.states[i], true, at, count, [&](int r, int v) { return y[r][v]; });
    }
    if (!top) {
      if constexpr (kDetailed) {
        take_details(i + 1, c, y);
      }
#pragma unroll
      for (int r = 0; r < R; ++r) {
#pragma unroll
        for (int v = 0; v < V; ++v) {
          x[r][v] = y[r][v];
        }
      }
      keep(p.ring[i + 1], c, x);
    } else if (Kind != CausalKind::filter) {
      const auto at = place(c, p.shift[p.steps]);
      write(p.output, p.wide_output, at, count, [&](int r, int v) {
        return y[r][v];
      });
    }
  }

  /// The sums of the taps to shared memory; a barrier belongs before.
  SIGNALLLM_HD void keep_sums() const {
#pragma unroll
    for (int k = 0; k < K; ++k) {
      this->put(memory + k * kCausalThreads + tid, dlo[k]);
      if constexpr (kFilter) {
        this->put(memory + (K + k) * kCausalThreads + tid, dhi[k]);
      }
    }
  }

  /// The block's sums over its groups, in a fixed order; a barrier belongs
  /// before.
  SIGNALLLM_HD void write_sums(int block) const {
    const int c = tid % kCausalChannels;
    const int out = this->channel - this->lane * V + c;
    const int64_t part = block / p.channel_tiles;
    for (int q = tid / kCausalChannels; out < p.channels && q < sums(p);
         q += kCausalThreads / kCausalChannels) {
      const CausalPack* from = kFilter && q >= 2 * K
          ? weight_sum(q - 2 * K) - tid
          : memory + q * kCausalThreads;
      float sum = 0;
      for (int g = 0; g < kCausalGroups; ++g) {
        sum += from[g * kCausalLanes + c / V].v[c % V];
      }
      p.shares[(part * sums(p) + q) * p.channels + out] = sum;
    }
  }

 private:
  /// The details of step i that were asked for, `state` its state.
  SIGNALLLM_HD void take_details(int i, int c, Rows& state) {
    ahead.get(false, extra);
    if constexpr (Kind == CausalKind::iswt) {
      keep(p.ring[p.steps + i], c, extra);
    } else {
      add(-1, extra, state);
    }
  }
  SIGNALLLM_HD void ask_input(int c) {
    const bool filter = Kind == CausalKind::filter_transposed;
    next.load(
        filter ? p.signal : p.input,
        kWide && !filter && p.wide_input,
        place(c),
        valid(c));
  }
  /// What step i's follower reads.
  SIGNALLLM_HD void ask_ahead(int i, int c, bool top) {
    const int at = top ? c + 1 : c, to = top ? 0 : i + 1;
    if (at == this->chunks()) {
      return;
    }
    if constexpr (kDetailed) {
      ahead.load(p.details[to], false, place(at, p.shift[to]), valid(at));
    }
    if constexpr (Gradient) {
      along.load(p.states[to], to + 1 < p.steps, place(at), live(at));
    }
  }

  SIGNALLLM_HD CausalPack* weight_sum(int i) const {
    return this->tables + tables_size(p) + i * kCausalThreads + tid;
  }
  SIGNALLLM_HD void add_weight(int i, const Vector& s) const {
    Vector sum;
    this->get(weight_sum(i), sum);
    axpy(1.0f, s, sum);
    this->put(weight_sum(i), sum);
  }
  /// What sums[k], the gradient times the state at lag k, gives to hi, to the
  /// step's weight and, at the ends, to the first and the last weight.
  SIGNALLLM_HD void
  share(int i, bool top, const Vector& w, const float (&sums)[K][V]) {
    Vector high, low;
    clear(high);
    clear(low);
#pragma unroll
    for (int k = 0; k < K; ++k) {
      Vector h;
      tap(k, h);
      multiply_add(h, sums[k], high);
      multiply_add(lo[k], sums[k], low);
      multiply_add(w, sums[k], dhi[k]);
    }
    add_weight(i, high);
    if (i == 0 && p.first) {
      add_weight(p.steps + 1, low);
    }
    if (top) {
      add_weight(p.steps, sums[0]);
    }
  }
};

} // namespace signalllm::cuda

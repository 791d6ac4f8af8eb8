#pragma once

#include "ops/cpu/causal.h"
#include "ops/cpu/rows.h"

#include <algorithm>
#include <vector>

// What the causal drivers share. A job is (batch entry, block of channels) and
// works on the whole sequence, level after level, in the thread's scratch:
// `length` rows of `channels` contiguous values, a Field.
//
// Tap k of row t lies k dilations back (or ahead, for the transpose), where it
// exists for the first min(taps, t / dilation + 1) taps only. So the rows are
// cut where that number changes, and each piece is one strided call.

namespace signalllm::ops::cpu {

template <class A>
struct Field {
  A* data;
  int64_t stride;

  A* row(int64_t t) const {
    return data + t * stride;
  }
};

/// Calls f(first row, end, taps) for the pieces of `length` rows whose taps
/// reach back; mirrored for taps that reach ahead.
template <class F>
void causal_pieces(
    int64_t length,
    int64_t taps,
    int64_t dilation,
    bool ahead,
    F&& f) {
  for (int64_t n = 1, t = 0; t < length; ++n) {
    const bool rest = n >= taps || dilation >= length - t;
    const int64_t end = rest ? length : t + dilation;
    ahead ? f(length - end, length - t, n) : f(t, end, n);
    t = end;
  }
}

template <class A>
class CausalJob {
 public:
  CausalJob(const Causal<A>& call, int64_t block, int64_t job)
      : call_(call), c0_(job % ((call.inner + block - 1) / block) * block),
        batch_(job / ((call.inner + block - 1) / block)),
        channels_(std::min(block, call.inner - c0_)) {}

  int64_t channels() const {
    return channels_;
  }
  int64_t first_channel() const {
    return c0_;
  }

  Field<A> field(Scratch& scratch) const {
    return {scratch.take<A>(call_.length * channels_), channels_};
  }

  /// The tensor's rows: in place, or widened into `copy`.
  Field<A> load(const void* tensor, Field<A> copy) const {
    if (!is_half(call_.storage)) {
      return {
          const_cast<A*>(static_cast<const A*>(tensor)) + start(), call_.inner};
    }
    load_rows(
        call_.storage,
        tensor,
        start(),
        call_.inner,
        copy.data,
        copy.stride,
        call_.length,
        channels_);
    return copy;
  }
  /// Where to put what goes to the tensor, and the end of it.
  Field<A> target(void* tensor, Field<A> copy) const {
    return is_half(call_.storage)
        ? copy
        : Field<A>{static_cast<A*>(tensor) + start(), call_.inner};
  }
  void finish(void* tensor, Field<A> made) const {
    if (is_half(call_.storage)) {
      store_rows(
          call_.storage,
          made.data,
          made.stride,
          tensor,
          start(),
          call_.inner,
          call_.length,
          channels_);
    }
  }

  /// to = add + f * x; `add` may be null, and is not `to`.
  void filter(
      const A* f,
      const A* f2,
      int64_t level,
      bool ahead,
      Field<A> x,
      Field<A> to,
      const Field<A>* to2 = nullptr,
      const Field<A>* add = nullptr) const {
    const int64_t dilation = int64_t{1} << level;
    const int64_t offset = call_.per_channel ? c0_ : 0;
    causal_pieces(
        call_.length,
        call_.taps,
        dilation,
        ahead,
        [&](int64_t t, int64_t end, int64_t taps) {
          Fir<A> k;
          k.x = x.row(t);
          k.row_step = x.stride;
          k.tap_step =
              taps == 1 ? 0 : (ahead ? dilation : -dilation) * x.stride;
          k.taps_lo = f + offset;
          k.taps_hi = f2 ? f2 + offset : nullptr;
          k.taps = taps;
          k.taps_stride = call_.per_channel ? call_.inner : 0;
          k.lo = to.row(t);
          k.lo_stride = to.stride;
          if (to2) {
            k.hi = to2->row(t);
            k.hi_stride = to2->stride;
          }
          if (add) {
            k.add = add->row(t);
            k.add_stride = add->stride;
          }
          k.rows = end - t;
          k.channels = channels_;
          kernels<A>().fir(k);
        });
  }

  /// sums_lo[k] += sum_t lo[t] x[t - k dilation], sums_hi likewise.
  void gradient(
      int64_t taps,
      int64_t level,
      Field<A> x,
      Field<A> lo,
      Field<A> hi,
      A* sums_lo,
      A* sums_hi,
      int64_t stride) const {
    const int64_t dilation = int64_t{1} << level;
    causal_pieces(
        call_.length,
        taps,
        dilation,
        false,
        [&](int64_t t, int64_t end, int64_t n) {
          FirGradient<A> g;
          g.x = x.row(t);
          g.row_step = x.stride;
          g.tap_step = n == 1 ? 0 : -dilation * x.stride;
          g.lo = lo.row(t);
          g.hi = hi.row(t);
          g.lo_stride = lo.stride;
          g.hi_stride = hi.stride;
          g.sums_lo = sums_lo + (stride ? c0_ : 0);
          g.sums_hi = sums_hi + (stride ? c0_ : 0);
          g.taps = n;
          g.sums_stride = stride;
          g.rows = end - t;
          g.channels = channels_;
          kernels<A>().fir_gradient(g);
        });
  }

  /// to = add + w x for all rows; `add` may be null, and may be `to`.
  void scale(
      const A* w,
      bool per_channel,
      Field<A> x,
      const Field<A>* add,
      Field<A> to) const {
    Scale<A> s;
    s.x = x.data;
    s.x_stride = x.stride;
    s.add = add ? add->data : nullptr;
    s.add_stride = add ? add->stride : 0;
    s.y = to.data;
    s.y_stride = to.stride;
    s.w = per_channel ? w + c0_ : w;
    s.w_per_channel = per_channel;
    s.rows = call_.length;
    s.channels = channels_;
    kernels<A>().scale(s);
  }

  /// Weight j of the read-out applied.
  void weigh(int64_t j, Field<A> x, const Field<A>* add, Field<A> to) const {
    const bool own = call_.weight_per_channel;
    scale(call_.weight + (own ? j * call_.inner : j), own, x, add, to);
  }

 private:
  int64_t start() const {
    return batch_ * call_.length * call_.inner + c0_;
  }

  const Causal<A>& call_;
  int64_t c0_, batch_, channels_;
};

/// Runs body(job, scratch) for all jobs, each with memory for `fields` fields.
template <class A, class F>
void run_causal(const Causal<A>& call, int64_t fields, F&& body) {
  const int64_t values = (int64_t{768} << 10) / sizeof(A) / fields;
  int64_t block = channel_block(call.inner, call.length, values);
  const auto blocks = [&] { return (call.inner + block - 1) / block; };
  while (call.batch * blocks() < available_threads() && block >= 64) {
    block = (block / 2 + 31) / 32 * 32;
  }
  run_jobs(call.batch * blocks(), call.length * block, [&](int64_t i) {
    const CausalJob<A> job(call, block, i);
    Scratch scratch(
        fields * Scratch::bytes_for(call.length * job.channels(), sizeof(A)));
    body(job, scratch);
  });
}

} // namespace signalllm::ops::cpu

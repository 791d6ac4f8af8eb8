// The text of the kernels of tree_kernels.h, compiled once for every
// instruction set as bank_kernels_impl.h is.
//
// Scores lie with a key a row and a query a column, so that maxima, sums and
// exponentials run over vectors of queries, and only the queries are turned,
// once a block. Everything else is one product of matrices (`Product`), whose
// left factor is read value by value in either direction. Logits are in units
// of ln 2. The first rows seen belong to the own chunk, so that the running
// maximum of the one softmax is finite from the beginning.

#include "ops/cpu/tree_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace signalllm::ops::cpu {
namespace SIGNALLLM_KERNELS {
namespace {

#include "ops/cpu/vector.h"

// clang-format off
#include "ops/cpu/product.inc"
#include "ops/cpu/exp2.inc"
// clang-format on

constexpr int64_t kKeys = 64; // of a block of scores
constexpr int64_t kOwnKeys = 16; // where every query sees another number
constexpr double kLog2e = 1.4426950408889634, kLn2 = 0.6931471805599453;

template <class A>
struct Scratch {
  int64_t columns;
  A *query, *rows, *grad, *scores, *grads, *most, *sum, *factor;

  explicit Scratch(const TreeBlock<A>& b) {
    const int64_t step = 2 * kWidth<A>, width = (b.width + 15) / 16 * 16;
    columns = (b.queries + step - 1) / step * step;
    A* next = b.scratch;
    const auto take = [&](int64_t values) {
      A* at = next;
      next += values;
      return at;
    };
    query = take(64 * width);
    rows = take(64 * width);
    grad = take(64 * width);
    scores = take(64 * kKeys);
    grads = take(64 * kKeys);
    most = take(64);
    sum = take(64);
    factor = take(64);
  }

  /// to[c][i] = factor from[i][c], zeros in the columns behind.
  void turn(const TreeBlock<A>& b, const A* from, A factor_, A* to) const {
    for (int64_t c = 0; c < b.width; ++c) {
      for (int64_t i = b.queries; i < columns; ++i) {
        to[c * columns + i] = 0;
      }
    }
    for (int64_t i = 0; i < b.queries; ++i) {
      for (int64_t c = 0; c < b.width; ++c) {
        to[c * columns + i] = factor_ * from[i * b.width + c];
      }
    }
  }
};

/// Some rows of a range and the queries from `column` on, which see them; with
/// `diagonal` query i sees rows up to `i - diagonal_row`.
struct Part {
  int64_t first, count, column;
  bool diagonal;
  int64_t diagonal_row;
};

/// Calls visit(range, part): the last range first, its masked rows in parts.
template <class A, class Visit>
SIGNALLLM_INLINE void each_part(const TreeBlock<A>& b, const Visit& visit) {
  for (int64_t r = b.range_count - 1; r >= 0; --r) {
    const auto& range = b.ranges[r];
    const bool own = r == b.range_count - 1;
    const int64_t whole = own ? range.count - b.queries : range.count;
    for (int64_t first = 0; first < whole; first += kKeys) {
      const int64_t left = whole - first;
      visit(range, Part{first, left < kKeys ? left : kKeys, 0, false, 0});
    }
    for (int64_t k = 0; own && k < b.queries; k += kOwnKeys) {
      const int64_t left = b.queries - k, step = 2 * kWidth<A>;
      visit(
          range,
          Part{
              whole + k,
              left < kOwnKeys ? left : kOwnKeys,
              k / step * step,
              true,
              k});
    }
  }
}

/// scores[k][i] = keys[k] . turned[.][i] from the part's column on.
template <class A>
void products(
    const TreeBlock<A>& b,
    const Scratch<A>& s,
    const Part& part,
    const A* keys,
    const A* turned,
    A* scores) {
  Product<A> p;
  p.rows = part.count;
  p.columns = s.columns - part.column;
  p.depth = b.width;
  p.a = keys + part.first * b.width;
  p.a_row = b.width;
  p.a_step = 1;
  p.b = turned + part.column;
  p.b_row = s.columns;
  p.c = scores + part.column;
  p.c_row = s.columns;
  product<A, false>(p);
}

/// to[i][c] += sum_k scores[k][i] rows[k][c] for the queries of the part.
template <class A>
void add_to_queries(
    const TreeBlock<A>& b,
    const Scratch<A>& s,
    const Part& part,
    const A* scores,
    const A* rows,
    A* to) {
  Product<A> p;
  p.rows = b.queries - part.column;
  p.columns = b.width;
  p.depth = part.count;
  p.a = scores + part.column;
  p.a_row = 1;
  p.a_step = s.columns;
  p.b = rows + part.first * b.width;
  p.b_row = b.width;
  p.c = to + part.column * b.width;
  p.c_row = b.width;
  product<A, true>(p);
}

/// to[k][c] += sum_i scores[k][i] rows[i][c].
template <class A>
void add_to_keys(
    const TreeBlock<A>& b,
    const Scratch<A>& s,
    const Part& part,
    const A* scores,
    const A* rows,
    A* to) {
  Product<A> p;
  p.rows = part.count;
  p.columns = b.width;
  p.depth = b.queries - part.column;
  p.a = scores + part.column;
  p.a_row = s.columns;
  p.a_step = 1;
  p.b = rows + part.column * b.width;
  p.b_row = b.width;
  p.c = to + part.first * b.width;
  p.c_row = b.width;
  product<A, true>(p);
}

/// Fills what a query does not see.
template <class A>
SIGNALLLM_INLINE void
hide(const Scratch<A>& s, const Part& part, A* scores, A value) {
  for (int64_t k = 0; part.diagonal && k < part.count; ++k) {
    for (int64_t i = part.column; i < part.diagonal_row + k; ++i) {
      scores[k * s.columns + i] = value;
    }
  }
}

template <class A>
void forward(const TreeBlock<A>& b) {
  const Scratch<A> s(b);
  s.turn(b, b.query, b.scale * A(kLog2e), s.query);
  for (int64_t i = 0; i < s.columns; ++i) {
    s.most[i] = -A(__builtin_inf());
    s.sum[i] = 0;
  }
  for (int64_t i = 0; i < b.queries * b.width; ++i) {
    b.output[i] = 0;
  }
  each_part(b, [&](const TreeRange<A>& range, const Part& part) {
    products(b, s, part, range.keys, s.query, s.scores);
    hide(s, part, s.scores, -A(__builtin_inf()));
    const auto bias = broadcast<A>(range.bias);
    for (int64_t i = part.column; i < s.columns; i += kWidth<A>) {
      const auto before = load(s.most + i);
      auto most = before;
      for (int64_t k = 0; k < part.count; ++k) {
        const auto x = load(s.scores + k * s.columns + i) + bias;
        most = x > most ? x : most;
      }
      const auto factor = exp2<A>(before - most);
      auto sum = load(s.sum + i) * factor;
      const auto less = bias - most;
      for (int64_t k = 0; k < part.count; ++k) {
        A* at = s.scores + k * s.columns + i;
        const auto share = exp2<A>(load(at) + less);
        store<A>(at, share);
        sum += share;
      }
      store<A>(s.most + i, most);
      store<A>(s.sum + i, sum);
      store<A>(s.factor + i, factor);
    }
    for (int64_t i = part.column; i < b.queries; ++i) {
      const A factor = s.factor[i];
      if (factor != 1) {
        for (int64_t c = 0; c < b.width; ++c) {
          b.output[i * b.width + c] *= factor;
        }
      }
    }
    add_to_queries(b, s, part, s.scores, range.values, b.output);
  });
  for (int64_t i = 0; i < b.queries; ++i) {
    const A share = 1 / s.sum[i];
    for (int64_t c = 0; c < b.width; ++c) {
      b.output[i * b.width + c] *= share;
    }
    b.logsumexp[i] = static_cast<A>(
        (static_cast<double>(s.most[i]) +
         __builtin_log2(static_cast<double>(s.sum[i]))) *
        kLn2);
  }
}

template <class A>
void backward(const TreeBlock<A>& b) {
  const Scratch<A> s(b);
  s.turn(b, b.query, b.scale * A(kLog2e), s.query);
  s.turn(b, b.grad, 1, s.grad);
  A* mean = s.sum;
  for (int64_t i = 0; i < s.columns; ++i) {
    s.most[i] = 0;
    mean[i] = 0;
  }
  for (int64_t i = 0; i < b.queries; ++i) {
    s.most[i] = b.logsumexp[i] * A(kLog2e);
    for (int64_t c = 0; c < b.width; ++c) {
      const auto at = i * b.width + c;
      mean[i] += b.grad[at] * b.output[at];
      s.rows[at] = b.scale * b.query[at];
      b.query_grad[at] = 0;
    }
  }
  each_part(b, [&](const TreeRange<A>& range, const Part& part) {
    products(b, s, part, range.keys, s.query, s.scores);
    products(b, s, part, range.values, s.grad, s.grads);
    hide(s, part, s.scores, -A(__builtin_inf()));
    const auto bias = broadcast<A>(range.bias);
    for (int64_t i = part.column; i < s.columns; i += kWidth<A>) {
      const auto less = bias - load(s.most + i);
      const auto average = load(mean + i);
      for (int64_t k = 0; k < part.count; ++k) {
        A* at = s.scores + k * s.columns + i;
        A* g = s.grads + k * s.columns + i;
        const auto share = exp2<A>(load(at) + less);
        store<A>(at, share);
        store<A>(g, share * (load(g) - average));
      }
    }
    add_to_keys(b, s, part, s.scores, b.grad, range.value_grads);
    add_to_keys(b, s, part, s.grads, s.rows, range.key_grads);
    add_to_queries(b, s, part, s.grads, range.keys, b.query_grad);
  });
  for (int64_t i = 0; i < b.queries * b.width; ++i) {
    b.query_grad[i] *= b.scale;
  }
}

} // namespace
} // namespace SIGNALLLM_KERNELS

#define SIGNALLLM_JOIN_(a, b) a##b
#define SIGNALLLM_JOIN(a, b) SIGNALLLM_JOIN_(a, b)

const TreeKernelSet& SIGNALLLM_JOIN(tree_kernel_set_, SIGNALLLM_KERNELS)() {
  namespace own = SIGNALLLM_KERNELS;
  static constexpr TreeKernelSet set{
      {&own::forward<float>, &own::backward<float>},
      {&own::forward<double>, &own::backward<double>}};
  return set;
}

} // namespace signalllm::ops::cpu

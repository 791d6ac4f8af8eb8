// The pyramid of keys and values is made once; blocks of queries then read
// every level where it lies. In the backward pass a head (some segments of a
// head where there are few) has a pyramid of gradients of its own, which its
// blocks add to one after the other: the result depends on no thread.

#include "ops/cpu/jobs.h"
#include "ops/cpu/tree_kernels.h"
#include "ops/signal.h"
#include "ops/tree_attention.h"

#include <ATen/Dispatch.h>
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <string_view>

namespace signalllm::ops {
namespace cpu {

const TreeKernelSet& tree_kernel_set() {
#if defined(__x86_64__)
  if (&kernel_set() == &kernel_set_avx512()) {
    return tree_kernel_set_avx512();
  }
  if (&kernel_set() == &kernel_set_avx2()) {
    return tree_kernel_set_avx2();
  }
#endif
  return tree_kernel_set_baseline();
}

} // namespace cpu

namespace {

using namespace cpu;
using at::Tensor;

/// A call's memory, `[heads, T, d]` in A.
template <class A>
class TreeCall {
 public:
  TreeCall(const Tensor& query, int64_t window)
      : heads_(query.size(0)), length_(query.size(1)), width_(query.size(2)),
        window_(window), chunks_((length_ + window - 1) / window),
        levels_(tree::levels_seen(chunks_ - 1)),
        nodes_(tree::first_node(length_, levels_ + 1)),
        blocks_((window + kQueries - 1) / kQueries) {}

  int64_t nodes() const {
    return nodes_;
  }

  /// Levels 1 and above of `[heads, T, d]`, `[heads, nodes, d]`.
  Tensor pyramid(const Tensor& fine) const {
    auto all = at::empty({heads_, nodes_, width_}, fine.options());
    const A* from = fine.const_data_ptr<A>();
    A* to = all.template mutable_data_ptr<A>();
    run_jobs(heads_, length_ * width_, [&](int64_t head) {
      const A* below = from + head * length_ * width_;
      A* level_at = to + head * nodes_ * width_;
      for (int level = 1; level <= levels_; ++level) {
        const int64_t count = length_ >> level;
        for (int64_t i = 0; i < count; ++i) {
          const A* pair = below + 2 * i * width_;
          A* mean = level_at + i * width_;
          for (int64_t c = 0; c < width_; ++c) {
            mean[c] = (pair[c] + pair[width_ + c]) * A(0.5);
          }
        }
        below = level_at;
        level_at += count * width_;
      }
    });
    return all;
  }

  /// Adds the gradients of the nodes of one head to those of its positions.
  void fold(A* fine, A* nodes) const {
    for (int level = levels_; level >= 1; --level) {
      const A* coarse = nodes + tree::first_node(length_, level) * width_;
      A* below = level == 1
          ? fine
          : nodes + tree::first_node(length_, level - 1) * width_;
      for (int64_t i = 0; i < length_ >> level; ++i) {
        for (int64_t twin = 0; twin < 2; ++twin) {
          A* to = below + (2 * i + twin) * width_;
          for (int64_t c = 0; c < width_; ++c) {
            to[c] += A(0.5) * coarse[i * width_ + c];
          }
        }
      }
    }
  }

  struct Rows {
    const A *fine, *nodes;
    A *fine_grads = nullptr, *node_grads = nullptr;
  };

  /// Calls visit(block, first position) for the queries of a chunk; all
  /// pointers are those of one head.
  template <class Visit>
  void blocks(
      int64_t chunk,
      const A* query,
      const Rows& keys,
      const Rows& values,
      const Visit& visit) const {
    TreeRange<A> ranges[64];
    int64_t count = 0;
    const auto see =
        [&](const A* k, const A* v, A* gk, A* gv, int64_t first, int64_t end) {
          const auto at = first * width_;
          ranges[count].keys = k + at;
          ranges[count].values = v + at;
          ranges[count].key_grads = gk ? gk + at : nullptr;
          ranges[count].value_grads = gv ? gv + at : nullptr;
          ranges[count].count = end - first;
        };
    for (int level = tree::levels_seen(chunk); level >= 1; --level) {
      const auto range = tree::nodes_seen(chunk, level, window_);
      const auto first = tree::first_node(length_, level);
      see(keys.nodes,
          values.nodes,
          keys.node_grads,
          values.node_grads,
          first + range.first,
          first + range.end);
      ranges[count++].bias = static_cast<A>(level);
    }
    const auto begin = chunk * window_;
    const auto end = std::min(length_, begin + window_);
    TreeBlock<A> block;
    block.width = width_;
    block.scale = static_cast<A>(1 / std::sqrt(static_cast<double>(width_)));
    block.ranges = ranges;
    block.range_count = count + 1;
    Scratch scratch(sizeof(A) * static_cast<size_t>(tree_scratch(width_)));
    block.scratch = scratch.template take<A>(tree_scratch(width_));
    for (int64_t first = begin; first < end; first += kQueries) {
      block.queries = std::min(end - first, kQueries);
      see(keys.fine,
          values.fine,
          keys.fine_grads,
          values.fine_grads,
          std::max<int64_t>(0, begin - window_),
          first + block.queries);
      block.query = query + first * width_;
      visit(block, first);
    }
  }

  Tensor forward(
      const Tensor& query,
      const Tensor& key,
      const Tensor& value,
      const Tensor& logsumexp) const {
    const auto key_nodes = pyramid(key), value_nodes = pyramid(value);
    auto output = at::empty_like(query);
    const A* q = query.const_data_ptr<A>();
    const A* k = key.const_data_ptr<A>();
    const A* v = value.const_data_ptr<A>();
    const A* kn = key_nodes.template const_data_ptr<A>();
    const A* vn = value_nodes.template const_data_ptr<A>();
    A* o = output.template mutable_data_ptr<A>();
    A* sums = logsumexp.mutable_data_ptr<A>();
    run_jobs(heads_ * chunks_, chunk_cost(), [&](int64_t job) {
      const auto head = job / chunks_;
      const auto fine = head * length_ * width_, node = head * nodes_ * width_;
      blocks(
          job % chunks_,
          q + fine,
          {k + fine, kn + node},
          {v + fine, vn + node},
          [&](TreeBlock<A>& block, int64_t first) {
            block.output = o + fine + first * width_;
            block.logsumexp = sums + head * length_ + first;
            tree_kernels<A>().forward(block);
          });
    });
    return output;
  }

  std::array<Tensor, 3> backward(
      const Tensor& grad,
      const Tensor& query,
      const Tensor& key,
      const Tensor& value,
      const Tensor& output,
      const Tensor& logsumexp) const {
    const auto key_nodes = pyramid(key), value_nodes = pyramid(value);
    // Few heads are cut, so that there is something to do for eight threads.
    const auto segments = std::clamp<int64_t>(8 / heads_, 1, chunks_);
    auto for_query = at::empty_like(query);
    const auto rows = length_ + nodes_;
    auto sums = at::zeros({2, segments, heads_, rows, width_}, query.options());
    const A* q = query.const_data_ptr<A>();
    const A* k = key.const_data_ptr<A>();
    const A* v = value.const_data_ptr<A>();
    const A* kn = key_nodes.template const_data_ptr<A>();
    const A* vn = value_nodes.template const_data_ptr<A>();
    const A* g = grad.const_data_ptr<A>();
    const A* o = output.const_data_ptr<A>();
    const A* l = logsumexp.const_data_ptr<A>();
    A* gq = for_query.template mutable_data_ptr<A>();
    A* gk = sums.template mutable_data_ptr<A>();
    A* gv = gk + segments * heads_ * rows * width_;
    const auto cost = chunk_cost() * chunks_;
    run_jobs(heads_ * segments, cost, [&](int64_t job) {
      const auto segment = job / heads_, head = job % heads_;
      const auto fine = head * length_ * width_, node = head * nodes_ * width_;
      A* mine_k = gk + job * rows * width_;
      A* mine_v = gv + job * rows * width_;
      for (auto chunk = chunks_ * segment / segments;
           chunk < chunks_ * (segment + 1) / segments;
           ++chunk) {
        blocks(
            chunk,
            q + fine,
            {k + fine, kn + node, mine_k, mine_k + length_ * width_},
            {v + fine, vn + node, mine_v, mine_v + length_ * width_},
            [&](TreeBlock<A>& block, int64_t first) {
              const auto at = fine + first * width_;
              block.grad = g + at;
              block.output = const_cast<A*>(o + at);
              block.logsumexp = const_cast<A*>(l + head * length_ + first);
              block.query_grad = gq + at;
              tree_kernels<A>().backward(block);
            });
      }
    });
    if (segments > 1) {
      sums = sums.sum(1, true);
    }
    A* all = sums.template mutable_data_ptr<A>();
    run_jobs(2 * heads_, rows * width_, [&](int64_t job) {
      A* mine = all + job * rows * width_;
      fold(mine, mine + length_ * width_);
    });
    const auto fine = sums.select(1, 0).slice(2, 0, length_);
    return {for_query, fine[0], fine[1]};
  }

 private:
  static constexpr int64_t kQueries = TreeBlock<A>::kMaxQueries;

  int64_t chunk_cost() const {
    return window_ * window_ * (levels_ + 2) * width_ / 8;
  }

  int64_t heads_, length_, width_, window_, chunks_;
  int levels_;
  int64_t nodes_, blocks_;
};

/// `[heads, T, d]` in the dtype of accumulation.
Tensor flat(const Tensor& x) {
  return x.to(accumulate_type(x.scalar_type())).flatten(0, 1).contiguous();
}

Tensor shaped(const Tensor& made, const Tensor& like) {
  auto out = empty_heads(like);
  if (out.is_contiguous() && made.is_contiguous() &&
      made.scalar_type() == like.scalar_type()) {
    return made.view(like.sizes());
  }
  out.copy_(made.reshape(like.sizes()));
  return out;
}

TwoTensors tree_attention_cpu(
    const Tensor& query,
    const Tensor& key,
    const Tensor& value,
    int64_t window) {
  check_tree_attention("tree_attention", query, key, value, window);
  const auto q = flat(query), k = flat(key), v = flat(value);
  auto logsumexp = at::empty(query.sizes().slice(0, 3), q.options());
  Tensor output = at::empty_like(q);
  if (query.numel() > 0) {
    AT_DISPATCH_FLOATING_TYPES(q.scalar_type(), "tree_attention", [&] {
      output = TreeCall<scalar_t>(q, window).forward(q, k, v, logsumexp);
    });
  }
  return {shaped(output, query), logsumexp};
}

ThreeTensors tree_attention_backward_cpu(
    const Tensor& grad,
    const Tensor& query,
    const Tensor& key,
    const Tensor& value,
    const Tensor& output,
    const Tensor& logsumexp,
    int64_t window) {
  check_tree_attention_backward(
      grad, query, key, value, output, logsumexp, window);
  if (query.numel() == 0) {
    return {empty_heads(query), empty_heads(key), empty_heads(value)};
  }
  const auto q = flat(query);
  std::array<Tensor, 3> made;
  AT_DISPATCH_FLOATING_TYPES(q.scalar_type(), "tree_attention_backward", [&] {
    made = TreeCall<scalar_t>(q, window).backward(
        flat(grad),
        q,
        flat(key),
        flat(value),
        flat(output),
        logsumexp.contiguous());
  });
  return {shaped(made[0], query), shaped(made[1], key), shaped(made[2], value)};
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, CPU, m) {
  m.impl("tree_attention", &tree_attention_cpu);
  m.impl("tree_attention_backward", &tree_attention_backward_cpu);
}

} // namespace signalllm::ops

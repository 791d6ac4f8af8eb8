#include <signalllm/nn/tree_attention.h>
#include <signalllm/ops/tree_attention.h>

#include "nn/dense_attention.h"
#include "nn/tree_attention.h"
#include "nn/tree_layout.h"

#include <ATen/Functions.h>
#include <ATen/OpMathType.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace signalllm {
namespace {

using at::Tensor;
using tree::Layout;

/// Rows of `[N, R, d]` for indices `[N, ...]` of each N: `[N, ..., d]`.
Tensor gather_rows(const Tensor& from, const Tensor& index) {
  const auto flat =
      index.reshape({index.size(0), -1, 1}).expand({-1, -1, from.size(-1)});
  auto sizes = index.sizes().vec();
  sizes.push_back(from.size(-1));
  return from.gather(1, flat).view(sizes);
}

void add_rows(Tensor& to, const Tensor& index, const Tensor& rows) {
  const auto flat =
      index.reshape({index.size(0), -1, 1}).expand({-1, -1, to.size(-1)});
  to.scatter_add_(1, flat, rows.reshape(flat.sizes()));
}

/// Some chunks of a sequence at a time, in the dtype of accumulation.
class Slabs {
 public:
  Slabs(
      const Tensor& query,
      const Tensor& key,
      const Tensor& value,
      const TreeAttentionOptions& options)
      : options_(options),
        layout_(tree::layout(query.size(1), options.window, query.device())),
        wide_(at::toOpMathType(query.scalar_type())),
        scale_(1 / std::sqrt(static_cast<double>(query.size(2)))),
        query_(padded(query).mul(scale_)), keys_(layout_->pyramid(padded(key))),
        values_(layout_->pyramid(padded(value))),
        bias_(layout_->sizes.to(wide_) * std::numbers::ln2) {
    // Scores, their exponentials and their gradients, keys and values.
    const auto width = query.size(2);
    const auto opening = 2 * options.opened * layout_->levels * (2 * width + 3);
    const auto chunk = query.size(0) *
        (options.window * (3 * layout_->slots() + opening) +
         2 * layout_->slots() * width);
    const int64_t room = query.is_cpu() ? 1 << 22 : 1 << 27;
    step_ = std::max<int64_t>(1, room / chunk);
  }

  Tensor forward() const {
    std::vector<Tensor> parts;
    each([&](const Tensor& query,
             const tree::Context& seen,
             const Tensor&,
             int64_t) {
      const auto p =
          tree::probabilities(query, seen, options_.opened, gather(keys_));
      parts.push_back(tree::weigh(p, seen, gather(values_)).flatten(1, 2));
    });
    return parts.size() == 1 ? parts[0] : at::cat(parts, 1);
  }

  /// Gradients for query, key and value, `[N, length, d]`.
  std::array<Tensor, 3> backward(const Tensor& gradient_) const {
    const auto gradient = padded(gradient_);
    auto for_keys = at::zeros_like(keys_);
    auto for_values = at::zeros_like(values_);
    std::vector<Tensor> for_queries;
    each([&](const Tensor& query,
             const tree::Context& seen,
             const Tensor& rows,
             int64_t first) {
      const auto p =
          tree::probabilities(query, seen, options_.opened, gather(keys_));
      const auto g = gradient
                         .slice(
                             1,
                             first * options_.window,
                             (first + query.size(1)) * options_.window)
                         .view(query.sizes());
      // What the softmax's argument gets: p (dp - sum p dp).
      auto scores = at::matmul(g, seen.values.transpose(-1, -2));
      auto mean = (p.context * scores).sum(-1, true);
      std::vector<Tensor> for_children;
      for (const auto& children : p.children) {
        const auto values = gather(values_)(children.level, children.nodes);
        for_children.push_back(at::matmul(values, g.unsqueeze(-1)).squeeze(-1));
        mean += (children.scores * for_children.back()).sum(-1, true);
      }
      scores.sub_(mean).mul_(p.context);
      auto for_query = at::matmul(scores, seen.keys);
      const auto add = [&](Tensor& to, const Tensor& from) {
        to.index_add_(1, rows, from.flatten(1, 2));
      };
      add(for_keys, at::matmul(scores.transpose(-1, -2), query));
      add(for_values, at::matmul(p.context.transpose(-1, -2), g));
      for (size_t i = 0; i < p.children.size(); ++i) {
        const auto& children = p.children[i];
        const auto index = children.nodes + layout_->offsets[children.level];
        const auto s =
            for_children[i].sub_(mean).mul_(children.scores).unsqueeze(-1);
        for_query += at::matmul(s.transpose(-1, -2), children.keys).squeeze(-2);
        add_rows(for_keys, index, s * query.unsqueeze(-2));
        add_rows(
            for_values, index, children.scores.unsqueeze(-1) * g.unsqueeze(-2));
      }
      for_queries.push_back(for_query.mul_(scale_).flatten(1, 2));
    });
    return {
        for_queries.size() == 1 ? for_queries[0] : at::cat(for_queries, 1),
        layout_->pyramid_adjoint(for_keys),
        layout_->pyramid_adjoint(for_values)};
  }

 private:
  Tensor padded(const Tensor& x) const {
    const auto more = layout_->length - x.size(1);
    auto wide = x.to(wide_);
    return (more > 0 ? at::constant_pad_nd(wide, {0, 0, 0, more}) : wide)
        .contiguous();
  }

  tree::Gather gather(const Tensor& pyramid) const {
    return [this, &pyramid](int64_t level, const Tensor& nodes) {
      return gather_rows(pyramid, nodes + layout_->offsets[level]);
    };
  }

  template <typename Visit>
  void each(Visit visit) const {
    const auto& l = *layout_;
    const auto rows_of = [&](const Tensor& from, const Tensor& rows) {
      return from.index_select(1, rows).view(
          {from.size(0), -1, l.slots(), from.size(2)});
    };
    for (int64_t first = 0; first < l.chunks; first += step_) {
      const auto end = std::min(l.chunks, first + step_);
      const auto rows = l.rows.slice(0, first, end).flatten();
      tree::Context seen;
      seen.keys = rows_of(keys_, rows);
      seen.values = rows_of(values_, rows);
      seen.bias = bias_.slice(0, first, end);
      seen.nodes = l.nodes.slice(0, first, end);
      seen.level_ends = l.level_ends;
      seen.later = l.later;
      const auto query = query_.slice(1, first * l.window, end * l.window)
                             .unflatten(1, {end - first, l.window});
      visit(query, seen, rows, first);
    }
  }

  TreeAttentionOptions options_;
  std::shared_ptr<const Layout> layout_;
  at::ScalarType wide_;
  double scale_;
  Tensor query_, keys_, values_, bias_;
  int64_t step_ = 1;
};

/// With nodes opened, where no two queries see the same.
struct OpenedFunction : torch::autograd::Function<OpenedFunction> {
  static Tensor forward(
      torch::autograd::AutogradContext* context,
      const Tensor& query,
      const Tensor& key,
      const Tensor& value,
      int64_t window,
      int64_t opened) {
    const c10::impl::ExcludeDispatchKeyGuard guard(
        c10::autocast_dispatch_keyset);
    const TreeAttentionOptions options{window, opened};
    context->saved_data["window"] = window;
    context->saved_data["opened"] = opened;
    context->save_for_backward({query, key, value});
    return Slabs(query, key, value, options)
        .forward()
        .slice(1, 0, query.size(1))
        .to(query.scalar_type());
  }

  static torch::autograd::variable_list backward(
      torch::autograd::AutogradContext* context,
      torch::autograd::variable_list gradients) {
    TORCH_CHECK(
        !at::GradMode::is_enabled(),
        "tree_attention: with nodes opened it can be differentiated once "
        "only (create_graph must be false)");
    const c10::impl::ExcludeDispatchKeyGuard guard(
        c10::autocast_dispatch_keyset);
    const auto saved = context->get_saved_variables();
    const TreeAttentionOptions options{
        context->saved_data["window"].toInt(),
        context->saved_data["opened"].toInt()};
    auto result =
        Slabs(saved[0], saved[1], saved[2], options).backward(gradients[0]);
    for (auto& g : result) {
      g = g.slice(1, 0, saved[0].size(1)).to(saved[0].scalar_type());
    }
    return {result[0], result[1], result[2], Tensor(), Tensor()};
  }
};

} // namespace

void check_tree_attention(
    const char* function,
    const Tensor& query,
    const Tensor& key,
    const Tensor& value,
    const TreeAttentionOptions& options) {
  TORCH_CHECK(
      query.dim() == 4 && query.size(2) >= 1 && key.sizes() == query.sizes() &&
          value.sizes() == query.sizes(),
      function,
      ": query, key and value have shapes ",
      query.sizes(),
      ", ",
      key.sizes(),
      " and ",
      value.sizes(),
      ", they must be one [batch, heads, length, size] with length >= 1");
  TORCH_CHECK(
      options.window >= 2 && options.window % 2 == 0,
      function,
      ": window is ",
      options.window,
      ", it must be even and at least 2");
  TORCH_CHECK(
      options.opened >= 0 && options.opened <= options.window,
      function,
      ": opened is ",
      options.opened,
      ", allowed are 0 to the window, ",
      options.window);
}

Tensor tree_attention(
    const Tensor& query,
    const Tensor& key,
    const Tensor& value,
    const TreeAttentionOptions& options) {
  check_tree_attention("tree_attention", query, key, value, options);
  if (query.size(2) <= 2 * options.window) {
    return dense_attention(query, key, value, {}, /*causal=*/true);
  }
  if (options.opened == 0) {
    return std::get<0>(ops::tree_attention(query, key, value, options.window));
  }
  const auto flat = [](const Tensor& x) { return x.flatten(0, 1); };
  return OpenedFunction::apply(
             flat(query),
             flat(key),
             flat(value),
             options.window,
             options.opened)
      .view(query.sizes());
}

} // namespace signalllm

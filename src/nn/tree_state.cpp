#include "nn/tree_attention.h"
#include "nn/tree_ring.h"

#include <ATen/OpMathType.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <algorithm>
#include <cmath>

namespace signalllm {

int64_t TreeAttentionState::bytes() const {
  auto sum = ring.defined() ? static_cast<int64_t>(ring.nbytes()) : 0;
  for (const auto& nodes : all) {
    sum += static_cast<int64_t>(nodes.nbytes());
  }
  return sum;
}

at::Tensor tree_attention_incremental(
    const at::Tensor& query,
    const at::Tensor& key,
    const at::Tensor& value,
    TreeAttentionState& state,
    const TreeAttentionOptions& options) {
  const auto* name = "tree_attention_incremental";
  check_tree_attention(name, query, key, value, options);
  const c10::impl::ExcludeDispatchKeyGuard guard(c10::autocast_dispatch_keyset);
  const at::NoGradGuard no_grad;
  const auto wide = at::toOpMathType(query.scalar_type());
  const auto length = query.size(2);
  if (state.length == 0 && length > 1) {
    tree::fill_ring(state, key.to(wide), value.to(wide), options);
    return tree_attention(query, key, value, options);
  }
  const auto scale = std::sqrt(static_cast<double>(query.size(3)));
  std::vector<at::Tensor> parts;
  for (int64_t begin = 0; begin < length;) {
    const auto end = std::min(
        length, begin + options.window - state.length % options.window);
    const auto part = [&](const at::Tensor& x) {
      return x.slice(2, begin, end).to(wide);
    };
    const auto q = part(query);
    tree::put_in_ring(state, part(key), part(value), options.window);
    const auto after = state.length + end - begin;
    const auto seen = tree::sight(
        at::arange(state.length, after, q.options().dtype(at::kLong)),
        tree::ring_levels(state, options.window),
        options,
        q.options());
    parts.push_back(tree::attend_ring(q / scale, state, seen, options));
    state.length = after;
    tree::advance_ring(state, options);
    begin = end;
  }
  return (parts.size() == 1 ? parts[0] : at::cat(parts, 2))
      .to(query.scalar_type());
}

} // namespace signalllm

#include <signalllm/nn/wavelet_attention.h>

#include "nn/dense_attention.h"
#include "nn/rms_norm.h"
#include "nn/tree_ring.h"
#include "ops/attention_heads.h"

#include <ATen/OpMathType.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace signalllm {

namespace {

/// Room for `length` rows like `rows`, of which `cache` has `past`.
void make_room(
    at::Tensor& cache,
    int64_t past,
    int64_t length,
    const at::Tensor& rows) {
  if (cache.defined() && cache.size(2) >= length) {
    return;
  }
  // Grows by doubling, so that a long text is copied a few times only. What is
  // behind the rows is seen with no weight: numbers.
  auto sizes = rows.sizes().vec();
  sizes[2] = std::max<int64_t>(64, 2 * length);
  auto grown = at::zeros(sizes, rows.options());
  if (past > 0) {
    grown.slice(2, 0, past).copy_(cache.slice(2, 0, past));
  }
  cache = grown;
}

/// Rows of `cache` become `past + rows.size(2)`, the last of them `rows`.
at::Tensor append(at::Tensor& cache, int64_t past, const at::Tensor& rows) {
  auto length = past + rows.size(2);
  make_room(cache, past, length, rows);
  cache.slice(2, past, length).copy_(rows.detach());
  return cache.slice(2, 0, length);
}

} // namespace

torch::Tensor WaveletAttentionImpl::forward_incremental(
    const torch::Tensor& input,
    WaveletAttentionState& state) {
  if (auto* twin = this->twin()) {
    return twin->forward_incremental(input, state);
  }
  TORCH_CHECK(
      options.causal(),
      "WaveletAttention::forward_incremental: only with causal(true)");
  auto projected = in_proj->forward(input);
  auto filtered = filter->forward_incremental(projected, state.filter);
  return out_proj->forward(attend(filtered, &state));
}

torch::Tensor WaveletAttentionImpl::forward_next(
    const torch::Tensor& input,
    WaveletAttentionState& state,
    const NextPosition& position) {
  if (auto* twin = this->twin()) {
    return twin->forward_next(input, state, position);
  }
  const auto filtered =
      filter->forward_incremental(in_proj->forward(input), state.filter);
  const auto batch = filtered.size(0);
  const auto heads = options.num_heads();
  const auto size = options.width() / heads;
  const auto type = filtered.scalar_type();
  torch::Tensor y;
  {
    const c10::impl::ExcludeDispatchKeyGuard no_autocast(
        c10::autocast_dispatch_keyset);
    auto parts = filtered.view({batch, 1, 3, heads, size})
                     .permute({2, 0, 3, 1, 4})
                     .to(at::toOpMathType(type))
                     .detach();
    if (options.qk_norm()) {
      parts = at::cat({rms_norm(parts.slice(0, 0, 2)), parts.slice(0, 2)});
    }
    auto turned = parts * position.cosine;
    if (position.sine.defined()) {
      turned.addcmul_(parts.roll(size / 2, -1), position.sine);
    }
    if (options.window() > 0) {
      tree::make_ring(state.tree, turned.select(0, 1), options.window());
      state.tree.ring.index_copy_(3, position.slot, turned.slice(0, 1));
      y = tree::attend_ring(
              turned.select(0, 0),
              state.tree,
              {position.bias, position.nodes},
              {options.window(), options.opened()})
              .to(type);
    } else {
      const auto wide = turned.scalar_type();
      turned = turned.to(type);
      const auto q = turned.select(0, 0);
      const auto k = turned.select(0, 1), v = turned.select(0, 2);
      if (position.mask.defined()) {
        state.keys.index_copy_(2, position.index, k);
        state.values.index_copy_(2, position.index, v);
        // torch's kernels that take a mask read all keys of a head one after
        // the other.
        y = tree::attend_all(
                q.to(wide) / std::sqrt(static_cast<double>(size)),
                state.keys.to(wide),
                state.values.to(wide),
                position.mask)
                .to(type);
      } else {
        const auto keys = append(state.keys, state.length, k);
        const auto values = append(state.values, state.length, v);
        y = dense_attention(q, keys, values, {}, /*causal=*/false);
      }
    }
    y = y.transpose(1, 2).reshape({batch, 1, options.width()});
  }
  return out_proj->forward(y);
}

void WaveletAttentionImpl::locate(
    NextPosition& position,
    const WaveletAttentionState& state,
    const torch::TensorOptions& like,
    bool fixed) const {
  const auto size = options.width() / options.num_heads();
  const auto window = options.window();
  if (!position.gain.defined()) {
    // dense_attention has a scale of its own.
    const auto scale =
        window > 0 ? 1 / std::sqrt(static_cast<double>(size)) : 1.0;
    position.gain = at::ones({3, 1, 1, 1, size}, like);
    position.gain.select(0, 0).fill_(scale);
    if (rotary) {
      position.gain.select(0, 2).zero_();
      position.offset = at::zeros({3, 1, 1, 1, 1}, like);
      position.offset.select(0, 2).fill_(1); // values are not turned
      position.signed_gain = position.gain.clone();
      position.signed_gain.slice(4, 0, size / 2).neg_();
      const auto once =
          ops::rotary_angles(1, 1, size, rotary->options.base(), like);
      position.frequency = at::cat({once, once}, 1).flatten();
    }
  }
  if (rotary) {
    const auto angle = position.index * position.frequency;
    const auto type = position.gain.scalar_type();
    position.cosine =
        at::addcmul(position.offset, position.gain, angle.cos().to(type));
    position.sine = position.signed_gain * angle.sin().to(type);
  } else {
    position.cosine = position.gain;
  }
  if (window > 0) {
    const auto levels = tree::ring_levels(state.tree, window);
    const auto seen =
        tree::sight(position.index, levels, {window, options.opened()}, like);
    position.slot = tree::slots_of(position.index, levels, window);
    position.bias = seen.bias;
    position.nodes = seen.nodes;
  } else if (fixed) {
    const auto capacity = state.keys.size(2);
    position.mask = at::zeros({1, capacity}, like)
                        .masked_fill_(
                            at::arange(capacity, position.index.options())
                                .gt(position.index),
                            -std::numeric_limits<double>::infinity());
  } else {
    position.mask = torch::Tensor();
  }
}

bool WaveletAttentionImpl::advance(
    WaveletAttentionState& state,
    int64_t positions) const {
  state.length += positions;
  if (options.window() > 0) {
    state.tree.length += positions;
    return tree::advance_ring(state.tree, {options.window(), options.opened()});
  }
  const bool full = state.keys.defined() && state.keys.size(2) <= state.length;
  if (full) {
    make_room(state.keys, state.length, state.length + 1, state.keys);
    make_room(state.values, state.length, state.length + 1, state.values);
  }
  return full;
}

torch::Tensor WaveletAttentionImpl::attend(
    const torch::Tensor& filtered,
    WaveletAttentionState* state) {
  auto batch = filtered.size(0);
  auto length = filtered.size(1);
  auto heads = options.num_heads();
  auto past = state ? state->length : 0;
  // One copy makes q, k and v contiguous; otherwise the fused attention
  // kernels step aside.
  auto parts = filtered.view({batch, length, 3, heads, options.width() / heads})
                   .permute({2, 0, 3, 1, 4})
                   .contiguous();
  auto pair = parts.slice(0, 0, 2);
  if (options.qk_norm()) {
    // Autocast would make it float32.
    c10::impl::ExcludeDispatchKeyGuard guard(c10::autocast_dispatch_keyset);
    pair = rms_norm(pair);
  }
  auto q = pair.select(0, 0);
  auto k = pair.select(0, 1);
  auto v = parts.select(0, 2);
  if (options.rotary()) {
    auto turned = rotary->forward(pair, past);
    q = turned.select(0, 0);
    k = turned.select(0, 1);
  }
  const auto joined = [&](const torch::Tensor& heads_of) {
    return heads_of.transpose(1, 2).reshape({batch, length, options.width()});
  };
  if (options.window() > 0) {
    const TreeAttentionOptions tree{options.window(), options.opened()};
    if (!state) {
      return joined(tree_attention(q, k, v, tree));
    }
    state->length = past + length;
    return joined(tree_attention_incremental(q, k, v, state->tree, tree));
  }
  std::optional<torch::Tensor> mask;
  if (state) {
    k = append(state->keys, past, k);
    v = append(state->values, past, v);
    state->length = past + length;
    if (past > 0 && length > 1) {
      mask =
          at::ones({length, past + length}, filtered.options().dtype(at::kBool))
              .tril(past);
    }
  }
  // A single new position sees everything.
  auto triangle = options.causal() && past == 0 && length > 1;
  return joined(dense_attention(q, k, v, mask, triangle));
}

} // namespace signalllm

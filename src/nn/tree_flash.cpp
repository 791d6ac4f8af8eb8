// A chunk's W queries and its M slots are one sequence of the kernel's batch;
// its causal mask is aligned at the end, where the chunk's own positions stand.
// The logit of a node's size rides in two more channels, a number and what its
// rounding left, against ones in the queries; six zeros fill up to eight.
// Empty slots point to keys of their own with a logit that no softmax sees.

#include "nn/tree_flash.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <cmath>
#include <numbers>

namespace signalllm::tree {
namespace {

using at::Tensor;

constexpr int64_t extra = 8;
constexpr double unseen = -30000; // fits float16; over sqrt(d), far below all

class Flash {
 public:
  Flash(const Tensor& query, int64_t window)
      : layout_(layout(query.size(1), window, query.device())),
        width_(query.size(2)),
        scale_(1 / std::sqrt(static_cast<double>(width_))) {}

  Tensor padded(const Tensor& x) const {
    return at::constant_pad_nd(x, {0, 0, 0, layout_->length - x.size(1)});
  }

  /// `[N, C, W, d + extra]`, the first two channels behind d filled.
  Tensor queries(const Tensor& query, double fill) const {
    auto wide = at::constant_pad_nd(
        query, {0, extra, 0, layout_->length - query.size(1)});
    if (fill != 0) {
      wide.slice(-1, width_, width_ + 2).fill_(fill);
    }
    return wide.unflatten(1, {layout_->chunks, layout_->window});
  }

  /// `[N, C, M, d + extra]`.
  Tensor slots(const Tensor& fine, bool with_sizes) const {
    auto rows = at::constant_pad_nd(
        layout_->pyramid(padded(fine).to(at::kFloat)).to(fine.scalar_type()),
        {0, extra, 0, layout_->window});
    if (with_sizes) {
      auto logits = at::empty({rows.size(1)}, rows.options().dtype(at::kFloat));
      for (int64_t level = 0; level <= layout_->levels; ++level) {
        logits.slice(0, layout_->offsets[level], layout_->offsets[level + 1])
            .fill_(static_cast<double>(level) * std::numbers::ln2 / scale_);
      }
      logits.slice(0, layout_->offsets.back()).fill_(unseen);
      const auto most = logits.to(rows.scalar_type());
      rows.select(-1, width_).copy_(most);
      rows.select(-1, width_ + 1).copy_(logits - most);
    }
    return rows.index_select(1, layout_->rows_or_empty)
        .view({fine.size(0), layout_->chunks, layout_->slots(), -1});
  }

  /// The adjoint of `slots` without the sizes, `[N, T, d]`.
  Tensor fine(const Tensor& gradient, int64_t length) const {
    auto rows = at::zeros(
        {gradient.size(0), layout_->offsets.back() + layout_->window, width_},
        gradient.options().dtype(at::kFloat));
    rows.index_add_(
        1,
        layout_->rows_or_empty,
        gradient.slice(-1, 0, width_).flatten(1, 2).to(at::kFloat));
    return layout_->pyramid_adjoint(rows)
        .slice(1, 0, length)
        .to(gradient.scalar_type());
  }

  double scale() const {
    return scale_;
  }
  int64_t width() const {
    return width_;
  }

 private:
  std::shared_ptr<const Layout> layout_;
  int64_t width_;
  double scale_;
};

} // namespace

bool flash_takes(const Tensor& query, int64_t opened) {
  const auto type = query.scalar_type();
  return query.is_cuda() && opened == 0 && query.size(2) % extra == 0 &&
      query.size(2) + extra <= 256 &&
      (type == at::kHalf || type == at::kBFloat16);
}

std::pair<Tensor, FlashSaved> flash_forward(
    const Tensor& query,
    const Tensor& key,
    const Tensor& value,
    int64_t window) {
  const Flash flash(query, window);
  const auto result = at::_scaled_dot_product_flash_attention(
      flash.queries(query, 1),
      flash.slots(key, true),
      flash.slots(value, false),
      0.0,
      /*is_causal=*/true,
      /*return_debug_mask=*/false,
      flash.scale());
  const auto& output = std::get<0>(result);
  return {
      output.flatten(1, 2)
          .slice(1, 0, query.size(1))
          .slice(2, 0, flash.width()),
      {output, std::get<1>(result), std::get<6>(result), std::get<7>(result)}};
}

std::array<Tensor, 3> flash_backward(
    const Tensor& gradient,
    const Tensor& query,
    const Tensor& key,
    const Tensor& value,
    const FlashSaved& saved,
    int64_t window) {
  const Flash flash(query, window);
  const auto queries = flash.queries(query, 1);
  const auto keys = flash.slots(key, true);
  auto [for_queries, for_keys, for_values] =
      at::_scaled_dot_product_flash_attention_backward(
          flash.queries(gradient, 0),
          queries,
          keys,
          flash.slots(value, false),
          saved.output,
          saved.logsumexp,
          Tensor(),
          Tensor(),
          queries.size(2),
          keys.size(2),
          0.0,
          /*is_causal=*/true,
          saved.random_state,
          saved.unused,
          flash.scale());
  const auto length = query.size(1);
  return {
      for_queries.flatten(1, 2).slice(1, 0, length).slice(2, 0, flash.width()),
      flash.fine(for_keys, length),
      flash.fine(for_values, length)};
}

} // namespace signalllm::tree

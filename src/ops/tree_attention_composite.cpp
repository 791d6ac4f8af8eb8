// Queries of one group see the same nodes of a level: the 2^j W queries of
// group g of level j those of group g - 1, the first half of the queries only
// the first half of the nodes. So a level is one product of matrices,
// [n, groups, 2^j W, d] with [n, groups, d, W], and a mask.

#include "ops/signal.h"
#include "ops/tree_attention.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace signalllm::ops::composite {
namespace {

using at::Tensor;

constexpr auto nothing = -std::numeric_limits<double>::infinity();

/// Rows along dim 1 up to `rows`, zeros behind.
Tensor with_rows(const Tensor& x, int64_t rows) {
  return x.size(1) >= rows
      ? x.slice(1, 0, rows)
      : at::constant_pad_nd(x, {0, 0, 0, rows - x.size(1)});
}

/// Some heads of a call, `[n, T, d]` in the dtype of accumulation.
class Heads {
 public:
  Heads(const Tensor& q, const Tensor& k, const Tensor& v, int64_t window)
      : window_(window), length_(q.size(1)),
        chunks_((length_ + window - 1) / window), padded_(chunks_ * window),
        levels_(tree::levels_seen(chunks_ - 1)),
        scale_(1 / std::sqrt(static_cast<double>(q.size(2)))),
        query_(with_rows(q, padded_) * scale_) {
    keys_.push_back(with_rows(k, padded_));
    values_.push_back(with_rows(v, padded_));
    for (int level = 1; level <= levels_; ++level) {
      keys_.push_back(coarser(keys_.back()));
      values_.push_back(coarser(values_.back()));
    }
    for (int part = own; part <= levels_; ++part) {
      scores_.push_back(products(query_, keys_, part, true));
    }
    const auto all = at::cat(scores_, -1);
    logsumexp_ = all.logsumexp(-1, true);
    for (auto& s : scores_) {
      s = at::exp(s - logsumexp_);
    }
  }

  std::pair<Tensor, Tensor> forward() const {
    Tensor sum;
    for (int part = own; part <= levels_; ++part) {
      const auto share =
          rows(at::matmul(grouped(shares(part), part), behind(values_, part)));
      sum = sum.defined() ? sum + share : share;
    }
    return {
        sum.slice(1, 0, length_), logsumexp_.slice(1, 0, length_).squeeze(-1)};
  }

  std::array<Tensor, 3> backward(const Tensor& gradient) const {
    const auto g = with_rows(gradient, padded_);
    std::vector<Tensor> scores;
    Tensor mean, for_query;
    for (int part = own; part <= levels_; ++part) {
      scores.push_back(products(g, values_, part, false));
      const auto share = (shares(part) * scores.back()).sum(-1, true);
      mean = mean.defined() ? mean + share : share;
    }
    std::vector<Tensor> for_keys(keys_.size()), for_values(keys_.size());
    const auto add = [](Tensor& to, const Tensor& from) {
      to = to.defined() ? to + from : from;
    };
    for (int part = own; part <= levels_; ++part) {
      const auto level = static_cast<size_t>(std::max(part, 0));
      const auto p = shares(part);
      const auto s =
          grouped(p * (scores[static_cast<size_t>(part - own)] - mean), part);
      add(for_query, rows(at::matmul(s, behind(keys_, part))));
      add(for_keys[level],
          seen_adjoint(
              at::matmul(s.transpose(-1, -2), grouped(query_, part)), part));
      add(for_values[level],
          seen_adjoint(
              at::matmul(grouped(p, part).transpose(-1, -2), grouped(g, part)),
              part));
    }
    return {
        for_query.slice(1, 0, length_) * scale_,
        folded(for_keys),
        folded(for_values)};
  }

 private:
  // Parts: a query's own chunk, the one before, the levels.
  static constexpr int own = -1;

  static Tensor coarser(const Tensor& fine) {
    const auto pairs = fine.size(1) / 2;
    return fine.slice(1, 0, 2 * pairs).unflatten(1, {pairs, 2}).mean(2);
  }

  Tensor shares(int part) const {
    return scores_[static_cast<size_t>(part - own)];
  }
  int64_t group(int part) const {
    return window_ << std::max(part, 0);
  }
  int64_t groups(int part) const {
    return (padded_ + group(part) - 1) / group(part);
  }

  /// `[n, T, x]` to `[n, groups, group, x]`.
  Tensor grouped(const Tensor& x, int part) const {
    return with_rows(x, groups(part) * group(part))
        .unflatten(1, {groups(part), group(part)});
  }
  /// And back.
  Tensor rows(const Tensor& x) const {
    return x.flatten(1, 2).slice(1, 0, padded_);
  }

  /// The nodes that each group sees, `[n, groups, W, d]`.
  Tensor behind(const std::vector<Tensor>& pyramid, int part) const {
    const auto count = groups(part);
    const auto& nodes = pyramid[static_cast<size_t>(std::max(part, 0))];
    if (part == own) {
      return nodes.unflatten(1, {count, window_});
    }
    return at::constant_pad_nd(
               nodes.slice(1, 0, (count - 1) * window_), {0, 0, window_, 0})
        .unflatten(1, {count, window_});
  }
  Tensor seen_adjoint(const Tensor& gradient, int part) const {
    const auto flat = gradient.flatten(1, 2);
    return part == own
        ? flat
        : with_rows(
              flat.slice(1, window_),
              keys_[static_cast<size_t>(std::max(part, 0))].size(1));
  }

  /// Of `[n, T, d]` with the nodes in sight, `[n, T, W]`; `masked` adds the
  /// logarithm of their size, and -inf where they are not in sight.
  Tensor products(
      const Tensor& x,
      const std::vector<Tensor>& pyramid,
      int part,
      bool masked) const {
    const auto all =
        at::matmul(grouped(x, part), behind(pyramid, part).transpose(-1, -2));
    if (!masked) {
      return rows(all);
    }
    if (part == own) {
      return rows(all.masked_fill(
          at::ones({window_, window_}, x.options().dtype(at::kBool)).triu(1),
          nothing));
    }
    auto bias = at::full(
        {groups(part), part == 0 ? 1 : 2, 1, window_},
        part * std::numbers::ln2,
        x.options());
    bias.slice(0, 0, 1).fill_(nothing);
    if (part > 0) {
      bias.slice(1, 0, 1).slice(3, window_ / 2).fill_(nothing);
    }
    return rows((all.unflatten(2, {bias.size(1), -1}) + bias).flatten(2, 3));
  }

  /// The adjoint of all the means.
  Tensor folded(std::vector<Tensor> gradient) const {
    for (auto level = gradient.size() - 1; level >= 1; --level) {
      const auto& coarse = gradient[level];
      auto& fine = gradient[level - 1];
      const auto twice =
          coarse.unsqueeze(2).expand({-1, -1, 2, -1}).flatten(1, 2) * 0.5;
      fine = fine + with_rows(twice, fine.size(1));
    }
    return gradient[0].slice(1, 0, length_);
  }

  int64_t window_, length_, chunks_, padded_;
  int levels_;
  double scale_;
  Tensor query_, logsumexp_;
  std::vector<Tensor> keys_, values_, scores_;
};

/// Calls `body` with some heads at a time, so that their scores find room.
template <class Body>
void each(const Tensor& query, int64_t window, Body body) {
  const auto heads = query.size(0) * query.size(1), length = query.size(2);
  const auto scores =
      length * (tree::levels_seen((length - 1) / window) + 2) * window;
  const int64_t room = query.is_cpu() ? 1 << 22 : 1 << 27;
  const auto step = std::max<int64_t>(1, room / (3 * scores));
  for (int64_t first = 0; first < heads; first += step) {
    body(first, std::min(heads, first + step));
  }
}

/// `[heads, T, d]` pieces like `x`.
Tensor joined(const std::vector<Tensor>& pieces, const Tensor& x) {
  const auto like = empty_heads(x);
  if (pieces.empty()) {
    return like;
  }
  const auto all = at::cat(pieces, 0).view(x.sizes()).to(x.scalar_type());
  return like.is_contiguous()
      ? all
      : all.transpose(1, 2).contiguous().transpose(1, 2);
}

} // namespace

TwoTensors tree_attention(
    const Tensor& query,
    const Tensor& key,
    const Tensor& value,
    int64_t window) {
  check_tree_attention("tree_attention", query, key, value, window);
  const c10::impl::ExcludeDispatchKeyGuard guard(c10::autocast_dispatch_keyset);
  const auto type = accumulate_type(query.scalar_type());
  const auto q = query.flatten(0, 1), k = key.flatten(0, 1),
             v = value.flatten(0, 1);
  std::vector<Tensor> outputs, sums;
  each(query, window, [&](int64_t first, int64_t end) {
    const auto of = [&](const Tensor& x) {
      return x.slice(0, first, end).to(type);
    };
    auto [output, sum] = Heads(of(q), of(k), of(v), window).forward();
    outputs.push_back(std::move(output));
    sums.push_back(std::move(sum));
  });
  const auto shape = query.sizes().slice(0, 3);
  return {
      joined(outputs, query),
      sums.empty() ? at::empty(shape, query.options().dtype(type))
                   : at::cat(sums, 0).view(shape)};
}

ThreeTensors tree_attention_backward(
    const Tensor& grad,
    const Tensor& query,
    const Tensor& key,
    const Tensor& value,
    const Tensor& output,
    const Tensor& logsumexp,
    int64_t window) {
  check_tree_attention_backward(
      grad, query, key, value, output, logsumexp, window);
  const c10::impl::ExcludeDispatchKeyGuard guard(c10::autocast_dispatch_keyset);
  const auto type = accumulate_type(query.scalar_type());
  const auto g = grad.flatten(0, 1), q = query.flatten(0, 1),
             k = key.flatten(0, 1), v = value.flatten(0, 1);
  std::array<std::vector<Tensor>, 3> pieces;
  each(query, window, [&](int64_t first, int64_t end) {
    const auto of = [&](const Tensor& x) {
      return x.slice(0, first, end).to(type);
    };
    auto all = Heads(of(q), of(k), of(v), window).backward(of(g));
    for (size_t i = 0; i < 3; ++i) {
      pieces[i].push_back(std::move(all[i]));
    }
  });
  return {
      joined(pieces[0], query),
      joined(pieces[1], key),
      joined(pieces[2], value)};
}

} // namespace signalllm::ops::composite

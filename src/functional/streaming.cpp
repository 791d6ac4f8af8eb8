#include <signalllm/functional/streaming.h>

#include "ops/signal.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <utility>

namespace signalllm::functional {

CausalWavedecStream::CausalWavedecStream(
    at::Tensor lo,
    int64_t level,
    int64_t dim)
    : lo_(std::move(lo)), level_(level), dim_(dim) {
  TORCH_CHECK(
      level >= 0 && level <= 40,
      "CausalWavedecStream: level ",
      level,
      " is not allowed; 0 to 40");
}

void CausalWavedecStream::reset() {
  history_.clear();
}

std::vector<at::Tensor> CausalWavedecStream::next(const at::Tensor& piece) {
  constexpr auto kName = "CausalWavedecStream::next";
  const auto s = ops::check_signal(kName, piece, dim_);
  ops::check_filter(kName, "lo", lo_, piece, s);
  const auto type = ops::accumulate_type(piece.scalar_type());
  const int64_t taps = lo_.size(-1);
  const auto lo = lo_.to(type);
  auto a = piece.to(type);
  const bool started = !history_.empty();
  if (!started) {
    for (int64_t j = 0; j < level_; ++j) {
      history_.push_back(at::zeros(s.sizes_for((taps - 1) << j), a.options()));
    }
  }
  if (started) {
    auto sizes = history_[0].sizes().vec();
    sizes[s.dim] = s.length;
    TORCH_CHECK(
        sizes == s.sizes && history_[0].scalar_type() == type &&
            history_[0].device() == piece.device(),
        kName,
        ": piece is ",
        piece.sizes(),
        " ",
        piece.scalar_type(),
        " on ",
        piece.device(),
        "; the pieces before it allow ",
        at::IntArrayRef(sizes),
        " ",
        history_[0].scalar_type(),
        " on ",
        history_[0].device());
  }
  std::vector<at::Tensor> out(level_ + 1);
  for (int64_t j = 0; j < level_; ++j) {
    auto& past = history_[j];
    const int64_t reach = past.size(s.dim);
    const auto all = at::cat({past, a}, s.dim);
    at::Tensor next;
    for (int64_t k = 0; k < taps; ++k) {
      const auto term =
          all.narrow(s.dim, reach - (k << j), s.length) * lo.select(-1, k);
      next = next.defined() ? next + term : term;
    }
    out[level_ - j] = (a - next).to(piece.scalar_type());
    // A copy: a view would keep all of `all` alive.
    past = all.detach().narrow(s.dim, s.length, reach).clone();
    a = next;
  }
  out[0] = level_ == 0 ? a.clone() : a;
  out[0] = out[0].to(piece.scalar_type());
  return out;
}

} // namespace signalllm::functional

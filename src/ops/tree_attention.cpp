#include <signalllm/ops/tree_attention.h>

#include "ops/checks.h"
#include "ops/find_operator.h"
#include "ops/signal.h"
#include "ops/tree_attention.h"

#include <ATen/Functions.h>
#include <torch/library.h>

namespace signalllm::ops {

TwoTensors tree_attention(
    const at::Tensor& query,
    const at::Tensor& key,
    const at::Tensor& value,
    int64_t window) {
  static const auto op =
      find_operator<decltype(tree_attention)>("signalllm::tree_attention");
  return op.call(query, key, value, window);
}

ThreeTensors detail::tree_attention_backward(
    const at::Tensor& grad,
    const at::Tensor& query,
    const at::Tensor& key,
    const at::Tensor& value,
    const at::Tensor& output,
    const at::Tensor& logsumexp,
    int64_t window) {
  static const auto op =
      find_operator<decltype(detail::tree_attention_backward)>(
          "signalllm::tree_attention_backward");
  return op.call(grad, query, key, value, output, logsumexp, window);
}

namespace {

/// What needs no sizes, which may be symbolic.
void check_symbolic_tree(
    std::string_view op,
    const at::Tensor& query,
    const at::Tensor& key,
    const at::Tensor& value,
    int64_t window) {
  check_dense(op, "query", query);
  TORCH_CHECK(
      at::isFloatingType(query.scalar_type()) && query.dim() == 4,
      op,
      ": query must be a floating point tensor [batch, heads, length, size], "
      "got ",
      query.scalar_type(),
      " of rank ",
      query.dim());
  const auto check = [&](std::string_view name, const at::Tensor& x) {
    check_dense(op, name, x);
    TORCH_CHECK(
        x.scalar_type() == query.scalar_type() &&
            x.device() == query.device() && x.dim() == 4,
        op,
        ": ",
        name,
        " must be like query, ",
        query.scalar_type(),
        " of rank 4 on ",
        query.device(),
        ", got ",
        x.scalar_type(),
        " of rank ",
        x.dim(),
        " on ",
        x.device());
  };
  check("key", key);
  check("value", value);
  TORCH_CHECK(
      window >= 2 && window % 2 == 0,
      op,
      ": window is ",
      window,
      ", it must be even and at least 2");
}

} // namespace

void check_tree_attention(
    std::string_view op,
    const at::Tensor& query,
    const at::Tensor& key,
    const at::Tensor& value,
    int64_t window) {
  check_symbolic_tree(op, query, key, value, window);
  TORCH_CHECK(
      query.size(2) >= 1 && query.size(3) >= 1 &&
          key.sizes() == query.sizes() && value.sizes() == query.sizes(),
      op,
      ": query, key and value have shapes ",
      query.sizes(),
      ", ",
      key.sizes(),
      " and ",
      value.sizes(),
      ", they must be one [batch, heads, length, size] with length >= 1 and "
      "size >= 1");
}

void check_tree_attention_backward(
    const at::Tensor& grad,
    const at::Tensor& query,
    const at::Tensor& key,
    const at::Tensor& value,
    const at::Tensor& output,
    const at::Tensor& logsumexp,
    int64_t window) {
  constexpr std::string_view op = "tree_attention_backward";
  check_tree_attention(op, query, key, value, window);
  check_like(op, "grad", grad, query.sizes(), "query", query);
  check_like(op, "output", output, query.sizes(), "query", query);
  TORCH_CHECK(
      logsumexp.sizes() == query.sizes().slice(0, 3) &&
          logsumexp.scalar_type() == accumulate_type(query.scalar_type()) &&
          logsumexp.device() == query.device(),
      op,
      ": logsumexp must be ",
      accumulate_type(query.scalar_type()),
      " ",
      query.sizes().slice(0, 3),
      " on ",
      query.device(),
      ", got ",
      logsumexp.scalar_type(),
      " ",
      logsumexp.sizes(),
      " on ",
      logsumexp.device());
}

at::Tensor empty_heads(const at::Tensor& x) {
  const auto sizes = x.sym_sizes();
  if (x.sym_stride(1) < x.sym_stride(2)) {
    return at::empty_symint(
               {sizes[0], sizes[2], sizes[1], sizes[3]}, x.options())
        .transpose(1, 2);
  }
  return at::empty_symint(sizes, x.options());
}

namespace {

TwoTensors tree_attention_meta(
    const at::Tensor& query,
    const at::Tensor& key,
    const at::Tensor& value,
    int64_t window) {
  check_symbolic_tree("tree_attention", query, key, value, window);
  return {
      empty_heads(query),
      at::empty_symint(
          query.sym_sizes().slice(0, 3),
          query.options().dtype(accumulate_type(query.scalar_type())))};
}

ThreeTensors tree_attention_backward_meta(
    const at::Tensor&,
    const at::Tensor& query,
    const at::Tensor& key,
    const at::Tensor& value,
    const at::Tensor&,
    const at::Tensor&,
    int64_t window) {
  check_symbolic_tree("tree_attention_backward", query, key, value, window);
  return {empty_heads(query), empty_heads(key), empty_heads(value)};
}

} // namespace

TORCH_LIBRARY_FRAGMENT(signalllm, m) {
  const std::vector<at::Tag> tags{at::Tag::pt2_compliant_tag};
  m.def(
      "tree_attention(Tensor query, Tensor key, Tensor value, int window) "
      "-> (Tensor, Tensor)",
      tags);
  m.def(
      "tree_attention_backward(Tensor grad, Tensor query, Tensor key, "
      "Tensor value, Tensor output, Tensor logsumexp, int window) "
      "-> (Tensor, Tensor, Tensor)",
      tags);
}

TORCH_LIBRARY_IMPL(signalllm, CompositeExplicitAutograd, m) {
  m.impl("tree_attention", &composite::tree_attention);
  m.impl("tree_attention_backward", &composite::tree_attention_backward);
}

TORCH_LIBRARY_IMPL(signalllm, Meta, m) {
  m.impl("tree_attention", &tree_attention_meta);
  m.impl("tree_attention_backward", &tree_attention_backward_meta);
}

} // namespace signalllm::ops

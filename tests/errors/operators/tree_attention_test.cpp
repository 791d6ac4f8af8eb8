// Wrong inputs of the attention over the tree and of its heads.

#include "errors/page.h"

#include <signalllm/ops/attention_heads.h>
#include <signalllm/ops/tree_attention.h>

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

namespace signalllm::test {
namespace {

TEST(TreeAttentionErrors, Refused) {
  const auto q = at::zeros({1, 2, 9, 4});
  using ops::attention_heads;
  using ops::tree_attention;
  expect_refused(
      "tree",
      {
          SIGNALLLM_WRONG(
              "rank 3",
              tree_attention(at::zeros({2, 9, 4}), q, q, 4),
              "tree_attention",
              "query",
              "[batch, heads, length, size]",
              "rank 3"),
          SIGNALLLM_WRONG(
              "whole numbers",
              tree_attention(q.to(at::kLong), q, q, 4),
              "tree_attention",
              "query",
              "Long",
              "floating point"),
          SIGNALLLM_WRONG(
              "keys of another dtype",
              tree_attention(q, q.to(at::kDouble), q, 4),
              "tree_attention",
              "key",
              "Double",
              "Float"),
          SIGNALLLM_WRONG(
              "values on another device",
              tree_attention(q, q, q.to(at::kMeta), 4),
              "tree_attention",
              "value",
              "meta",
              "cpu"),
          SIGNALLLM_WRONG(
              "keys of another length",
              tree_attention(q, at::zeros({1, 2, 8, 4}), q, 4),
              "tree_attention",
              "[1, 2, 9, 4]",
              "[1, 2, 8, 4]",
              "one [batch, heads, length, size]"),
          SIGNALLLM_WRONG(
              "length 0",
              tree_attention(
                  at::zeros({1, 2, 0, 4}),
                  at::zeros({1, 2, 0, 4}),
                  at::zeros({1, 2, 0, 4}),
                  4),
              "tree_attention",
              "[1, 2, 0, 4]",
              "length >= 1"),
          SIGNALLLM_WRONG(
              "an odd window",
              tree_attention(q, q, q, 3),
              "tree_attention",
              "window is 3",
              "even"),
          SIGNALLLM_WRONG(
              "channels for no three times the heads",
              attention_heads(at::zeros({2, 9, 8}), 2),
              "attention_heads",
              "multiple of 6",
              "[2, 9, 8]"),
          SIGNALLLM_WRONG(
              "heads of odd width to turn",
              attention_heads(at::zeros({2, 9, 18}), 2, 10000.0),
              "attention_heads",
              "multiple of 12",
              "[2, 9, 18]"),
      });
}

} // namespace
} // namespace signalllm::test

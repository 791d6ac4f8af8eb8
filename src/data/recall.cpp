#include <signalllm/data/recall.h>

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

namespace signalllm::data {
namespace {

/// `count` of `from` numbers 0, 1, ... a row, none twice, all alike.
at::Tensor
distinct(int64_t rows, int64_t from, int64_t count, at::Device device) {
  return std::get<1>(at::rand({rows, from}, device).topk(count, 1));
}

} // namespace

RecallBatch associative_recall(
    int64_t rows,
    const AssociativeRecallOptions& options,
    at::Device device) {
  const auto length = options.length();
  const auto pairs = options.pairs();
  const auto half = options.vocab_size() / 2;
  TORCH_CHECK(rows >= 1, "associative_recall: rows is ", rows, ", at least 1");
  TORCH_CHECK(
      pairs >= 1 && length % 2 == 0 && 4 * pairs <= length,
      "associative_recall: ",
      pairs,
      " pairs in a length of ",
      length,
      ", it must be even and at least four times the pairs");
  TORCH_CHECK(
      options.vocab_size() % 2 == 0 && pairs < half,
      "associative_recall: vocab_size is ",
      options.vocab_size(),
      ", it must be even and more than twice the pairs, ",
      pairs);
  const auto keys = distinct(rows, half - 1, pairs, device) + 1;
  const auto values = distinct(rows, half, pairs, device) + half;
  // The largest of logarithm plus Gumbel noise are a draw without
  // replacement.
  const auto places = (length - 2 * pairs) / 2;
  const auto weights =
      at::arange(1, places + 1, at::dtype(at::kFloat).device(device))
          .log()
          .mul(options.power() - 1);
  const auto noise =
      at::empty({rows, places}, at::dtype(at::kFloat).device(device))
          .exponential_()
          .log();
  auto chosen = std::get<1>((weights - noise).topk(pairs, 1));
  // Which key stands where has nothing to do with the order of the draw.
  chosen = chosen.gather(1, distinct(rows, pairs, pairs, device));

  const auto whole = at::dtype(at::kLong).device(device);
  RecallBatch batch;
  batch.inputs = options.random_filler()
      ? at::randint(options.vocab_size(), {rows, length}, whole)
      : at::zeros({rows, length}, whole);
  auto said = batch.inputs.slice(1, 0, 2 * pairs).unflatten(1, {pairs, 2});
  said.select(2, 0).copy_(keys);
  said.select(2, 1).copy_(values);
  batch.positions = chosen * 2 + 2 * pairs;
  batch.inputs.scatter_(1, batch.positions, keys);
  batch.answers = values;
  return batch;
}

RecallBatch copying(int64_t rows, int64_t length, at::Device device) {
  TORCH_CHECK(
      rows >= 1 && length >= 22,
      "copying: ",
      rows,
      " rows of length ",
      length,
      ", there must be a row and at least 22 tokens");
  const auto whole = at::dtype(at::kLong).device(device);
  RecallBatch batch;
  batch.answers = at::randint(1, 9, {rows, 10}, whole);
  batch.inputs = at::zeros({rows, length}, whole);
  batch.inputs.slice(1, 0, 10).copy_(batch.answers);
  batch.inputs.slice(1, length - 11).fill_(9);
  batch.positions = at::arange(length - 10, length, whole).expand({rows, 10});
  return batch;
}

} // namespace signalllm::data

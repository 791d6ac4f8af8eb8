// Wrong inputs of the modules, the model and the swap.

#include "errors/page.h"

#include <signalllm/nn/model.h>
#include <signalllm/nn/wavelet_transform.h>
#include <signalllm/optimize.h>

#include <ATen/Context.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <limits>

namespace signalllm::test {
namespace {

TEST(ModuleErrors, Parts) {
  const auto x = at::zeros({2, 9, 6});
  using Transform = WaveletTransformOptions;
  using Fourier = FourierConvolutionAttentionOptions;
  using Wavelets = WaveletAttentionOptions;
  using Positions = SignalPositionalEncodingOptions;
  WaveletTransform transform(Transform("db2").level(2));
  const auto coefficients = transform->forward(x);
  SpectralEmbedding embedding(7, 6);
  SignalPositionalEncoding positions(Positions(6).max_length(8));
  expect_refused(
      "parts",
      {
          SIGNALLLM_WRONG(
              "level below 0, causal",
              WaveletTransform(Transform("db2").level(-1)),
              "WaveletTransform",
              "level",
              "-1",
              "not be negative"),
          SIGNALLLM_WRONG(
              "level below -1",
              WaveletTransform(Transform("db2").causal(false).level(-2)),
              "WaveletTransform",
              "level",
              "-2",
              "at least -1"),
          SIGNALLLM_WRONG(
              "unknown wavelet",
              WaveletTransform(Transform("sim4")),
              "Wavelet",
              "'sim4'",
              "'sym4'",
              "bior"),
          SIGNALLLM_WRONG(
              "unknown mode",
              WaveletTransform(Transform("db2").mode("mirror")),
              "WaveletTransform",
              "mode",
              "'mirror'",
              "did you mean",
              "smooth"),
          SIGNALLLM_WRONG(
              "filters of its own a channel that are not learned",
              WaveletTransform(Transform("db2").channels(6)),
              "WaveletTransform",
              "channels",
              "6",
              "learned(true)"),
          SIGNALLLM_WRONG(
              "a biorthogonal wavelet to learn from",
              WaveletTransform(Transform("bior2.2").learned(true)),
              "'bior2.2'",
              "only orthogonal"),
          SIGNALLLM_WRONG(
              "whole numbers",
              transform->forward(x.to(at::kLong)),
              "causal_wavedec",
              "input",
              "Long",
              "floating point"),
          SIGNALLLM_WRONG(
              "a length that is not the signal's",
              transform->inverse(coefficients, 8),
              "WaveletTransform::inverse",
              "length",
              "8",
              "9"),
          SIGNALLLM_WRONG(
              "no coefficients",
              transform->inverse({}, 8),
              "WaveletTransform::inverse",
              "no coefficients"),
          SIGNALLLM_WRONG(
              "no taps",
              CausalFilter(CausalFilterOptions(6).taps(0)),
              "CausalFilter",
              "taps",
              "0",
              "at least 1"),
          SIGNALLLM_WRONG(
              "level below 0",
              CausalFilter(CausalFilterOptions(6).levels(-1)),
              "CausalFilter",
              "levels",
              "-1",
              "0 to 30"),
          SIGNALLLM_WRONG(
              "another number of channels",
              CausalFilter(4)->forward(x),
              "CausalFilter",
              "input",
              "[2, 9, 6]",
              "[batch, length, 4]"),
          SIGNALLLM_WRONG(
              "unknown filter",
              parse_filter_kind("long"),
              "parse_filter_kind",
              "'long'",
              "none, short and wavelet"),
          SIGNALLLM_WRONG(
              "too many harmonics",
              SpectralEmbedding(SpectralEmbeddingOptions(7, 6).harmonics(4)),
              "SpectralEmbedding",
              "harmonics",
              "4",
              "1 to dim / 2 = 3"),
          SIGNALLLM_WRONG(
              "a token that is not in the vocabulary",
              embedding->forward(at::full({2}, 7, at::kLong)),
              "SpectralEmbedding",
              "tokens",
              "7",
              "0 to num_embeddings - 1 = 6"),
          SIGNALLLM_WRONG(
              "tokens that are not whole numbers",
              embedding->forward(at::zeros({2})),
              "SpectralEmbedding",
              "tokens",
              "Float",
              "int64"),
          SIGNALLLM_WRONG(
              "hidden states of another width",
              embedding->logits(at::zeros({2, 5})),
              "SpectralEmbedding::logits",
              "hidden",
              "[2, 5]",
              "dim = 6"),
          SIGNALLLM_WRONG(
              "an odd head size to rotate",
              SignalPositionalEncoding(Positions(5).kind(PositionKind::Rotary)),
              "SignalPositionalEncoding",
              "dim",
              "5",
              "even"),
          SIGNALLLM_WRONG(
              "a position beyond the table",
              positions->forward(x),
              "SignalPositionalEncoding",
              "0 to 8",
              "max_length = 8"),
          SIGNALLLM_WRONG(
              "heads that do not divide the width",
              WaveletAttention(Wavelets(6, 4)),
              "WaveletAttention",
              "width",
              "6",
              "4",
              "equal"),
          SIGNALLLM_WRONG(
              "level below -1",
              WaveletAttention(Wavelets(8, 2).levels(-2)),
              "WaveletAttention",
              "levels",
              "-2",
              "at least 0, or -1"),
          SIGNALLLM_WRONG(
              "rank 2",
              WaveletAttention(8, 2)->forward(at::zeros({9, 8})),
              "WaveletAttention",
              "input",
              "[9, 8]",
              "[batch, length, 8]"),
          SIGNALLLM_WRONG(
              "a negative number of harmonics",
              FourierConvolutionAttention(Fourier(6).terms(-1)),
              "FourierConvolutionAttention",
              "terms",
              "-1",
              "not be negative"),
          SIGNALLLM_WRONG(
              "decay rates in the wrong order",
              FourierConvolutionAttention(Fourier(6).min_decay(9).max_decay(2)),
              "FourierConvolutionAttention",
              "decay",
              "9 to 2",
              "ascending"),
          SIGNALLLM_WRONG(
              "another width",
              FourierConvolutionAttention(4)->forward(x),
              "FourierConvolutionAttention",
              "[2, 9, 6]",
              "[batch, length, 4]"),
          SIGNALLLM_WRONG(
              "another width",
              SpectralFeedForward(4)->forward(x),
              "SpectralFeedForward",
              "[2, 9, 6]",
              "[batch, length, 4]"),
          SIGNALLLM_WRONG(
              "unknown activation",
              parse_activation("relu"),
              "parse_activation",
              "'relu'",
              "gelu and squared_relu"),
          SIGNALLLM_WRONG(
              "unknown spectral kind",
              parse_spectral_kind("time"),
              "parse_spectral_kind",
              "'time'",
              "causal_time"),
      });
}

TEST(ModuleErrors, Model) {
  using Options = SignalLLMOptions;
  using Block = WaveletTransformerBlockOptions;
  const auto small = Options(11).dim(8).layers(1).heads(2).max_length(16);
  SignalLLM model(small);
  SignalLLM placed(Options(small).absolute_positions(true));
  const auto tokens = at::zeros({1, 4}, at::kLong);
  const auto logits = at::zeros({1, 11});
  auto state = model->make_state(1);
  expect_refused(
      "model",
      {
          SIGNALLLM_WRONG(
              "no vocabulary",
              SignalLLM(Options(0)),
              "SignalLLM",
              "vocab_size",
              "0",
              "must be a token"),
          SIGNALLLM_WRONG(
              "no pass",
              SignalLLM(Options(11).passes(0)),
              "SignalLLM",
              "passes",
              "0",
              "at least 1"),
          SIGNALLLM_WRONG(
              "heads that do not divide the width",
              SignalLLM(Options(11).dim(10).heads(4)),
              "dim 10",
              "4",
              "equal size"),
          SIGNALLLM_WRONG(
              "more than all of the width",
              WaveletTransformerBlock(Block(8, 2).attention_fraction(2)),
              "WaveletTransformerBlock",
              "attention_fraction",
              "2",
              "0 to 1"),
          SIGNALLLM_WRONG(
              "unknown wavelet",
              SignalLLM(Options(small).wavelet("db99")),
              "Wavelet",
              "'db99'",
              "did you mean",
              "wavelist()"),
          SIGNALLLM_WRONG(
              "level below -1",
              SignalLLM(Options(small).levels(-2)),
              "levels",
              "-2",
              "at least 0, or -1"),
          SIGNALLLM_WRONG(
              "a misspelt option",
              Options::parse({{"vocab_size", "11"}, {"wavlet", "db4"}}),
              "SignalLLMOptions::parse",
              "'wavlet'",
              "'wavelet'"),
          SIGNALLLM_WRONG(
              "an option that is no number",
              Options::parse({{"vocab_size", "11"}, {"dim", "wide"}}),
              "SignalLLMOptions::parse",
              "dim",
              "'wide'",
              "whole number"),
          SIGNALLLM_WRONG(
              "options without a vocabulary",
              Options::parse({{"dim", "8"}}),
              "SignalLLMOptions::parse",
              "vocab_size",
              "missing"),
          SIGNALLLM_WRONG(
              "a token that is not in the vocabulary",
              model->forward(tokens + 11),
              "SignalLLM::forward",
              "tokens",
              "11",
              "vocab_size - 1 = 10"),
          SIGNALLLM_WRONG(
              "a negative token",
              model->generate(tokens - 1),
              "SignalLLM::generate",
              "tokens",
              "-1",
              "vocab_size - 1 = 10"),
          SIGNALLLM_WRONG(
              "tokens that are not whole numbers",
              model->forward(at::zeros({1, 4})),
              "SignalLLM::forward",
              "tokens",
              "Float",
              "int64"),
          SIGNALLLM_WRONG(
              "tokens without a batch",
              model->forward(tokens[0]),
              "SignalLLM::forward",
              "tokens",
              "[4]",
              "[batch, length]"),
          SIGNALLLM_WRONG(
              "an empty prompt",
              model->generate(tokens.narrow(1, 0, 0)),
              "SignalLLM::generate",
              "tokens",
              "[1, 0]",
              "length >= 1"),
          SIGNALLLM_WRONG(
              "a sequence longer than the table of positions",
              placed->forward(at::zeros({1, 17}, at::kLong)),
              "0 to 16",
              "max_length = 16"),
          SIGNALLLM_WRONG(
              "a state of another batch",
              model->forward_incremental(tokens.expand({3, 4}), state),
              "SignalLLM::forward_incremental",
              "batch 3",
              "batch 1"),
          SIGNALLLM_WRONG(
              "fewer than no tokens",
              model->generate(tokens, GenerateOptions().max_new_tokens(-1)),
              "SignalLLM::generate",
              "max_new_tokens",
              "-1",
              "not be negative"),
          SIGNALLLM_WRONG(
              "a negative temperature",
              sample(logits, GenerateOptions().temperature(-1)),
              "sample",
              "temperature",
              "-1",
              "not be negative"),
          SIGNALLLM_WRONG(
              "a negative number of candidates",
              sample(logits, GenerateOptions().top_k(-2)),
              "sample",
              "top_k",
              "-2",
              "0 for all"),
          SIGNALLLM_WRONG(
              "no probability",
              sample(logits, GenerateOptions().top_p(0)),
              "sample",
              "top_p",
              "0",
              "0 < top_p <= 1"),
          SIGNALLLM_WRONG(
              "NaN in the logits",
              sample(logits / 0, GenerateOptions()),
              "sample",
              "logits",
              "NaN"),
      });
}

TEST(ModuleErrors, Swap) {
  WaveletTransform model;
  const auto without = [](bool there, Wrong wrong) {
    if (there) {
      wrong.complaint = []() -> std::string { throw CannotBeTriedHere(); };
    }
    return wrong;
  };
  const std::shared_ptr<torch::nn::Module> nothing;
  expect_refused(
      "swap",
      {
          without(
              at::hasMPS(),
              SIGNALLLM_WRONG(
                  "a device that is not there",
                  optimize_for_mps(model),
                  "optimize_for_mps",
                  "mps",
                  "not available",
                  "torch::kCPU")),
          without(
              at::hasCUDA(),
              SIGNALLLM_WRONG(
                  "a device that is not there",
                  optimize_for_mps(model, torch::kCUDA),
                  "optimize_for_mps",
                  "cuda",
                  "not available",
                  "torch::kCPU")),
          SIGNALLLM_WRONG(
              "a device that computes nothing",
              optimize_for_mps(model, torch::kMeta),
              "optimize_for_mps",
              "device",
              "meta",
              "mps, cuda and cpu"),
          SIGNALLLM_WRONG(
              "no model",
              optimize_for_mps(nothing),
              "optimize_for_mps",
              "model",
              "null"),
          SIGNALLLM_WRONG(
              "a module as its own twin",
              model->run_as(model.ptr()),
              "run_as",
              "twin",
              "another object"),
          SIGNALLLM_WRONG(
              "no thread",
              setup_mps_optimizations(MPSSetupOptions().threads(0)),
              "setup_mps_optimizations",
              "threads",
              "0",
              "at least 1"),
          SIGNALLLM_WRONG(
              "more than all memory",
              setup_mps_optimizations(MPSSetupOptions().memory_fraction(3)),
              "setup_mps_optimizations",
              "memory_fraction",
              "3",
              "0 to 2"),
      });
}

} // namespace
} // namespace signalllm::test

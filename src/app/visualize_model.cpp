#include "app/external.h"
#include "app/observe.h"
#include "app/session.h"
#include "app/visualize.h"

#include <signalllm/training/trainer.h>

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace signalllm::app {
namespace {

/// Tokens whose names fit along an axis.
constexpr int64_t longest_sentence = 72;
constexpr int64_t shown_tokens = 40, shown_channels = 6;

/// The model as it was composed, with attention over a tree of this window.
/// The window has no weights.
SignalLLM with_window(const SignalLLM& trained, int64_t window) {
  auto options = trained->options;
  SignalLLM model(options.window(window).opened(0));
  training::load_module(*model, training::module_tensors(*trained));
  model->eval();
  return model;
}

/// A token's text as it can stand beside an axis.
std::string label(const data::Tokenizer& tokenizer, int64_t token) {
  auto text = tokenizer.decode(at::full({1}, token, at::kLong));
  if (text == " ") {
    return "\u2423";
  }
  const auto first = static_cast<unsigned char>(text.empty() ? 0 : text[0]);
  if (text.size() == 1 && (first < 0x21 || first > 0x7e)) {
    return text == "\n" ? "\\n" : fmt::format("\\x{:02x}", first);
  }
  return text;
}

Json labels(const data::Tokenizer& tokenizer, const at::Tensor& tokens) {
  Json names = Json::array();
  for (int64_t i = 0; i < tokens.numel(); ++i) {
    names.push_back(label(tokenizer, tokens[i].item<int64_t>()));
  }
  return names;
}

/// The weight that every query gives every position, `[T, T]`, mean of the
/// heads. The operator is linear in the values: with the unit vectors for
/// values it returns its weights, those of a node shared out among its
/// positions.
at::Tensor position_weights(
    const at::Tensor& query,
    const at::Tensor& key,
    int64_t window) {
  const auto length = query.size(2);
  const auto size = query.size(3);
  const auto width = std::max(length, size);
  const auto wide = [&](const at::Tensor& x) {
    return at::constant_pad_nd(x, {0, width - size});
  };
  // The operator divides by the root of the width that it sees.
  const auto scale =
      std::sqrt(static_cast<double>(width) / static_cast<double>(size));
  const auto units = at::eye(length, width, query.options())
                         .expand({1, query.size(1), -1, -1});
  return tree_attention(wide(query * scale), wide(key), units, {window, 0})
      .slice(-1, 0, length)
      .mean(1)
      .squeeze(0);
}

Json show_attention(const ShownModel& shown, const at::Tensor& sentence) {
  const auto length = sentence.numel();
  const auto trained = shown.model->options.window();
  const int64_t window = trained > 0 && 2 * trained < length ? trained : 4;
  if (length <= 2 * window ||
      shown.model->options.attention() != AttentionKind::Wavelet) {
    return nullptr; // dense: no tree to show
  }
  const at::NoGradGuard no_grad;
  auto model = with_window(shown.model, window);
  const auto calls = inputs_of("signalllm::tree_attention", [&] {
    model->hidden(sentence.unsqueeze(0));
  });
  if (calls.empty()) {
    return nullptr; // nothing attends, or not over a tree
  }
  const auto& last = calls.back();
  return {
      {"tokens", labels(*shown.tokenizer, sentence)},
      {"weights", numbers(position_weights(last[0], last[1], window))},
      {"window", window},
      {"trained_window", trained},
      {"layer", shown.model->options.layers()},
      {"heads", last[0].size(1)}};
}

/// The filter of the first block's attention, or else of its convolution.
CausalFilter filter_of(const WaveletTransformerBlockImpl& block) {
  return block.attention ? block.attention->filter
      : block.fourier    ? block.fourier->filter
                         : CausalFilter(nullptr);
}

Json show_filters(const WaveletTransformerBlockImpl& block) {
  const auto filter = filter_of(block);
  if (!filter || filter->options.kind() == FilterKind::None) {
    return nullptr;
  }
  const auto& options = filter->options;
  at::Tensor low, start;
  Json result = {{"kind", to_string(options.kind())}};
  std::optional<at::Tensor> high;
  if (options.kind() == FilterKind::Wavelet) {
    std::tie(low, high) = filter->filters(at::kFloat);
    const auto wavelets = wavelets_of_levels(options.wavelet());
    if (wavelets.size() > 1) { // the finest level's
      low = low[0];
      high = (*high)[0];
    }
    const auto first = wavelets[0].synthesis();
    start = first.first / std::sqrt(2.0);
    result["wavelet"] = options.wavelet();
    result["start_high"] = numbers(first.second / -std::sqrt(2.0));
  } else {
    low = filter->taps;
    start = at::zeros(low.size(-1));
    start[0] = 1;
  }
  low = low.view({-1, low.size(-1)});
  const auto moved = (low - start).norm(2, -1);
  const auto chosen =
      std::get<1>(moved.topk(std::min(shown_channels, low.size(0))));
  result["start_low"] = numbers(start);
  result["low"] = numbers(low.index_select(0, chosen));
  if (high) {
    result["high"] =
        numbers(high->view({-1, low.size(1)}).index_select(0, chosen));
  }
  result["channels"] = numbers(chosen);
  return result;
}

Json show_kernels(const WaveletTransformerBlockImpl& block) {
  if (!block.fourier) {
    return nullptr;
  }
  const auto length =
      std::min<int64_t>(block.fourier->options.max_length(), 256);
  const auto kernels = block.fourier->kernel(length).t();
  const auto count = std::min(shown_channels, kernels.size(0));
  const auto chosen =
      at::linspace(0, kernels.size(0) - 1, count).round().to(at::kLong);
  return {
      {"channels", numbers(chosen)},
      {"values", numbers(kernels.index_select(0, chosen))}};
}

/// Amplitudes and phases of the tokens that a text has most of.
Json show_embedding(const ShownModel& shown) {
  const auto& model = *shown.model;
  const auto& spectral =
      model.embedding ? model.embedding : model.hybrid_embedding->spectral;
  const auto counts = at::bincount(
      shown.tokens.flatten().to(at::kLong), {}, model.options.vocab_size());
  const auto present = counts.count_nonzero().item<int64_t>();
  const auto frequent =
      std::get<1>(counts.topk(std::min(shown_tokens, present)));
  const auto chosen = std::get<0>(frequent.sort());
  return {
      {"tokens", labels(*shown.tokenizer, chosen)},
      {"width", model.options.dim()},
      {"amplitude", numbers(spectral->amplitude().index_select(0, chosen))},
      {"phase", numbers(spectral->phase().index_select(0, chosen))}};
}

/// The first line that is long enough, from its start on, and as many bytes as
/// a sentence can have: no part of a character at the end.
std::string first_sentence(const std::string& text) {
  std::size_t begin = 0;
  while (begin < text.size()) {
    const auto end = std::min(text.find('\n', begin), text.size());
    if (end - begin >= longest_sentence / 2) {
      break;
    }
    begin = end + 1;
  }
  begin = begin < text.size() ? begin : 0;
  auto end = std::min<std::size_t>(begin + 4 * longest_sentence, text.size());
  while (end < text.size() && (text[end] & 0xc0) == 0x80) {
    --end;
  }
  return text.substr(begin, end - begin);
}

} // namespace

ShownModel train_small_model(int64_t steps) {
  Settings settings;
  settings.data = torch_package();
  settings.extensions = ".py";
  settings.max_bytes = 1'000'000;
  settings.dim = 64;
  settings.layers = 2;
  settings.heads = 2;
  settings.attention = 0.5;
  settings.model = "attention_filter=wavelet,wavelet=db4,window=4";
  settings.steps = steps;
  settings.batch = 8;
  settings.lr = 3e-3;
  settings.warmup = steps / 10;
  settings.average = 0;
  const auto corpus = read_text(settings);
  ShownModel shown;
  shown.tokenizer = data::make_tokenizer("bytes", corpus.train);
  shown.tokens = shown.tokenizer->encode(corpus.train);
  at::manual_seed(settings.seed);
  shown.model = make_model(
      model_options(settings, shown.tokenizer->vocab_size()), at::kCPU);
  training::Trainer trainer(
      shown.model,
      data::RandomWindows(shown.tokens, settings.context, settings.seed),
      trainer_options(settings));
  for (int64_t i = 0; i < steps; ++i) {
    trainer.step();
  }
  shown.name = fmt::format(
      "a small model after {} steps on torch's Python source", steps);
  shown.sentence =
      "Returns a tensor of the same shape as the input, filled with zeros.";
  return shown;
}

ShownModel load_model(const std::string& run, const std::string& text) {
  auto trained = load_run(run, at::kCPU);
  ShownModel shown;
  shown.model = trained.model;
  shown.tokenizer = trained.tokenizer;
  shown.name = fmt::format("{}, step {}", run, trained.step);
  shown.sentence = text;
  if (text.empty()) {
    try {
      const auto corpus = read_text(trained.settings);
      shown.sentence =
          first_sentence(corpus.valid.empty() ? corpus.train : corpus.valid);
      shown.tokens = shown.tokenizer->encode(corpus.train);
      return shown;
    } catch (const c10::Error& error) {
      TORCH_CHECK(
          false,
          error.what_without_backtrace(),
          " (the text of ",
          run,
          "; --text gives another)");
    }
  }
  shown.tokens = shown.tokenizer->encode(text);
  return shown;
}

Json show_model(const ShownModel& shown) {
  const at::NoGradGuard no_grad;
  auto length = longest_sentence;
  if (shown.model->options.absolute_positions()) {
    length = std::min(length, shown.model->options.max_length());
  }
  const auto sentence =
      shown.tokenizer->encode(shown.sentence).to(at::kLong).slice(0, 0, length);
  const auto block = shown.model->blocks->ptr<WaveletTransformerBlockImpl>(0);
  return {
      {"name", shown.name},
      {"attention", show_attention(shown, sentence)},
      {"filters", show_filters(*block)},
      {"kernels", show_kernels(*block)},
      {"embedding", show_embedding(shown)}};
}

} // namespace signalllm::app

#include <signalllm/nn/model.h>

#include "names.h"
#include "text.h"

#include <algorithm>
#include <iomanip>
#include <limits>
#include <locale>
#include <sstream>
#include <type_traits>

namespace signalllm {

SignalLLMOptions::SignalLLMOptions(int64_t vocab_size)
    : vocab_size_(vocab_size) {}

std::vector<size_t> block_runs(int64_t layers, int64_t passes) {
  const auto first = layers / 4, end = layers - first;
  std::vector<size_t> runs;
  const auto run = [&](int64_t from, int64_t to) {
    for (auto block = from; block < to; ++block) {
      runs.push_back(static_cast<size_t>(block));
    }
  };
  run(0, first);
  for (int64_t pass = 0; pass < passes; ++pass) {
    run(first, end);
  }
  run(end, layers);
  return runs;
}

namespace {

constexpr Name<EmbeddingKind> kEmbeddings[] = {
    {EmbeddingKind::Spectral, "spectral"},
    {EmbeddingKind::Hybrid, "hybrid"},
};

} // namespace

const char* to_string(EmbeddingKind kind) {
  return name_of(kEmbeddings, kind);
}

EmbeddingKind parse_embedding_kind(const std::string& name) {
  return parse_name(kEmbeddings, "parse_embedding_kind", "an embedding", name);
}

namespace {

/// Shows `see` every option by name: the one list of them.
template <typename Options, typename See>
void each_option(Options& options, See see) {
  see("vocab_size", options.vocab_size());
  see("dim", options.dim());
  see("layers", options.layers());
  see("passes", options.passes());
  see("heads", options.heads());
  see("attention_fraction", options.attention_fraction());
  see("max_length", options.max_length());
  see("dropout", options.dropout());
  see("embedding_dropout", options.embedding_dropout());
  see("mixer_dropout", options.mixer_dropout());
  see("hidden_dropout", options.hidden_dropout());
  see("token_noise", options.token_noise());
  see("ffn_multiple", options.ffn_multiple());
  see("rotary", options.rotary());
  see("qk_norm", options.qk_norm());
  see("ricker", options.ricker());
  see("window", options.window());
  see("opened", options.opened());
  see("absolute_positions", options.absolute_positions());
  see("embedding", options.embedding());
  see("harmonics", options.harmonics());
  see("stochastic_keep", options.stochastic_keep());
  see("adaptive_basis", options.adaptive_basis());
  see("attention", options.attention());
  see("attention_filter", options.attention_filter());
  see("fourier_filter", options.fourier_filter());
  see("wavelet", options.wavelet());
  see("levels", options.levels());
  see("filters", options.filters());
  see("terms", options.terms());
  see("fourier_norm", options.fourier_norm());
  see("constant_q", options.constant_q());
  see("feed_forward", options.feed_forward());
  see("activation", options.activation());
  see("embedding_std", options.embedding_std());
  see("init_std", options.init_std());
}

/// As few digits as give the same number back.
std::string text(double value) {
  for (int digits = 6;; ++digits) {
    std::stringstream stream;
    stream.imbue(std::locale::classic());
    stream << std::setprecision(digits) << value;
    double back = 0;
    stream >> back;
    if (back == value || digits == std::numeric_limits<double>::max_digits10) {
      return stream.str();
    }
  }
}
std::string text(int64_t value) {
  return std::to_string(value);
}
std::string text(bool value) {
  return value ? "true" : "false";
}
std::string text(const std::optional<bool>& value) {
  return value ? text(*value) : "auto";
}
std::string text(const std::string& value) {
  return value;
}
template <typename Kind, std::enable_if_t<std::is_enum_v<Kind>, int> = 0>
std::string text(Kind value) {
  return to_string(value);
}

template <typename Number>
void read_number(const std::string& key, const std::string& from, Number& to) {
  std::istringstream stream(from);
  stream.imbue(std::locale::classic());
  Number value{};
  stream >> value;
  TORCH_CHECK(
      !stream.fail() && stream.peek() == std::istringstream::traits_type::eof(),
      "SignalLLMOptions::parse: ",
      key,
      " is '",
      from,
      "', it must be ",
      std::is_integral_v<Number> ? "a whole number" : "a number");
  to = value;
}
void read(const std::string& key, const std::string& from, double& to) {
  read_number(key, from, to);
}
void read(const std::string& key, const std::string& from, int64_t& to) {
  read_number(key, from, to);
}
void read(const std::string& key, const std::string& from, bool& to) {
  TORCH_CHECK(
      from == "true" || from == "false",
      "SignalLLMOptions::parse: ",
      key,
      " is '",
      from,
      "', it must be true or false");
  to = from == "true";
}
void read(
    const std::string& key,
    const std::string& from,
    std::optional<bool>& to) {
  TORCH_CHECK(
      from == "true" || from == "false" || from == "auto",
      "SignalLLMOptions::parse: ",
      key,
      " is '",
      from,
      "', it must be true, false or auto");
  if (from == "auto") {
    to.reset();
  } else {
    to = from == "true";
  }
}
void read(const std::string&, const std::string& from, std::string& to) {
  to = from;
}
void read(const std::string&, const std::string& from, FilterKind& to) {
  to = parse_filter_kind(from);
}
void read(const std::string&, const std::string& from, FilterTraining& to) {
  to = parse_filter_training(from);
}
void read(const std::string&, const std::string& from, AttentionKind& to) {
  to = parse_attention_kind(from);
}
void read(const std::string&, const std::string& from, EmbeddingKind& to) {
  to = parse_embedding_kind(from);
}
void read(const std::string&, const std::string& from, SpectralKind& to) {
  to = parse_spectral_kind(from);
}
void read(const std::string&, const std::string& from, Activation& to) {
  to = parse_activation(from);
}

} // namespace

std::map<std::string, std::string> SignalLLMOptions::describe() const {
  std::map<std::string, std::string> values;
  each_option(*this, [&](const char* key, const auto& value) {
    values[key] = text(value);
  });
  return values;
}

SignalLLMOptions SignalLLMOptions::parse(
    const std::map<std::string, std::string>& values) {
  TORCH_CHECK(
      values.count("vocab_size") == 1,
      "SignalLLMOptions::parse: vocab_size is missing");
  SignalLLMOptions options(0);
  std::vector<std::string> known;
  each_option(
      options, [&](const char* key, const auto&) { known.emplace_back(key); });
  for (const auto& [key, value] : values) {
    TORCH_CHECK(
        std::find(known.begin(), known.end(), key) != known.end(),
        "SignalLLMOptions::parse: there is no option '",
        key,
        "', did you mean '",
        nearest(key, known),
        "'?");
  }
  each_option(options, [&](const char* key, auto& value) {
    if (auto found = values.find(key); found != values.end()) {
      read(key, found->second, value);
    }
  });
  return options;
}

} // namespace signalllm

#include "app/run_text.h"

#include "app/progress.h"
#include "app/session.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace signalllm::app {
namespace {

void check_same(
    const std::string& path,
    const data::Tokenizer& found,
    const data::Tokenizer& needed) {
  TORCH_CHECK(
      found.to_json() == needed.to_json(),
      path,
      " holds tokens of another vocabulary: ",
      found.kind(),
      " of ",
      found.vocab_size(),
      " tokens instead of ",
      needed.kind(),
      " of ",
      needed.vocab_size());
}

/// Throws where the file's tokenizer is not the run's, or not that of the
/// settings; "bytes" is what they say when nobody said anything.
void check_asked_for(
    const Settings& s,
    const data::Tokenizer& found,
    const data::Tokenizer* known) {
  if (known != nullptr) {
    check_same(s.data, found, *known);
  } else if (s.tokenizer == "chars" || s.tokenizer == "sentencepiece") {
    TORCH_CHECK(
        s.tokenizer == found.kind(),
        "--tokenizer is ",
        s.tokenizer,
        ", but the tokens in ",
        s.data,
        " are ",
        found.kind());
  } else if (s.tokenizer != "bytes") {
    check_same(s.data, found, *data::read_tokenizer(s.tokenizer));
  }
}

/// Both parts from files, or the second from the end of the first.
RunText open_token_files(const Settings& s) {
  RunText text;
  text.token_files.emplace_back(s.data);
  const auto& file = text.token_files[0];
  text.tokenizer = file.tokenizer();
  TORCH_CHECK(s.max_bytes >= 0, "--max-bytes is ", s.max_bytes, "; at least 0");
  TORCH_CHECK(
      s.valid_fraction >= 0 && s.valid_fraction < 1,
      "--valid-fraction is ",
      s.valid_fraction,
      "; at least 0 and below 1");
  const auto count = s.max_bytes == 0
      ? file.tokens().numel()
      : std::min(
            file.tokens().numel(), s.max_bytes / file.tokens().element_size());
  const auto cut = s.valid.empty()
      ? static_cast<int64_t>(
            static_cast<double>(count) * (1 - s.valid_fraction))
      : count;
  text.train = file.tokens().narrow(0, 0, cut);
  text.valid = file.tokens().narrow(0, cut, count - cut);
  if (!s.valid.empty()) {
    TORCH_CHECK(
        data::is_token_file(s.valid),
        "--data is a token file, and --valid ",
        s.valid,
        " is none (see signalllm tokenize)");
    text.token_files.emplace_back(s.valid);
    check_same(s.valid, *text.token_files[1].tokenizer(), *text.tokenizer);
    text.valid = text.token_files[1].tokens();
  }
  text.corpus.files = static_cast<int64_t>(text.token_files.size());
  return text;
}

} // namespace

double RunText::bytes_per_token() const {
  const auto bytes = token_files.empty()
      ? static_cast<int64_t>(corpus.train.size())
      : token_files[0].bytes();
  const auto tokens =
      token_files.empty() ? train.numel() : token_files[0].tokens().numel();
  return bytes == 0 ? 1
                    : static_cast<double>(bytes) / static_cast<double>(tokens);
}

std::string RunText::describe(const Settings& settings) const {
  const bool text = token_files.empty();
  const auto size = [&](const std::string& part, const at::Tensor& tokens) {
    return format_count(
        text ? static_cast<int64_t>(part.size()) : tokens.numel());
  };
  return fmt::format(
      "{}: {} {} to learn, {} held out ({} {})",
      settings.data,
      size(corpus.train, train),
      text ? "bytes" : "tokens",
      size(corpus.valid, valid),
      format_count(corpus.files),
      corpus.files == 1 ? "file" : "files");
}

void RunText::release() const {
  for (const auto& file : token_files) {
    file.release();
  }
}

void RunText::tokenize(
    const Settings& settings,
    std::shared_ptr<data::Tokenizer> known) {
  if (!token_files.empty()) {
    check_asked_for(settings, *tokenizer, known.get());
    return;
  }
  tokenizer = known ? std::move(known)
                    : data::make_tokenizer(
                          settings.tokenizer,
                          corpus.train + corpus.valid,
                          settings.vocab_size);
  train = tokenizer->encode(corpus.train);
  valid = tokenizer->encode(corpus.valid);
}

RunText read_run_text(const Settings& settings) {
  if (data::is_token_file(settings.data)) {
    return open_token_files(settings);
  }
  RunText text;
  text.corpus = read_text(settings);
  return text;
}

} // namespace signalllm::app

// The plug-in that links SentencePiece, so that libsignalllm need not.

#include "data/pieces.h"

#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <stdexcept>
#include <unordered_map>

namespace signalllm::data {
namespace {

void check(const sentencepiece::util::Status& status) {
  if (!status.ok()) {
    throw std::runtime_error(status.ToString());
  }
}

/// U+2581, which stands for a space.
constexpr std::string_view space = "\xE2\x96\x81";

class Model : public PieceModel {
 public:
  explicit Model(std::string_view model) {
    check(processor_.LoadFromSerializedProto({model.data(), model.size()}));
  }

  int size() const override {
    return processor_.GetPieceSize();
  }

  void encode(std::string_view text, std::vector<int>& numbers) const override {
    std::vector<int> next;
    check(processor_.Encode({text.data(), text.size()}, &next));
    numbers.insert(numbers.end(), next.begin(), next.end());
  }

  // Not the library's decoding, which takes what is not UTF-8 for a mistake: a
  // character may come in several tokens, and these one by one.
  std::string text(int number) const override {
    const auto& piece = processor_.IdToPiece(number);
    if (processor_.IsControl(number) || processor_.IsUnused(number)) {
      return "";
    }
    if (processor_.IsByte(number)) { // <0x0A>
      return {static_cast<char>(std::stoi(piece.substr(3, 2), nullptr, 16))};
    }
    if (processor_.IsUnknown(number)) {
      return "\xE2\x81\x87"; // a double question mark, as the library writes
    }
    std::string text = piece;
    for (auto at = text.find(space); at != std::string::npos;
         at = text.find(space, at)) {
      text.replace(at, space.size(), " ");
    }
    return text;
  }

 private:
  sentencepiece::SentencePieceProcessor processor_;
};

class Lines : public sentencepiece::SentenceIterator {
 public:
  explicit Lines(const std::vector<std::string_view>& lines) : lines_(lines) {
    take();
  }
  bool done() const override {
    return next_ > lines_.size();
  }
  void Next() override {
    take();
  }
  const std::string& value() const override {
    return line_;
  }
  sentencepiece::util::Status status() const override {
    return {};
  }

 private:
  void take() {
    if (next_ < lines_.size()) {
      line_ = lines_[next_];
    }
    ++next_;
  }

  const std::vector<std::string_view>& lines_;
  std::size_t next_ = 0;
  std::string line_;
};

std::unique_ptr<PieceModel> load(std::string_view model) {
  return std::make_unique<Model>(model);
}

/// Pieces from which every text comes back as it was: nothing is normalised,
/// no space added or taken, and what has no piece is written in bytes.
std::string train(const std::vector<std::string_view>& lines, int vocab_size) {
  const std::unordered_map<std::string, std::string> options{
      {"model_type", "unigram"},
      {"vocab_size", std::to_string(vocab_size)},
      {"hard_vocab_limit", "false"}, // a small text has fewer
      {"byte_fallback", "true"},
      {"character_coverage", "0.9995"},
      {"normalization_rule_name", "identity"},
      {"add_dummy_prefix", "false"},
      {"remove_extra_whitespaces", "false"},
      {"allow_whitespace_only_pieces", "true"},
      {"max_sentence_length", "65536"},
      {"bos_id", "-1"},
      {"eos_id", "-1"},
      {"num_threads", "1"}, // sums depend on it
      {"minloglevel", "2"}};
  Lines sentences(lines);
  std::string model;
  check(
      sentencepiece::SentencePieceTrainer::Train(options, &sentences, &model));
  return model;
}

} // namespace
} // namespace signalllm::data

__attribute__((visibility("default"))) const signalllm::data::PieceLibrary*
signalllm_piece_library() {
  static const signalllm::data::PieceLibrary library{
      &signalllm::data::load, &signalllm::data::train};
  return &library;
}

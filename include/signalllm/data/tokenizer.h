#pragma once

#include <signalllm/export.h>

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace signalllm::data {

/// Text to token numbers and back. A tokenizer is saved with the run that used
/// it, as JSON.
class SIGNALLLM_API Tokenizer {
 public:
  virtual ~Tokenizer();

  /// "bytes", "chars", "sentencepiece" or "numbers".
  virtual std::string kind() const = 0;
  /// Token numbers are 0 to `vocab_size() - 1`.
  virtual int64_t vocab_size() const = 0;
  /// A 1-D tensor in the smallest integer type that holds the vocabulary
  /// (uint8 up to 256 tokens, else int32).
  virtual at::Tensor encode(std::string_view text) const = 0;
  /// The text of a tensor of token numbers of any shape, in its order.
  virtual std::string decode(const at::Tensor& tokens) const = 0;
  /// How many bytes of text each token stands for, `[vocab_size]` int64: what
  /// turns nats per token into bits per byte.
  virtual at::Tensor token_bytes() const = 0;

  virtual std::string to_json() const = 0;
  /// Throws `c10::Error` where `json` was not written by `to_json`.
  static std::shared_ptr<Tokenizer> from_json(const std::string& json);
};

/// Every byte is a token: 256 of them, nothing is ever unknown.
class SIGNALLLM_API ByteTokenizer : public Tokenizer {
 public:
  std::string kind() const override;
  int64_t vocab_size() const override;
  at::Tensor encode(std::string_view text) const override;
  std::string decode(const at::Tensor& tokens) const override;
  at::Tensor token_bytes() const override;
  std::string to_json() const override;
};

/// Every Unicode character that occurs in the text it was made from is a
/// token, numbered by code point. Throws `c10::Error` for a character it has
/// not seen and for bytes that are not UTF-8, naming them and where they are.
class SIGNALLLM_API CharTokenizer : public Tokenizer {
 public:
  explicit CharTokenizer(std::string_view text);
  explicit CharTokenizer(std::vector<char32_t> characters);

  std::string kind() const override;
  int64_t vocab_size() const override;
  at::Tensor encode(std::string_view text) const override;
  std::string decode(const at::Tensor& tokens) const override;
  at::Tensor token_bytes() const override;
  std::string to_json() const override;

  /// Sorted, no duplicates.
  const std::vector<char32_t>& characters() const {
    return characters_;
  }

 private:
  std::vector<char32_t> characters_;
};

class PieceModel;

/// The sub-words of a SentencePiece model (Kudo and Richardson, 2018). It needs
/// the SentencePiece library; a build without it throws and says so.
///
/// Text is given to the model in parts of 64 KiB or more that end behind a
/// line, and must be UTF-8. A model of `train` gives every text back as it was
/// but for U+2581, which comes back as a space; others normalise as they were
/// made to, and may put a space before each part. Decoding goes token by token,
/// so this space stays.
class SIGNALLLM_API SentencePieceTokenizer : public Tokenizer {
 public:
  /// From the content of a `.model` file.
  explicit SentencePieceTokenizer(std::string model);
  ~SentencePieceTokenizer() override;

  /// A unigram model of at most `vocab_size` pieces, 256 bytes for what has
  /// none among them, that learns from up to 16 MiB of lines from all over the
  /// text. The same text gives the same model.
  static std::shared_ptr<SentencePieceTokenizer> train(
      std::string_view text,
      int64_t vocab_size);

  std::string kind() const override;
  int64_t vocab_size() const override;
  at::Tensor encode(std::string_view text) const override;
  std::string decode(const at::Tensor& tokens) const override;
  at::Tensor token_bytes() const override;
  std::string to_json() const override;

 private:
  std::string bytes_;
  std::unique_ptr<PieceModel> model_;
};

/// Token numbers whose text is not known: `encode("12 7")` is 12 and 7, and
/// `decode` writes "12 7 ". Every token counts as one byte.
class SIGNALLLM_API NumberTokenizer : public Tokenizer {
 public:
  explicit NumberTokenizer(int64_t vocab_size);

  std::string kind() const override;
  int64_t vocab_size() const override;
  at::Tensor encode(std::string_view text) const override;
  std::string decode(const at::Tensor& tokens) const override;
  at::Tensor token_bytes() const override;
  std::string to_json() const override;

 private:
  int64_t vocab_size_;
};

/// A tokenizer of the given kind, "bytes", "chars" or "sentencepiece" (with
/// `vocab_size`), fitted to `text`; or that in a file, see `read_tokenizer`.
SIGNALLLM_API std::shared_ptr<Tokenizer> make_tokenizer(
    std::string_view kind,
    std::string_view text,
    int64_t vocab_size = 0);

/// The tokenizer in a file: SentencePiece's `.model`, the `tokenizer.json` of a
/// run, or the JSON beside a `TokenFile`. Throws `c10::Error` naming it.
SIGNALLLM_API std::shared_ptr<Tokenizer> read_tokenizer(
    const std::string& path);

} // namespace signalllm::data

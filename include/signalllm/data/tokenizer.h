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

  /// The name that `make_tokenizer` takes: "bytes" or "chars".
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

 private:
  std::vector<char32_t> characters_; // sorted, no duplicates
};

/// A tokenizer of the given kind ("bytes" or "chars"), fitted to `text`.
SIGNALLLM_API std::shared_ptr<Tokenizer> make_tokenizer(
    std::string_view kind,
    std::string_view text);

} // namespace signalllm::data

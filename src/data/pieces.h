#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

/// What libsignalllm asks of the plug-in that links SentencePiece. Failures
/// throw `std::runtime_error`.
namespace signalllm::data {

class PieceModel {
 public:
  virtual ~PieceModel() = default;
  virtual int size() const = 0;
  /// Puts the numbers of the pieces of `text` behind those in `numbers`.
  virtual void encode(std::string_view text, std::vector<int>& numbers)
      const = 0;
  /// The text of a piece; "" for those that stand for none.
  virtual std::string text(int number) const = 0;
};

struct PieceLibrary {
  /// From the content of a `.model` file.
  std::unique_ptr<PieceModel> (*load)(std::string_view model);
  /// The content of such a file.
  std::string (
      *train)(const std::vector<std::string_view>& lines, int vocab_size);
};

} // namespace signalllm::data

extern "C" const signalllm::data::PieceLibrary* signalllm_piece_library();

#include <signalllm/data/text_pieces.h>

#include "data/text_files.h"
#include "data/utf8.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

namespace signalllm::data {

namespace fs = std::filesystem;

namespace {

constexpr int64_t piece_bytes = 1 << 20;

/// 0 where nobody knows before the end: of a pipe, a terminal, a device.
int64_t size_of(const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) {
    return 0;
  }
  const auto size = fs::file_size(path, error);
  return error ? 0 : static_cast<int64_t>(size);
}

/// Where the last line, or else the last character, of `text` begins.
std::size_t last_start(const std::string& text) {
  const auto end_of_line = text.rfind('\n');
  return end_of_line == std::string::npos ? last_character(text)
                                          : end_of_line + 1;
}

} // namespace

struct TextPieces::State {
  std::vector<fs::path> paths;
  std::size_t begun = 0;
  std::ifstream in;
  std::string rest; // read, but not given out
  int64_t limit, read = 0, total = 0;

  explicit State(const CorpusOptions& options)
      : paths(text_files(options)), limit(byte_limit(options)) {
    for (const auto& path : paths) {
      total += size_of(path);
    }
    total = std::min(total, limit);
  }

  const fs::path& path() const {
    return paths[begun - 1];
  }

  void open_next() {
    ++begun;
    errno = 0;
    in = std::ifstream(path(), std::ios::binary);
    check();
  }

  void check() const {
    TORCH_CHECK(
        in.is_open() && !in.bad(),
        "read_corpus: cannot read ",
        path().string(),
        ": ",
        std::strerror(errno));
  }

  /// Reads on in the open file; false at its end, or at the limit.
  bool read_block(bool first) {
    const auto wanted = std::min(piece_bytes, limit - read);
    const auto before = rest.size();
    rest.resize(before + static_cast<std::size_t>(wanted));
    in.read(rest.data() + before, static_cast<std::streamsize>(wanted));
    check();
    const auto got = static_cast<int64_t>(in.gcount());
    rest.resize(before + static_cast<std::size_t>(got));
    read += got;
    if (first) {
      refuse_compressed(path(), rest);
      if (rest.starts_with("\xEF\xBB\xBF")) {
        rest.erase(0, 3);
      }
    }
    return got == piece_bytes && read < limit;
  }
};

TextPieces::TextPieces(const CorpusOptions& options)
    : state_(std::make_unique<State>(options)) {}

TextPieces::~TextPieces() = default;

bool TextPieces::next(std::string& piece) {
  auto& s = *state_;
  for (;;) {
    const bool first = !s.in.is_open();
    if (first) {
      if (s.begun == s.paths.size()) {
        return false;
      }
      s.open_next();
    }
    const bool more = s.read_block(first);
    auto end = s.rest.size();
    if (more) {
      end = last_start(s.rest);
    } else if (s.read == s.limit && s.paths.size() == 1 && end > 0) {
      end = last_character(s.rest); // the limit may have cut it in two
    }
    piece.assign(s.rest, 0, end);
    s.rest.erase(0, end);
    if (!more) {
      s.rest.clear();
      s.in.close();
    }
    if (!piece.empty()) {
      return true;
    }
  }
}

int64_t TextPieces::bytes_read() const {
  return state_->read;
}

int64_t TextPieces::bytes_total() const {
  return state_->total;
}

int64_t TextPieces::files() const {
  return static_cast<int64_t>(state_->begun);
}

} // namespace signalllm::data

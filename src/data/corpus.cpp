#include <signalllm/data/corpus.h>

#include "data/utf8.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

namespace signalllm::data {
namespace {

namespace fs = std::filesystem;

constexpr int64_t unlimited = std::numeric_limits<int64_t>::max();

void refuse_compressed(const fs::path& path, std::string_view start) {
  static constexpr std::pair<const char*, const char*> unpackers[] = {
      {".xz", "xz -dk"},
      {".gz", "gunzip -k"},
      {".bz2", "bunzip2 -k"},
      {".zst", "unzstd"},
      {".zip", "unzip"}};
  const bool xz = start.starts_with(std::string_view(
      "\xFD"
      "7zXZ\0",
      6));
  for (const auto& [extension, unpack] : unpackers) {
    if (path.extension() == extension ||
        (xz && extension == unpackers[0].first)) {
      TORCH_CHECK(
          false,
          "read_corpus: ",
          path.string(),
          " is compressed; unpack it first: ",
          unpack,
          " ",
          path.string());
    }
  }
}

/// A pipe, a terminal, a device: nobody knows its size before its end.
std::string read_stream(std::istream& in, int64_t limit) {
  std::string text;
  std::vector<char> piece(1 << 16);
  while (static_cast<int64_t>(text.size()) < limit) {
    const auto left = limit - static_cast<int64_t>(text.size());
    in.read(
        piece.data(),
        std::min<int64_t>(left, static_cast<int64_t>(piece.size())));
    if (in.gcount() == 0) {
      break;
    }
    text.append(piece.data(), static_cast<std::size_t>(in.gcount()));
  }
  return text;
}

std::string read_file(const fs::path& path, int64_t limit) {
  std::error_code error;
  const bool regular = fs::is_regular_file(path, error);
  const auto size = regular ? fs::file_size(path, error) : 0;
  std::ifstream in(path, std::ios::binary);
  TORCH_CHECK(
      !error && in,
      "read_corpus: cannot read ",
      path.string(),
      ": ",
      error ? error.message() : std::strerror(errno));
  std::string text;
  if (regular) {
    text.resize(std::min<uintmax_t>(size, limit));
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    TORCH_CHECK(
        in.gcount() == static_cast<std::streamsize>(text.size()),
        "read_corpus: cannot read ",
        path.string(),
        ": it ends early");
  } else {
    text = read_stream(in, limit);
    TORCH_CHECK(
        !in.bad(),
        "read_corpus: cannot read ",
        path.string(),
        ": ",
        std::strerror(errno));
  }
  refuse_compressed(path, text);
  return text;
}

/// Without UTF-8's byte order mark, which is no part of the text.
void drop_mark(std::string& text) {
  if (text.starts_with("\xEF\xBB\xBF")) {
    text.erase(0, 3);
  }
}

uint64_t fnv1a(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const unsigned char byte : text) {
    hash = (hash ^ byte) * 0x100000001b3;
  }
  return hash ^ hash >> 29;
}

std::vector<fs::path> list_folder(
    const fs::path& root,
    const std::vector<std::string>& wanted) {
  const bool all = std::find(wanted.begin(), wanted.end(), "*") != wanted.end();
  std::vector<fs::path> files;
  for (auto entry = fs::recursive_directory_iterator(root);
       entry != fs::recursive_directory_iterator();
       ++entry) {
    const auto name = entry->path().filename().string();
    if (name.starts_with('.') || name == "__pycache__") {
      entry.disable_recursion_pending();
      continue;
    }
    if (entry->is_regular_file() &&
        (all ||
         std::find(wanted.begin(), wanted.end(), entry->path().extension()) !=
             wanted.end())) {
      files.push_back(entry->path().lexically_relative(root));
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string read_folder(
    const fs::path& root,
    const CorpusOptions& options,
    int64_t limit,
    int64_t& count) {
  const auto& wanted =
      options.extensions().empty() ? text_extensions() : options.extensions();
  auto files = list_folder(root, wanted);
  if (limit != unlimited) {
    // A sample of the whole tree instead of its alphabetical start.
    std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) {
      return std::pair(fnv1a(a.string()), a) < std::pair(fnv1a(b.string()), b);
    });
  }
  std::string text;
  for (const auto& file : files) {
    const auto left = limit - static_cast<int64_t>(text.size());
    if (limit != unlimited &&
        static_cast<int64_t>(fs::file_size(root / file)) > left) {
      continue;
    }
    auto next = read_file(root / file, unlimited);
    drop_mark(next);
    text += next;
    ++count;
  }
  TORCH_CHECK(
      count > 0,
      "read_corpus: no files to read in the folder ",
      root.string(),
      "; endings that are read: ",
      wanted.size() > 6 ? "those of text and source files"
                        : c10::Join(" ", wanted),
      " (* reads all)");
  return text;
}

std::string read_path(
    const std::string& path,
    const CorpusOptions& options,
    int64_t limit,
    int64_t& count) {
  TORCH_CHECK(
      !path.empty(),
      "read_corpus: the path is empty; it must name a file or a folder");
  TORCH_CHECK(fs::exists(path), "read_corpus: no such file or folder: ", path);
  if (fs::is_directory(path)) {
    return read_folder(path, options, limit, count);
  }
  ++count;
  auto text = read_file(path, limit);
  TORCH_CHECK(
      !text.empty(),
      "read_corpus: the file ",
      path,
      " is empty; there must be text to learn in it");
  if (static_cast<int64_t>(text.size()) == limit) {
    text.resize(last_character(text)); // the limit may have cut it in two
  }
  drop_mark(text);
  return text;
}

} // namespace

const std::vector<std::string>& text_extensions() {
  static const std::vector<std::string> extensions = {
      ".txt",  ".md",   ".rst",  ".tex", ".html",  ".xml",  ".csv",  ".tsv",
      ".json", ".toml", ".yaml", ".yml", ".py",    ".c",    ".h",    ".cc",
      ".cpp",  ".hpp",  ".cu",   ".cuh", ".metal", ".java", ".js",   ".ts",
      ".go",   ".rs",   ".rb",   ".sh",  ".sql",   ".lua",  ".cmake"};
  return extensions;
}

Corpus read_corpus(const CorpusOptions& options) {
  const double fraction = options.valid_fraction();
  TORCH_CHECK(
      fraction >= 0 && fraction < 1,
      "read_corpus: valid_fraction is ",
      fraction,
      "; it must be at least 0 and below 1");
  TORCH_CHECK(
      options.max_bytes() >= 0,
      "read_corpus: max_bytes is ",
      options.max_bytes(),
      "; it must not be negative, 0 reads everything");
  const auto limit = options.max_bytes() == 0 ? unlimited : options.max_bytes();
  Corpus corpus;
  try {
    corpus.train = read_path(options.path(), options, limit, corpus.files);
    if (!options.valid_path().empty()) {
      corpus.valid =
          read_path(options.valid_path(), options, unlimited, corpus.files);
      return corpus;
    }
  } catch (const fs::filesystem_error& error) {
    TORCH_CHECK(
        false,
        "read_corpus: cannot read ",
        error.path1().empty() ? options.path() : error.path1().string(),
        ": ",
        error.code().message());
  }
  const auto length = static_cast<double>(corpus.train.size());
  const auto cut = character_boundary(
      corpus.train, static_cast<std::size_t>(length * (1 - fraction)));
  corpus.valid = corpus.train.substr(cut);
  corpus.train.resize(cut);
  return corpus;
}

} // namespace signalllm::data

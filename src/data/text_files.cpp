#include "data/text_files.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

namespace signalllm::data {

namespace fs = std::filesystem;

int64_t byte_limit(const CorpusOptions& options) {
  TORCH_CHECK(
      options.max_bytes() >= 0,
      "read_corpus: max_bytes is ",
      options.max_bytes(),
      "; it must not be negative, 0 reads everything");
  return options.max_bytes() == 0 ? unlimited : options.max_bytes();
}

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

namespace {

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

/// A sample of the whole tree instead of its alphabetical start.
std::vector<fs::path>
sample(const fs::path& root, std::vector<fs::path> files, int64_t limit) {
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) {
    return std::pair(fnv1a(a.string()), a) < std::pair(fnv1a(b.string()), b);
  });
  std::vector<fs::path> fitting;
  for (auto& file : files) {
    const auto size = static_cast<int64_t>(fs::file_size(root / file));
    if (size <= limit) {
      limit -= size;
      fitting.push_back(std::move(file));
    }
  }
  return fitting;
}

std::vector<fs::path> folder_files(
    const fs::path& root,
    const CorpusOptions& options) {
  const auto& wanted =
      options.extensions().empty() ? text_extensions() : options.extensions();
  auto files = list_folder(root, wanted);
  if (const auto limit = byte_limit(options); limit != unlimited) {
    files = sample(root, std::move(files), limit);
  }
  TORCH_CHECK(
      !files.empty(),
      "read_corpus: no files to read in the folder ",
      root.string(),
      "; endings that are read: ",
      wanted.size() > 6 ? "those of text and source files"
                        : c10::Join(" ", wanted),
      " (* reads all)");
  for (auto& file : files) {
    file = root / file;
  }
  return files;
}

} // namespace

std::vector<fs::path> text_files(const CorpusOptions& options) {
  const auto& path = options.path();
  TORCH_CHECK(
      !path.empty(),
      "read_corpus: the path is empty; it must name a file or a folder");
  try {
    TORCH_CHECK(
        fs::exists(path), "read_corpus: no such file or folder: ", path);
    return fs::is_directory(path) ? folder_files(path, options)
                                  : std::vector<fs::path>{path};
  } catch (const fs::filesystem_error& error) {
    TORCH_CHECK(
        false,
        "read_corpus: cannot read ",
        error.path1().empty() ? path : error.path1().string(),
        ": ",
        error.code().message());
  }
}

const std::vector<std::string>& text_extensions() {
  static const std::vector<std::string> extensions = {
      ".txt",  ".md",   ".rst",  ".tex", ".html",  ".xml",  ".csv",  ".tsv",
      ".json", ".toml", ".yaml", ".yml", ".py",    ".c",    ".h",    ".cc",
      ".cpp",  ".hpp",  ".cu",   ".cuh", ".metal", ".java", ".js",   ".ts",
      ".go",   ".rs",   ".rb",   ".sh",  ".sql",   ".lua",  ".cmake"};
  return extensions;
}

} // namespace signalllm::data

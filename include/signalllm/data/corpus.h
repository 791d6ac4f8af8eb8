#pragma once

#include <signalllm/export.h>

#include <torch/arg.h>

#include <cstdint>
#include <string>
#include <vector>

namespace signalllm::data {

/// Where a text comes from and what of it is held out.
struct SIGNALLLM_API CorpusOptions {
  /* implicit */ CorpusOptions(std::string path) : path_(std::move(path)) {}

  /// A file of any kind, or a folder that is read recursively in the order of
  /// the relative paths (hidden files and `__pycache__` left out).
  TORCH_ARG(std::string, path);
  /// A file or folder to validate on; empty: the end of `path` is held out.
  TORCH_ARG(std::string, valid_path) = "";
  /// The fraction of `path`, counted from its end, that is held out where
  /// there is no `valid_path`. 0 holds out nothing.
  TORCH_ARG(double, valid_fraction) = 0.1;
  /// In folders only files with these endings (".txt") are read; "*" reads
  /// all; empty means `text_extensions()`.
  TORCH_ARG(std::vector<std::string>, extensions) = {};
  /// 0: everything. Otherwise a file's first bytes, or whole files of a
  /// folder, chosen by a hash of their relative path, that fit.
  TORCH_ARG(int64_t, max_bytes) = 0;
};

/// The text to learn from and the text to be judged on.
struct SIGNALLLM_API Corpus {
  std::string train;
  std::string valid;
  int64_t files = 0;
};

/// Reads it. Throws `c10::Error` naming the path for what is missing,
/// unreadable, empty or compressed.
SIGNALLLM_API Corpus read_corpus(const CorpusOptions& options);

/// The endings of files that are taken for text in a folder.
SIGNALLLM_API const std::vector<std::string>& text_extensions();

} // namespace signalllm::data

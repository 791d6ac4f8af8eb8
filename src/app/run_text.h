#pragma once

#include <signalllm/data/corpus.h>
#include <signalllm/training/checkpoint.h>

#include <string>

namespace signalllm::app {

/// Writes into the run's folder what its text was, as sizes and a checksum:
/// the text may move, but must not change while a run goes on.
void record_text(const training::RunFolder& folder, const data::Corpus& corpus);

/// Whether the folder has such a record; runs of older programs do not.
bool has_text_record(const training::RunFolder& folder);

/// Throws where the text is not the one recorded. `path` is where it was read
/// and `remedy` what can be done, both for the message.
void check_text(
    const training::RunFolder& folder,
    const data::Corpus& corpus,
    const std::string& path,
    const std::string& remedy);

} // namespace signalllm::app

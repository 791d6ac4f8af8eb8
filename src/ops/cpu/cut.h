#pragma once

#include "ops/cpu/rows.h"

#include <algorithm>

namespace signalllm::ops::cpu {

/// Jobs of a call that is cut into groups of batch entries, blocks of channels
/// and tiles of the sequence.
template <class Call>
int64_t count_jobs(const Call& call, int64_t block, int64_t tiles) {
  return call.groups() * ((call.width() + block - 1) / block) * tiles;
}

/// Channels of a block of which `rows` rows fit in a tile. Several entries side
/// by side are one block.
template <class Call>
int64_t block_of(const Call& call, int64_t rows, int64_t values) {
  return call.entries > 1 ? call.width()
                          : channel_block(call.inner, rows, values);
}

/// One of them.
struct Cut {
  int64_t tile = 0;
  int64_t c0 = 0, channels = 0; // of a row as it is computed
  int64_t entry = 0, entries = 1; // of the batch
  int64_t inner = 0;

  template <class Call>
  Cut(const Call& call, int64_t block, int64_t tiles, int64_t job)
      : tile(job % tiles), inner(call.inner) {
    const int64_t blocks = (call.width() + block - 1) / block;
    c0 = job / tiles % blocks * block;
    entry = job / tiles / blocks * call.entries;
    entries = std::min(call.entries, call.batch - entry);
    channels = std::min(block, entries * inner - c0);
  }

  /// Where its rows lie in a contiguous tensor of so many rows an entry.
  Place place(Storage storage, int64_t rows) const {
    return {storage, entry * rows * inner + c0, inner, entries, rows * inner};
  }
};

} // namespace signalllm::ops::cpu

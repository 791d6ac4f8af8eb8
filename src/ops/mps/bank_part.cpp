#include "ops/mps/bank_part.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <array>
#include <optional>

namespace signalllm::mps {
namespace {

/// The last plans: models ask for the same ones again.
bool cached_cut(
    Direction direction,
    const std::vector<int64_t>& lengths,
    Bank& bank) {
  struct Entry {
    std::vector<int64_t> key;
    Bank bank;
    bool fits = false;
  };
  static std::mutex mutex;
  static std::array<Entry, 64> entries;
  static size_t next = 0;
  std::vector<int64_t> key{
      static_cast<int64_t>(direction),
      bank.columns,
      bank.inner,
      bank.taps,
      bank.offset,
      static_cast<int64_t>(bank.border)};
  key.insert(key.end(), lengths.begin(), lengths.end());
  const std::lock_guard<std::mutex> lock(mutex);
  auto found = std::find_if(entries.begin(), entries.end(), [&](const auto& e) {
    return e.key == key;
  });
  if (found == entries.end()) {
    found = entries.begin() + next++ % entries.size();
    found->bank = bank;
    found->fits = cut(direction, lengths, found->bank);
    found->key = std::move(key);
  }
  bank = found->bank;
  return found->fits;
}

/// The step of axes [begin, end) seen as one, if they can be.
std::optional<int64_t> merged(const at::Tensor& t, int64_t begin, int64_t end) {
  int64_t step = 0, reach = -1;
  for (int64_t i = end; i-- > begin;) {
    if (t.size(i) == 1) {
      continue;
    }
    if (reach < 0) {
      step = t.stride(i);
    } else if (t.stride(i) != reach) {
      return std::nullopt;
    }
    reach = t.stride(i) * t.size(i);
  }
  return step;
}

} // namespace

std::vector<Part> parts_of(const BankSetting& set, Direction direction) {
  const auto levels = static_cast<int64_t>(set.lengths.size()) - 1;
  const auto& s = set.signal;
  Bank bank;
  bank.columns = static_cast<int32_t>(s.batch * s.inner);
  bank.inner = static_cast<int32_t>(s.inner);
  bank.taps = static_cast<int32_t>(set.lo.size(-1));
  bank.offset = static_cast<int32_t>(set.offset);
  bank.border = set.border;
  std::vector<Part> parts;
  for (int64_t begin = 0; begin < levels;) {
    auto end = std::min<int64_t>(levels, begin + kBankLevels);
    Bank b;
    for (;; --end) {
      b = bank;
      const std::vector<int64_t> lengths(
          set.lengths.begin() + begin, set.lengths.begin() + end + 1);
      if (cached_cut(direction, lengths, b)) {
        break;
      }
      TORCH_INTERNAL_ASSERT(end > begin + 1);
    }
    b.filters = set.lo.dim() == 1 ? 0 : static_cast<int32_t>(set.lo.size(0));
    b.reconstruction = set.reconstruction;
    parts.push_back({begin, end, b});
    begin = end;
  }
  return parts;
}

View::View(const at::Tensor& tensor, int64_t dim) {
  if (!read(tensor, dim)) {
    TORCH_INTERNAL_ASSERT(read(tensor.contiguous(), dim));
  }
}

bool View::read(const at::Tensor& t, int64_t dim) {
  const auto batch = merged(t, 0, dim), inner = merged(t, dim + 1, t.dim());
  int64_t span = 1;
  for (int64_t i = 0; i < t.dim(); ++i) {
    span += (t.size(i) - 1) * t.stride(i);
  }
  if (!batch || !inner || span > kMostValues) {
    return false;
  }
  strides = {
      static_cast<int32_t>(*batch),
      static_cast<int32_t>(t.size(dim) > 1 ? t.stride(dim) : 0),
      static_cast<int32_t>(*inner)};
  memory = t.is_contiguous() ? t : t.as_strided({span}, {1});
  return true;
}

Either::Either(const at::Tensor& t, at::ScalarType type)
    : own(t), wide(t), is_wide(t.scalar_type() != type) {
  if (is_wide) {
    own = at::empty({1}, t.options().dtype(type));
  } else if (type != at::kFloat) {
    wide = at::empty({1}, t.options().dtype(at::kFloat));
  }
}

Tensors read_details(
    const Tensors& details,
    const Part& part,
    int64_t dim,
    Bank& bank) {
  Tensors memory;
  for (auto l = part.begin; l < part.end; ++l) {
    const View view(details[l], dim);
    memory.push_back(view.memory);
    bank.strides[l - part.begin + 1] = view.strides;
  }
  memory.resize(kBankLevels, memory[0]);
  return memory;
}

Tensors written(const Tensors& details, int64_t begin, int64_t end) {
  Tensors out(details.begin() + begin, details.begin() + end);
  out.resize(kBankLevels, out[0]);
  return out;
}

at::Tensor
scratch(const BankSetting& set, const at::Tensor& like, int64_t level) {
  return at::empty(
      set.signal.sizes_for(set.lengths[level]),
      like.options().dtype(at::kFloat));
}

Grid grid_of(const Bank& b) {
  int rows = 1;
  for (int l = 0; l <= b.levels; ++l) {
    rows = std::max({rows, b.analysis.rows(l), b.synthesis.rows(l)});
  }
  Grid grid;
  grid.x = (b.columns + b.width - 1) / b.width;
  grid.y = b.tiles;
  grid.threads = std::clamp((rows * b.width + 31) / 32 * 32, 32, 256);
  return grid;
}

} // namespace signalllm::mps

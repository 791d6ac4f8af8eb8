#include "nn/tree_layout.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <limits>
#include <list>
#include <mutex>

namespace signalllm::tree {
namespace {

std::shared_ptr<const Layout>
make_layout(int64_t length, int64_t window, c10::Device device) {
  auto made = std::make_shared<Layout>();
  auto& l = *made;
  l.window = window;
  l.chunks = (length + window - 1) / window;
  l.length = l.chunks * window;
  l.levels = levels_in_sight(l.chunks - 1);
  int64_t offset = 0;
  for (int64_t level = 0; level <= l.levels; ++level) {
    l.offsets.push_back(offset);
    offset += l.length >> level;
  }
  l.offsets.push_back(offset);
  for (int64_t end = window; end <= l.levels * window; end += window) {
    l.level_ends.push_back(end);
  }
  const auto slots = l.slots();
  auto rows = at::empty({l.chunks, slots}, at::kLong);
  auto nodes = at::zeros({l.chunks, slots}, at::kLong);
  auto sizes = at::empty({l.chunks, 1, slots}, at::dtype(at::kFloat))
                   .fill_(-std::numeric_limits<float>::infinity());
  for (int64_t chunk = 0; chunk < l.chunks; ++chunk) {
    auto* row = rows.data_ptr<int64_t>() + chunk * slots;
    auto* node = nodes.data_ptr<int64_t>() + chunk * slots;
    auto* size = sizes.data_ptr<float>() + chunk * slots;
    const auto see =
        [&](int64_t level, int64_t slot, int64_t first, int64_t count) {
          for (int64_t i = 0; i < window; ++i, ++slot) {
            const bool seen = i < count;
            node[slot] = seen ? first + i : 0;
            row[slot] =
                seen ? l.offsets[level] + first + i : chunk * window + i;
            if (seen) {
              size[slot] = static_cast<float>(level);
            }
          }
        };
    for (int64_t level = l.levels; level >= 1; --level) {
      const auto behind = (chunk >> level) - 1;
      const bool odd = (chunk >> (level - 1)) % 2 != 0;
      see(level,
          (l.levels - level) * window,
          behind * window,
          behind < 0 ? 0
              : odd  ? window
                     : window / 2);
    }
    see(0, slots - 2 * window, (chunk - 1) * window, chunk > 0 ? window : 0);
    see(0, slots - window, chunk * window, window);
  }
  l.rows = rows.to(device);
  l.nodes = nodes.to(device);
  l.sizes = sizes.to(device);
  l.later = at::ones({window, window}, at::kBool).triu(1).to(device);
  return made;
}

} // namespace

at::Tensor Layout::pyramid(const at::Tensor& fine) const {
  std::vector<at::Tensor> all{fine};
  for (int64_t level = 0; level < levels; ++level) {
    all.push_back(coarser(all.back()));
  }
  return levels == 0 ? fine : at::cat(all, -2);
}

at::Tensor Layout::pyramid_adjoint(at::Tensor gradient) const {
  for (int64_t level = levels; level >= 1; --level) {
    const auto coarse = gradient.slice(-2, offsets[level], offsets[level + 1]);
    const auto count = coarse.size(-2);
    auto fine =
        gradient.slice(-2, offsets[level - 1], offsets[level - 1] + 2 * count);
    fine.unflatten(-2, {count, 2}).add_(coarse.unsqueeze(-2), 0.5);
  }
  return gradient.slice(-2, 0, length);
}

std::shared_ptr<const Layout>
layout(int64_t length, int64_t window, c10::Device device) {
  static std::mutex mutex;
  // Never destroyed: a device's memory may be gone before static objects are.
  static auto& kept =
      *new std::list<std::pair<c10::Device, std::shared_ptr<const Layout>>>;
  constexpr int64_t most = 8; // on the CPU
  const auto whole = (length + window - 1) / window * window;
  const std::lock_guard<std::mutex> lock(mutex);
  for (auto it = kept.begin(); it != kept.end(); ++it) {
    const auto& known = *it->second;
    if (it->first == device && known.length == whole &&
        known.window == window) {
      kept.splice(kept.begin(), kept, it);
      return kept.front().second;
    }
  }
  auto made = make_layout(length, window, device);
  kept.emplace_front(device, made);
  int64_t on_cpu = 0;
  for (auto it = kept.begin(); it != kept.end(); ++it) {
    if (it->first.is_cpu() && ++on_cpu > most) {
      kept.erase(it);
      break;
    }
  }
  return made;
}

} // namespace signalllm::tree

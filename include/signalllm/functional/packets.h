#pragma once

#include <signalllm/export.h>
#include <signalllm/wavelet.h>

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

/// Wavelet packets: `dwt` applied to the details as well. A node is named by
/// the way to it, PyWavelets' words: "" is the signal, "ad" the detail of its
/// approximation.
namespace signalllm::functional {

using PacketNodes = std::map<std::string, at::Tensor>;

/// Every node of the full tree down to `level` (-1: `max_level`), the signal
/// included: `2^(level + 1) - 1` of them.
SIGNALLLM_API PacketNodes packet_tree(
    const at::Tensor& input,
    const Wavelet& wavelet,
    int64_t level = -1,
    std::string_view mode = "reflect",
    int64_t dim = -2);

/// The `2^level` paths of one level, in the order of the tree (`natural`: aa,
/// ad, da, dd) or of rising frequency (`freq`: aa, ad, dd, da; a high-pass
/// turns the frequencies of what is below it round).
SIGNALLLM_API std::vector<std::string> packet_paths(
    int64_t level,
    std::string_view order = "natural");

/// The signal of `length` values from nodes that cover it: every way from the
/// signal down meets exactly one of them. Throws naming the path that is
/// missing or below another.
SIGNALLLM_API at::Tensor packet_reconstruct(
    const PacketNodes& nodes,
    const Wavelet& wavelet,
    int64_t length,
    std::string_view mode = "reflect",
    int64_t dim = -2);

/// What a node costs; a basis costs the sum over its nodes.
using PacketCost = std::function<double(const at::Tensor&)>;

/// `-sum x^2 log x^2` with 0 log 0 = 0: small where few values are large.
SIGNALLLM_API double shannon_entropy(const at::Tensor& node);

/// The paths of the cheapest nodes that cover the signal, found from the
/// leaves up: a node stays where it costs no more than the best of what is
/// below it. `nodes` is a full tree, as `packet_tree` gives it. (Coifman and
/// Wickerhauser, 1992.)
SIGNALLLM_API std::vector<std::string> best_basis(
    const PacketNodes& nodes,
    const PacketCost& cost = shannon_entropy);

} // namespace signalllm::functional

#pragma once

#include <signalllm/evolution.h>

#include <vector>

namespace signalllm {

/// At least as good in both, and better in one.
bool dominates(const BasisScore& a, const BasisScore& b);

/// How far a score's neighbours of the same rank are, as shares of the range;
/// the ends of a rank count as alone.
std::vector<double> crowding(
    const std::vector<BasisScore>& scores,
    const std::vector<int64_t>& ranks);

} // namespace signalllm

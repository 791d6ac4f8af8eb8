#pragma once

#include "mps/host_mps.h"
#include "ops/mps/library.h"
#include "support.h"

#include <ATen/ATen.h>

#include <cmath>
#include <string>
#include <vector>

/// What the tests of Metal kernels share: cases, and how exact they must be.
namespace signalllm::test {

inline at::Tensor on_mps(const at::Tensor& t) {
  return t.to(at::kMPS);
}

/// For the reference, on the CPU.
inline at::Tensor wide(const at::Tensor& t) {
  return t.to(at::kCPU).to(at::kDouble);
}

/// Values of a Metal kernel against a float64 reference: sums are kept in
/// float32, the result is rounded once to `type`. `terms` products of normal
/// values add up to about their root, which may cancel in the result but has
/// been rounded on the way.
inline void expect_rounded(
    const at::Tensor& ours,
    const at::Tensor& reference,
    at::ScalarType type,
    int64_t terms = 1) {
  ASSERT_TRUE(ours.is_mps());
  ASSERT_EQ(ours.scalar_type(), type);
  ASSERT_EQ(ours.sizes(), reference.sizes());
  if (ours.numel() == 0) {
    return;
  }
  ASSERT_TRUE(ours.cpu().isfinite().all().item<bool>());
  constexpr double sums = 4e-6;
  const double relative = type == at::kFloat ? sums
      : type == at::kHalf                    ? 6e-4
                                             : 5e-3;
  EXPECT_LE(
      max_error(ours.cpu(), reference),
      sums * std::sqrt(double(terms)) +
          relative * (1 + reference.abs().max().item<double>()));
}

/// The products in each entry of a filter's gradient.
inline int64_t terms_of(const at::Tensor& filter, const at::Tensor& x) {
  return x.numel() * filter.size(-1) / filter.numel();
}

/// What was launched since it was made.
class Launches {
 public:
  Launches() {
    host_mps::reset();
  }
  int64_t all() const {
    return host_mps::counters().launches();
  }
  int64_t metal() const {
    int64_t n = 0;
    for (const auto& [name, count] : host_mps::counters().operators) {
      n += name.rfind("metal.", 0) == 0 ? count : 0;
    }
    return n;
  }
  /// Metal kernels only, and so many.
  void expect(int64_t count) const {
    EXPECT_EQ(metal(), count);
    EXPECT_EQ(all(), count);
    EXPECT_EQ(host_mps::counters().copies_to_device, 0);
    EXPECT_EQ(host_mps::counters().synchronisations, 0);
  }
};

struct FilterCase {
  std::vector<int64_t> shape;
  int64_t taps, level;
  at::ScalarType type;
  bool per_channel;

  std::string name() const {
    std::string n;
    for (const auto size : shape) {
      n += std::to_string(size) + "x";
    }
    return n + "taps" + std::to_string(taps) + "_level" +
        std::to_string(level) + "_" + c10::toString(type) +
        (per_channel ? "_per_channel" : "");
  }
  /// Half inputs meet float filters in every other case.
  at::ScalarType filter_type() const {
    return type == at::kHalf || (type == at::kBFloat16 && level % 2 != 0)
        ? (shape[1] % 3 == 0 ? type : at::kFloat)
        : type;
  }
  at::Tensor values(at::IntArrayRef sizes) const {
    return at::randn(sizes, at::kDouble).to(type);
  }
  at::Tensor filter(int64_t channels) const {
    const auto f = per_channel ? at::randn({channels, taps}, at::kDouble)
                               : at::randn({taps}, at::kDouble);
    return (f / std::sqrt(double(taps))).to(filter_type());
  }
};

inline void PrintTo(const FilterCase& k, std::ostream* stream) {
  *stream << k.name();
}

inline std::string name_of_case(
    const testing::TestParamInfo<FilterCase>& info) {
  return std::to_string(info.index) + "_" + info.param.name();
}

/// The grid of the CPU kernels' tests, in the dtypes of MPS.
inline std::vector<FilterCase> filter_cases(bool per_channel) {
  constexpr int64_t channels[] = {1, 3, 16, 17, 40, 130};
  constexpr at::ScalarType types[] = {at::kFloat, at::kBFloat16, at::kHalf};
  std::vector<FilterCase> cases;
  for (int64_t n = 1; n <= 40; ++n) {
    const int64_t i = 3 * n + n / 6;
    cases.push_back(
        {{2, n, channels[i % 6]},
         1 + i % 7,
         i % 5,
         types[n % 3],
         per_channel || i % 4 == 0});
  }
  cases.push_back({{1, 700, 40}, 4, 5, at::kFloat, per_channel});
  cases.push_back({{2, 300, 70}, 9, 3, at::kBFloat16, true});
  return cases;
}

} // namespace signalllm::test

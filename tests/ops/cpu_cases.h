#pragma once

#include <signalllm/wavelet.h>

#include "ops/signal.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <tuple>
#include <vector>

/// Random calls of the wavelet operators, and how near the CPU's kernels must
/// be to the composite path.
namespace signalllm::test {

struct CpuCase {
  std::vector<int64_t> shape;
  std::string mode;
  int64_t taps, level;
  at::ScalarType type;
  bool per_channel;
  bool named = false; // a wavelet's filters, which may be a lattice

  std::string name() const {
    return (named ? "wavelet " : "") + mode + " " +
        c10::str(at::IntArrayRef(shape)) + " taps " + std::to_string(taps) +
        " level " + std::to_string(level) + " " + c10::toString(type) +
        (per_channel ? " per channel" : "");
  }
  at::Tensor filter(int64_t count, bool high = false) const {
    if (named) {
      const std::map<int64_t, const char*> names{
          {2, "haar"},
          {4, "db2"},
          {6, "bior2.2"},
          {8, "sym4"},
          {12, "coif2"},
          {14, "db7"},
          {20, "db10"}};
      const Wavelet wavelet(names.at(count));
      return at::tensor(high ? wavelet.dec_hi() : wavelet.dec_lo(), at::kDouble)
          .to(type == at::kHalf ? at::kFloat : type);
    }
    const auto f = per_channel ? at::randn({shape.back(), count}, at::kDouble)
                               : at::randn({count}, at::kDouble);
    // Half inputs meet float filters in every other case.
    const auto own = type == at::kHalf || (type == at::kBFloat16 && level % 2)
        ? at::kFloat
        : type;
    return (f / std::sqrt(double(count))).to(own);
  }
  at::Tensor values(at::IntArrayRef sizes) const {
    return at::randn(sizes, at::kDouble).to(type);
  }
};

using Tensors = std::vector<at::Tensor>;

/// Half a unit in the last place of 1.
inline double unit(at::ScalarType type) {
  return type == at::kDouble ? 0x1p-53
      : type == at::kFloat   ? 0x1p-24
      : type == at::kHalf    ? 0x1p-11
                             : 0x1p-8;
}

/// Each value within what rounding may do: once at the end to its own dtype,
/// and before that `steps` times in a sum of terms of this size.
inline void expect_rounded(
    const Tensors& ours,
    const Tensors& reference,
    const Tensors& sizes,
    double steps,
    const std::string& what) {
  ASSERT_EQ(ours.size(), reference.size()) << what;
  for (size_t i = 0; i < ours.size(); ++i) {
    ASSERT_EQ(ours[i].sizes(), reference[i].sizes()) << what << " " << i;
    if (ours[i].numel() == 0) {
      continue;
    }
    const auto type = ours[i].scalar_type();
    const double sum = steps * unit(ops::accumulate_type(type)) *
        sizes[i].abs().max().item<double>();
    const auto error = (ours[i].to(at::kDouble) - reference[i]).abs();
    const auto allowed = reference[i].abs() * unit(type) +
        (sum + (type == at::kHalf ? 0x1p-25 : 0)); // below its least number
    ASSERT_TRUE((error <= allowed).all().item<bool>())
        << what << " " << i << ": off by "
        << (error - allowed).max().item<double>() << " more than " << sum
        << " and its last place";
  }
}

/// Compares with the composite path in float64. `positive` are the same
/// tensors with signs that let nothing cancel, so that the path gives the size
/// of its sums.
template <class Path>
void expect_agrees(
    const CpuCase& k,
    const std::string& what,
    const Tensors& ours,
    const Tensors& tensors,
    const Tensors& positive,
    Path path) {
  const auto wide = [](Tensors list) {
    for (auto& t : list) {
      t = t.to(at::kDouble);
    }
    return list;
  };
  // Extrapolation multiplies by up to twice the distance from the end.
  const bool grows = k.mode == "smooth" || k.mode == "antireflect";
  const bool odd = grows || k.mode == "antisymmetric";
  expect_rounded(
      ours,
      path(wide(tensors), k.mode),
      path(wide(positive), odd ? "symmetric" : k.mode),
      // A level sums its taps; four times that for products of rotations, and
      // for what the reference rounds.
      4.0 * double(std::max<int64_t>(1, k.level) * (k.taps + 2)) *
          (grows ? double(2 * k.taps + 1) : 1),
      what);
}

template <class Path>
void expect_agrees(
    const CpuCase& k,
    const std::string& what,
    const Tensors& ours,
    const Tensors& tensors,
    Path path) {
  auto positive = tensors;
  for (auto& t : positive) {
    t = t.abs();
  }
  expect_agrees(k, what, ours, tensors, positive, path);
}

/// `first`, then the others.
inline Tensors joined(Tensors first, const Tensors& others) {
  first.insert(first.end(), others.begin(), others.end());
  return first;
}

inline Tensors listed(const std::tuple<at::Tensor, at::Tensor>& pair) {
  return {std::get<0>(pair), std::get<1>(pair)};
}

} // namespace signalllm::test

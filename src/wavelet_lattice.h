#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

/// What wavelets of tables and those of lattice angles share.
namespace signalllm {

/// Whether a name is that of a lattice, `lattice(0.5 1.2)`.
bool is_lattice(const std::string& name);

/// The angles that such a name has.
std::vector<double> lattice_angles(const std::string& name);

inline std::vector<double> reversed(std::vector<double> v) {
  std::reverse(v.begin(), v.end());
  return v;
}

/// (-1)^k v[k], times `sign`.
inline std::vector<double> alternate(
    const std::vector<double>& v,
    double sign) {
  auto out = v;
  for (std::size_t k = 0; k < out.size(); ++k) {
    out[k] *= k % 2 == 0 ? sign : -sign;
  }
  return out;
}

} // namespace signalllm

// Orthogonal wavelets and the angles of their lattice, each from the other.
#include <signalllm/wavelet.h>

#include "wavelet_lattice.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <limits>
#include <locale>
#include <numbers>
#include <sstream>
#include <string_view>
#include <utility>

namespace signalllm {
namespace {

constexpr std::string_view lattice_prefix = "lattice(";

std::string lattice_name(const std::vector<double>& angles) {
  std::ostringstream text;
  text.imbue(std::locale::classic());
  text << std::setprecision(std::numeric_limits<double>::max_digits10)
       << lattice_prefix;
  for (size_t i = 0; i < angles.size(); ++i) {
    text << (i > 0 ? " " : "") << angles[i];
  }
  text << ")";
  return text.str();
}

/// Levenberg-Marquardt steps on |h0(angles) - rec_lo|^2. A rotation's
/// derivative is the rotation by another quarter turn, so one call gives the
/// Jacobian.
std::vector<double> refine_angles(
    std::vector<double> angles,
    const std::vector<double>& rec_lo) {
  const auto wanted = at::tensor(rec_lo, at::kDouble);
  const auto stages = static_cast<int64_t>(angles.size());
  const auto quarter = at::eye(stages, at::kDouble) * (std::numbers::pi / 2);
  auto best = at::tensor(angles, at::kDouble);
  auto miss = wanted - lattice_filters(best).first;
  double damping = 1e-3;
  for (int step = 0; step < 400 && damping < 1e6; ++step) {
    if (miss.abs().max().item<double>() < 1e-14) {
      break;
    }
    const auto jacobian = lattice_filters(best + quarter).first;
    auto normal = jacobian.matmul(jacobian.t());
    normal = normal + damping * normal.diagonal().diag();
    const auto next = best + at::linalg_solve(normal, jacobian.matmul(miss));
    const auto left = wanted - lattice_filters(next).first;
    if (left.norm().item<double>() < miss.norm().item<double>()) {
      best = next;
      miss = left;
      damping = std::max(damping / 5, 1e-15);
    } else {
      damping *= 4;
    }
  }
  angles.assign(
      best.const_data_ptr<double>(), best.const_data_ptr<double>() + stages);
  return angles;
}

} // namespace

bool is_lattice(const std::string& name) {
  return name.starts_with(lattice_prefix);
}

std::vector<double> lattice_angles(const std::string& name) {
  std::istringstream text(name.substr(
      lattice_prefix.size(), name.size() - lattice_prefix.size() - 1));
  text.imbue(std::locale::classic());
  std::vector<double> angles;
  for (double angle = 0; text >> angle;) {
    angles.push_back(angle);
  }
  TORCH_CHECK(
      text.eof() && name.ends_with(')') && !angles.empty(),
      "Wavelet: name '",
      name,
      "' cannot be read; a lattice is written lattice(0.5 1.2), its angles in "
      "radians with spaces between");
  return angles;
}

std::pair<at::Tensor, at::Tensor> lattice_filters(const at::Tensor& angles) {
  TORCH_CHECK(
      angles.dim() >= 1 && angles.size(-1) >= 1 &&
          at::isFloatingType(angles.scalar_type()),
      "lattice_filters: angles must be a floating point tensor [..., K] with "
      "K >= 1, got ",
      angles.scalar_type(),
      " ",
      angles.sizes());
  const auto c = angles.cos();
  const auto s = angles.sin();
  const auto at = [](const at::Tensor& t, int64_t k) {
    return t.narrow(-1, k, 1);
  };
  auto h0 = at::cat({at(c, 0), at(s, 0)}, -1);
  auto h1 = at::cat({-at(s, 0), at(c, 0)}, -1);
  for (int64_t k = 1; k < angles.size(-1); ++k) {
    const auto p0 = at::constant_pad_nd(h0, {0, 2});
    const auto p1 = at::constant_pad_nd(h1, {2, 0});
    h0 = at(c, k) * p0 + at(s, k) * p1;
    h1 = at(c, k) * p1 - at(s, k) * p0;
  }
  return {h0, h1};
}

Wavelet Wavelet::from_angles(
    const std::vector<double>& angles,
    std::string name) {
  TORCH_CHECK(
      !angles.empty(),
      "Wavelet::from_angles: angles is empty; at least one is needed");
  const auto h0 = lattice_filters(at::tensor(angles, at::kDouble)).first;
  const std::vector<double> rec_lo(
      h0.const_data_ptr<double>(), h0.const_data_ptr<double>() + h0.numel());
  const auto dec_lo = reversed(rec_lo);
  auto w = from_filters(
      dec_lo,
      alternate(rec_lo, -1),
      rec_lo,
      alternate(dec_lo, 1),
      name.empty() ? lattice_name(angles) : std::move(name));
  w.angles_ = angles;
  return w;
}

std::vector<double> Wavelet::angles() const {
  if (!angles_.empty()) {
    return angles_;
  }
  TORCH_CHECK(
      is_orthogonal(),
      "Wavelet::angles: '",
      name_,
      "' is not orthogonal; only orthogonal banks have lattice angles");
  // Undo the lattice from its last stage: each rotation is the one that
  // empties the end which the stage had shifted in. Long filters end in tiny
  // taps, which makes the early angles rough.
  auto a = rec_lo_;
  auto b = alternate(dec_lo_, -1);
  const size_t stages = a.size() / 2;
  std::vector<double> out(stages);
  for (size_t k = stages; k > 1; --k) {
    const size_t i =
        std::abs(a[0]) + std::abs(b[0]) >= std::abs(a[1]) + std::abs(b[1]) ? 0
                                                                           : 1;
    out[k - 1] = std::atan2(-b[i], a[i]);
    const double c = std::cos(out[k - 1]), s = std::sin(out[k - 1]);
    std::vector<double> next_a(2 * k - 2), next_b(2 * k - 2);
    for (size_t n = 0; n < 2 * k - 2; ++n) {
      next_a[n] = c * a[n] - s * b[n];
      next_b[n] = s * a[n + 2] + c * b[n + 2];
    }
    a = std::move(next_a);
    b = std::move(next_b);
  }
  out[0] = std::atan2(a[1], a[0]);
  out = refine_angles(out, rec_lo_);
  const auto back = from_angles(out);
  double error = 0;
  for (size_t n = 0; n < rec_lo_.size(); ++n) {
    error = std::max(error, std::abs(back.rec_lo_[n] - rec_lo_[n]));
  }
  TORCH_CHECK(
      error < 1e-8,
      "Wavelet::angles: '",
      name_,
      "' ends in taps too small to find its angles from in double precision "
      "(closest filter within ",
      error,
      "); allowed: shorter wavelets, of the Daubechies family up to db22");
  return out;
}

} // namespace signalllm

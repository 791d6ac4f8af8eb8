#include <signalllm/wavelet.h>

#include "text.h"

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

struct Entry {
  std::string name;
  std::vector<double> dec_lo;
  std::vector<double> rec_lo; // empty: dec_lo reversed
};

std::vector<double> reversed(std::vector<double> v) {
  std::reverse(v.begin(), v.end());
  return v;
}

std::vector<Entry> make_table() {
  std::vector<Entry> table{
#include "wavelet_tables.inc"
  };
  const size_t listed = table.size();
  for (size_t i = 0; i < listed; ++i) {
    if (table[i].name.starts_with("bior")) {
      table.push_back(
          {"rbio" + table[i].name.substr(4),
           reversed(table[i].rec_lo),
           reversed(table[i].dec_lo)});
    }
  }
  return table;
}

const std::vector<Entry>& table() {
  static const auto* entries = new std::vector<Entry>(make_table());
  return *entries;
}

/// (-1)^k v[k], times `sign`.
std::vector<double> alternate(const std::vector<double>& v, double sign) {
  auto out = v;
  for (size_t k = 0; k < out.size(); ++k) {
    out[k] *= k % 2 == 0 ? sign : -sign;
  }
  return out;
}

std::vector<double> convolve(
    const std::vector<double>& a,
    const std::vector<double>& b) {
  std::vector<double> out(a.size() + b.size() - 1);
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t j = 0; j < b.size(); ++j) {
      out[i + j] += a[i] * b[j];
    }
  }
  return out;
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

at::Tensor as_tensor(const std::vector<double>& v, at::TensorOptions options) {
  return at::tensor(v, at::TensorOptions(at::kDouble)).to(options);
}

} // namespace

Wavelet::Wavelet(const std::string& name) {
  if (name.starts_with(lattice_prefix)) {
    *this = from_angles(lattice_angles(name), name);
    return;
  }
  for (const auto& entry : table()) {
    if (entry.name == name) {
      name_ = name;
      dec_lo_ = entry.dec_lo;
      rec_lo_ = entry.rec_lo.empty() ? reversed(dec_lo_) : entry.rec_lo;
      dec_hi_ = alternate(rec_lo_, -1);
      rec_hi_ = alternate(dec_lo_, 1);
      return;
    }
  }
  TORCH_CHECK(
      false,
      "Wavelet: name '",
      name,
      "' is unknown; did you mean '",
      nearest(name, wavelist()),
      "'? Allowed: the names of wavelist(), of the families haar, db, sym, "
      "coif, bior, rbio, dmey, and lattice(angles)");
}

std::vector<Wavelet> wavelets_of_levels(const std::string& names) {
  std::vector<Wavelet> wavelets;
  std::istringstream list(names + ";");
  for (std::string name; std::getline(list, name, ';');) {
    wavelets.emplace_back(name);
    TORCH_CHECK(
        wavelets.back().length() == wavelets[0].length(),
        "wavelets_of_levels: '",
        names,
        "' has filters of ",
        wavelets[0].length(),
        " and of ",
        wavelets.back().length(),
        " taps; all levels need the same number");
  }
  return wavelets;
}

Wavelet Wavelet::from_filters(
    std::vector<double> dec_lo,
    std::vector<double> dec_hi,
    std::vector<double> rec_lo,
    std::vector<double> rec_hi,
    std::string name) {
  const size_t taps = dec_lo.size();
  TORCH_CHECK(
      taps >= 2 && taps % 2 == 0 && dec_hi.size() == taps &&
          rec_lo.size() == taps && rec_hi.size() == taps,
      "Wavelet::from_filters: the four filters need one even number of taps, "
      "got ",
      dec_lo.size(),
      ", ",
      dec_hi.size(),
      ", ",
      rec_lo.size(),
      ", ",
      rec_hi.size(),
      "; pad the shorter ones with zeros");
  Wavelet w;
  w.name_ = std::move(name);
  w.dec_lo_ = std::move(dec_lo);
  w.dec_hi_ = std::move(dec_hi);
  w.rec_lo_ = std::move(rec_lo);
  w.rec_hi_ = std::move(rec_hi);
  return w;
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

bool Wavelet::is_orthogonal(double tolerance) const {
  const auto taps = dec_lo_.size();
  double error = 0;
  for (size_t k = 0; k < taps; ++k) {
    error = std::max(error, std::abs(rec_lo_[k] - dec_lo_[taps - 1 - k]));
    error = std::max(error, std::abs(rec_hi_[k] - dec_hi_[taps - 1 - k]));
  }
  for (size_t shift = 0; shift < taps; shift += 2) {
    double lo = shift == 0 ? -1 : 0, hi = lo, cross = 0, other = 0;
    for (size_t k = 0; k + shift < taps; ++k) {
      lo += dec_lo_[k] * dec_lo_[k + shift];
      hi += dec_hi_[k] * dec_hi_[k + shift];
      cross += dec_lo_[k] * dec_hi_[k + shift];
      other += dec_hi_[k] * dec_lo_[k + shift];
    }
    for (const double e : {lo, hi, cross, other}) {
      error = std::max(error, std::abs(e));
    }
  }
  return error <= tolerance;
}

double Wavelet::reconstruction_error() const {
  const auto lo = convolve(dec_lo_, rec_lo_);
  const auto hi = convolve(dec_hi_, rec_hi_);
  const auto alias_lo = convolve(alternate(dec_lo_, 1), rec_lo_);
  const auto alias_hi = convolve(alternate(dec_hi_, 1), rec_hi_);
  double error = 0;
  for (size_t n = 0; n < lo.size(); ++n) {
    const double distortion =
        (lo[n] + hi[n]) / 2 - (n == dec_lo_.size() - 1 ? 1 : 0);
    const double alias = (alias_lo[n] + alias_hi[n]) / 2;
    error = std::max(error, std::abs(distortion) + std::abs(alias));
  }
  return error;
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

std::pair<at::Tensor, at::Tensor> Wavelet::analysis(
    at::TensorOptions options) const {
  return {as_tensor(dec_lo_, options), as_tensor(dec_hi_, options)};
}

std::pair<at::Tensor, at::Tensor> Wavelet::synthesis(
    at::TensorOptions options) const {
  return {as_tensor(rec_lo_, options), as_tensor(rec_hi_, options)};
}

std::vector<std::string> wavelist(const std::string& family) {
  std::vector<std::string> names;
  for (const auto& entry : table()) {
    const auto digits = entry.name.find_first_of("0123456789");
    if (family.empty() || entry.name.substr(0, digits) == family) {
      names.push_back(entry.name);
    }
  }
  TORCH_CHECK(
      !names.empty(),
      "wavelist: family '",
      family,
      "' is unknown; allowed: haar, db, sym, coif, bior, rbio, dmey");
  return names;
}

const std::vector<std::string>& modes() {
  static const auto* names = new std::vector<std::string>{
      "zero",
      "constant",
      "symmetric",
      "periodic",
      "smooth",
      "periodization",
      "reflect",
      "antisymmetric",
      "antireflect"};
  return *names;
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

} // namespace signalllm

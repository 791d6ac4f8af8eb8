#include <signalllm/wavelet.h>

#include "text.h"
#include "wavelet_lattice.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <utility>

namespace signalllm {
namespace {

struct Entry {
  std::string name;
  std::vector<double> dec_lo;
  std::vector<double> rec_lo; // empty: dec_lo reversed
};

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

at::Tensor as_tensor(const std::vector<double>& v, at::TensorOptions options) {
  return at::tensor(v, at::TensorOptions(at::kDouble)).to(options);
}

} // namespace

Wavelet::Wavelet(const std::string& name) {
  if (is_lattice(name)) {
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

} // namespace signalllm

#pragma once

#include <signalllm/export.h>

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace signalllm {

/// A discrete wavelet: the four filters of a two-channel filter bank, in
/// PyWavelets' order and sign.
///
/// ```
/// Wavelet db4("db4");
/// auto [lo, hi] = db4.analysis();          // two tensors of 8 taps
/// ```
class SIGNALLLM_API Wavelet {
 public:
  /// One of the names of `wavelist()`, or `lattice(a_1 a_2 ...)`, the bank of
  /// `from_angles` with those numbers, so that a bank found by a search has a
  /// name wherever a wavelet is named. Throws `c10::Error` naming the nearest
  /// known name otherwise.
  /* implicit */ Wavelet(const std::string& name);
  /* implicit */ Wavelet(const char* name) : Wavelet(std::string(name)) {}

  /// A filter bank of one's own. The four filters have the same even length;
  /// whether they reconstruct is the caller's affair (see
  /// `reconstruction_error`).
  static Wavelet from_filters(
      std::vector<double> dec_lo,
      std::vector<double> dec_hi,
      std::vector<double> rec_lo,
      std::vector<double> rec_hi,
      std::string name = "custom");

  /// The orthogonal bank of length 2K of K lattice angles (radians):
  /// `(h0, h1) = ((c_1, s_1), (-s_1, c_1))`, then for k = 2..K
  /// `h0 <- c_k [h0, 0, 0] + s_k [0, 0, h1]`,
  /// `h1 <- -s_k [h0, 0, 0] + c_k [0, 0, h1]`; `h0` is `rec_lo`.
  /// Its name, if none is given, is `lattice(...)` with the angles in full
  /// precision. It reconstructs for any angles; the sum pi/4 gives `sum(h0) =
  /// sqrt(2)`. (Vaidyanathan and Hoang, 1988.)
  static Wavelet from_angles(
      const std::vector<double>& angles,
      std::string name = "");

  const std::string& name() const {
    return name_;
  }
  /// Taps of each filter.
  int64_t length() const {
    return static_cast<int64_t>(dec_lo_.size());
  }
  const std::vector<double>& dec_lo() const {
    return dec_lo_;
  }
  const std::vector<double>& dec_hi() const {
    return dec_hi_;
  }
  const std::vector<double>& rec_lo() const {
    return rec_lo_;
  }
  const std::vector<double>& rec_hi() const {
    return rec_hi_;
  }

  /// True if the synthesis filters are the time-reversed analysis filters and
  /// these are orthonormal to their even shifts within `tolerance`.
  bool is_orthogonal(double tolerance = 1e-6) const;

  /// Largest error of `idwt(dwt(x)) = x` over all unit impulses, i.e. the
  /// distance of the bank's distortion and alias terms from the identity.
  double reconstruction_error() const;

  /// The K lattice angles of an orthogonal wavelet: those of `from_angles`, or
  /// found from the filters, so that their `from_angles` gives
  /// the same filters within 1e-8 (most within 1e-12). Throws for banks that
  /// are not orthogonal and for db23 to db38, whose end taps are too small.
  std::vector<double> angles() const;

  /// (dec_lo, dec_hi) and (rec_lo, rec_hi) as tensors `[taps]` of `options`.
  std::pair<at::Tensor, at::Tensor> analysis(
      at::TensorOptions options = at::kFloat) const;
  std::pair<at::Tensor, at::Tensor> synthesis(
      at::TensorOptions options = at::kFloat) const;

 private:
  Wavelet() = default;
  std::string name_;
  std::vector<double> dec_lo_, dec_hi_, rec_lo_, rec_hi_;
  std::vector<double> angles_; // of from_angles, else empty
};

/// Wavelets of the levels of a transform, the finest first, as
/// `name;name;...`; one name is for all levels. Throws where a name is unknown
/// or the filters' lengths differ.
SIGNALLLM_API std::vector<Wavelet> wavelets_of_levels(const std::string& names);

/// Names of all discrete wavelets (those of PyWavelets 1.9), or of one family:
/// haar, db, sym, coif, bior, rbio, dmey.
SIGNALLLM_API std::vector<std::string> wavelist(const std::string& family = "");

/// The nine extension modes, in PyWavelets' words.
SIGNALLLM_API const std::vector<std::string>& modes();

/// Differentiable form of `Wavelet::from_angles`: angles `[..., K]` to
/// (h0, h1), each `[..., 2K]`, orthonormal to their even shifts.
SIGNALLLM_API std::pair<at::Tensor, at::Tensor> lattice_filters(
    const at::Tensor& angles);

} // namespace signalllm

#pragma once

#include <signalllm/export.h>
#include <signalllm/wavelet.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace signalllm {

struct SignalLLMOptions;

/// Parts of a model whose filter can be one of wavelets. Sets of them are
/// combined by `|`.
enum BasisPlace : uint32_t {
  /// Queries, keys and values of `WaveletAttention`.
  PlaceAttention = 1,
  /// The projections of `FourierConvolutionAttention`.
  PlaceFourier = 2,
  /// The hidden channels of `SpectralFeedForward`.
  PlaceFeedForward = 4,
};

/// "attention", "fourier", "feed_forward", separated by commas.
SIGNALLLM_API std::string places_to_string(uint32_t places);
/// Inverse of `places_to_string`; throws naming what is allowed.
SIGNALLLM_API uint32_t parse_places(const std::string& names);

/// How far a genome may grow.
struct SIGNALLLM_API BasisLimits {
  /// Most lattice stages (half the taps) and levels, at least 1.
  int64_t stages = 8;
  int64_t levels = 6;
  /// Where it may act.
  uint32_t places = PlaceAttention | PlaceFourier;
  /// True: every genome has `levels` levels, and acts in all the `places`.
  bool hold_levels = false;
  bool hold_places = false;
};

/// A wavelet as a genome: lattice angles of an orthogonal bank for each level,
/// all of one number of stages, and the places in a model where it acts.
/// Whatever happens to the angles, every bank reconstructs.
///
/// Two or more angles of a level sum to pi/4 (up to whole turns), so that the
/// low-pass has gain sqrt(2) at frequency 0 and the high-pass none. A single
/// one, which would be Haar's, is free.
class SIGNALLLM_API BasisFunction {
 public:
  using Random = std::mt19937_64;
  /// Of each level, the finest first.
  using Angles = std::vector<std::vector<double>>;

  /// The angles of a level moved by one amount to their sum. Throws for none,
  /// for levels of different lengths, and where `places` is empty.
  explicit BasisFunction(
      Angles angles,
      uint32_t places = PlaceAttention | PlaceFourier,
      std::string family = "lattice");

  /// From orthogonal wavelets: one for all levels or as many as there are, see
  /// `wavelets_of_levels`. Throws for others.
  BasisFunction(
      const std::string& wavelets,
      int64_t levels,
      uint32_t places = PlaceAttention | PlaceFourier);

  /// Any genome within the limits.
  static BasisFunction any(const BasisLimits& limits, Random& random);

  /// The banks as the option `wavelet` of a model names them: one, or one for
  /// each level.
  std::string wavelets() const;
  /// The bank of a level.
  Wavelet wavelet(int64_t level = 0) const;

  const Angles& angles() const {
    return angles_;
  }
  int64_t levels() const {
    return static_cast<int64_t>(angles_.size());
  }
  int64_t stages() const {
    return static_cast<int64_t>(angles_[0].size());
  }
  uint32_t places() const {
    return places_;
  }
  /// The wavelet it began as, before all mutations.
  const std::string& family() const {
    return family_;
  }
  /// The same for genomes that are the same to a model.
  std::string key() const;

  /// Multiply-adds a sample and channel of one filter: 2 filters of 2K taps a
  /// level, and the read-out of `levels + 2` bands.
  int64_t multiply_adds() const;

  /// A neighbour: one level's angles, and those of each other level one time
  /// in two, moved by normal noise of `strength` radians; now and then (one
  /// time in five each) a level more or less, a stage more (of angle 0, which
  /// leaves the bank as it is before the noise) or less, and a place more or
  /// less, but for what the limits hold.
  BasisFunction
  mutated(double strength, const BasisLimits& limits, Random& random) const;

  /// A child: each angle from one parent or the other (the shorter one goes on
  /// with zeros, and with its last level), levels, stages and places of one.
  BasisFunction crossed(const BasisFunction& other, Random& random) const;

  /// `{"angles": [[...], ...], "places": "...", "family": "..."}`; every digit
  /// is kept.
  std::string to_json() const;
  /// Throws naming what is wrong.
  static BasisFunction from_json(const std::string& json);

 private:
  void centre();

  Angles angles_;
  uint32_t places_;
  std::string family_;
};

/// The model with the genome's wavelet in its places; others keep what they
/// have.
SIGNALLLM_API SignalLLMOptions
with_basis(const SignalLLMOptions& options, const BasisFunction& basis);

} // namespace signalllm

#pragma once

#include <signalllm/export.h>

#include <torch/nn/cloneable.h>

#include <memory>
#include <optional>
#include <utility>

namespace signalllm {

/// The part of `Swappable` that does not depend on the module's type.
class SIGNALLLM_API SwappableBase {
 public:
  SwappableBase() = default;
  SwappableBase(const SwappableBase&) = default;
  SwappableBase& operator=(const SwappableBase&) = default;
  virtual ~SwappableBase();

  /// True for the optimised counterpart itself (see `Twin`).
  virtual bool is_twin() const noexcept;

  /// The twin that computes in this object's place, null where there is none.
  virtual std::shared_ptr<torch::nn::Module> twin_module() const = 0;

  /// Lets `twin`, of a class derived from this module's, compute in this
  /// object's place; null ends that. The two must share their tensors.
  virtual void run_as(const std::shared_ptr<torch::nn::Module>& twin) = 0;
};

/// Base of a module that `optimize_for_mps` can swap wherever it is held.
///
/// A typed member of a parent that knows nothing of the swap keeps pointing to
/// the standard object. So the standard object keeps its twin, outside its
/// registered children, and hands over to it: here `train`, `is_training` and
/// `clone`; in the derived class `forward`, `pretty_print` and whatever else
/// it offers:
/// ```
/// struct MyImpl : signalllm::Swappable<MyImpl> {
///   virtual torch::Tensor forward(const torch::Tensor& x) {
///     if (auto twin = this->twin()) {
///       return twin->forward(x);
///     }
///     ...
/// ```
/// Being swapped is a property of the object: a copy made by `clone()`, also
/// by the `clone()` of a parent that constructs its members afresh, runs as a
/// twin of its own.
template <typename Derived>
class SIGNALLLM_API Swappable : public torch::nn::Cloneable<Derived>,
                                public SwappableBase {
 public:
  Swappable() = default;
  Swappable(const Swappable& other)
      : torch::nn::Cloneable<Derived>(other), SwappableBase(other),
        twin_(other.runner()) {}
  Swappable& operator=(const Swappable& other) {
    if (this != &other) {
      torch::nn::Cloneable<Derived>::operator=(other);
      twin_ = this->is_twin() ? nullptr : other.runner();
    }
    return *this;
  }
  ~Swappable() override = default;

  std::shared_ptr<torch::nn::Module> twin_module() const override {
    return twin_;
  }

  void run_as(const std::shared_ptr<torch::nn::Module>& twin) override {
    auto typed = std::dynamic_pointer_cast<Derived>(twin);
    TORCH_CHECK(
        !twin || (typed && typed.get() != this && !this->is_twin()),
        "run_as: the twin must be another object, of a class derived from the "
        "standard module's");
    twin_ = std::move(typed);
  }

  void train(bool on = true) override {
    torch::nn::Cloneable<Derived>::train(on);
    if (twin_) {
      twin_->train(on);
    }
  }

  bool is_training() const noexcept override {
    return twin_ ? twin_->is_training()
                 : torch::nn::Cloneable<Derived>::is_training();
  }

  /// As `torch::nn::Cloneable`, and keeps every parameter's `requires_grad`.
  std::shared_ptr<torch::nn::Module> clone(
      const std::optional<torch::Device>& device =
          std::nullopt) const override {
    return twin_ ? twin_->clone(device) : clone_standard(device);
  }

 protected:
  /// The twin to hand over to, typed; null if this object computes itself.
  Derived* twin() const noexcept {
    return twin_.get();
  }

  /// `Cloneable::clone` of the standard part, which computes itself.
  std::shared_ptr<Derived> clone_standard(
      const std::optional<torch::Device>& device) const {
    auto copy = std::static_pointer_cast<Derived>(
        torch::nn::Cloneable<Derived>::clone(device));
    copy->run_as(nullptr);
    auto from = this->parameters();
    auto to = copy->parameters();
    for (size_t i = 0; i < to.size(); ++i) {
      to[i].set_requires_grad(from[i].requires_grad());
    }
    return copy;
  }

 private:
  /// Who computes for this object if not itself, or itself if it is a twin.
  std::shared_ptr<Derived> runner() const {
    if (!this->is_twin()) {
      return twin_;
    }
    auto self = std::const_pointer_cast<torch::nn::Module>(
        this->weak_from_this().lock());
    return std::static_pointer_cast<Derived>(self);
  }

  std::shared_ptr<Derived> twin_;
};

/// Base of an optimised counterpart `Derived` of the module `Standard`: the
/// same parameters under the same names, the same function, a faster way.
/// Constructed from a `Standard` it shares every tensor and child with it. A
/// twin has no state of its own beyond the standard's.
template <typename Standard, typename Derived>
class SIGNALLLM_API Twin : public Standard {
 public:
  using Standard::Standard;
  explicit Twin(const Standard& standard) : Standard(standard) {
    Standard::run_as(nullptr);
  }

  bool is_twin() const noexcept final {
    return true;
  }

  std::shared_ptr<torch::nn::Module> clone(
      const std::optional<torch::Device>& device =
          std::nullopt) const override {
    return std::make_shared<Derived>(
        static_cast<const Standard&>(*this->clone_standard(device)));
  }
};

} // namespace signalllm

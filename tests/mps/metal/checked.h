#pragma once

#include "mps/metal/group.h"

#include <cstddef>
#include <cstdint>
#include <type_traits>

/// Pointers that know what they point into. metal_text.py writes them in place
/// of `device T*`, `constant T*`, `threadgroup T*` and of threadgroup arrays.
namespace metal_host {

[[noreturn]] void fail_index(std::ptrdiff_t index, std::ptrdiff_t count, space);

/// A value in memory that other threads may write.
template <class T, space S>
class reference {
 public:
  reference(T* value, Cell* cell) : value_(value), cell_(cell) {}
  operator T() const {
    touch(*cell_, S, false);
    return *value_;
  }
  reference& operator=(T value) {
    touch(*cell_, S, true);
    *value_ = value;
    return *this;
  }
  reference& operator=(const reference& other) {
    return *this = static_cast<T>(other);
  }
  reference& operator+=(T value) {
    return *this = static_cast<T>(static_cast<T>(*this) + value);
  }
  reference& operator-=(T value) {
    return *this = static_cast<T>(static_cast<T>(*this) - value);
  }
  reference& operator*=(T value) {
    return *this = static_cast<T>(static_cast<T>(*this) * value);
  }

 private:
  T* value_;
  Cell* cell_;
};

template <class T, space S>
class pointer {
  // What cannot be written is read by value.
  using result =
      std::conditional_t<std::is_const<T>::value, T, reference<T, S>>;

 public:
  pointer(T* first, std::ptrdiff_t count, Cell* cells, std::ptrdiff_t at = 0)
      : first_(first), count_(count), at_(at), cells_(cells) {}
  /// To what is read only, as in C++.
  template <
      class U,
      class = std::enable_if_t<
          std::is_same<T, const U>::value && !std::is_const<U>::value>>
  pointer(const pointer<U, S>& p)
      : first_(p.first_), count_(p.count_), at_(p.at_), cells_(p.cells_) {}
  template <class I>
  result operator[](I index) const {
    static_assert(std::is_integral<I>::value, "an index is an integer");
    return value(at_ + static_cast<std::ptrdiff_t>(index));
  }
  result operator*() const {
    return value(at_);
  }
  template <class I>
  friend pointer operator+(const pointer& p, I offset) {
    static_assert(std::is_integral<I>::value, "an offset is an integer");
    return {
        p.first_,
        p.count_,
        p.cells_,
        p.at_ + static_cast<std::ptrdiff_t>(offset)};
  }
  template <class I>
  pointer& operator+=(I offset) {
    return *this = *this + offset;
  }

 private:
  template <class U, space R>
  friend class pointer;

  result value(std::ptrdiff_t i) const {
    if (i < 0 || i >= count_) {
      fail_index(i, count_, S);
    }
    return at(i, std::is_const<T>());
  }
  T at(std::ptrdiff_t i, std::true_type) const {
    if (cells_ != nullptr) {
      touch(cells_[i], S, false);
    }
    return first_[i];
  }
  reference<T, S> at(std::ptrdiff_t i, std::false_type) const {
    return {first_ + i, cells_ + i};
  }

  T* first_;
  std::ptrdiff_t count_;
  std::ptrdiff_t at_;
  Cell* cells_; // none where nobody writes
};

template <class T>
using device_pointer = pointer<T, space::device>;
template <class T>
using constant_pointer = pointer<T, space::constant>;
template <class T>
using threadgroup_pointer = pointer<T, space::threadgroup>;

/// threadgroup T name[N];
template <class T, std::size_t N>
threadgroup_pointer<T> threadgroup_array(int id) {
  const auto shared = group_memory(id, N * sizeof(T), N);
  return {
      static_cast<T*>(shared.memory),
      static_cast<std::ptrdiff_t>(N),
      shared.cells};
}

} // namespace metal_host

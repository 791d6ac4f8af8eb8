#pragma once

#include "mps/metal/checked.h"
#include "mps/metal/metal_stdlib.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

/// A kernel's function with the attributes of its parameters, so that it can be
/// found by name and called with what is bound.
namespace metal_host {

/// Types that a bound tensor must have; others are not compared.
enum class element { other, float32, float16, bfloat16, int32, int64 };

/// What stands in [[...]] behind a parameter.
enum class source {
  buffer,
  thread_position_in_grid,
  thread_position_in_threadgroup,
  threadgroup_position_in_grid,
  threads_per_threadgroup,
  threads_per_grid,
  threadgroups_per_grid,
  thread_index_in_threadgroup,
  thread_index_in_simdgroup,
  simdgroup_index_in_threadgroup,
  simdgroups_per_threadgroup
};

struct Parameter {
  source from;
  unsigned index; // of a buffer
};

/// What a kernel wants of a buffer.
struct Needs {
  bool pointer = false; // else a reference to one value
  bool written = false;
  element type = element::other;
  std::size_t size = 0, alignment = 1;
};

/// What is bound, for one parameter.
struct Bound {
  void* data = nullptr;
  std::size_t bytes = 0;
  Cell* cells = nullptr;
};

struct Kernel {
  std::vector<Parameter> parameters;
  std::vector<Needs> needs; // one a parameter
  std::function<void(const Bound*)> run; // in the thread of `now`
};

/// A text that was compiled for the host.
struct Text {
  uint64_t hash, size; // of the Metal text, FNV-1a
  std::vector<std::pair<std::string, Kernel>> kernels;
};
struct Registrar {
  explicit Registrar(Text text);
};
/// Empty if no such text was compiled.
const Text* find_text(const std::string& text);

/// All groups of a dispatch; throws what one of its threads threw.
void run(
    const std::string& name,
    const Kernel& kernel,
    const std::vector<Bound>& bound,
    const uint64_t (&grid)[3],
    const uint64_t (&group)[3]);

// ---- From a parameter's type to its value
// ------------------------------------
template <class T>
struct element_of {
  static constexpr element value = element::other;
};
template <>
struct element_of<float> {
  static constexpr element value = element::float32;
};
template <>
struct element_of<metal_types::half> {
  static constexpr element value = element::float16;
};
template <>
struct element_of<metal_types::bfloat> {
  static constexpr element value = element::bfloat16;
};
template <>
struct element_of<int> {
  static constexpr element value = element::int32;
};
template <>
struct element_of<long> {
  static constexpr element value = element::int64;
};
template <class T, int N>
struct element_of<metal::vec<T, N>> : element_of<T> {};

uint_triple attribute(source from);

/// Attributes are uint, ushort or uint2, uint3.
template <class P>
struct parameter {
  static Needs needs() {
    return {};
  }
  static P value(const Parameter& p, const Bound&) {
    return static_cast<P>(attribute(p.from).x);
  }
};
template <>
struct parameter<metal_types::uint2> : parameter<unsigned> {
  static metal_types::uint2 value(const Parameter& p, const Bound&) {
    const auto a = attribute(p.from);
    return {a.x, a.y};
  }
};
template <>
struct parameter<metal_types::uint3> : parameter<unsigned> {
  static metal_types::uint3 value(const Parameter& p, const Bound&) {
    const auto a = attribute(p.from);
    return {a.x, a.y, a.z};
  }
};
template <class T, space S>
struct parameter<pointer<T, S>> {
  using plain = std::remove_const_t<T>;
  static Needs needs() {
    Needs n;
    n.pointer = true;
    n.written = !std::is_const<T>::value;
    n.type = element_of<plain>::value;
    n.size = sizeof(plain);
    n.alignment = alignof(plain);
    return n;
  }
  static pointer<T, S> value(const Parameter&, const Bound& b) {
    return {
        static_cast<T*>(b.data),
        static_cast<std::ptrdiff_t>(b.bytes / sizeof(T)),
        b.cells};
  }
};
template <class T>
struct parameter<const T&> {
  static Needs needs() {
    Needs n;
    n.size = sizeof(T);
    n.alignment = alignof(T);
    return n;
  }
  static const T& value(const Parameter&, const Bound& b) {
    return *static_cast<const T*>(b.data);
  }
};

template <class... P, std::size_t... I>
Kernel kernel(
    void (*function)(P...),
    std::vector<Parameter> parameters,
    std::index_sequence<I...>) {
  return {
      parameters,
      {parameter<P>::needs()...},
      [function, parameters](const Bound* bound) {
        (void)bound;
        function(parameter<P>::value(parameters[I], bound[I])...);
      }};
}
template <class... P>
Kernel kernel(void (*function)(P...), std::vector<Parameter> parameters) {
  return kernel(
      function, std::move(parameters), std::index_sequence_for<P...>());
}

} // namespace metal_host

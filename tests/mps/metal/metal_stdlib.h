#pragma once

#include "mps/metal/group.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>

/// The part of Metal's types and library that the kernels use. What is not here
/// does not compile: look it up in the Metal Shading Language Specification
/// before adding it.
namespace metal_types {

using uchar = unsigned char;
using ushort = unsigned short;
using uint = unsigned int;
using ulong = unsigned long;

/// A 16-bit float: float values rounded to `Bits` bits of exponent.
uint16_t to_half(float value);
float from_half(uint16_t bits);
uint16_t to_bfloat(float value);
float from_bfloat(uint16_t bits);

// Arithmetic in 16 bits rounds after every operation and is nowhere wanted:
// values become floats first, so that it does not compile.
#define METAL_HOST_NARROW(NAME, TO, FROM)            \
  class NAME {                                       \
   public:                                           \
    NAME() = default;                                \
    explicit NAME(float value) : bits_(TO(value)) {} \
    explicit operator float() const {                \
      return FROM(bits_);                            \
    }                                                \
                                                     \
   private:                                          \
    uint16_t bits_;                                  \
  };
METAL_HOST_NARROW(half, to_half, from_half)
METAL_HOST_NARROW(bfloat, to_bfloat, from_bfloat)
#undef METAL_HOST_NARROW

} // namespace metal_types

namespace metal {

using namespace metal_types;

// ---- Vectors ----------------------------------------------------------------
template <class T, int N>
struct vec;
template <class T>
struct alignas(2 * sizeof(T)) vec<T, 2> {
  T x, y;
  vec() = default;
  vec(T a, T b) : x(a), y(b) {}
  explicit vec(T a) : x(a), y(a) {}
};
template <class T>
struct alignas(4 * sizeof(T)) vec<T, 3> {
  T x, y, z;
  vec() = default;
  vec(T a, T b, T c) : x(a), y(b), z(c) {}
  explicit vec(T a) : x(a), y(a), z(a) {}
};
template <class T>
struct alignas(4 * sizeof(T)) vec<T, 4> {
  T x, y, z, w;
  vec() = default;
  vec(T a, T b, T c, T d) : x(a), y(b), z(c), w(d) {}
  explicit vec(T a) : x(a), y(a), z(a), w(a) {}
};

#define METAL_HOST_OPERATOR(OP)                                      \
  template <class T>                                                 \
  vec<T, 2> operator OP(vec<T, 2> a, vec<T, 2> b) {                  \
    return {static_cast<T>(a.x OP b.x), static_cast<T>(a.y OP b.y)}; \
  }                                                                  \
  template <class T>                                                 \
  vec<T, 4> operator OP(vec<T, 4> a, vec<T, 4> b) {                  \
    return {a.x OP b.x, a.y OP b.y, a.z OP b.z, a.w OP b.w};         \
  }                                                                  \
  template <class T, int N>                                          \
  vec<T, N> operator OP(vec<T, N> a, T b) {                          \
    return a OP vec<T, N>(b);                                        \
  }                                                                  \
  template <class T, int N>                                          \
  vec<T, N> operator OP(T a, vec<T, N> b) {                          \
    return vec<T, N>(a) OP b;                                        \
  }
METAL_HOST_OPERATOR(+)
METAL_HOST_OPERATOR(-)
METAL_HOST_OPERATOR(*)
#undef METAL_HOST_OPERATOR

} // namespace metal

namespace metal_types {
using float2 = metal::vec<float, 2>;
using float3 = metal::vec<float, 3>;
using float4 = metal::vec<float, 4>;
using int2 = metal::vec<int, 2>;
using int3 = metal::vec<int, 3>;
using int4 = metal::vec<int, 4>;
using uint2 = metal::vec<uint, 2>;
using uint3 = metal::vec<uint, 3>;
using uint4 = metal::vec<uint, 4>;
} // namespace metal_types

namespace metal {

// ---- Numbers ----------------------------------------------------------------
#define METAL_HOST_ORDER(T)       \
  inline T min(T a, T b) {        \
    return b < a ? b : a;         \
  }                               \
  inline T max(T a, T b) {        \
    return a < b ? b : a;         \
  }                               \
  inline T clamp(T x, T a, T b) { \
    return min(max(x, a), b);     \
  }
METAL_HOST_ORDER(float)
METAL_HOST_ORDER(int)
METAL_HOST_ORDER(uint)
METAL_HOST_ORDER(long)
METAL_HOST_ORDER(ulong)
#undef METAL_HOST_ORDER

inline int abs(int a) {
  return a < 0 ? -a : a;
}
inline long abs(long a) {
  return a < 0 ? -a : a;
}
inline float abs(float a) {
  return std::fabs(a);
}

#define METAL_HOST_FUNCTION(NAME) \
  inline float NAME(float a) {    \
    return std::NAME(a);          \
  }
METAL_HOST_FUNCTION(fabs)
METAL_HOST_FUNCTION(sqrt)
METAL_HOST_FUNCTION(exp)
METAL_HOST_FUNCTION(exp2)
METAL_HOST_FUNCTION(log)
METAL_HOST_FUNCTION(log2)
METAL_HOST_FUNCTION(sin)
METAL_HOST_FUNCTION(cos)
METAL_HOST_FUNCTION(tanh)
METAL_HOST_FUNCTION(floor)
METAL_HOST_FUNCTION(ceil)
METAL_HOST_FUNCTION(trunc)
METAL_HOST_FUNCTION(rint)
#undef METAL_HOST_FUNCTION
inline float rsqrt(float a) {
  return 1 / std::sqrt(a);
}
inline float fma(float a, float b, float c) {
  return std::fma(a, b, c);
}
inline float pow(float a, float b) {
  return std::pow(a, b);
}
inline float fmin(float a, float b) {
  return std::fmin(a, b);
}
inline float fmax(float a, float b) {
  return std::fmax(a, b);
}
inline bool isnan(float a) {
  return a != a;
}
inline bool isinf(float a) {
  return std::isinf(a);
}
inline bool isfinite(float a) {
  return std::isfinite(a);
}
template <class T>
T select(T a, T b, bool second) {
  return second ? b : a;
}

namespace precise {
using metal::cos;
using metal::exp;
using metal::log;
using metal::sin;
using metal::sqrt;
using metal::tanh;
} // namespace precise

using std::numeric_limits;

} // namespace metal

namespace metal_types {
template <class To, class From>
To as_type(From from) {
  static_assert(sizeof(To) == sizeof(From), "as_type keeps the bits");
  To to;
  std::memcpy(&to, &from, sizeof(to));
  return to;
}
} // namespace metal_types

namespace metal {

// ---- Arrays of a thread -----------------------------------------------------
template <class T, std::size_t N>
struct array {
  T values[N];
  template <class I>
  T& operator[](I index) {
    check(static_cast<std::ptrdiff_t>(index));
    return values[index];
  }
  template <class I>
  const T& operator[](I index) const {
    check(static_cast<std::ptrdiff_t>(index));
    return values[index];
  }
  constexpr std::size_t size() const {
    return N;
  }

 private:
  static void check(std::ptrdiff_t index) {
    if (index < 0 || index >= static_cast<std::ptrdiff_t>(N)) {
      metal_host::fail(
          "index " + std::to_string(index) + " outside an array of " +
          std::to_string(N) + " values");
    }
  }
};

// ---- Barriers and SIMD groups -----------------------------------------------
enum class mem_flags : unsigned {
  mem_none = 0,
  mem_device = 1,
  mem_threadgroup = 2
};
inline mem_flags operator|(mem_flags a, mem_flags b) {
  return static_cast<mem_flags>(
      static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
inline void threadgroup_barrier(mem_flags flags, int line = __builtin_LINE()) {
  metal_host::barrier(static_cast<unsigned>(flags), line);
}

template <class T>
T simd_lane_value(unsigned lane) {
  T value;
  if (lane >= metal_host::simd_lanes()) {
    metal_host::fail("a value of a SIMD lane that is not there");
  }
  std::memcpy(&value, metal_host::simd_value(lane), sizeof(value));
  return value;
}
template <class T>
T simd_shuffle(T value, ushort lane, int line = __builtin_LINE()) {
  metal_host::simd_share(&value, sizeof(value), line);
  return simd_lane_value<T>(lane);
}
template <class T>
T simd_broadcast(T value, ushort lane, int line = __builtin_LINE()) {
  return simd_shuffle(value, lane, line);
}
template <class T>
T simd_shuffle_xor(T value, ushort mask, int line = __builtin_LINE()) {
  return simd_shuffle(
      value, static_cast<ushort>(metal_host::simd_lane() ^ mask), line);
}
/// Lanes beyond the last keep their own value, as on Apple's GPUs.
template <class T>
T simd_shuffle_down(T value, ushort delta, int line = __builtin_LINE()) {
  const unsigned from = metal_host::simd_lane() + delta;
  return simd_shuffle(
      value,
      static_cast<ushort>(
          from < metal_host::simd_lanes() ? from : metal_host::simd_lane()),
      line);
}
template <class T>
T simd_shuffle_up(T value, ushort delta, int line = __builtin_LINE()) {
  const unsigned me = metal_host::simd_lane();
  return simd_shuffle(
      value, static_cast<ushort>(me >= delta ? me - delta : me), line);
}
template <class T>
T simd_sum(T value, int line = __builtin_LINE()) {
  metal_host::simd_share(&value, sizeof(value), line);
  T sum = 0;
  for (unsigned i = 0; i < metal_host::simd_lanes(); ++i) {
    sum += simd_lane_value<T>(i);
  }
  return sum;
}
template <class T>
T simd_max(T value, int line = __builtin_LINE()) {
  metal_host::simd_share(&value, sizeof(value), line);
  for (unsigned i = 0; i < metal_host::simd_lanes(); ++i) {
    value = max(value, simd_lane_value<T>(i));
  }
  return value;
}

} // namespace metal

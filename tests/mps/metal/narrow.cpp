// Metal's 16-bit floats, rounded to nearest, ties to even.
#include "mps/metal/metal_stdlib.h"

namespace metal_types {
namespace {

uint32_t bits_of(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

float float_of(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

} // namespace

uint16_t to_half(float value) {
  const uint32_t bits = bits_of(value);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const float size = std::fabs(value);
  if (std::isnan(value)) {
    return static_cast<uint16_t>(sign | 0x7e00u);
  }
  if (size >= 65520.0f) {
    return static_cast<uint16_t>(sign | 0x7c00u);
  }
  if (size < 6.103515625e-05f) { // below 2^-14: in steps of 2^-24
    return static_cast<uint16_t>(
        sign | static_cast<uint32_t>(std::nearbyint(size * 16777216.0f)));
  }
  const uint32_t rest = bits & 0x7fffffffu;
  const uint32_t rounded = rest + 0xfffu + ((rest >> 13) & 1u);
  return static_cast<uint16_t>(sign | ((rounded - (112u << 23)) >> 13));
}

float from_half(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1fu, fraction = bits & 0x3ffu;
  if (exponent == 0) {
    const float size = static_cast<float>(fraction) / 16777216.0f;
    return sign != 0 ? -size : size;
  }
  const uint32_t wide = exponent == 31 ? 255u : exponent + 112u;
  return float_of(sign | (wide << 23) | (fraction << 13));
}

uint16_t to_bfloat(float value) {
  const uint32_t bits = bits_of(value);
  if (std::isnan(value)) {
    return 0x7fc0;
  }
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

float from_bfloat(uint16_t bits) {
  return float_of(static_cast<uint32_t>(bits) << 16);
}

} // namespace metal_types

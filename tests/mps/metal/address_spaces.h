// Metal's address spaces as Clang knows them: in front of the text it makes
// errors of pointers that go from one space to another, and of writes through
// `constant`. Declarations only; metal_text_test.py compiles it.
#define device __attribute__((address_space(1)))
#define constant __attribute__((address_space(2))) const
#define threadgroup __attribute__((address_space(3)))
#define thread

typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;
// Types of their own, which Clang lets be in any space as it does numbers only.
typedef long double half;
typedef double bfloat;
template <class T>
struct vector2 {
  T x, y;
};
template <class T>
struct vector3 {
  T x, y, z;
};
template <class T>
struct vector4 {
  T x, y, z, w;
};
typedef vector2<uint> uint2;
typedef vector3<uint> uint3;
typedef vector4<uint> uint4;
typedef vector2<int> int2;
typedef vector3<int> int3;
typedef vector4<int> int4;
// Values that Clang copies out of any space; the test writes their constructors
// as this function.
typedef float float2 __attribute__((ext_vector_type(2)));
float2 make_float2(float, float);
typedef vector3<float> float3;
typedef vector4<float> float4;

template <class To, class From>
To as_type(From);

namespace metal {

template <class T, unsigned long N>
struct array {
  T values[N];
  T& operator[](unsigned long);
  const T& operator[](unsigned long) const;
};

#define ORDERED(T) \
  T min(T, T);     \
  T max(T, T);     \
  T clamp(T, T, T);
ORDERED(float)
ORDERED(int)
ORDERED(uint)
ORDERED(long)
ORDERED(ulong)
#undef ORDERED
#define FUNCTION(NAME) float NAME(float);
FUNCTION(fabs)
FUNCTION(sqrt)
FUNCTION(rsqrt)
FUNCTION(exp)
FUNCTION(exp2)
FUNCTION(log)
FUNCTION(log2)
FUNCTION(sin)
FUNCTION(cos)
FUNCTION(tanh)
FUNCTION(floor)
FUNCTION(ceil)
FUNCTION(trunc)
FUNCTION(rint)
#undef FUNCTION
int abs(int);
long abs(long);
float abs(float);
float fma(float, float, float);
float pow(float, float);
float fmin(float, float);
float fmax(float, float);
uint reverse_bits(uint);
bool isnan(float);
bool isinf(float);
bool isfinite(float);
template <class T>
T select(T, T, bool);
namespace precise {
using metal::cos;
using metal::exp;
using metal::log;
using metal::sin;
using metal::sqrt;
using metal::tanh;
} // namespace precise

enum class mem_flags { mem_none, mem_device, mem_threadgroup };
mem_flags operator|(mem_flags, mem_flags);
void threadgroup_barrier(mem_flags);

#define SHUFFLE(NAME) \
  template <class T>  \
  T NAME(T, ushort);
SHUFFLE(simd_shuffle)
SHUFFLE(simd_broadcast)
SHUFFLE(simd_shuffle_xor)
SHUFFLE(simd_shuffle_down)
SHUFFLE(simd_shuffle_up)
#undef SHUFFLE
template <class T>
T simd_sum(T);
template <class T>
T simd_max(T);

} // namespace metal

// Vectors of SIGNALLLM_VECTOR_BYTES for one instruction set, in the compiler's
// own vector types. Included by the kernel files inside a namespace of the
// instruction set's own; nothing here may come from the standard library: an
// inline function compiled for AVX-512 could otherwise be the copy that the
// linker keeps for everybody.

template <class A>
struct VectorOf {
  typedef A type __attribute__((vector_size(SIGNALLLM_VECTOR_BYTES)));
};
template <class A>
using Vec = typename VectorOf<A>::type;

template <class A>
inline constexpr int64_t kWidth = SIGNALLLM_VECTOR_BYTES / sizeof(A);

// Keeps a value in a register. GCC otherwise folds a load into every
// multiply-add that uses the value, and the loads become the limit.
#if defined(__AVX512F__)
#define SIGNALLLM_PIN(v) asm("" : "+v"(v))
#elif defined(__x86_64__)
#define SIGNALLLM_PIN(v) asm("" : "+x"(v))
#elif defined(__aarch64__)
#define SIGNALLLM_PIN(v) asm("" : "+w"(v))
#else
#define SIGNALLLM_PIN(v)
#endif

#define SIGNALLLM_INLINE inline __attribute__((always_inline))

template <class A>
SIGNALLLM_INLINE Vec<A> load(const A* p) {
  Vec<A> v;
  __builtin_memcpy(&v, p, sizeof(v));
  SIGNALLLM_PIN(v);
  return v;
}

template <class A>
SIGNALLLM_INLINE Vec<A> broadcast(A value) {
  Vec<A> v = value - Vec<A>{};
  SIGNALLLM_PIN(v);
  return v;
}

template <class A>
SIGNALLLM_INLINE void store(A* p, Vec<A> v) {
  __builtin_memcpy(p, &v, sizeof(v));
}

// Past the caches; p is aligned to the vector.
template <class A>
SIGNALLLM_INLINE void stream(A* p, Vec<A> v) {
#if defined(__AVX512F__)
  _mm512_stream_si512(reinterpret_cast<__m512i*>(p), (__m512i)v);
#elif defined(__AVX__)
  _mm256_stream_si256(reinterpret_cast<__m256i*>(p), (__m256i)v);
#elif defined(__SSE2__)
  _mm_stream_si128(reinterpret_cast<__m128i*>(p), (__m128i)v);
#else
  store(p, v);
#endif
}

SIGNALLLM_INLINE void stream_fence() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

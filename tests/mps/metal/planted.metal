// Kernels that are right, and the same with a mistake each; metal_test.cpp
// says what has to be seen.
#include <metal_stdlib>
using namespace metal;

constant uint kWidth = 64;

[[kernel]] void reverse(
    device float* out [[buffer(0)]],
    device const float* x [[buffer(1)]],
    uint at [[thread_index_in_threadgroup]],
    uint group [[threadgroup_position_in_grid]]) {
  threadgroup float tile[kWidth];
  tile[at] = x[group * kWidth + at];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[group * kWidth + at] = tile[kWidth - 1 - at];
}

// No barrier. Every thread reads what an earlier thread wrote, so that running
// them one after the other gives the right values.
[[kernel]] void missing_barrier(
    device float* out [[buffer(0)]],
    device const float* x [[buffer(1)]],
    uint at [[thread_index_in_threadgroup]]) {
  threadgroup float tile[kWidth];
  tile[at] = x[at];
  out[at] = tile[at / 2];
}

// The second write may overtake the read before it.
[[kernel]] void missing_second_barrier(
    device float* out [[buffer(0)]],
    device const float* x [[buffer(1)]],
    uint at [[thread_index_in_threadgroup]]) {
  threadgroup float tile[kWidth];
  tile[at] = x[at];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  const float other = tile[kWidth - 1 - at];
  tile[at] = other;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[at] = tile[at];
}

// A barrier that does not fence the memory it is for.
[[kernel]] void wrong_fence(
    device float* out [[buffer(0)]],
    device const float* x [[buffer(1)]],
    uint at [[thread_index_in_threadgroup]]) {
  threadgroup float tile[kWidth];
  tile[at] = x[at];
  threadgroup_barrier(mem_flags::mem_device);
  out[at] = tile[at / 2];
}

[[kernel]] void divergent_barrier(
    device float* out [[buffer(0)]],
    device const float* x [[buffer(1)]],
    uint at [[thread_index_in_threadgroup]]) {
  threadgroup float tile[kWidth];
  tile[at] = x[at];
  if (at < 10) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  out[at] = tile[at];
}

// As many threads, but at two barriers.
[[kernel]] void two_barriers(
    device float* out [[buffer(0)]],
    uint at [[thread_index_in_threadgroup]]) {
  if (at % 2 == 0) {
    threadgroup_barrier(mem_flags::mem_none);
  } else {
    threadgroup_barrier(mem_flags::mem_none);
  }
  out[at] = 1;
}

[[kernel]] void returns_before_a_barrier(
    device float* out [[buffer(0)]],
    constant uint& n [[buffer(1)]],
    uint at [[thread_index_in_threadgroup]]) {
  if (at >= n) {
    return;
  }
  threadgroup_barrier(mem_flags::mem_none);
  out[at] = 1;
}

[[kernel]] void reads_at(
    device float* out [[buffer(0)]],
    device const float* x [[buffer(1)]],
    constant int& index [[buffer(2)]]) {
  out[0] = x[index];
}

[[kernel]] void writes_at(
    device float* out [[buffer(0)]],
    constant int& index [[buffer(1)]]) {
  device float* row = out + index;
  row[0] = 1;
}

[[kernel]] void group_index(
    device float* out [[buffer(0)]],
    constant int& index [[buffer(1)]]) {
  threadgroup float tile[8];
  tile[index] = 1;
  out[0] = tile[index];
}

[[kernel]] void thread_index(
    device float* out [[buffer(0)]],
    constant int& index [[buffer(1)]]) {
  array<float, 8> values;
  values[index] = 1;
  out[0] = values[index];
}

[[kernel]] void unwritten(
    device float* out [[buffer(0)]],
    uint at [[thread_index_in_threadgroup]]) {
  threadgroup float tile[kWidth];
  out[at] = tile[at];
}

// The largest that Metal has, in two arrays, and four bytes more.
[[kernel]] void all_memory(device float* out [[buffer(0)]]) {
  threadgroup float a[4096];
  threadgroup float b[4096];
  a[4095] = 1;
  b[4095] = 2;
  out[0] = a[4095] + b[4095];
}

[[kernel]] void too_much_memory(device float* out [[buffer(0)]]) {
  threadgroup float a[4096];
  threadgroup float b[4097];
  a[4095] = 1;
  b[4096] = 2;
  out[0] = a[4095] + b[4096];
}

// Groups are not ordered: one must not use what another wrote.
[[kernel]] void across_groups(
    device float* out [[buffer(0)]],
    uint at [[thread_position_in_grid]]) {
  out[at] = 1;
  threadgroup_barrier(mem_flags::mem_device);
  if (at == kWidth) {
    out[at] = out[0];
  }
}

[[kernel]] void two_writers(
    device float* out [[buffer(0)]],
    uint at [[thread_position_in_grid]]) {
  out[at / 2] = 1;
}

// Sums over a SIMD group, by shuffles and at once; then of a whole group.
[[kernel]] void sums(
    device float* out [[buffer(0)]],
    device const float* x [[buffer(1)]],
    uint at [[thread_index_in_threadgroup]],
    uint lane [[thread_index_in_simdgroup]],
    uint simd [[simdgroup_index_in_threadgroup]],
    uint simds [[simdgroups_per_threadgroup]]) {
  threadgroup float parts[32];
  float shuffled = x[at];
  for (ushort step = 16; step > 0; step /= 2) {
    shuffled += simd_shuffle_xor(shuffled, step);
  }
  const float sum = simd_sum(x[at]);
  if (lane == 0) {
    parts[simd] = sum;
    out[1 + simd] = shuffled;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (simd == 0) {
    const float all = simd_sum(lane < simds ? float(parts[lane]) : 0.0f);
    if (lane == 0) {
      out[0] = all;
    }
  }
}

[[kernel]] void divergent_simd(
    device float* out [[buffer(0)]],
    uint at [[thread_index_in_threadgroup]]) {
  if (at % 32 != 5) {
    out[at] = simd_sum(1.0f);
  }
}

struct Mixed {
  float scale;
  uint count;
};

template <typename T>
[[kernel]] void scale(
    device T* out [[buffer(0)]],
    device const T* x [[buffer(1)]],
    constant Mixed& p [[buffer(2)]],
    uint at [[thread_position_in_grid]]) {
  if (at < p.count) {
    out[at] = static_cast<T>(float(x[at]) * p.scale);
  }
}
template [[host_name("scale_float")]] [[kernel]] decltype(scale<float>) scale<float>;
template [[host_name("scale_half")]] [[kernel]] decltype(scale<half>) scale<half>;
template [[host_name("scale_bfloat")]] [[kernel]] decltype(scale<bfloat>) scale<bfloat>;

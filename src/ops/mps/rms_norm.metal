// rms_norm: y = r x with r = 1 / sqrt(mean(x^2) + epsilon) over the channels of
// a row, and its gradient r (g - y mean(g y)). A SIMD group has one row.
// Grid: (blocks of rows), a group's threads / 32 each.
struct RmsNorm {
  int rows;
  int channels;
  float epsilon;
};

template <typename T>
[[kernel]] void rms_norm(
    device T* out [[buffer(0)]],
    device const T* x [[buffer(1)]],
    constant RmsNorm& p [[buffer(2)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint lane [[thread_index_in_simdgroup]],
    uint simd [[simdgroup_index_in_threadgroup]],
    uint simds [[simdgroups_per_threadgroup]]) {
  const int row = int(group.x * simds + simd);
  if (row >= p.rows) {
    return;
  }
  const int first = row * p.channels;
  float power = 0.0f;
  for (int c = int(lane); c < p.channels; c += 32) {
    const float v = float(x[first + c]);
    power = fma(v, v, power);
  }
  const float r = 1.0f / precise::sqrt(simd_sum(power) / float(p.channels) + p.epsilon);
  for (int c = int(lane); c < p.channels; c += 32) {
    out[first + c] = static_cast<T>(float(x[first + c]) * r);
  }
}

template <typename T>
[[kernel]] void rms_norm_backward(
    device T* dx [[buffer(0)]],
    device const T* g [[buffer(1)]],
    device const T* x [[buffer(2)]],
    constant RmsNorm& p [[buffer(3)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint lane [[thread_index_in_simdgroup]],
    uint simd [[simdgroup_index_in_threadgroup]],
    uint simds [[simdgroups_per_threadgroup]]) {
  const int row = int(group.x * simds + simd);
  if (row >= p.rows) {
    return;
  }
  const int first = row * p.channels;
  float power = 0.0f;
  float along = 0.0f;
  for (int c = int(lane); c < p.channels; c += 32) {
    const float v = float(x[first + c]);
    power = fma(v, v, power);
    along = fma(float(g[first + c]), v, along);
  }
  const float mean = simd_sum(power) / float(p.channels) + p.epsilon;
  const float r = 1.0f / precise::sqrt(mean);
  const float share = simd_sum(along) / (float(p.channels) * mean);
  for (int c = int(lane); c < p.channels; c += 32) {
    const float d = float(g[first + c]) - float(x[first + c]) * share;
    dx[first + c] = static_cast<T>(r * d);
  }
}

template [[host_name("rms_norm_float")]] [[kernel]] decltype(rms_norm<float>) rms_norm<float>;
template [[host_name("rms_norm_half")]] [[kernel]] decltype(rms_norm<half>) rms_norm<half>;
template [[host_name("rms_norm_bfloat")]] [[kernel]] decltype(rms_norm<bfloat>) rms_norm<bfloat>;
template [[host_name("rms_norm_backward_float")]] [[kernel]] decltype(rms_norm_backward<float>) rms_norm_backward<float>;
template [[host_name("rms_norm_backward_half")]] [[kernel]] decltype(rms_norm_backward<half>) rms_norm_backward<half>;
template [[host_name("rms_norm_backward_bfloat")]] [[kernel]] decltype(rms_norm_backward<bfloat>) rms_norm_backward<bfloat>;

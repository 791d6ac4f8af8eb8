// squared_relu: max(x, 0)^2, and its gradient 2 max(x, 0) g. One thread a value.
template <typename T>
[[kernel]] void squared_relu(
    device T* out [[buffer(0)]],
    device const T* x [[buffer(1)]],
    constant uint& count [[buffer(2)]],
    uint at [[thread_position_in_grid]]) {
  if (at < count) {
    const float v = max(float(x[at]), 0.0f);
    out[at] = static_cast<T>(v * v);
  }
}

template <typename T>
[[kernel]] void squared_relu_backward(
    device T* dx [[buffer(0)]],
    device const T* g [[buffer(1)]],
    device const T* x [[buffer(2)]],
    constant uint& count [[buffer(3)]],
    uint at [[thread_position_in_grid]]) {
  if (at < count) {
    dx[at] = static_cast<T>(2.0f * max(float(x[at]), 0.0f) * float(g[at]));
  }
}

template [[host_name("squared_relu_float")]] [[kernel]] decltype(squared_relu<float>) squared_relu<float>;
template [[host_name("squared_relu_half")]] [[kernel]] decltype(squared_relu<half>) squared_relu<half>;
template [[host_name("squared_relu_bfloat")]] [[kernel]] decltype(squared_relu<bfloat>) squared_relu<bfloat>;
template [[host_name("squared_relu_backward_float")]] [[kernel]] decltype(squared_relu_backward<float>) squared_relu_backward<float>;
template [[host_name("squared_relu_backward_half")]] [[kernel]] decltype(squared_relu_backward<half>) squared_relu_backward<half>;
template [[host_name("squared_relu_backward_bfloat")]] [[kernel]] decltype(squared_relu_backward<bfloat>) squared_relu_backward<bfloat>;

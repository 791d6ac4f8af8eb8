// attention_heads: rows [3, heads, width] of a projection to queries, keys and
// values [heads, width] of a position, of which the first two are normed and
// turned (ops/attention_heads.h), and its gradient. A SIMD group has one head of
// one position. An angle is a whole number of 2^-32 turns, the upper half of
// position times `turns`, 2^64 times a position's share of a turn: exact at any
// position. Grid: (blocks of rows), a group's threads / 32 each.
struct AttentionHeads {
  int rows; // batch length 3 heads
  int length;
  int heads;
  int width;
  int offset;
  int turned;
  int normed;
  float epsilon;
};

inline float2 heads_turn(int t, int pair, constant ulong* turns) {
  const uint phase = uint((ulong(t) * turns[pair]) >> 32);
  const float angle = float(as_type<int>(phase)) * 1.46291807926716e-9f; // pi / 2^31
  return float2(precise::cos(angle), precise::sin(angle));
}

template <typename T>
[[kernel]] void attention_heads(
    device T* q [[buffer(0)]],
    device T* k [[buffer(1)]],
    device T* v [[buffer(2)]],
    device const T* x [[buffer(3)]],
    constant ulong* turns [[buffer(4)]],
    constant AttentionHeads& p [[buffer(5)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint lane [[thread_index_in_simdgroup]],
    uint simd [[simdgroup_index_in_threadgroup]],
    uint simds [[simdgroups_per_threadgroup]]) {
  const int row = int(group.x * simds + simd);
  if (row >= p.rows) {
    return;
  }
  const int part = row / p.heads % 3;
  const int place = row / (3 * p.heads); // position of the batch
  const int from = row * p.width;
  const int to = (place * p.heads + row % p.heads) * p.width;
  device T* out = part == 0 ? q : part == 1 ? k : v;
  float r = 1.0f;
  if (p.normed != 0 && part < 2) {
    float power = 0.0f;
    for (int c = int(lane); c < p.width; c += 32) {
      const float value = float(x[from + c]);
      power = fma(value, value, power);
    }
    r = 1.0f / precise::sqrt(simd_sum(power) / float(p.width) + p.epsilon);
  }
  if (p.turned == 0 || part == 2) {
    for (int c = int(lane); c < p.width; c += 32) {
      out[to + c] = static_cast<T>(r * float(x[from + c]));
    }
    return;
  }
  const int half_width = p.width / 2;
  for (int c = int(lane); c < half_width; c += 32) {
    const float2 turn = heads_turn(p.offset + place % p.length, c, turns);
    const float a = r * float(x[from + c]);
    const float b = r * float(x[from + half_width + c]);
    out[to + c] = static_cast<T>(a * turn.x - b * turn.y);
    out[to + half_width + c] = static_cast<T>(a * turn.y + b * turn.x);
  }
}

// Channel c of a head's gradient, turned back.
template <typename T>
inline float heads_back(
    device const T* g,
    int from,
    int c,
    int t,
    int width,
    bool turned,
    constant ulong* turns) {
  if (!turned) {
    return float(g[from + c]);
  }
  const int half_width = width / 2;
  const int pair = c < half_width ? c : c - half_width;
  const float2 turn = heads_turn(t, pair, turns);
  const float a = float(g[from + pair]);
  const float b = float(g[from + half_width + pair]);
  return c < half_width ? a * turn.x + b * turn.y : b * turn.x - a * turn.y;
}

template <typename T>
[[kernel]] void attention_heads_backward(
    device T* dx [[buffer(0)]],
    device const T* dq [[buffer(1)]],
    device const T* dk [[buffer(2)]],
    device const T* dv [[buffer(3)]],
    device const T* x [[buffer(4)]],
    constant ulong* turns [[buffer(5)]],
    constant AttentionHeads& p [[buffer(6)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint lane [[thread_index_in_simdgroup]],
    uint simd [[simdgroup_index_in_threadgroup]],
    uint simds [[simdgroups_per_threadgroup]]) {
  const int row = int(group.x * simds + simd);
  if (row >= p.rows) {
    return;
  }
  const int part = row / p.heads % 3;
  const int place = row / (3 * p.heads);
  const int to = row * p.width;
  const int from = (place * p.heads + row % p.heads) * p.width;
  const int t = p.offset + place % p.length;
  const bool turned = p.turned != 0 && part < 2;
  device const T* g = part == 0 ? dq : part == 1 ? dk : dv;
  float r = 1.0f;
  float share = 0.0f;
  if (p.normed != 0 && part < 2) {
    float power = 0.0f;
    float along = 0.0f;
    for (int c = int(lane); c < p.width; c += 32) {
      const float value = float(x[to + c]);
      power = fma(value, value, power);
      along = fma(heads_back(g, from, c, t, p.width, turned, turns), value, along);
    }
    const float mean = simd_sum(power) / float(p.width) + p.epsilon;
    r = 1.0f / precise::sqrt(mean);
    share = simd_sum(along) / (float(p.width) * mean);
  }
  for (int c = int(lane); c < p.width; c += 32) {
    float d = heads_back(g, from, c, t, p.width, turned, turns);
    if (share != 0.0f) {
      d -= float(x[to + c]) * share;
    }
    dx[to + c] = static_cast<T>(r * d);
  }
}

template [[host_name("attention_heads_float")]] [[kernel]] decltype(attention_heads<float>) attention_heads<float>;
template [[host_name("attention_heads_half")]] [[kernel]] decltype(attention_heads<half>) attention_heads<half>;
template [[host_name("attention_heads_bfloat")]] [[kernel]] decltype(attention_heads<bfloat>) attention_heads<bfloat>;
template [[host_name("attention_heads_backward_float")]] [[kernel]] decltype(attention_heads_backward<float>) attention_heads_backward<float>;
template [[host_name("attention_heads_backward_half")]] [[kernel]] decltype(attention_heads_backward<half>) attention_heads_backward<half>;
template [[host_name("attention_heads_backward_bfloat")]] [[kernel]] decltype(attention_heads_backward<bfloat>) attention_heads_backward<bfloat>;

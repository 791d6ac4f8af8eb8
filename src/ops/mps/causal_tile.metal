// One-sided dilated filters over a tile of a signal [batch, length, inner] in
// threadgroup memory. A group has `rows` positions of 2^shift neighbouring
// inner indices, and `halo` positions before (or, transposed, after) them: what
// all levels together reach. Nothing that a tile lacks reaches its own rows.
// Values lie at (position << shift) + channel; threads take them in turn.
// Grid: (blocks of channels, tiles of positions, batch).
struct CausalTile {
  uint length;
  uint inner;
  uint rows;
  uint halo;
  uint shift;
  uint levels;
  uint taps;
  uint filter_rows; // 1, or the channels: inner index c has filter c % rows
  uint weight_rows; // likewise
  uint area;        // floats of one copy of a tile
};

constant uint kTileFloats = 8192;

// Where a group's tile lies.
struct TilePlace {
  uint first; // its own rows: [first, last)
  uint last;
  uint channel; // the first
  uint base;    // of position 0 of channel 0 in the signal
};

inline TilePlace tile_place(constant CausalTile& p, uint3 group) {
  TilePlace place;
  place.first = group.y * p.rows;
  place.last = min(place.first + p.rows, p.length);
  place.channel = group.x << p.shift;
  place.base = group.z * p.length * p.inner;
  return place;
}

// The first position that rows from `first` on see with `reach` before them.
inline uint before(uint first, uint reach) {
  return first > reach ? first - reach : 0;
}

// One behind the last that rows up to `last` see with `reach` after them.
inline uint after(uint last, uint reach, constant CausalTile& p) {
  return min(last + min(reach, p.length), p.length);
}

// What levels [from, to) reach together: (taps - 1) (2^to - 2^from).
inline uint reach_of(uint from, uint to, constant CausalTile& p) {
  const ulong reach = ulong(p.taps - 1) * ((1ul << to) - (1ul << from));
  return uint(min(reach, ulong(p.length)));
}

// sum_k f[k] tile[position - dilation k], from position 0 of the tile on.
template <typename F>
inline float filtered(
    threadgroup const float* tile,
    device const F* f,
    constant CausalTile& p,
    uint position,
    uint c,
    uint dilation) {
  float sum = 0;
  const uint taps = min(p.taps, position / dilation + 1);
  for (uint k = 0; k < taps; ++k) {
    sum = fma(float(f[k]), tile[((position - k * dilation) << p.shift) + c], sum);
  }
  return sum;
}

// sum_k f[k] tile[position + dilation k], up to position `count` of the tile.
template <typename F>
inline float transposed(
    threadgroup const float* tile,
    device const F* f,
    constant CausalTile& p,
    uint position,
    uint count,
    uint c,
    uint dilation) {
  float sum = 0;
  const uint taps = min(p.taps, (count - 1 - position) / dilation + 1);
  for (uint k = 0; k < taps; ++k) {
    sum = fma(float(f[k]), tile[((position + k * dilation) << p.shift) + c], sum);
  }
  return sum;
}

// Positions [begin, end) of a signal into a tile; channels beyond the last are 0.
template <typename T>
inline void load_tile(
    threadgroup float* tile,
    device const T* x,
    constant CausalTile& p,
    TilePlace place,
    uint begin,
    uint end,
    uint thread_index,
    uint threads) {
  const uint mask = (1u << p.shift) - 1;
  for (uint i = thread_index; i < (end - begin) << p.shift; i += threads) {
    const uint c = place.channel + (i & mask);
    const uint t = begin + (i >> p.shift);
    tile[i] = c < p.inner ? float(x[place.base + t * p.inner + c]) : 0.0f;
  }
}

// A group's shares of sum_t g[t] a[t - dilation k] over its own rows, for all k
// and channels: [slice, k, c], each slice with every `slices`-th row. Added to
// what is there from the second call on.
inline void correlate_tile(
    device float* shares,
    uint stride, // from one slice to the next
    threadgroup const float* g,
    uint g_begin, // position of the tile's first value
    threadgroup const float* a,
    uint a_begin,
    constant CausalTile& p,
    TilePlace place,
    uint dilation,
    uint taps,
    uint slices,
    bool add,
    uint thread_index,
    uint threads) {
  const uint mask = (1u << p.shift) - 1;
  const uint pairs = taps << p.shift;
  for (uint i = thread_index; i < pairs * slices; i += threads) {
    const uint slice = i / pairs;
    const uint pair = i - slice * pairs;
    const uint k = pair >> p.shift;
    const uint c = pair & mask;
    if (place.channel + c < p.inner) {
      const ulong shift = ulong(k) * dilation;
      float sum = 0;
      for (uint t = place.first + slice; t < place.last; t += slices) {
        if (t >= shift) {
          const uint s = t - uint(shift);
          sum = fma(
              float(g[((t - g_begin) << p.shift) + c]),
              float(a[((s - a_begin) << p.shift) + c]),
              sum);
        }
      }
      const uint at = slice * stride + k * p.inner + place.channel + c;
      if (add) {
        sum += shares[at];
      }
      shares[at] = sum;
    }
  }
}

// The sum of a value of every thread of a group, in a fixed order; all threads
// must come. `parts` has a float a thread.
inline float group_sum(
    float value,
    threadgroup float* parts,
    uint thread_index,
    uint threads) {
  parts[thread_index] = value;
  for (uint count = threads; count > 1; count = (count + 1) / 2) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    const uint other = thread_index + (count + 1) / 2;
    if (other < count) {
      parts[thread_index] += parts[other];
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  return parts[0];
}

// The kernels that do a whole transform in one pass, on the host: the text that
// a GPU thread runs, against the composite operators.

#include "ops/cuda/bank/short_plan.h"
#include "ops/cuda/bank/stream_plan.h"
#include "ops/wavedec.h"
#include "ops/waverec.h"
#include "support.h"

#include <signalllm/wavelet.h>

#include <limits>
#include <random>

namespace signalllm::cuda {
namespace {

/// Memory that a kernel shares begins as NaN.
std::vector<float> unwritten(size_t size) {
  return std::vector<float>(size, std::numeric_limits<float>::quiet_NaN());
}

template <class Walk, class Params>
void run_stream(const Params& p) {
  auto ring =
      unwritten(kStreamSlots * kStreamRows * kStreamThreads * kStreamVector);
  for (int64_t t = 0; t < p.threads(); ++t) {
    Walk::run(
        p,
        t,
        reinterpret_cast<typename Walk::Row*>(ring.data()) +
            t % kStreamThreads);
  }
}

template <class Tile, class Params, class Run>
void run_short(const Params& p, const Run& run) {
  for (int block = 0; block < p.batch * p.tiles * p.channel_tiles; ++block) {
    auto shared = unwritten(p.shared_bytes() / sizeof(float) + 4);
    const int rest = block / p.channel_tiles;
    std::vector<Tile> threads;
    for (int tid = 0; tid < kShortThreads; ++tid) {
      threads.emplace_back(
          p,
          ShortPlace{rest % p.tiles, rest / p.tiles, tid},
          block % p.channel_tiles,
          shared.data());
    }
    const auto each = [&](auto step) {
      for (auto& t : threads) {
        step(t);
      }
    };
    each([](auto& t) { t.load(); });
    run(threads[0], each);
  }
}

template <int F, int J>
void run(const StreamAnalysisParams& p) {
  run_stream<StreamAnalysis<float, F, J>>(p);
}
template <int F, int J>
void run(const StreamSynthesisParams& p) {
  run_stream<StreamSynthesis<float, F, J>>(p);
}
template <int F, int>
void run(const ShortAnalysisParams& p) {
  run_short<ShortAnalysis<float, F>>(p, [&](auto& first, const auto& each) {
    for (int l = 0; l <= p.levels; ++l) {
      if (l > 0) {
        each([&](auto& t) { t.level(l); });
      }
      if (first.extends(l)) {
        each([&](auto& t) { t.extend(l); });
      }
    }
  });
}
template <int F, int>
void run(const ShortSynthesisParams& p) {
  run_short<ShortSynthesis<float, F>>(p, [&](auto& first, const auto& each) {
    for (int l = p.levels; l > 0; --l) {
      each([&](auto& t) { t.level(l); });
      if (first.has_ends()) {
        each([&](auto& t) { t.fold(l); });
      }
    }
  });
}

template <int F, class Params>
void with_levels(const Params& p) {
  p.levels == 1 ? run<F, 1>(p) : p.levels == 2 ? run<F, 2>(p) : run<F, 3>(p);
}
template <class Params>
void with_taps(const Params& p) {
  switch (p.filters.taps) {
    case 2:
      return with_levels<2>(p);
    case 4:
      return with_levels<4>(p);
    case 6:
      return with_levels<6>(p);
    default:
      return with_levels<8>(p);
  }
}

bool plan(const TransformCase& c, StreamAnalysisParams& p) {
  return plan_stream(c, p);
}
bool plan(const TransformCase& c, StreamSynthesisParams& p) {
  return plan_stream(c, p);
}
bool plan(const TransformCase& c, ShortAnalysisParams& p) {
  return plan_short(c, p);
}
bool plan(const TransformCase& c, ShortSynthesisParams& p) {
  return plan_short(c, p);
}

/// `[cA_n, ..., cD_1]` as the kernels take it.
template <class Params>
void set(Params& p, std::vector<torch::Tensor>& coeffs, torch::Tensor& signal) {
  const auto levels = coeffs.size() - 1;
  for (size_t l = 1; l <= levels; ++l) {
    p.details[l] = coeffs[levels - l + 1].mutable_data_ptr();
  }
  p.approximation = coeffs[0].mutable_data_ptr();
  p.approximation_rows = static_cast<int>(coeffs[0].size(1));
  if constexpr (requires { p.input; }) {
    p.input = signal.mutable_data_ptr();
  } else {
    p.output = signal.mutable_data_ptr();
  }
}

std::vector<torch::Tensor> to(
    at::ScalarType type,
    const std::vector<torch::Tensor>& tensors) {
  std::vector<torch::Tensor> out;
  for (const auto& t : tensors) {
    out.push_back(t.to(type));
  }
  return out;
}

void expect_near(
    const std::vector<torch::Tensor>& got,
    const std::vector<torch::Tensor>& want) {
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_LE(
        test::max_error(got[i].to(torch::kDouble), want[i]),
        1e-5 * (1 + want[i].abs().max().item<double>()));
  }
}

/// Random transforms and their transposes; returns how many the kernels took.
template <class Analysis, class Synthesis>
int compare() {
  std::mt19937 random(3);
  const auto pick = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  int taken = 0;
  for (int i = 0; i < 150; ++i) {
    const int taps = 2 * pick(1, 4), levels = pick(1, 3);
    const int length = pick(0, 1) ? pick(20, 150) : pick(150, 900);
    const auto mode = static_cast<ops::Mode>(pick(0, 8));
    const auto name = modes()[static_cast<size_t>(mode)];
    SCOPED_TRACE(std::string(name) + " " + std::to_string(length));
    auto x = torch::randn({pick(1, 2), length, 4 * pick(1, 3)}, torch::kDouble);
    const auto lo = torch::randn({taps}, torch::kDouble);
    const auto hi = torch::randn({taps}, torch::kDouble);
    const auto lo32 = lo.to(torch::kFloat), hi32 = hi.to(torch::kFloat);
    const auto c = ops::composite::wavedec(x, lo, hi, levels, name, 1);
    std::vector<int> lengths{length};
    for (int l = 1; l <= levels; ++l) {
      lengths.push_back(static_cast<int>(c[levels - l + 1].size(1)));
    }
    TransformCase at{
        {static_cast<Border>(mode),
         taps,
         static_cast<int>(ops::analysis_offset(mode, taps))},
        lengths.data(),
        levels,
        x.size(0),
        static_cast<int>(x.size(2)),
        pick(0, 1)}; // a small device cuts little
    Filters filters{lo32.const_data_ptr(), hi32.const_data_ptr(), taps};
    Analysis a;
    if (plan(at, a)) {
      ++taken;
      auto signal = x.to(torch::kFloat);
      auto got = to(torch::kFloat, c);
      for (auto& t : got) {
        t.fill_(NAN);
      }
      a.filters = filters;
      set(a, got, signal);
      with_taps(a);
      expect_near(got, c);
    }
    Synthesis s;
    if (plan(at, s)) {
      ++taken;
      auto given = to(torch::kFloat, c);
      auto y = torch::full_like(x, NAN, torch::kFloat);
      s.filters = filters;
      s.filters.reversed = true;
      set(s, given, y);
      with_taps(s);
      expect_near(
          {y},
          {ops::composite::wavedec_backward_input(c, lo, hi, length, name, 1)});
    }
    // waverec: zeros beyond the ends.
    if (mode == ops::Mode::periodization) {
      continue;
    }
    const auto y = ops::composite::waverec(c, lo, hi, name, 1);
    lengths[0] = static_cast<int>(y.size(1));
    at.bank.border = Border::zero;
    Synthesis r;
    if (plan(at, r)) {
      ++taken;
      auto given = to(torch::kFloat, c);
      auto got = torch::full_like(y, NAN, torch::kFloat);
      r.filters = filters;
      set(r, given, got);
      with_taps(r);
      expect_near({got}, {y});
    }
  }
  return taken;
}

TEST(CudaWalk, StreamingMatchesTheCompositeOperators) {
  EXPECT_GT((compare<StreamAnalysisParams, StreamSynthesisParams>()), 100);
}

TEST(CudaWalk, ShortSignalsMatchTheCompositeOperators) {
  EXPECT_GT((compare<ShortAnalysisParams, ShortSynthesisParams>()), 150);
}

} // namespace
} // namespace signalllm::cuda

#include <signalllm/functional.h>

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace SF = signalllm::functional;

RC_GTEST_PROP(Streaming, PiecesMakeTheWhole, ()) {
  const int64_t level = *rc::gen::inRange(0, 5);
  const int64_t taps = *rc::gen::inRange(1, 6);
  const auto pieces =
      *rc::gen::nonEmpty(rc::gen::container<std::vector<int64_t>>(
          rc::gen::inRange<int64_t>(1, 20)));
  const bool per_channel = *rc::gen::arbitrary<bool>();
  int64_t n = 0;
  for (const auto p : pieces) {
    n += p;
  }
  const auto x = at::randn({2, n, 3}, at::kDouble);
  const auto lo = per_channel ? at::randn({3, taps}, at::kDouble)
                              : at::randn({taps}, at::kDouble);
  const auto whole = SF::causal_wavedec(x, lo, level);
  SF::CausalWavedecStream stream(lo, level);
  int64_t at = 0;
  for (const auto p : pieces) {
    const auto part = stream.next(x.narrow(1, at, p));
    RC_ASSERT(part.size() == whole.size());
    for (size_t i = 0; i < part.size(); ++i) {
      const auto expected = whole[i].narrow(1, at, p);
      RC_ASSERT(part[i].sizes() == expected.sizes());
      RC_ASSERT(at::allclose(part[i], expected, 1e-9, 1e-9));
    }
    at += p;
  }
}

TEST(Streaming, ResetAndCopiesStartWhereTheyShould) {
  const auto x = at::randn({1, 12, 2});
  const auto lo = at::randn({3});
  SF::CausalWavedecStream stream(lo, 2);
  const auto first = stream.next(x);
  auto copy = stream;
  const auto second = stream.next(x);
  EXPECT_FALSE(at::allclose(first[0], second[0]));
  EXPECT_TRUE(at::equal(copy.next(x)[0], second[0]));
  stream.reset();
  EXPECT_TRUE(at::equal(stream.next(x)[0], first[0]));
}

TEST(Streaming, HalfAccumulatesInFloatAndOtherShapesAreRefused) {
  const auto lo = at::randn({4});
  SF::CausalWavedecStream stream(lo, 3);
  const auto x = at::randn({2, 9, 2}).to(at::kBFloat16);
  const auto out = stream.next(x);
  EXPECT_EQ(out[1].scalar_type(), at::kBFloat16);
  EXPECT_EQ(stream.history()[2].scalar_type(), at::kFloat);
  EXPECT_EQ(stream.history()[2].size(1), 12);
  EXPECT_THROW(stream.next(at::randn({3, 9, 2})), c10::Error);
  EXPECT_THROW(stream.next(at::randn({2, 9, 2}, at::kDouble)), c10::Error);
  EXPECT_NO_THROW(stream.next(x.narrow(1, 0, 1)));
}

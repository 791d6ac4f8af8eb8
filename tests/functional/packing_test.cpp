#include <signalllm/functional.h>

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace SF = signalllm::functional;

RC_GTEST_PROP(Packing, ComesBackForEveryLengthLevelAndMode, ()) {
  const int64_t n = *rc::gen::inRange(2, 80);
  const int64_t level = *rc::gen::inRange(0, 5);
  const auto mode = *rc::gen::elementOf(signalllm::modes());
  const auto name =
      *rc::gen::elementOf(std::vector<std::string>{"haar", "db3", "bior2.4"});
  const auto x = at::randn({2, n, 3}, at::kDouble);
  std::vector<at::Tensor> coeffs;
  try {
    coeffs = SF::wavedec(x, name, level, mode);
  } catch (const c10::Error&) {
    RC_DISCARD("a level of length 1 cannot be reflected");
  }
  const auto packed = SF::pack(coeffs);
  const signalllm::Wavelet wavelet(name);
  const auto lengths = SF::wavedec_lengths(n, wavelet.length(), level, mode);
  const auto back = SF::unpack(packed, lengths);
  RC_ASSERT(back.size() == coeffs.size());
  for (size_t i = 0; i < back.size(); ++i) {
    RC_ASSERT(at::equal(back[i], coeffs[i]));
    RC_ASSERT(back[i].is_alias_of(packed));
  }
  const auto y = SF::waverec(back, wavelet, mode, -2, n);
  RC_ASSERT(at::allclose(y, x, 1e-9, 1e-9));
}

TEST(Packing, LengthsMustAddUp) {
  const auto packed = at::zeros({2, 10, 3});
  EXPECT_THROW(SF::unpack(packed, {4, 5}), c10::Error);
  EXPECT_THROW(SF::unpack(packed, {11, -1}), c10::Error);
  EXPECT_THROW(SF::pack({}), c10::Error);
  EXPECT_EQ(SF::unpack(packed.transpose(0, 1), {4, 6}, 0)[1].size(0), 6);
}

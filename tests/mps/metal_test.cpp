// The machine that runs Metal text on the host: what it computes, and that it
// sees each mistake planted in metal/planted.metal.
#include "mps/host_mps.h"
#include "ops/mps/library.h"
#include "support.h"

#include <gmock/gmock.h>

#include <string_view>

using namespace signalllm;
using namespace signalllm::test;
using at::native::mps::DynamicMetalShaderLibrary;
using ::testing::AllOf;
using ::testing::HasSubstr;

namespace signalllm::mps {
extern const std::string_view planted_text;
} // namespace signalllm::mps

namespace {

mps::Library& planted() {
  static mps::Library library(mps::planted_text);
  return library;
}

torch::Tensor zeros(int64_t n) {
  return torch::zeros({n}, torch::kMPS);
}
torch::Tensor ramp(int64_t n) {
  return torch::arange(n, torch::kFloat).to(torch::kMPS);
}
mps::Grid groups(uint64_t count, uint64_t threads) {
  mps::Grid grid;
  grid.x = count;
  grid.threads = threads;
  return grid;
}

/// What is thrown by one group of `threads` threads.
template <class... Arguments>
std::string
thrown_by(const char* name, uint64_t threads, const Arguments&... arguments) {
  return message_of([&] {
    mps::launch(planted().kernel(name), groups(1, threads), arguments...);
  });
}

struct MetalTest : testing::Test {};

TEST_F(MetalTest, RunsGroupsWithBarriers) {
  const auto out = zeros(192);
  host_mps::reset();
  mps::launch(planted().kernel("reverse"), groups(3, 64), out, ramp(192));
  EXPECT_EQ(host_mps::counters().operators.at("metal.reverse"), 1);
  EXPECT_TRUE(out.cpu().view({3, 64}).flip(1).view(-1).equal(
      torch::arange(192, torch::kFloat)));
}

TEST_F(MetalTest, RunsSimdGroups) {
  const auto out = zeros(9);
  const auto x = torch::randint(10, {256}).to(torch::kFloat);
  mps::launch(planted().kernel("sums"), groups(1, 256), out, x.to(torch::kMPS));
  EXPECT_EQ(out[0].item<float>(), x.sum().item<float>());
  EXPECT_TRUE(out.cpu().slice(0, 1).equal(x.view({8, 32}).sum(1)));
}

TEST_F(MetalTest, RoundsHalfPrecisionAsTorchDoes) {
  struct {
    float scale;
    uint32_t count;
  } p{0.3f, 4000};
  // Subnormal, infinite and not a number among them.
  auto x = torch::randn({4000}) * torch::randn({4000}).mul(6).exp2();
  x[0] = 0, x[1] = 1e-6, x[2] = 3e38, x[3] = NAN, x[4] = 2.5e-8, x[5] = 218360;
  for (const auto& [type, name] :
       {std::pair{torch::kHalf, "scale_half"},
        {torch::kBFloat16, "scale_bfloat"}}) {
    const auto values = x.to(type);
    const auto out = torch::empty_like(values, torch::kMPS);
    mps::launch(
        planted().kernel(name), groups(8, 512), out, values.to(torch::kMPS), p);
    EXPECT_TRUE(at::allclose(
        out.cpu(), (values.to(torch::kFloat) * 0.3f).to(type), 0, 0, true));
  }
}

TEST_F(MetalTest, FindsMissingBarriers) {
  const auto out = zeros(64), x = ramp(64);
  EXPECT_THAT(
      thrown_by("missing_barrier", 64, out, x),
      AllOf(HasSubstr("missing_barrier"), HasSubstr("no barrier between")));
  EXPECT_THAT(
      thrown_by("missing_second_barrier", 64, out, x),
      HasSubstr("no barrier between"));
  EXPECT_THAT(
      thrown_by("wrong_fence", 64, out, x), HasSubstr("no barrier between"));
}

TEST_F(MetalTest, FindsBarriersThatOnlySomeReach) {
  const auto out = zeros(64), x = ramp(64);
  EXPECT_THAT(
      thrown_by("divergent_barrier", 64, out, x),
      HasSubstr("is reached by 10 of 64 threads"));
  EXPECT_THAT(
      thrown_by("two_barriers", 64, out),
      HasSubstr("is reached by 32 of 64 threads"));
  EXPECT_THAT(
      thrown_by("returns_before_a_barrier", 64, out, uint32_t{63}),
      HasSubstr("is reached by 63 of 64 threads"));
  EXPECT_EQ(thrown_by("returns_before_a_barrier", 64, out, uint32_t{64}), "");
  EXPECT_THAT(
      thrown_by("divergent_simd", 64, out),
      AllOf(HasSubstr("SIMD"), HasSubstr("of 64 threads")));
}

TEST_F(MetalTest, FindsIndicesOutsideOfMemory) {
  const auto out = zeros(8), x = ramp(8);
  for (const int32_t i : {0, 7}) {
    EXPECT_EQ(thrown_by("reads_at", 1, out, x, i), "");
    EXPECT_EQ(thrown_by("writes_at", 1, out, i), "");
    EXPECT_EQ(thrown_by("group_index", 1, out, i), "");
    EXPECT_EQ(thrown_by("thread_index", 1, out, i), "");
  }
  for (const int32_t i : {-1, 8, 1 << 30}) {
    const auto index = "index " + std::to_string(i) + " outside ";
    EXPECT_THAT(
        thrown_by("reads_at", 1, out, x, i),
        HasSubstr(index + "a buffer of 8"));
    EXPECT_THAT(
        thrown_by("writes_at", 1, out, i), HasSubstr(index + "a buffer of 8"));
    EXPECT_THAT(
        thrown_by("group_index", 1, out, i),
        HasSubstr(index + "a threadgroup array of 8"));
    EXPECT_THAT(
        thrown_by("thread_index", 1, out, i),
        HasSubstr(index + "an array of 8"));
  }
  // The end of a view, not of its storage.
  EXPECT_THAT(
      thrown_by("reads_at", 1, out, ramp(9).slice(0, 0, 8), int32_t{8}),
      HasSubstr("index 8 outside a buffer of 8"));
}

TEST_F(MetalTest, FindsThreadgroupMemoryThatIsUnwrittenOrTooLarge) {
  EXPECT_THAT(
      thrown_by("unwritten", 64, zeros(64)), HasSubstr("nobody has written"));
  const auto out = zeros(1);
  EXPECT_EQ(thrown_by("all_memory", 1, out), "");
  EXPECT_EQ(out.item<float>(), 3);
  EXPECT_THAT(
      thrown_by("too_much_memory", 1, out),
      HasSubstr("of threadgroup memory; Metal has 32768"));
}

TEST_F(MetalTest, FindsGroupsAndThreadsThatWriteOneValue) {
  const auto out = zeros(128);
  EXPECT_THAT(
      message_of([&] {
        mps::launch(planted().kernel("across_groups"), groups(2, 64), out);
      }),
      HasSubstr("another group wrote"));
  EXPECT_EQ(thrown_by("across_groups", 64, out), "");
  EXPECT_THAT(
      thrown_by("two_writers", 64, out), HasSubstr("no barrier between"));
}

TEST_F(MetalTest, RefusesWrongArguments) {
  const auto out = zeros(64), x = ramp(64);
  const auto refused = [&](const char* why, const auto&... arguments) {
    EXPECT_THAT(thrown_by("reverse", 64, arguments...), HasSubstr(why));
  };
  refused("buffer 1 is not bound", out);
  refused("3 arguments are bound; it has 2", out, x, x);
  refused("declared as Float and bound to Half", out, x.to(torch::kHalf));
  refused("contiguous tensor on MPS", out, torch::zeros({64}));
  refused("contiguous tensor on MPS", out, ramp(128).slice(0, 0, 128, 2));
  refused("overlaps", out, out);
  const auto both = zeros(96);
  refused("overlaps", both.slice(0, 0, 64), both.slice(0, 32));
  refused("5000 bytes for buffer 1; 1 to 4096", out, std::array<char, 5000>{});
  EXPECT_THAT(
      thrown_by("reads_at", 1, out, x, int64_t{0}),
      HasSubstr("has 8 bytes; the kernel's type has 4"));
  const auto kernel = planted().kernel("reverse");
  EXPECT_THAT(
      message_of([&] { kernel->setArg(0, out); }), HasSubstr("startEncoding"));
  EXPECT_THROW(
      kernel->runCommandBlock([&] {
        kernel->startEncoding();
        kernel->setArg(0, out);
        kernel->setArg(1, x);
        kernel->dispatch(2048, 2048);
      }),
      c10::Error);
}

TEST_F(MetalTest, ArgumentsOfTheLaunchBeforeAreGone) {
  const auto kernel = planted().kernel("reverse");
  mps::launch(kernel, groups(1, 64), zeros(64), ramp(64));
  EXPECT_THAT(
      message_of([&] { mps::launch(kernel, groups(1, 64), zeros(64)); }),
      HasSubstr("not bound"));
}

TEST_F(MetalTest, RunsOnAfterAnError) {
  const auto out = zeros(64), x = ramp(64);
  for (int i = 0; i < 3; ++i) {
    EXPECT_NE(thrown_by("divergent_barrier", 64, out, x), "");
    EXPECT_EQ(thrown_by("reverse", 64, out, x), "");
    EXPECT_TRUE(out.flip(0).equal(x));
  }
}

TEST_F(MetalTest, SimdGroupsKeepStepAfterAnError) {
  const auto x = torch::arange(256, torch::kFloat);
  EXPECT_NE(thrown_by("divergent_simd", 64, zeros(64)), "");
  const auto out = zeros(9);
  EXPECT_EQ(thrown_by("sums", 256, out, x.to(torch::kMPS)), "");
  EXPECT_EQ(out[0].item<float>(), x.sum().item<float>());
}

TEST_F(MetalTest, RefusesTextsThatWereNotCompiled) {
  const auto text = std::string(mps::planted_text);
  EXPECT_NO_THROW(DynamicMetalShaderLibrary{text});
  EXPECT_THAT(
      message_of([&] { DynamicMetalShaderLibrary{text + " "}; }),
      HasSubstr("was not compiled"));
  EXPECT_THAT(
      message_of([&] { DynamicMetalShaderLibrary{text + "\xc3\xa9"}; }),
      HasSubstr("not ASCII"));
}

TEST_F(MetalTest, AnotherTextOrKernelIsSaidOnceAndGivesNone) {
  mps::Library broken("// \xc3\xa9");
  testing::internal::CaptureStderr();
  EXPECT_FALSE(broken.available());
  EXPECT_EQ(broken.kernel("reverse"), nullptr);
  EXPECT_EQ(broken.kernel("reverse"), nullptr);
  const auto said = testing::internal::GetCapturedStderr();
  EXPECT_THAT(said, HasSubstr("the Metal kernels do not compile"));
  EXPECT_THAT(said, HasSubstr("not ASCII"));
  EXPECT_EQ(said.find("do not compile"), said.rfind("do not compile"));
  EXPECT_THAT(broken.reason(), HasSubstr("not ASCII"));

  testing::internal::CaptureStderr();
  EXPECT_EQ(planted().kernel("no_such_kernel"), nullptr);
  EXPECT_THAT(
      testing::internal::GetCapturedStderr(), HasSubstr("no_such_kernel"));
}

} // namespace

#include <gtest/gtest.h>

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  const int result = RUN_ALL_TESTS();
  // A filter that matches nothing must not look like success.
  if (::testing::UnitTest::GetInstance()->test_to_run_count() == 0 &&
      !GTEST_FLAG_GET(list_tests)) {
    return 1;
  }
  return result;
}

#include "scheduler/words/batch_key.h"

#include <gtest/gtest.h>

namespace stepcast {
namespace {

TEST(BatchKeyTest, PrintsHeightBeforeWidthAndNoSizeForEncodes) {
  EXPECT_EQ((BatchKey{Phase::kDenoise, "emoji", 16, 24}).ToString(), "denoise:emoji:16x24");
  EXPECT_EQ((BatchKey{Phase::kDecode, "emoji", 8, 8}).ToString(), "decode:emoji:8x8");
  EXPECT_EQ((BatchKey{Phase::kEncode, "emoji"}).ToString(), "encode:emoji");
}

TEST(BatchKeyTest, EveryFieldSeparates) {
  const BatchKey key{Phase::kDenoise, "emoji", 16, 16};
  EXPECT_EQ(key, (BatchKey{Phase::kDenoise, "emoji", 16, 16}));
  EXPECT_NE(key, (BatchKey{Phase::kDecode, "emoji", 16, 16}));
  EXPECT_NE(key, (BatchKey{Phase::kDenoise, "digits", 16, 16}));
  EXPECT_NE(key, (BatchKey{Phase::kDenoise, "emoji", 8, 16}));
  EXPECT_NE(key, (BatchKey{Phase::kDenoise, "emoji", 16, 8}));
}

}  // namespace
}  // namespace stepcast

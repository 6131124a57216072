#include "server/identity/token_bucket.h"

#include "gtest/gtest.h"

namespace stepcast {
namespace {

const absl::Time kStart = absl::UnixEpoch();

absl::Time At(double seconds) { return kStart + absl::Seconds(seconds); }

TEST(TokenBucketTest, TheBurstIsThereAtOnceAndTheRestComesByTheSecond) {
  TokenBucket bucket({.per_second = 2.0, .burst = 3.0}, At(0));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(bucket.Until(1.0, At(0)), absl::ZeroDuration());
    bucket.Take(1.0, At(0));
  }
  EXPECT_EQ(bucket.Until(1.0, At(0)), absl::Milliseconds(500));
  EXPECT_EQ(bucket.Until(1.0, At(0.25)), absl::Milliseconds(250));
  EXPECT_EQ(bucket.Until(1.0, At(0.5)), absl::ZeroDuration());
}

TEST(TokenBucketTest, ItHoldsNoMoreThanTheBurst) {
  TokenBucket bucket({.per_second = 2.0, .burst = 3.0}, At(0));
  bucket.Take(3.0, At(1000));
  EXPECT_GT(bucket.Until(1.0, At(1000)), absl::ZeroDuration());
}

TEST(TokenBucketTest, WhatIsOverdrawnIsPaidBack) {
  TokenBucket bucket({.per_second = 1.0, .burst = 10.0}, At(0));
  bucket.Take(40.0, At(0));
  EXPECT_EQ(bucket.Until(0.0, At(0)), absl::Seconds(30));
  EXPECT_EQ(bucket.Until(0.0, At(30)), absl::ZeroDuration());
}

TEST(TokenBucketTest, AnotherRateForgetsNothing) {
  TokenBucket bucket({.per_second = 1.0, .burst = 10.0}, At(0));
  bucket.Take(8.0, At(0));
  bucket.SetRate({.per_second = 1.0, .burst = 5.0}, At(0));
  EXPECT_EQ(bucket.Until(0.0, At(0)), absl::Seconds(3)) << "eight of five are used";
  bucket.SetRate({.per_second = 1.0, .burst = 10.0}, At(0));
  EXPECT_EQ(bucket.Until(2.0, At(0)), absl::ZeroDuration());
}

TEST(TokenBucketTest, ATimeThatWasIsNoTime) {
  TokenBucket bucket({.per_second = 1.0, .burst = 1.0}, At(10));
  bucket.Take(1.0, At(10));
  EXPECT_EQ(bucket.Until(1.0, At(5)), absl::Seconds(1));
  EXPECT_EQ(bucket.Until(1.0, At(11)), absl::ZeroDuration());
}

}  // namespace
}  // namespace stepcast

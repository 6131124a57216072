#include "scheduler/decide/outlook.h"

#include <gtest/gtest.h>

namespace stepcast {
namespace {

constexpr double kSame = 1e-9;  // sums of a few doubles

// A second of `share`'s standard work without deadlines comes every `gap` seconds, in ten lumps, for a minute up to 0.
void Comes(ShareView& share, double gap, bool soft = true, Priority priority = Priority::kStandard) {
  ArrivingWork& arriving = share.arriving[static_cast<size_t>(priority)];
  for (double at = -60.0; at < 0.0; at += gap / 10) {
    arriving.all.Add(0.1, at);
    arriving.alone.Add(0.1, at);
    arriving.alone_squared.Add(0.01, at);
    if (!soft) continue;
    arriving.soft.Add(0.1, at);
    arriving.soft_squared.Add(0.01, at);
  }
}

Outlook Look(const Shares& shares, const ShareView& mine, double work = 1.0, double caution = 1.0) {
  return OutlookOf({.share = &mine, .work = work, .caution = caution}, shares, {}, 0.0, 10.0);
}

TEST(RecentWorkTest, IsWorkASecond) {
  RecentWork work;
  EXPECT_EQ(work.Rate(5.0), 0.0);
  for (double at = 0.0; at < 100.0; at += 0.5) work.Add(0.25, at);
  EXPECT_NEAR(work.Rate(100.0), 0.5, 0.02) << "half a second's step of a ten-second average";
  EXPECT_LT(work.Rate(200.0), 1e-3);
}

TEST(OutlookTest, WithoutOthersTheDeviceIsTheNewcomers) {
  const Shares shares;
  EXPECT_NEAR(Look(shares, shares.common).speed, 1.0, kSame);
}

TEST(OutlookTest, PatientWorkOfOthersKeepsWhatItBringsUpToItsPart) {
  Shares shares;
  Comes(shares.named["gold"], 5.0);  // a fifth of the device, weight 1 of 2
  const double light = Look(shares, shares.common).speed;
  EXPECT_LT(light, 0.8);
  EXPECT_GT(light, 0.7) << "it comes in lumps, but small ones";
  Comes(shares.named["gold"], 0.5);  // two devices
  EXPECT_NEAR(Look(shares, shares.common).speed, 0.5, 1e-6) << "no more than its part";
}

TEST(OutlookTest, DeadlinesOfThoseBeyondTheirPartKeepNothing) {
  Shares shares;
  Comes(shares.named["iron"], 0.5, /*soft=*/false);
  EXPECT_NEAR(Look(shares, shares.common).speed, 1.0, kSame);
  Shares modest;
  Comes(modest.named["iron"], 5.0, /*soft=*/false);
  EXPECT_NEAR(Look(modest, modest.common).speed, 0.8, 0.03) << "within their part they are not turned away for us";
}

TEST(OutlookTest, UrgentWorkGoesFirst) {
  Shares shares;
  Comes(shares.common, 4.0, /*soft=*/true, Priority::kInteractive);
  const double mean = Look(shares, shares.common, 1.0, 0.0).speed;
  EXPECT_NEAR(mean, 0.75, 0.02);
  EXPECT_LT(Look(shares, shares.common, 1.0, 2.0).speed, mean - 0.02) << "more of it where it comes in lumps";
}

TEST(OutlookTest, TellsWhoBringsMoreThanItsPart) {
  Shares shares;
  Comes(shares.named["gold"], 5.0);
  EXPECT_TRUE(Look(shares, shares.common, 4.0).within_share);
  EXPECT_FALSE(Look(shares, shares.common, 6.0).within_share) << "0.6 of the device for ten seconds";
}

}  // namespace
}  // namespace stepcast

#include "tools/simulate/sweep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace stepcast::simulate {
namespace {

using testing::HasSubstr;

SweepOptions Small() {
  SweepOptions options;
  options.run.device = BuiltInDevice("S").value();
  options.policies = {"fifo", "serial"};
  options.mix = {.classes = {{.steps = {4, 8}}}, .arrivals = 60};
  options.rates = {1.0, 4.0};
  options.seeds = {1, 2};
  return options;
}

TEST(SweepTest, APointForEveryCellInOrder) {
  SweepOptions options = Small();
  options.devices = {1, 2};
  options.deadline = 3.0;
  const auto points = Sweep(options);
  ASSERT_TRUE(points.ok()) << points.status();
  ASSERT_EQ(points->size(), 8u);
  size_t i = 0;
  for (const double rate : {1.0, 4.0}) {
    for (const int devices : {1, 2}) {
      for (const char* policy : {"fifo", "serial"}) {
        const SweepPoint& point = (*points)[i++];
        EXPECT_EQ(point.rate, rate);
        EXPECT_EQ(point.devices, devices);
        EXPECT_EQ(point.policy, policy);
        EXPECT_EQ(point.summary.all.jobs, 120) << "both seeds together";
      }
    }
  }
}

TEST(SweepTest, ATraceIsRunAsItIs) {
  SweepOptions options = Small();
  options.rates.clear();
  for (int i = 0; i < 5; ++i) {
    options.trace.push_back({.at = absl::Seconds(2 * i), .steps = 3});
  }
  const auto points = Sweep(options);
  ASSERT_TRUE(points.ok());
  ASSERT_EQ(points->size(), 2u);
  EXPECT_DOUBLE_EQ((*points)[0].rate, 0.5);
  EXPECT_EQ((*points)[0].summary.all.finished, 5);
  EXPECT_NEAR((*points)[0].summary.all.mean, 0.09, 1e-6);
}

TEST(SweepTest, ErrorsNameTheOption) {
  SweepOptions options = Small();
  options.policies = {"lifo"};
  EXPECT_THAT(std::string(Sweep(options).status().message()), HasSubstr("lifo"));
  options = Small();
  options.devices = {0};
  EXPECT_THAT(std::string(Sweep(options).status().message()), HasSubstr("devices: 0"));
  options = Small();
  options.run.noise = 0.9;
  EXPECT_THAT(std::string(Sweep(options).status().message()), HasSubstr("noise: 0.9"));
  options = Small();
  options.run.device.limits.max_denoise_rows = 1;
  EXPECT_THAT(std::string(Sweep(options).status().message()), HasSubstr("rows:"));
}

TEST(MixTest, ClassesKeepTheirSharesAndTheirOrder) {
  const Mix mix{.classes = {{.share = 1.0, .priority = Priority::kInteractive, .tenant = "a", .steps = {8}},
                            {.share = 3.0, .priority = Priority::kBatch, .tenant = "b", .steps = {30}}},
                .arrivals = 400};
  const std::vector<Arrival> arrivals = MakeArrivals(mix, 2.0, 7);
  ASSERT_EQ(arrivals.size(), 400u);
  int interactive = 0;
  for (size_t i = 0; i < arrivals.size(); ++i) {
    if (i > 0) {
      EXPECT_GE(arrivals[i].at, arrivals[i - 1].at);
    }
    if (arrivals[i].priority != Priority::kInteractive) continue;
    ++interactive;
    EXPECT_EQ(arrivals[i].steps, 8);
    EXPECT_EQ(arrivals[i].tenant, "a");
  }
  EXPECT_EQ(interactive, 100);
  // 400 arrivals at 2 a second; the last of a Poisson stream of 300 is off by 6 % (one deviation).
  EXPECT_NEAR(absl::ToDoubleSeconds(arrivals.back().at), 200.0, 40.0);
}

TEST(MixTest, TheRateOfALoad) {
  const Device device = BuiltInDevice("L").value();
  const Mix mixed{.classes = {{.steps = {4, 8, 20, 30, 50}}}};
  // 22.4 steps on average, 425 ms for a full batch.
  EXPECT_NEAR(RateOfLoad(device, 0.8, mixed), 0.8 * 8 / (22.4 * 0.425), 1e-9);
  const Mix two{.classes = {{.share = 1.0, .steps = {10}}, {.share = 3.0, .steps = {30}}}};
  EXPECT_NEAR(RateOfLoad(device, 1.0, two), 8 / (25 * 0.425), 1e-9);
}

}  // namespace
}  // namespace stepcast::simulate

#include "tools/simulate/driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tools/simulate/device.h"
#include "tools/simulate/specs.h"

namespace stepcast::simulate {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;

RunOptions Options(const std::string& device, const std::string& policy = "fifo") {
  RunOptions options;
  options.policy.name = policy;
  options.device = BuiltInDevice(device).value();
  return options;
}

Arrival At(double seconds, int steps = 20) {
  Arrival arrival;
  arrival.at = absl::Seconds(seconds);
  arrival.steps = steps;
  return arrival;
}

std::vector<double> Latencies(const Outcome& outcome) {
  std::vector<double> latencies;
  for (const Fate& fate : outcome.fates) latencies.push_back(fate.latency());
  return latencies;
}

// A nanosecond of rounding for each tick.
auto Near(double seconds) { return DoubleNear(seconds, 1e-6); }

TEST(DriverTest, AJobAloneTakesItsIsolatedTime) {
  for (const auto& [device, tick] : {std::pair("L", 0.167), std::pair("S", 0.030), std::pair("C", 0.100)}) {
    RunOptions options = Options(device);
    options.arrivals = {At(5.0)};
    const Outcome outcome = simulate::Run(options);
    EXPECT_THAT(Latencies(outcome), ElementsAre(Near(20 * tick))) << device;
    EXPECT_NEAR(outcome.fates[0].isolated, 20 * tick, 1e-6);
    EXPECT_EQ(outcome.fates[0].evaluations, 20);
    EXPECT_NEAR(outcome.end, 5.0 + 20 * tick, 1e-6);
  }
}

// S: 30 ms alone, 52 ms for two. The second comes during the first one's tick and joins the next.
TEST(DriverTest, ANewcomerJoinsAtTheNextTick) {
  RunOptions options = Options("S");
  options.arrivals = {At(0.0, 4), At(0.010, 2)};
  const Outcome outcome = simulate::Run(options);
  EXPECT_THAT(Latencies(outcome), ElementsAre(Near(0.030 + 2 * 0.052 + 0.030), Near(0.020 + 2 * 0.052)));
}

TEST(DriverTest, ARequestGoesWholeToTheDeviceWithTheLeastWork) {
  RunOptions options = Options("S");
  options.devices = 2;
  Arrival three = At(0.0, 10);
  three.images = 3;
  options.arrivals = {three, At(0.0, 10), At(0.001, 10)};
  const Outcome outcome = simulate::Run(options);
  ASSERT_EQ(outcome.fates.size(), 5u);
  // Three pictures on the first device (74 ms a tick), two on the second (30, then 52 ms).
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(outcome.fates[static_cast<size_t>(i)].latency(), 10 * 0.074, 1e-6);
  EXPECT_NEAR(outcome.fates[3].latency(), 0.030 + 9 * 0.052, 1e-6);
  EXPECT_NEAR(outcome.fates[4].latency(), 0.029 + 9 * 0.052 + 0.030, 1e-6);
  bool second = false;
  for (const Tick& tick : outcome.ticks) second |= tick.device == 1;
  EXPECT_TRUE(second);
}

TEST(DriverTest, TwoDevicesDoTwiceTheWork) {
  RunOptions options = Options("C");
  for (int i = 0; i < 200; ++i) options.arrivals.push_back(At(0.0, 10));
  const double one = simulate::Run(options).end;
  options.devices = 2;
  EXPECT_NEAR(simulate::Run(options).end, one / 2, one * 0.02);
}

TEST(DriverTest, WhoLosesPatienceLeaves) {
  RunOptions options = Options("S");
  options.arrivals = {At(0.0, 100), At(0.0, 100)};
  options.arrivals[1].patience = absl::Milliseconds(100);
  const Outcome outcome = simulate::Run(options);
  EXPECT_EQ(outcome.fates[1].end, absl::StatusCode::kCancelled);
  EXPECT_NEAR(outcome.fates[1].latency(), 0.104, 1e-6) << "at the end of the second tick of 52 ms";
  EXPECT_EQ(outcome.fates[0].end, absl::StatusCode::kOk);
}

TEST(DriverTest, DeadlinesAreThoseOfTheClientOrAMultiple) {
  RunOptions options = Options("C");
  options.arrivals = {At(0.0, 10), At(0.0, 10), At(0.0, 10)};
  options.arrivals[0].deadline = 2.0;
  options.arrivals[1].due = absl::Milliseconds(500);
  const Outcome outcome = simulate::Run(options);
  EXPECT_NEAR(outcome.fates[0].due, 2.0, 1e-9);
  EXPECT_NEAR(outcome.fates[1].due, 0.5, 1e-9);
  EXPECT_GT(outcome.fates[2].due, 1e9);
  EXPECT_EQ(outcome.fates[1].end, absl::StatusCode::kDeadlineExceeded);
}

TEST(DriverTest, ABacklogNeverRunsOut) {
  RunOptions options = Options("L");
  options.backlogs = {{.live = 12, .pattern = At(0.0, 7)}};
  options.until = absl::Seconds(100);
  const Outcome outcome = simulate::Run(options);
  EXPECT_GE(outcome.end, 100.0);
  for (const Tick& tick : outcome.ticks) {
    if (tick.phase == Phase::kDenoise) {
      EXPECT_EQ(tick.rows, 16);
    }
  }
  // Full batches: 8 evaluations in 425 ms.
  EXPECT_NEAR(Throughput(outcome), 8 / 0.425, 0.2);
}

TEST(DriverTest, StrictModePaysForItsPadding) {
  RunOptions options = Options("S");
  options.device.limits.strict_rows = 8;
  options.arrivals = {At(0.0, 10)};
  const Outcome outcome = simulate::Run(options);
  EXPECT_NEAR(outcome.fates[0].latency(), 10 * (0.008 + 0.022 * 4), 1e-6);
  EXPECT_EQ(outcome.ticks.front().padding, 6);
}

TEST(DriverTest, NoiseIsSeededAndAroundTheCost) {
  RunOptions options = Options("L");
  options.noise = 0.1;
  options.arrivals = {At(0.0, 1000)};
  const double first = simulate::Run(options).end;
  EXPECT_EQ(simulate::Run(options).end, first);
  options.noise_seed = 2;
  EXPECT_NE(simulate::Run(options).end, first);
  // The mean of 1000 ticks with a deviation of 10 % is within 1 % (three deviations).
  EXPECT_NEAR(first, 167.0, 1.67);
}

TEST(DriverTest, OtherModelsAndSizesCostByTheirArea) {
  RunOptions options = Options("S");
  options.arrivals = {At(0.0, 10)};
  options.arrivals[0].model = "other";
  options.arrivals[0].latent_height = 32;
  EXPECT_NEAR(simulate::Run(options).fates[0].latency(), 10 * 0.030 / 2, 1e-6);
}

TEST(SpecMakerTest, EqualArrivalsShareAndOthersDoNot) {
  SpecMaker maker;
  Arrival arrival = At(0.0, 6);
  arrival.evaluations_per_step = 2;
  arrival.guided = false;
  arrival.tenant = "a";
  const JobSpec one = maker.Make(arrival, nullptr), same = maker.Make(arrival, nullptr);
  EXPECT_EQ(one.request, same.request);
  EXPECT_EQ(one.program->evaluations.size(), 12u);
  EXPECT_EQ(one.program->evaluations[3].step, 1);
  EXPECT_EQ(one.program->evaluations[3].rows(), 1);
  EXPECT_EQ(one.request->latent_width(), kLatentSide);
  arrival.tenant = "b";
  EXPECT_NE(maker.Make(arrival, nullptr).request, one.request);
}

}  // namespace
}  // namespace stepcast::simulate

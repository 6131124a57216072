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

TEST(DriverTest, EachImageGoesWhereItWillBeDoneFirst) {
  RunOptions options = Options("S");
  options.devices = 2;
  Arrival three = At(0.0, 10);
  three.images = 3;
  options.arrivals = {three, At(0.0, 10), At(0.001, 10)};
  const Outcome outcome = simulate::Run(options);
  ASSERT_EQ(outcome.fates.size(), 5u);
  // Two pictures of the three and the last one on the first device (52, then 74 ms a tick), two on the second (52 ms).
  for (const size_t i : {0u, 2u}) EXPECT_NEAR(outcome.fates[i].latency(), 0.052 + 9 * 0.074, 1e-6);
  for (const size_t i : {1u, 3u}) EXPECT_NEAR(outcome.fates[i].latency(), 10 * 0.052, 1e-6);
  EXPECT_NEAR(outcome.fates[4].latency(), 0.051 + 9 * 0.074 + 0.030, 1e-6);
}

// Three requests for two devices: the first device has less to do, but its job has no time for company; the job of the
// other has.
RunOptions FirstDeviceRefuses() {
  RunOptions options = Options("S", "slo");
  options.devices = 2;
  options.admission = true;
  options.arrivals = {At(0.0, 20), At(0.0, 40), At(0.1, 10)};
  options.arrivals[0].deadline = 1.1;
  options.arrivals[2].deadline = 2.5;
  return options;
}

TEST(DriverTest, AnotherDeviceMayTakeWhatTheFirstRefuses) {
  RunOptions options = FirstDeviceRefuses();
  const Outcome outcome = simulate::Run(options);
  for (const Fate& fate : outcome.fates) EXPECT_EQ(fate.end, absl::StatusCode::kOk);
  // Asked at 120 ms, after the first device's tick, and again at 120 ms, after the other's.
  EXPECT_NEAR(outcome.fates[2].latency(), 0.020 + 10 * 0.052, 1e-6);
  options.devices = 1;
  options.arrivals = {options.arrivals[0], options.arrivals[2]};
  EXPECT_EQ(simulate::Run(options).fates[1].end, absl::StatusCode::kResourceExhausted);
}

// Each device has one place to wait at: two images fit, though not on one of them.
TEST(DriverTest, AllImagesOfARequestComeInOrNone) {
  RunOptions options = Options("S");
  options.devices = 2;
  options.admission = true;
  options.limits.max_queued_jobs = 1;
  options.arrivals = {At(0.0, 10), At(0.010, 10), At(0.035, 10)};
  options.arrivals[2].images = 2;
  for (const Fate& fate : simulate::Run(options).fates) EXPECT_TRUE(fate.painted());
  options.arrivals[2].images = 3;
  const Outcome outcome = simulate::Run(options);
  ASSERT_EQ(outcome.fates.size(), 5u);
  EXPECT_TRUE(outcome.fates[0].painted() && outcome.fates[1].painted());
  for (size_t i = 2; i < 5; ++i) {
    EXPECT_FALSE(outcome.fates[i].admitted);
    EXPECT_EQ(outcome.fates[i].end, absl::StatusCode::kResourceExhausted);
  }
  // The second device let one image in and took it back before its next tick: the first refused the two others at once.
  EXPECT_NEAR(outcome.fates[0].latency(), 10 * 0.030, 1e-6);
  EXPECT_NEAR(outcome.fates[1].latency(), 10 * 0.030, 1e-6);
}

TEST(DriverTest, ARequestOnItsWayToAnotherDeviceStillLosesPatience) {
  RunOptions options = FirstDeviceRefuses();
  options.arrivals[2].patience = absl::Milliseconds(10);
  const Outcome outcome = simulate::Run(options);
  EXPECT_EQ(outcome.fates[2].end, absl::StatusCode::kCancelled);
  EXPECT_EQ(outcome.fates[1].end, absl::StatusCode::kOk);
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
  EXPECT_EQ(one.work, same.work) << "equal arrivals share their work";
  EXPECT_EQ(one.work->evaluations(), 12);
  EXPECT_EQ(one.work->lead().StepOf(3), 1);
  EXPECT_EQ(one.work->most_rows(), 1);
  EXPECT_EQ(one.request->latent_width(), kLatentSide);
  arrival.tenant = "b";
  EXPECT_NE(maker.Make(arrival, nullptr).request, one.request);
}

}  // namespace
}  // namespace stepcast::simulate

#include "server/operators/schedule_description.h"

#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

namespace stepcast {
namespace {

using ::google::protobuf::util::MessageDifferencer;

const absl::Time kNow = absl::UnixEpoch() + absl::Seconds(1000);

template <typename Message>
Message FromText(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

DeviceView View(const std::string& device) {
  DeviceView view;
  view.device.name = device;
  view.schedule.now = kNow;
  return view;
}

// A job that arrived and is expected at kNow.
ScheduledJob JobNow(JobStatus status = JobStatus::kWaiting) {
  ScheduledJob job;
  job.status = status;
  job.arrival = kNow;
  job.predicted_finish = kNow;
  return job;
}

TenantStanding Standing(const std::string& tenant, int waiting, int running, absl::Duration device_time) {
  TenantStanding standing;
  standing.tenant = tenant;
  standing.waiting = waiting;
  standing.running = running;
  standing.device_time = device_time;
  return standing;
}

TEST(ScheduleDescriptionTest, ATickWithAllItsParts) {
  TickRecord tick{.device = "cuda:0", .start = kNow, .measured = absl::Milliseconds(25)};
  tick.plan.id = 12;
  tick.plan.key = {.phase = Phase::kDenoise, .model = "emoji", .latent_height = 16, .latent_width = 24};
  tick.plan.rows = 3;
  tick.plan.evict = {JobId{4}};
  tick.plan.predicted = absl::Milliseconds(20);
  tick.parts = {{.job = JobId{7}, .position = 3, .evaluations = 20, .first_row = 8, .rows = 2, .whole_rows = 12},
                {.job = JobId{9}, .position = 0, .evaluations = 4, .failed = true}};
  const auto expected = FromText<v1::WatchTicksResponse>(R"(
    tick {
      device: "cuda:0" plan_id: 12 rows: 3
      key { phase: TICK_PHASE_DENOISE model: "emoji" latent_height: 16 latent_width: 24 }
      jobs { job_id: 7 position: 3 evaluations: 20 rows: 2 evaluation_rows: 12 rows_done: 8 }
      jobs { job_id: 9 evaluations: 4 failed: true rows: 1 evaluation_rows: 1 }
      parked_job_ids: 4
      predicted_cost { nanos: 20000000 } measured_cost { nanos: 25000000 } start_time { seconds: 1000 }
    }
    dropped: 5)");
  const v1::WatchTicksResponse told = DescribeTick(tick, 5);
  EXPECT_TRUE(MessageDifferencer::Equals(told, expected)) << told.DebugString();
}

TEST(ScheduleDescriptionTest, WithoutCostsNothingIsPredicted) {
  EXPECT_FALSE(DescribeTick({.measured = absl::Seconds(1)}, 0).tick().has_predicted_cost());
  DeviceView view = View("cpu");
  view.schedule.jobs.push_back(JobNow());
  EXPECT_FALSE(DescribeSchedule({view}).devices(0).jobs(0).has_predicted_finish_in());
}

TEST(ScheduleDescriptionTest, EveryPhaseAndStateHasItsName) {
  const std::pair<Phase, v1::TickPhase> phases[] = {{Phase::kEncode, v1::TICK_PHASE_ENCODE},
                                                    {Phase::kDenoise, v1::TICK_PHASE_DENOISE},
                                                    {Phase::kPreview, v1::TICK_PHASE_PREVIEW},
                                                    {Phase::kDecode, v1::TICK_PHASE_DECODE}};
  for (const auto& [phase, told] : phases) {
    TickRecord tick;
    tick.plan.key.phase = phase;
    EXPECT_EQ(DescribeTick(tick, 0).tick().key().phase(), told);
  }
  const std::pair<JobStatus, v1::JobState> states[] = {
      {JobStatus::kWaiting, v1::JOB_STATE_WAITING},   {JobStatus::kEncoding, v1::JOB_STATE_ENCODING},
      {JobStatus::kRunning, v1::JOB_STATE_RUNNING},   {JobStatus::kParked, v1::JOB_STATE_PARKED},
      {JobStatus::kDecoding, v1::JOB_STATE_DECODING}, {JobStatus::kFailed, v1::JOB_STATE_UNSPECIFIED}};
  for (const auto& [status, told] : states) {
    DeviceView view = View("cpu");
    view.schedule.jobs.push_back(JobNow(status));
    EXPECT_EQ(DescribeSchedule({view}).devices(0).jobs(0).state(), told);
  }
}

TEST(ScheduleDescriptionTest, DevicesSideBySideAndTenantsTogether) {
  DeviceView a = View("cuda:0");
  a.device.engine.waiting = 1;
  a.device.engine.running = 2;
  a.device.engine.ticks = 9;
  a.schedule.policy = "slo";
  a.schedule.backlog = absl::Seconds(3);
  a.schedule.jobs.push_back({.id = JobId{1},
                             .status = JobStatus::kRunning,
                             .model = "emoji",
                             .width = 64,
                             .height = 48,
                             .position = 2,
                             .evaluations = 20,
                             .priority = Priority::kBatch,
                             .tenant = "acme",
                             .arrival = kNow - absl::Seconds(4),
                             .deadline = kNow + absl::Seconds(6),
                             .predicted_finish = kNow + absl::Seconds(5)});
  a.schedule.costs.push_back(
      {.key = {.phase = Phase::kDenoise, .model = "emoji", .latent_height = 16, .latent_width = 16},
       .points = {{1, absl::Milliseconds(10)}, {2, absl::Milliseconds(11)}, {4, absl::Milliseconds(13)}},
       .row_cap = 4});
  a.schedule.tenants = {Standing("acme", 0, 2, absl::Seconds(7))};
  a.schedule.tenants[0].weight = 3;
  DeviceView b = View("cuda:1");
  b.device.engine.lost = true;
  b.schedule = {};
  DeviceView c = View("cuda:2");
  c.device.engine.draining = true;
  c.schedule.tenants = {Standing("acme", 1, 0, absl::Seconds(2)), Standing("default", 4, 0, absl::ZeroDuration())};
  c.schedule.tenants[0].weight = 3;
  const auto expected = FromText<v1::GetScheduleResponse>(R"(
    devices {
      device { name: "cuda:0" max_rows: 16 state: DEVICE_STATE_SERVING queue { waiting: 1 running: 2 ticks: 9 } }
      jobs {
        job_id: 1 state: JOB_STATE_RUNNING model: "emoji" width: 64 height: 48 position: 2 evaluations: 20
        priority: PRIORITY_BATCH tenant: "acme" age { seconds: 4 } deadline_in { seconds: 6 }
        predicted_finish_in { seconds: 5 }
      }
      costs {
        key { phase: TICK_PHASE_DENOISE model: "emoji" latent_height: 16 latent_width: 16 }
        points { rows: 1 cost { nanos: 10000000 } } points { rows: 2 cost { nanos: 11000000 } }
        points { rows: 4 cost { nanos: 13000000 } }
        row_cap: 4 knee: 4
      }
      backlog { seconds: 3 }
    }
    devices { device { name: "cuda:1" max_rows: 16 state: DEVICE_STATE_LOST queue {} } backlog {} }
    devices { device { name: "cuda:2" max_rows: 16 state: DEVICE_STATE_DRAINING queue {} } backlog {} }
    tenants { tenant: "acme" weight: 3 waiting: 1 running: 2 device_time { seconds: 9 } }
    tenants { tenant: "default" weight: 1 waiting: 4 device_time {} }
    policy: "slo")");
  const v1::GetScheduleResponse told = DescribeSchedule({a, b, c});
  EXPECT_TRUE(MessageDifferencer::Equals(told, expected)) << told.DebugString();
}

}  // namespace
}  // namespace stepcast

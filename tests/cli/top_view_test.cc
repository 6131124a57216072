#include "clients/cli/views/top_view.h"

#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

namespace stepcast::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

template <typename Message>
Message FromText(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

std::vector<std::string> Lines(const TopFrame& frame, int width = 80, int height = 24) {
  std::vector<std::string> lines;
  std::istringstream text(RenderTop(frame, width, height));
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

TopFrame TwoDevices() {
  TopFrame frame{.host = "localhost:50052", .seconds = 2};
  frame.schedule = FromText<v1::GetScheduleResponse>(R"(
    policy: "slo"
    devices {
      device { name: "cpu:0" max_rows: 16 state: DEVICE_STATE_SERVING queue { waiting: 1 running: 1 ticks: 1205 } }
      backlog { seconds: 4 nanos: 200000000 }
      costs { key { phase: TICK_PHASE_DENOISE model: "digits" latent_height: 8 latent_width: 8 } knee: 2 }
      costs { key { phase: TICK_PHASE_DENOISE model: "emoji" latent_height: 16 latent_width: 16 } row_cap: 16 knee: 6
              points { rows: 1 cost { nanos: 9000000 } } points { rows: 2 cost { nanos: 14000000 } }
              points { rows: 6 cost { nanos: 33000000 } } points { rows: 16 cost { nanos: 80000000 } } }
      jobs { job_id: 5 state: JOB_STATE_WAITING model: "emoji" width: 64 height: 64 evaluations: 30
             priority: PRIORITY_BATCH tenant: "nightly-batches" age { seconds: 75 } predicted_finish_in { seconds: 190 } }
      jobs { job_id: 3 state: JOB_STATE_RUNNING model: "emoji" width: 64 height: 64 position: 8 evaluations: 20
             priority: PRIORITY_INTERACTIVE tenant: "acme" age { nanos: 850000000 } deadline_in { seconds: 3 }
             predicted_finish_in { seconds: 1 nanos: 240000000 } }
    }
    devices { device { name: "cpu:1" max_rows: 16 state: DEVICE_STATE_LOST queue { ticks: 7 } } backlog {} }
    tenants { tenant: "acme" weight: 3 running: 1 device_time { seconds: 30 } }
    tenants { tenant: "nightly-batches" weight: 1 waiting: 1 device_time { seconds: 10 } })");
  for (int i = 0; i < 6; ++i) {
    frame.ticks.push_back(FromText<v1::Tick>(R"(
      device: "cpu:0" key { phase: TICK_PHASE_DENOISE model: "emoji" latent_height: 16 latent_width: 16 } rows: 2
      jobs { job_id: 3 position: 7 evaluations: 20 } predicted_cost { nanos: 22000000 } measured_cost { nanos: 25000000 })"));
    frame.ticks.back().set_plan_id(1200 + i);
  }
  frame.ticks.back().set_rows(4);
  return frame;
}

TEST(TopViewTest, TellsQueueTicksTenantsAndJobs) {
  EXPECT_THAT(Lines(TwoDevices()),
              ElementsAre("stepcast top  localhost:50052  policy slo  1 waiting  1 running",
                          "cpu:0    serving    1 waiting   1 running  left 4.2s     3.0 ticks/s    8% busy",
                          "  6 denoise ticks, rows 2.3 of 16:  5x2  1x4",
                          "  emoji 16x16 by rows  1 9ms  2 14ms  16 80ms  knee 6",
                          "  #1202 denoise emoji 16x16  2 rows  25ms (said 22ms)  3@7",
                          "  #1203 denoise emoji 16x16  2 rows  25ms (said 22ms)  3@7",
                          "  #1204 denoise emoji 16x16  2 rows  25ms (said 22ms)  3@7",
                          "  #1205 denoise emoji 16x16  4 rows  25ms (said 22ms)  3@7",
                          "cpu:1    lost       0 waiting   0 running  left 0ms      0.0 ticks/s    0% busy",
                          "TENANT           WEIGHT  WAITING  RUNNING  DEVICE TIME  OF ALL",
                          "acme                  3        0        1          30s    75 %",
                          "nightly-batches       1        1        0          10s    25 %",
                          "   ID STATE    MODEL           SIZE          DONE PRI TENANT     AGE   DUE  LEFT",
                          "    3 running  emoji          64x64 ##...    8/20 int acme     850ms  3.0s  1.2s",
                          "    5 waiting  emoji          64x64 .....    0/30 bat nightly~   75s     -    3m"));
}

TEST(TopViewTest, TicksWithAPartOfAnEvaluationAreCounted) {
  TopFrame frame = TwoDevices();
  for (size_t i = 0; i < 2; ++i) {
    frame.ticks[i].mutable_jobs(0)->set_rows(2);
    frame.ticks[i].mutable_jobs(0)->set_evaluation_rows(24);
  }
  EXPECT_EQ(Lines(frame)[2], "  6 denoise ticks, rows 2.3 of 16:  5x2  1x4  2 in parts");
}

TEST(TopViewTest, EveryLineFitsEightyColumnsWhateverTheServerSays) {
  TopFrame frame = TwoDevices();
  frame.host = std::string(300, 'h');
  frame.dropped = 1'000'000'000;
  frame.schedule.set_policy(std::string(300, 'p'));
  for (v1::DeviceSchedule& device : *frame.schedule.mutable_devices()) {
    device.mutable_device()->set_name(std::string(300, 'd'));
    device.mutable_backlog()->set_seconds(1'000'000'000);
    for (v1::ScheduledJob& job : *device.mutable_jobs()) {
      job.set_job_id(1LL << 60);
      job.set_model(std::string(63, 'm'));
      job.set_tenant("a\033[2Jb\n" + std::string(64, 't'));
      job.set_width(8192);
      job.set_height(8192);
      job.set_position(2'000'000'000);
      job.set_evaluations(0);
      job.mutable_age()->set_seconds(-3);
    }
  }
  for (v1::Tick& tick : frame.ticks) {
    tick.set_device(frame.schedule.devices(0).device().name());
    for (int i = 0; i < 100; ++i) tick.add_jobs()->set_job_id(i);
  }
  for (const std::string& line : Lines(frame)) {
    EXPECT_LE(line.size(), 80u) << line;
    EXPECT_EQ(line.find('\033'), std::string::npos) << "no control characters of others reach the terminal";
  }
}

TEST(TopViewTest, LargeIdsMoveNoColumn) {
  TopFrame frame = TwoDevices();
  frame.schedule.mutable_devices(0)->mutable_jobs(1)->set_job_id(1'234'567);
  EXPECT_THAT(Lines(frame),
              testing::Contains("34567 running  emoji          64x64 ##...    8/20 int acme     850ms  3.0s  1.2s"));
}

TEST(TopViewTest, JobsThatDoNotFitAreCounted) {
  TopFrame frame;
  frame.schedule = FromText<v1::GetScheduleResponse>(R"(devices { device { name: "cpu" } })");
  for (int i = 1; i <= 50; ++i) {
    v1::ScheduledJob& job = *frame.schedule.mutable_devices(0)->add_jobs();
    job.set_job_id(i);
    job.set_state(v1::JOB_STATE_WAITING);
  }
  const std::vector<std::string> lines = Lines(frame, 80, 12);
  ASSERT_EQ(lines.size(), 12u);
  EXPECT_EQ(lines.back(), "      ... and 42 more");
  EXPECT_THAT(lines[lines.size() - 2], HasSubstr("    8 waiting"));
  EXPECT_EQ(Lines(frame, 80, 1000).size(), 3u + 50u);
}

TEST(TopViewTest, AnIdleServer) {
  TopFrame frame{.host = "h:1"};
  frame.schedule = FromText<v1::GetScheduleResponse>(
      R"(policy: "fifo" devices { device { name: "cpu" max_rows: 16 state: DEVICE_STATE_SERVING } })");
  EXPECT_THAT(Lines(frame),
              ElementsAre("stepcast top  h:1  policy fifo  0 waiting  0 running",
                          "cpu      serving    0 waiting   0 running  left 0ms      0.0 ticks/s    0% busy",
                          "   ID STATE    MODEL           SIZE          DONE PRI TENANT     AGE   DUE  LEFT"));
}

TEST(TopViewTest, FailedJobsAndMissedTicksAreMarked) {
  TopFrame frame = TwoDevices();
  frame.dropped = 12;
  frame.ticks.back().mutable_jobs(0)->set_failed(true);
  const std::string text = RenderTop(frame, 80, 24);
  EXPECT_THAT(text, HasSubstr("  12 ticks missed\n"));
  EXPECT_THAT(text, HasSubstr(" 3@7!\n"));
}

}  // namespace
}  // namespace stepcast::cli

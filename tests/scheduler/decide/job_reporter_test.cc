#include "scheduler/decide/job_reporter.h"

#include <gtest/gtest.h>

#include "tests/support/job_builder.h"
#include "tests/support/recording_sink.h"

namespace stepcast {
namespace {

TEST(JobReporterTest, TellsWhereTheJobStands) {
  const auto sink = std::make_shared<RecordingSink>();
  const auto job = MakeJobAt(5, {.steps = 3, .evaluations_per_step = 2}, 3, sink);
  JobReporter reporter(*job);
  reporter.Progress(*job, 4);
  const auto progress = sink->Of<JobProgress>(JobId{5});
  ASSERT_EQ(progress.size(), 1u);
  EXPECT_EQ(progress[0].step, 1);
  EXPECT_EQ(progress[0].steps, 3);
  EXPECT_EQ(progress[0].evaluations_done, 3);
  EXPECT_EQ(progress[0].evaluations_total, 6);
  EXPECT_EQ(progress[0].queue_position, 4);
  reporter.Finish(absl::OkStatus(), {});
}

TEST(JobReporterTest, CarriesTheImageIndex) {
  const auto sink = std::make_shared<RecordingSink>();
  Job job(JobId{9}, MakeSpecs({.image_count = 2}, sink)[1]);
  JobReporter(job).Image(std::make_shared<Image>());
  for (const JobEvent& event : sink->events()) EXPECT_EQ(event.image_index, 1);
  EXPECT_EQ(sink->events().size(), 2u);
}

TEST(JobReporterTest, TheFirstEndIsTheOnlyOne) {
  const auto sink = std::make_shared<RecordingSink>();
  const auto job = MakeJob(1, {}, sink);
  {
    JobReporter reporter(*job);
    reporter.Finish(absl::CancelledError("enough"), {});
    reporter.Finish(absl::OkStatus(), {});
  }
  EXPECT_EQ(sink->Story(JobId{1}), (std::vector<std::string>{"finished CANCELLED"}));
}

TEST(JobReporterTest, ADroppedJobEndsInternal) {
  const auto sink = std::make_shared<RecordingSink>();
  const auto job = MakeJob(1, {}, sink);
  {
    JobReporter reporter(*job);
  }
  EXPECT_EQ(sink->Story(JobId{1}), (std::vector<std::string>{"finished INTERNAL"}));
}

}  // namespace
}  // namespace stepcast

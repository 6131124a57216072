#include "scheduler/admission.h"

#include <gtest/gtest.h>

#include "core/error_reason.h"
#include "scheduler/step_scheduler.h"
#include "tests/support/job_builder.h"
#include "tests/support/recording_sink.h"

namespace stepcast {
namespace {

constexpr absl::Time kNow = absl::UnixEpoch();

class AdmissionTest : public testing::Test {
 protected:
  // Adds jobs that wait.
  void Queue(int jobs) {
    for (int i = 0; i < jobs; ++i) {
      std::vector<std::unique_ptr<Job>> one;
      one.push_back(MakeJob(++last_id_, {}, sink_));
      scheduler_.Submit(std::move(one), kNow);
    }
  }
  absl::StatusOr<AdmissionVerdict> Ask(AdmissionLimits limits, const TestJob& job) {
    return CheckAdmission(limits, job.image_count == 0 ? std::vector<JobSpec>{} : MakeSpecs(job, sink_), scheduler_,
                          kNow);
  }

  NullEngineMetrics metrics_;
  std::shared_ptr<RecordingSink> sink_ = std::make_shared<RecordingSink>();
  StepScheduler scheduler_{*MakePolicy({}), {}, metrics_};
  int64_t last_id_ = 0;
};

TEST_F(AdmissionTest, TakesAllOrNone) {
  struct Case {
    int limit, waiting, images;
    absl::StatusCode code;
  };
  const Case cases[] = {
      {64, 0, 1, absl::StatusCode::kOk},
      {64, 60, 4, absl::StatusCode::kOk},
      {64, 61, 4, absl::StatusCode::kResourceExhausted},
      {64, 64, 1, absl::StatusCode::kResourceExhausted},
      {1, 64, 2, absl::StatusCode::kResourceExhausted},  // the bound was lowered while jobs waited
      {65, 64, 0, absl::StatusCode::kInvalidArgument},
  };
  for (const Case& c : cases) {
    Queue(c.waiting - scheduler_.waiting());
    const auto verdict = Ask({.max_queued_jobs = c.limit}, {.image_count = c.images});
    EXPECT_EQ(verdict.status().code(), c.code) << c.waiting << " + " << c.images << " of " << c.limit;
    if (verdict.ok()) {
      EXPECT_EQ(verdict->queue_position, c.waiting);
    }
  }
}

TEST_F(AdmissionTest, ARefusalGivesTheCountsAndADelay) {
  Queue(6);
  const absl::Status status = Ask({.max_queued_jobs = 8}, {.image_count = 4}).status();
  EXPECT_EQ(status.message(), "the queue is full: 6 of at most 8 jobs wait and the request brings 4");
  EXPECT_EQ(ErrorReason(status), "QUEUE_FULL");
  EXPECT_GE(RetryDelayOf(status).value_or(absl::ZeroDuration()), absl::Milliseconds(100));
}

TEST_F(AdmissionTest, ADeadlineMustLieAhead) {
  EXPECT_TRUE(Ask({}, {.deadline = kNow + absl::Nanoseconds(1)}).ok());
  EXPECT_EQ(Ask({}, {.deadline = kNow}).status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(Ask({}, {.deadline = kNow - absl::Seconds(2)}).status().message(),
            "the deadline passed 2s before the request could be admitted");
}

}  // namespace
}  // namespace stepcast

#include "scheduler/decide/admission.h"

#include <gtest/gtest.h>

#include "core/error_reason.h"
#include "scheduler/decide/step_scheduler.h"
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
  absl::StatusOr<AdmissionVerdict> Ask(AdmissionLimits limits, const TestJob& job, absl::Time now = kNow) {
    return CheckAdmission(limits, job.image_count == 0 ? std::vector<JobSpec>{} : MakeSpecs(job, sink_), scheduler_,
                          now);
  }
  // Takes in one job that is past its encode.
  void Take(const TestJob& job) {
    std::vector<std::unique_ptr<Job>> one;
    one.push_back(MakeJobAt(++last_id_, job, 0, sink_));
    scheduler_.Submit(std::move(one), kNow);
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

TEST_F(AdmissionTest, ATenantHasABoundOnAllItsJobsAndOneOnThoseThatWait) {
  Queue(3);
  AdmissionLimits limits;
  limits.tenant.max_jobs = 4;
  EXPECT_TRUE(Ask(limits, {}).ok());
  const absl::Status live = Ask(limits, {.image_count = 2}).status();
  EXPECT_EQ(ErrorReason(live), "TENANT_LIMIT");
  EXPECT_EQ(live.message(), "the tenant has 3 of at most 4 jobs waiting or running, and the request brings 2");
  EXPECT_TRUE(Ask(limits, {.image_count = 4, .tenant = "another"}).ok());
  limits.tenant.max_queued = 3;
  EXPECT_EQ(Ask(limits, {}).status().message(), "the tenant has 3 of at most 3 jobs waiting, and the request brings 1");
  limits = {};
  limits.tenant.max_queued_work = absl::Seconds(1);
  scheduler_.SetCurve({Phase::kDenoise, "emoji", 16, 16}, {{2, absl::Milliseconds(100)}});
  const absl::Status work = Ask(limits, {.steps = 20, .tenant = "another"}).status();
  EXPECT_EQ(ErrorReason(work), "TENANT_LIMIT");
  EXPECT_EQ(RetryDelayOf(work), absl::Seconds(1)) << "two seconds of work, one allowed";
}

TEST_F(AdmissionTest, WithoutKnownCostsNothingIsEstimated) {
  const absl::Time today = absl::FromUnixMicros(1'796'000'000'123'457);  // doubles of seconds round here
  const auto unknown = Ask({}, {}, today);
  ASSERT_TRUE(unknown.ok());
  EXPECT_EQ(unknown->wait, absl::ZeroDuration());
  EXPECT_EQ(unknown->total, absl::ZeroDuration());
  scheduler_.SetCurve({Phase::kDenoise, "emoji", 16, 16}, {{2, absl::Milliseconds(100)}});
  const auto known = Ask({}, {.steps = 20}, today);
  ASSERT_TRUE(known.ok());
  EXPECT_GE(known->wait, absl::ZeroDuration());
  EXPECT_GT(known->total, absl::Seconds(1));
}

// X is done at 2.0 s alone and due at 2.15 s; nothing has run until 0.12 s, so that it is close.
class PromisedAdmissionTest : public AdmissionTest {
 protected:
  void Promise(const std::vector<CostPoint>& curve) {
    scheduler_.SetCurve({Phase::kDenoise, "emoji", 16, 16}, curve);
    Take({.steps = 20, .arrival = kNow, .deadline = kNow + absl::Seconds(2.15)});
  }
  const absl::Time later_ = kNow + absl::Seconds(0.12);
};

TEST_F(PromisedAdmissionTest, NobodyIsTurnedAwayWhoDelaysNobody) {
  Promise({{2, absl::Milliseconds(100)}, {16, absl::Milliseconds(100)}});
  EXPECT_TRUE(Ask({}, {.steps = 20}, later_).ok());
}

TEST_F(PromisedAdmissionTest, WhoWouldMakeAnotherLateIsTurnedAway) {
  Promise({{2, absl::Milliseconds(100)}, {16, absl::Milliseconds(800)}});
  const absl::Time soon = later_ + absl::Seconds(1.8);
  const absl::Status status = Ask({}, {.steps = 10, .deadline = soon}, later_).status();
  EXPECT_EQ(ErrorReason(status), "DEADLINE_UNREACHABLE");
  EXPECT_EQ(status.message(), "the deadline cannot be met: too much was promised and is expected of others");
  EXPECT_TRUE(Ask({}, {.steps = 10}, later_).ok()) << "without a deadline it waits for the other";
  EXPECT_TRUE(Ask({}, {.steps = 10, .priority = Priority::kInteractive, .deadline = soon}, later_).ok())
      << "more urgent work is not turned away for promises to less urgent work";
}

TEST_F(AdmissionTest, AfterAPauseOnePictureMayFindOutWhatTheDeviceDoesNow) {
  const BatchKey key{Phase::kDenoise, "emoji", 16, 16};
  Take({.steps = 1});
  for (const double end : {5.0, 6.0}) {  // the denoise tick and the decode
    const StepPlan plan = scheduler_.Next(kNow);
    std::vector<StepResult> results(1);
    results[0].image = std::make_shared<Image>();
    scheduler_.Complete(plan, std::move(results), kNow + absl::Seconds(end));
  }
  ASSERT_EQ(scheduler_.live(), 0);
  const absl::Duration needs = 4 * scheduler_.costs().Predict(key, 2);
  const auto ask = [&](absl::Duration pause, double share, int images) {
    const absl::Time now = kNow + absl::Seconds(6) + pause;
    return Ask({}, {.image_count = images, .deadline = now + share * needs}, now).status();
  };
  EXPECT_EQ(ErrorReason(ask(absl::Seconds(9), 0.5, 1)), "DEADLINE_UNREACHABLE");
  EXPECT_TRUE(ask(absl::Seconds(10), 0.5, 1).ok());
  EXPECT_EQ(ErrorReason(ask(absl::Seconds(10), 0.5, 2)), "DEADLINE_UNREACHABLE") << "one, not two";
  EXPECT_EQ(ErrorReason(ask(absl::Seconds(10), 0.1, 1)), "DEADLINE_UNREACHABLE") << "nothing is ten times wrong";
}

}  // namespace
}  // namespace stepcast

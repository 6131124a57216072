#include "scheduler/loop/engine_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/error_reason.h"
#include "scheduler/costs/cost_cache.h"
#include "tests/support/await.h"
#include "tests/support/fake_executor.h"
#include "tests/support/job_builder.h"
#include "tests/support/recording_sink.h"

namespace stepcast {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class LoggingMetrics final : public EngineMetrics {
 public:
  void ObserveTick(std::string_view phase, std::string_view model, int jobs, int rows, absl::Duration took) override {
    Add(std::string(phase) + " " + std::string(model) + " jobs=" + std::to_string(jobs) +
        " rows=" + std::to_string(rows) + " " + absl::FormatDuration(took));
  }
  void SetQueue(int waiting, int running) override {
    Add("queue " + std::to_string(waiting) + "+" + std::to_string(running));
  }
  void CountJob(std::string_view model, std::string_view outcome, absl::Duration) override {
    Add(std::string(model) + " " + std::string(outcome));
  }
  void CountEmbeddingLookup(bool) override {}

  std::vector<std::string> lines() const {
    MutexLock lock(mutex_);
    return lines_;
  }

 private:
  void Add(std::string line) {
    MutexLock lock(mutex_);
    lines_.push_back(std::move(line));
  }
  mutable Mutex mutex_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mutex_);
};

// A decision that a test can wait for.
class Decision {
 public:
  auto Callback() {
    return [this](absl::StatusOr<Admission> admission) {
      admission_ = std::move(admission);
      done_.Notify();
    };
  }
  // REQUIRES: the loop lives, or has decided.
  const absl::StatusOr<Admission>& Get() {
    EXPECT_TRUE(done_.Await());
    return admission_;
  }

 private:
  absl::StatusOr<Admission> admission_ = absl::UnknownError("undecided");
  Notification done_;
};

class EngineLoopTest : public testing::Test {
 protected:
  void Start(FakeDeviceOptions device = {}, EngineLoopOptions options = {}) {
    loop_ = nullptr;  // an earlier one stops before its device goes
    if (device.latency) device.clock = &clock_;
    device_ = std::make_unique<FakeDevice>(std::move(device));
    auto loop = EngineLoop::Create(options, MakeFakeExecutor(*device_), clock_, metrics_);
    ASSERT_TRUE(loop.ok()) << loop.status();
    loop_ = *std::move(loop);
  }

  absl::StatusOr<Admission> Submit(const TestJob& job) {
    Decision decision;
    loop_->Submit(MakeSpecs(job, sink_), decision.Callback());
    return decision.Get();
  }

  // Returns once the loop has read all mail posted before.
  void Fence() {
    Decision decision;
    loop_->Submit({}, decision.Callback());
    EXPECT_EQ(decision.Get().status().code(), absl::StatusCode::kInvalidArgument);
  }

  void Advance(absl::Duration duration) {
    clock_.Advance(duration);
    loop_->Wake();
  }

  SimulatedClock clock_;
  LoggingMetrics metrics_;
  std::shared_ptr<RecordingSink> sink_ = std::make_shared<RecordingSink>();
  std::unique_ptr<FakeDevice> device_;
  std::unique_ptr<EngineLoop> loop_;
};

TEST_F(EngineLoopTest, PaintsAPicture) {
  Start({.latency = [](const StepPlan&) { return absl::Milliseconds(50); }});
  const auto admission = Submit({.steps = 2, .preview_every = 1});
  ASSERT_TRUE(admission.ok()) << admission.status();
  EXPECT_THAT(admission->jobs, ElementsAre(JobId{1}));
  EXPECT_EQ(admission->queue_position, 0);
  ASSERT_TRUE(sink_->AwaitFinished(1));
  EXPECT_THAT(sink_->Story(JobId{1}), ElementsAre("progress 1/2", "preview 1", "progress 2/2", "image", "finished OK"));
  EXPECT_EQ(sink_->Of<JobImage>(JobId{1})[0].image->pixels,
            ExpectedFakeImage(MakeSpecs({.steps = 2}, nullptr)[0])->pixels);
  loop_->Stop();
  EXPECT_EQ(device_->live_states(), 0);
  EXPECT_THAT(metrics_.lines(), ElementsAre("queue 1+0", "queue 0+1", "encode emoji jobs=1 rows=1 50ms",
                                            "denoise emoji jobs=1 rows=2 50ms", "denoise emoji jobs=1 rows=2 50ms",
                                            "decode emoji jobs=1 rows=1 50ms", "emoji succeeded", "queue 0+0"));
  const EngineStatus status = loop_->status();
  EXPECT_EQ(status.ticks, 4);
  EXPECT_EQ(status.last_progress, absl::UnixEpoch() + absl::Milliseconds(200));
  EXPECT_EQ(status.waiting + status.running, 0);
}

TEST_F(EngineLoopTest, AnObserverHearsOfRefusalsButNotOfThoseAtTheEnd) {
  class Refusals final : public SchedulerObserver {
   public:
    void OnSubmit(const Job&, absl::Time) override {}
    void OnRefuse(absl::Span<const JobSpec> request, const absl::Status& why, absl::Time) override {
      log.push_back(absl::StrCat(request.size(), " ", ErrorReason(why).value_or("-")));
    }
    void OnLeave(JobId, const absl::Status&, absl::Time) override {}
    void OnPlan(const StepPlan&, absl::Time) override {}
    void OnComplete(const StepPlan&, absl::Span<const StepResult>, absl::Time) override {}
    std::vector<std::string> log;  // written by the engine thread, read after Stop
  } refusals;
  EngineLoopOptions options;
  options.admission.max_queued_jobs = 2;
  options.observer = &refusals;
  Start({}, options);
  EXPECT_EQ(ErrorReason(Submit({.image_count = 3}).status()), "QUEUE_FULL");
  loop_->Drain(absl::InfiniteFuture(), [] {});
  EXPECT_EQ(ErrorReason(Submit({.image_count = 3}).status()), "DRAINING");
  loop_->Stop();
  EXPECT_THAT(refusals.log, ElementsAre("3 QUEUE_FULL"));
}

TEST_F(EngineLoopTest, CachedEmbeddingsSkipTheEncode) {
  Start({.embeddings_cached = true});
  ASSERT_TRUE(Submit({.steps = 1}).ok());
  ASSERT_TRUE(sink_->AwaitFinished(1));
  EXPECT_THAT(device_->PlanLog(),
              ElementsAre("#1 denoise:emoji:16x16 rows=2 jobs=1", "#2 decode:emoji:16x16 rows=1 jobs=1"));
}

TEST_F(EngineLoopTest, TheExecutorIsToldOnceEachTimeNoJobIsLeft) {
  Start();
  ASSERT_TRUE(Await([this] { return device_->idles() == 1; })) << "after whatever came before the first job";
  ASSERT_TRUE(Submit({.image_count = 2}).ok());
  ASSERT_TRUE(sink_->AwaitFinished(2));
  ASSERT_TRUE(Await([this] { return device_->idles() == 2; }));
  Fence();
  Fence();
  loop_->Stop();
  EXPECT_EQ(device_->idles(), 2);
}

TEST_F(EngineLoopTest, OptionsAndLimitsAreChecked) {
  struct Case {
    EngineLoopOptions options;
    ExecutorLimits limits;
    const char* message;
  };
  const Case cases[] = {
      {{.policy = {.name = "x"}}, {}, "scheduler.policy is 'x'; known: slo, fifo, request_level, serial"},
      {{.admission = {.max_queued_jobs = 0}}, {}, "scheduler.max_queued_jobs is 0; allowed: 1..100000"},
      {{.admission = {.max_queued_jobs = 100'001}}, {}, "scheduler.max_queued_jobs is 100001; allowed: 1..100000"},
      {{.heartbeat = absl::ZeroDuration()}, {}, "heartbeat is 0; it must be positive"},
      {{}, {.max_denoise_rows = 1}, "max_denoise_rows is 1; allowed: 2..4096"},
      {{}, {.max_encode_jobs = 0}, "max_encode_jobs is 0; allowed: 1..4096"},
      {{}, {.max_decode_jobs = 0}, "max_decode_jobs is 0; allowed: 1..4096"},
  };
  for (const Case& c : cases) {
    FakeDevice device({.limits = c.limits});
    EXPECT_EQ(EngineLoop::Create(c.options, MakeFakeExecutor(device), clock_, metrics_).status(),
              absl::InvalidArgumentError(c.message));
  }
}

TEST_F(EngineLoopTest, ARequestComesInWholeOrNotAtAll) {
  Start({}, {.policy = {.name = "serial"}, .admission = {.max_queued_jobs = 3}});
  device_->Hold();
  ASSERT_TRUE(Submit({}).ok());
  ASSERT_TRUE(device_->AwaitHeld());
  Decision pair, too_many, last;
  loop_->Submit(MakeSpecs({.image_count = 2}, sink_), pair.Callback());
  loop_->Submit(MakeSpecs({.image_count = 2}, sink_), too_many.Callback());
  loop_->Submit(MakeSpecs({}, sink_), last.Callback());
  device_->Release();
  ASSERT_TRUE(pair.Get().ok());
  EXPECT_THAT(pair.Get()->jobs, ElementsAre(JobId{2}, JobId{3}));
  EXPECT_EQ(too_many.Get().status().message(), "the queue is full: 2 of at most 3 jobs wait and the request brings 2");
  EXPECT_EQ(ErrorReason(too_many.Get().status()), "QUEUE_FULL");
  ASSERT_TRUE(last.Get().ok());
  EXPECT_EQ(last.Get()->queue_position, 2);
  ASSERT_TRUE(sink_->AwaitFinished(4));
  EXPECT_EQ(sink_->finished(), 4);
}

TEST_F(EngineLoopTest, ADryRunAnswersAsSubmitWouldAndAdmitsNothing) {
  Start({}, {.admission = {.max_queued_jobs = 3}});
  absl::StatusOr<AdmissionVerdict> fits = absl::UnknownError(""), too_many = absl::UnknownError("");
  Notification done;
  loop_->Estimate(MakeSpecs({.image_count = 3}, sink_), [&](auto verdict) { fits = std::move(verdict); });
  loop_->Estimate(MakeSpecs({.image_count = 4}, sink_), [&](auto verdict) {
    too_many = std::move(verdict);
    done.Notify();
  });
  ASSERT_TRUE(done.Await());
  ASSERT_TRUE(fits.ok()) << fits.status();
  EXPECT_EQ(fits->queue_position, 0);
  EXPECT_EQ(ErrorReason(too_many.status()), "QUEUE_FULL");
  EXPECT_EQ(device_->plans(), 0);
  loop_->Stop();
  loop_->Estimate(MakeSpecs({}, sink_), [&](auto verdict) { fits = std::move(verdict); });
  EXPECT_EQ(fits.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(sink_->events(), IsEmpty());
}

TEST_F(EngineLoopTest, ASnapshotShowsTheLiveJobs) {
  Start({}, {.policy = {.name = "request_level", .max_queue_delay = absl::Hours(1)}});
  ASSERT_TRUE(Submit({.steps = 7, .tenant = "zoo", .arrival = clock_.Now()}).ok());
  ScheduleView view;
  Notification done;
  loop_->Snapshot([&](ScheduleView now) {
    view = std::move(now);
    done.Notify();
  });
  ASSERT_TRUE(done.Await());
  EXPECT_EQ(view.policy, "request_level");
  ASSERT_EQ(view.jobs.size(), 1u);
  EXPECT_EQ(view.jobs[0].id, JobId{1});
  EXPECT_EQ(view.jobs[0].tenant, "zoo");
  EXPECT_EQ(view.jobs[0].evaluations, 7);
  EXPECT_EQ(view.waiting, 1);
}

TEST_F(EngineLoopTest, WhatWasMeasuredOutlivesTheLoop) {
  const std::string cache = testing::TempDir() + "/engine_loop_costs";
  std::remove(cache.c_str());
  EngineLoopOptions options;
  options.profile.cache_file = cache;
  options.profile.fingerprint = "f";
  options.profile.keys = {{Phase::kDenoise, "emoji", 16, 16}};
  Start({.latency = [](const StepPlan&) { return absl::Milliseconds(50); }, .embeddings_cached = true}, options);
  ASSERT_TRUE(Submit({.steps = 3}).ok());
  ASSERT_TRUE(sink_->AwaitFinished(1));
  EXPECT_TRUE(loop_->status().ready);
  loop_->Stop();
  const auto costs = ReadCostCache(cache, "f");
  ASSERT_TRUE(costs.ok()) << costs.status();
  ASSERT_EQ(costs->size(), 2u);
  EXPECT_EQ((*costs)[0].points[0], (CostPoint{2, absl::Milliseconds(50)}));

  std::string warning;
  options.profile.on_warning = [&](const absl::Status& status) { warning = std::string(status.message()); };
  Start({}, options);
  ScheduleView view;
  Notification done;
  loop_->Snapshot([&](ScheduleView now) {
    view = std::move(now);
    done.Notify();
  });
  ASSERT_TRUE(done.Await());
  ASSERT_EQ(view.costs.size(), costs->size());
  for (size_t i = 0; i < costs->size(); ++i) {
    EXPECT_EQ(view.costs[i].points, (*costs)[i].points);
    EXPECT_EQ((*costs)[i].row_cap, 0) << "the next run may have other limits";
  }
  EXPECT_EQ(warning, "");
  options.profile.fingerprint = "another device";
  Start({}, options);
  Fence();
  EXPECT_THAT(warning, HasSubstr("was measured for 'f'"));
}

TEST_F(EngineLoopTest, MoreStartedJobsThanTheDeviceHoldsAreParkedAndComeBack) {
  Start({.limits = {.max_denoise_rows = 2, .max_resident_jobs = 1}, .embeddings_cached = true},
        {.policy = {.name = "fifo"}});
  device_->Hold();
  ASSERT_TRUE(Submit({.steps = 3}).ok());
  ASSERT_TRUE(device_->AwaitHeld());
  Decision second;
  loop_->Submit(MakeSpecs({.width = 32, .steps = 3}, sink_), second.Callback());
  device_->Release();
  ASSERT_TRUE(second.Get().ok());
  ASSERT_TRUE(sink_->AwaitFinished(2));
  EXPECT_THAT(device_->PlanLog(), Contains("#2 denoise:emoji:16x8 rows=2 jobs=2 evict=1"));
  EXPECT_THAT(device_->PlanLog(), Contains("#3 denoise:emoji:16x16 rows=2 jobs=1 evict=2"));
  for (const int64_t id : {1, 2}) EXPECT_TRUE(sink_->StatusOf(JobId{id})->ok());
  EXPECT_EQ(sink_->Of<JobImage>(JobId{1})[0].image->pixels,
            ExpectedFakeImage(MakeSpecs({.steps = 3}, nullptr)[0])->pixels);
}

TEST_F(EngineLoopTest, IdsNameTheirLoop) {
  Start({}, {.id_first = 2, .id_stride = 3});
  const auto admission = Submit({.image_count = 2});
  ASSERT_TRUE(admission.ok());
  EXPECT_THAT(admission->jobs, ElementsAre(JobId{2}, JobId{5}));
  ASSERT_TRUE(sink_->AwaitFinished(2));
}

TEST_F(EngineLoopTest, ADecisionComesBeforeTheFirstEvent) {
  Start();
  std::atomic<size_t> events_at_decision = 99;
  Notification decided;
  loop_->Submit(MakeSpecs({}, sink_), [&](absl::StatusOr<Admission>) {
    events_at_decision = sink_->events().size();
    decided.Notify();
  });
  ASSERT_TRUE(decided.Await());
  EXPECT_EQ(events_at_decision, 0u);
  ASSERT_TRUE(sink_->AwaitFinished(1));
}

TEST_F(EngineLoopTest, ALateRequestIsRefused) {
  Start();
  Advance(absl::Seconds(5));
  EXPECT_EQ(Submit({.deadline = absl::UnixEpoch() + absl::Seconds(4)}).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(sink_->events(), IsEmpty());
}

TEST_F(EngineLoopTest, WhoIsCancelledInATickEndsWithIt) {
  Start({.embeddings_cached = true});
  device_->Hold();
  ASSERT_TRUE(Submit({.steps = 50}).ok());
  ASSERT_TRUE(device_->AwaitHeld());
  loop_->Cancel(JobId{1}, absl::CancelledError("gone"));
  device_->Release();
  ASSERT_TRUE(sink_->AwaitFinished(1));
  EXPECT_THAT(sink_->Story(JobId{1}), ElementsAre("finished CANCELLED"));
  EXPECT_EQ(device_->live_states(), 0);
  EXPECT_EQ(device_->plans(), 1);
}

TEST_F(EngineLoopTest, AThrowingExecutorFailsItsPlanAndNothingElse) {
  Start({.limits = {.max_denoise_rows = 2}, .embeddings_cached = true});
  device_->SetCrash([](const StepPlan& plan) { return plan.phase() == Phase::kDenoise && plan.jobs[0] == JobId{1}; });
  ASSERT_TRUE(Submit({}).ok());
  ASSERT_TRUE(Submit({}).ok());
  ASSERT_TRUE(sink_->AwaitFinished(2));
  EXPECT_EQ(sink_->StatusOf(JobId{1}),
            WithReason(absl::InternalError("the executor threw: scripted crash"), "ENGINE_ERROR"));
  EXPECT_TRUE(sink_->StatusOf(JobId{2})->ok());
  EXPECT_THAT(metrics_.lines(), Contains("emoji failed"));
}

TEST_F(EngineLoopTest, AFailedStartFailsItsJobOnly) {
  Start();
  device_->SetStartFault([](const Job& job) {
    return job.spec().image_index == 1 ? absl::InternalError("no conditioning") : absl::OkStatus();
  });
  ASSERT_TRUE(Submit({.image_count = 3}).ok());
  ASSERT_TRUE(sink_->AwaitFinished(3));
  EXPECT_TRUE(sink_->StatusOf(JobId{1})->ok());
  EXPECT_EQ(sink_->StatusOf(JobId{2}), absl::InternalError("no conditioning"));
  EXPECT_TRUE(sink_->StatusOf(JobId{3})->ok());
}

TEST_F(EngineLoopTest, ADeadlineWakesAnIdleLoop) {
  Start({}, {.policy = {.name = "request_level", .max_queue_delay = absl::Hours(1)}});
  ASSERT_TRUE(Submit({.arrival = clock_.Now(), .deadline = clock_.Now() + absl::Seconds(30)}).ok());
  Advance(absl::Seconds(29));
  Fence();
  EXPECT_EQ(sink_->finished(), 0);
  Advance(absl::Seconds(1));
  ASSERT_TRUE(sink_->AwaitFinished(1));
  EXPECT_EQ(sink_->StatusOf(JobId{1})->code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(EngineLoopTest, ABatchOpensWhenItsDelayIsOver) {
  Start({}, {.policy = {.name = "request_level", .max_queue_delay = absl::Seconds(2)}});
  ASSERT_TRUE(Submit({.arrival = clock_.Now()}).ok());
  Fence();
  EXPECT_EQ(device_->plans(), 0);
  Advance(absl::Seconds(2));
  ASSERT_TRUE(sink_->AwaitFinished(1));
}

TEST_F(EngineLoopTest, QueuedJobsHearHeartbeats) {
  Start({}, {.policy = {.name = "request_level", .max_queue_delay = absl::Hours(1)}});
  ASSERT_TRUE(Submit({.arrival = clock_.Now()}).ok());
  ASSERT_TRUE(Submit({.arrival = clock_.Now()}).ok());
  for (int beat = 1; beat <= 3; ++beat) {
    Advance(absl::Seconds(5));
    ASSERT_TRUE(sink_->AwaitEvents(2 * beat));
  }
  const auto beats = sink_->Of<JobProgress>(JobId{2});
  EXPECT_EQ(beats.size(), 3u);
  EXPECT_EQ(beats.back().queue_position, 1);
  EXPECT_EQ(beats.back().evaluations_done, 0);
}

TEST_F(EngineLoopTest, DrainLetsAdmittedJobsFinishAndRefusesNewOnes) {
  Start();
  device_->Hold();
  ASSERT_TRUE(Submit({.image_count = 2}).ok());
  ASSERT_TRUE(device_->AwaitHeld());
  Notification drained;
  loop_->Drain(absl::InfiniteFuture(), [&] { drained.Notify(); });
  EXPECT_TRUE(loop_->status().draining) << "readiness must not wait for the tick";
  Decision late;
  loop_->Submit(MakeSpecs({}, sink_), late.Callback());
  EXPECT_FALSE(drained.notified());
  device_->Release();
  EXPECT_EQ(late.Get().status(), WithReason(absl::UnavailableError("the engine is draining"), "DRAINING"));
  ASSERT_TRUE(drained.Await());
  EXPECT_EQ(sink_->finished(), 2);
  for (const int64_t id : {1, 2}) EXPECT_TRUE(sink_->StatusOf(JobId{id})->ok());
}

TEST_F(EngineLoopTest, DrainCancelsTheRestAtItsDeadline) {
  Start({}, {.policy = {.name = "request_level", .max_queue_delay = absl::Hours(1)}});
  ASSERT_TRUE(Submit({.arrival = clock_.Now()}).ok());
  Notification drained, drained_again;
  loop_->Drain(clock_.Now() + absl::Seconds(20), [&] { drained.Notify(); });
  loop_->Wake();
  EXPECT_FALSE(drained.notified());
  loop_->Drain(clock_.Now() + absl::Hours(2), [&] { drained_again.Notify(); });
  Advance(absl::Seconds(20));
  ASSERT_TRUE(drained.Await());
  ASSERT_TRUE(drained_again.Await());
  EXPECT_EQ(sink_->StatusOf(JobId{1}), WithReason(absl::UnavailableError("the engine is shutting down"), "DRAINING"));
}

// The rest of a picture that was handed out.
std::vector<JobSpec> RestOf(const TestJob& job, const JobSaved& saved, std::shared_ptr<EventSink> sink) {
  auto request = std::make_shared<GenerationRequest>(*MakeRequest(job));
  request->resume = std::make_shared<const ResumePoint>(ResumePoint{saved.evaluations_done, *saved.state});
  JobSpec spec = MakeJobSpec(std::move(request), MakeRecipe(job));
  spec.sink = std::move(sink);
  return {std::move(spec)};
}

TEST_F(EngineLoopTest, WhatADrainCannotFinishIsHandedOutAndGoesOnElsewhere) {
  const TestJob job{.steps = 10};
  Start({.latency = [](const StepPlan&) { return absl::Seconds(1); }}, {.hands_out = true});
  device_->Hold();
  ASSERT_TRUE(Submit(job).ok());
  ASSERT_TRUE(device_->AwaitHeld());
  Notification drained;
  // Costs are not known yet: nobody is given up before the end.
  loop_->Drain(clock_.Now() + absl::Milliseconds(4500), [&] { drained.Notify(); });
  device_->Release();
  ASSERT_TRUE(drained.Await());
  const std::vector<JobSaved> saved = sink_->Of<JobSaved>(JobId{1});
  ASSERT_EQ(saved.size(), 1u);
  EXPECT_TRUE(saved[0].handed_out);
  EXPECT_EQ(saved[0].evaluations_done, 4) << "an encode and four evaluations are over at 5 s";
  EXPECT_EQ(saved[0].evaluations_total, 10);
  EXPECT_EQ(ErrorReason(*sink_->StatusOf(JobId{1})), "DRAINING");

  const auto sink = std::make_shared<RecordingSink>();
  Start();
  Decision decision;
  loop_->Submit(RestOf(job, saved[0], sink), decision.Callback());
  ASSERT_TRUE(decision.Get().ok());
  ASSERT_TRUE(sink->AwaitFinished(1));
  EXPECT_EQ(sink->Story(JobId{1}).front(), "progress 5/10");
  EXPECT_EQ(sink->Of<JobImage>(JobId{1}).at(0).image->pixels, ExpectedFakeImage(MakeSpecs(job, nullptr)[0])->pixels);
}

TEST_F(EngineLoopTest, WhoeverWillBeLateIsHandedOutAtOnce) {
  Start({.latency = [](const StepPlan&) { return absl::Seconds(1); }},
        {.policy = {.name = "serial"}, .hands_out = true});
  ASSERT_TRUE(Submit({.steps = 8}).ok());  // costs are known from now on
  ASSERT_TRUE(sink_->AwaitFinished(1));
  device_->Hold();
  ASSERT_TRUE(Submit({.steps = 8, .image_count = 2}).ok());
  ASSERT_TRUE(device_->AwaitHeld());
  Notification drained;
  loop_->Drain(clock_.Now() + absl::Seconds(15), [&] { drained.Notify(); });
  device_->Release();
  ASSERT_TRUE(drained.Await());
  EXPECT_TRUE(sink_->StatusOf(JobId{2})->ok()) << "ten ticks are left of it";
  const std::vector<JobSaved> saved = sink_->Of<JobSaved>(JobId{3});
  ASSERT_EQ(saved.size(), 1u);
  EXPECT_EQ(saved[0].state, nullptr) << "it had not begun";
  EXPECT_EQ(saved[0].evaluations_done, 0);
}

TEST_F(EngineLoopTest, WhoeverCannotBeSavedIsHandedOutWithNothing) {
  Start({.latency = [](const StepPlan&) { return absl::Seconds(1); }}, {.hands_out = true});
  device_->SetParkFault([] { return absl::InternalError("no memory"); });
  device_->Hold();
  ASSERT_TRUE(Submit({.steps = 10}).ok());
  ASSERT_TRUE(device_->AwaitHeld());
  Notification drained;
  loop_->Drain(clock_.Now() + absl::Seconds(4), [&] { drained.Notify(); });
  device_->Release();
  ASSERT_TRUE(drained.Await());
  EXPECT_EQ(sink_->Of<JobSaved>(JobId{1}).at(0).state, nullptr);
  EXPECT_EQ(ErrorReason(*sink_->StatusOf(JobId{1})), "DRAINING");
}

TEST_F(EngineLoopTest, AnEmptyLoopDrainsAtOnce) {
  Start();
  Notification drained;
  loop_->Drain(absl::InfiniteFuture(), [&] { drained.Notify(); });
  EXPECT_TRUE(drained.Await());
}

TEST_F(EngineLoopTest, StopEndsEverythingAndAnswersEverybody) {
  Start({}, {.policy = {.name = "request_level", .max_queue_delay = absl::Hours(1)}});
  ASSERT_TRUE(Submit({.image_count = 3, .arrival = clock_.Now()}).ok());
  Notification drained;
  loop_->Drain(absl::InfiniteFuture(), [&] { drained.Notify(); });
  loop_->Stop();
  loop_->Stop();
  EXPECT_TRUE(drained.notified());
  EXPECT_EQ(sink_->finished(), 3);
  for (const int64_t id : {1, 2, 3}) {
    EXPECT_EQ(sink_->StatusOf(JobId{id}), WithReason(absl::UnavailableError("the engine has stopped"), "DRAINING"));
  }
  EXPECT_EQ(device_->live_states(), 0);
  EXPECT_EQ(loop_->status().waiting, 0);

  Decision late;
  Notification late_drain;
  loop_->Submit(MakeSpecs({}, sink_), late.Callback());
  loop_->Drain(absl::InfiniteFuture(), [&] { late_drain.Notify(); });
  loop_->Cancel(JobId{1}, absl::CancelledError(""));
  EXPECT_EQ(late.Get().status(), WithReason(absl::UnavailableError("the engine has stopped"), "DRAINING"));
  EXPECT_TRUE(late_drain.notified());
  EXPECT_EQ(sink_->finished(), 3);
}

TEST_F(EngineLoopTest, TheDestructorEndsLiveJobs) {
  Start();
  device_->Hold();
  ASSERT_TRUE(Submit({.image_count = 4}).ok());
  ASSERT_TRUE(device_->AwaitHeld());
  // Cannot be released after the reset: it waits for the tick. The stop may come before or after the release.
  std::thread releaser([&] { device_->Release(); });
  loop_.reset();
  releaser.join();
  EXPECT_EQ(sink_->finished(), 4);
  EXPECT_EQ(device_->live_states(), 0);
}

TEST_F(EngineLoopTest, SinksAndCallbacksMayCallTheLoop) {
  // Cancels its job from within an event.
  class CancellingSink final : public EventSink {
   public:
    explicit CancellingSink(std::shared_ptr<RecordingSink> next) : next_(std::move(next)) {}
    void OnEvent(JobEvent event) override {
      if (std::holds_alternative<JobProgress>(event.what)) {
        loop->Cancel(event.job, absl::CancelledError("after the first step"));
      }
      next_->OnEvent(std::move(event));
    }
    EngineLoop* loop = nullptr;

   private:
    const std::shared_ptr<RecordingSink> next_;
  };
  Start();
  auto cancelling = std::make_shared<CancellingSink>(sink_);
  cancelling->loop = loop_.get();
  Notification second;
  loop_->Submit(MakeSpecs({.steps = 30}, cancelling), [&](absl::StatusOr<Admission> admission) {
    ASSERT_TRUE(admission.ok());
    loop_->Submit(MakeSpecs({}, sink_), [&](absl::StatusOr<Admission>) { second.Notify(); });
  });
  ASSERT_TRUE(second.Await());
  ASSERT_TRUE(sink_->AwaitFinished(2));
  EXPECT_EQ(sink_->StatusOf(JobId{1}), absl::CancelledError("after the first step"));
  EXPECT_TRUE(sink_->StatusOf(JobId{2})->ok());
}

TEST_F(EngineLoopTest, AStormOfSubmitsAndCancelsLosesNothing) {
  Start({.limits = {.max_denoise_rows = 8}}, {.admission = {.max_queued_jobs = 100'000}});
  constexpr int kThreads = 4;
  constexpr int kRequests = 100;
  std::atomic<int> admitted{0};
  std::atomic<int> decided{0};
  std::vector<std::thread> clients;
  for (int client = 0; client < kThreads; ++client) {
    clients.emplace_back([&, client] {
      for (int i = 0; i < kRequests; ++i) {
        const TestJob job{
            .width = 8 * (1 + (client + i) % 3), .height = 8, .steps = 1 + i % 5, .seed = client * 1000 + i};
        loop_->Submit(MakeSpecs(job, sink_), [&, i](absl::StatusOr<Admission> admission) {
          ++decided;
          if (!admission.ok()) return;
          ++admitted;
          if (i % 3 == 0) loop_->Cancel(admission->jobs[0], absl::CancelledError("storm"));
        });
        loop_->Cancel(JobId{client * kRequests + i}, absl::CancelledError("storm, from outside"));
        (void)loop_->status();
      }
    });
  }
  for (std::thread& client : clients) client.join();
  Notification drained;
  loop_->Drain(absl::InfiniteFuture(), [&] { drained.Notify(); });
  ASSERT_TRUE(drained.Await());
  EXPECT_EQ(decided, kThreads * kRequests);
  EXPECT_EQ(admitted, kThreads * kRequests);
  EXPECT_EQ(sink_->finished(), kThreads * kRequests);
  EXPECT_EQ(device_->live_states(), 0);
}

TEST_F(EngineLoopTest, ALostDeviceEndsEveryJobAndAdmitsNoMore) {
  Start();
  device_->Hold();
  ASSERT_TRUE(Submit({.steps = 9, .seed = 1}).ok());
  ASSERT_TRUE(device_->AwaitHeld());
  // Of another key, so that no denoise tick contains both.
  Decision other;
  loop_->Submit(MakeSpecs({.width = 128, .steps = 9, .seed = 2}, sink_), other.Callback());
  device_->SetFault([](const Job&, Phase phase) {
    return phase == Phase::kDenoise ? WithReason(absl::UnavailableError("gone"), "DEVICE_LOST") : absl::OkStatus();
  });
  device_->Release();
  ASSERT_TRUE(other.Get().ok());
  ASSERT_TRUE(sink_->AwaitFinished(2));
  for (const JobId job : {JobId{1}, JobId{2}}) EXPECT_EQ(ErrorReason(*sink_->StatusOf(job)), "DEVICE_LOST") << job;
  const int plans = device_->plans();
  EXPECT_EQ(ErrorReason(Submit({}).status()), "DEVICE_LOST");
  EXPECT_EQ(device_->plans(), plans) << "it is not asked again";
  EXPECT_TRUE(loop_->status().lost);
  EXPECT_EQ(device_->live_states(), 0);
}

}  // namespace
}  // namespace stepcast

// EngineLoop::Learn: what synthetic ticks of a serving loop are run, and when.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "core/mutex.h"
#include "scheduler/loop/engine_loop.h"
#include "tests/support/await.h"
#include "tests/support/fake_executor.h"
#include "tests/support/job_builder.h"
#include "tests/support/recording_sink.h"

namespace stepcast {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const BatchKey kDecode = {.phase = Phase::kDecode, .model = "emoji", .latent_height = 16, .latent_width = 16};
const BatchKey kGone = {.phase = Phase::kDecode, .model = "gone", .latent_height = 16, .latent_width = 16};

// "decode emoji 1", in order; real plans by their phase alone.
//
// Thread-safety: all methods may be called from any thread.
class TickLog {
 public:
  void Add(std::string line) {
    MutexLock lock(mutex_);
    lines_.push_back(std::move(line));
  }
  std::vector<std::string> lines() const {
    MutexLock lock(mutex_);
    return lines_;
  }

 private:
  mutable Mutex mutex_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mutex_);
};

// A fake engine whose synthetic ticks take a millisecond a row; those of "gone" fail.
class LearningExecutor final : public StepExecutor {
 public:
  LearningExecutor(FakeDevice& device, SimulatedClock& clock, TickLog& log)
      : inner_(MakeFakeExecutor(device)), clock_(clock), log_(log) {}

  absl::Status Start(Job& job) override { return inner_->Start(job); }
  std::vector<StepResult> Execute(const StepPlan& plan, absl::Span<Job* const> jobs) override {
    log_.Add(std::string(PhaseName(plan.phase())));
    return inner_->Execute(plan, jobs);
  }
  ExecutorLimits Limits() const override { return {.max_denoise_rows = 8, .max_decode_jobs = 2}; }
  absl::Status RunSynthetic(const BatchKey& key, int rows) override {
    log_.Add(absl::StrCat("synthetic ", key.model, " ", rows));
    clock_.Advance(absl::Milliseconds(rows));
    return key.model == "gone" ? absl::NotFoundError("it was unloaded") : absl::OkStatus();
  }

 private:
  const std::unique_ptr<StepExecutor> inner_;
  SimulatedClock& clock_;
  TickLog& log_;
};

class LearnTest : public testing::Test {
 protected:
  void Start(absl::Duration budget) {
    EngineLoopOptions options;
    options.profile.budget = budget;
    auto loop =
        EngineLoop::Create(options, std::make_unique<LearningExecutor>(device_, clock_, log_), clock_, metrics_);
    ASSERT_TRUE(loop.ok()) << loop.status();
    loop_ = *std::move(loop);
  }
  // The loop has read what was posted before.
  std::vector<CostEntry> Costs() {
    std::vector<CostEntry> costs;
    Notification done;
    loop_->Snapshot([&](ScheduleView view) {
      costs = std::move(view.costs);
      done.Notify();
    });
    EXPECT_TRUE(done.Await());
    return costs;
  }

  SimulatedClock clock_;
  NullEngineMetrics metrics_;
  TickLog log_;
  FakeDevice device_;
  std::unique_ptr<EngineLoop> loop_;
};

TEST_F(LearnTest, AnIdleLoopMeasuresWhatItDoesNotKnow) {
  Start(absl::Seconds(1));
  loop_->Learn({kDecode});
  std::vector<CostEntry> costs;
  // The view may be of the moment before the last tick is counted.
  ASSERT_TRUE(Await([&] {
    costs = Costs();
    return costs.size() == 1 && costs[0].points.size() == 2;
  }));
  loop_->Learn({kDecode});
  (void)Costs();
  EXPECT_EQ(costs[0].key, kDecode);
  EXPECT_THAT(costs[0].points, ElementsAre(CostPoint{.rows = 1, .cost = absl::Milliseconds(1)},
                                           CostPoint{.rows = 2, .cost = absl::Milliseconds(2)}));
  loop_->Stop();
  EXPECT_THAT(log_.lines(), ElementsAre("synthetic emoji 1", "synthetic emoji 1", "synthetic emoji 2"))
      << "the first is thrown away; what is known is not measured again";
}

TEST_F(LearnTest, NothingIsMeasuredWhileSomebodyIsHere) {
  Start(absl::Seconds(1));
  device_.Hold();
  const auto sink = std::make_shared<RecordingSink>();
  loop_->Submit(MakeSpecs({.steps = 2}, sink), [](const absl::StatusOr<Admission>&) {});
  ASSERT_TRUE(device_.AwaitHeld());
  loop_->Learn({kDecode});
  device_.Release();
  ASSERT_TRUE(sink->AwaitFinished(1));
  (void)Costs();
  loop_->Stop();
  const std::vector<std::string> lines = log_.lines();
  const std::vector<std::string> real(lines.begin(), lines.begin() + 4);
  EXPECT_THAT(real, ElementsAre("encode", "denoise", "denoise", "decode"));
}

TEST_F(LearnTest, AModelThatIsGoneStopsNothing) {
  Start(absl::Seconds(1));
  loop_->Learn({kGone, kDecode});
  ASSERT_TRUE(Await([&] { return log_.lines().size() == 4; }));
  EXPECT_EQ(Costs().size(), 1u);
  const auto sink = std::make_shared<RecordingSink>();
  loop_->Submit(MakeSpecs({.steps = 1}, sink), [](const absl::StatusOr<Admission>&) {});
  EXPECT_TRUE(sink->AwaitFinished(1));
}

TEST_F(LearnTest, WithoutABudgetNothingIsMeasured) {
  Start(absl::ZeroDuration());
  loop_->Learn({kDecode});
  EXPECT_THAT(Costs(), IsEmpty());
  loop_->Stop();
  EXPECT_THAT(log_.lines(), IsEmpty());
}

}  // namespace
}  // namespace stepcast

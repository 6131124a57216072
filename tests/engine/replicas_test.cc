// Several executors in one process: two loops with one thread each work at the same time, share one copy of the weights
// and paint what one loop paints.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/mutex.h"
#include "engine/start/engine_factory.h"
#include "scheduler/loop/engine_loop.h"
#include "tests/engine/picture_jobs.h"
#include "tests/support/recording_sink.h"

namespace stepcast::engine {
namespace {

constexpr int kPictures = 4;

// As in batch_invariance_test: batches of other sizes sum in another order.
constexpr int kLargestDifference = 1;

// Holds whoever comes until both have come: passing it proves that two ticks ran at the same time.
class Meeting {
 public:
  void Enter() {
    const MutexLock lock(mutex_);
    ++inside_;
    changed_.NotifyAll();
    while (inside_ < 2) changed_.Wait(mutex_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int inside_ ABSL_GUARDED_BY(mutex_) = 0;
};

// An executor whose first denoise tick waits for the other's.
class MeetingExecutor final : public StepExecutor {
 public:
  MeetingExecutor(std::unique_ptr<StepExecutor> real, Meeting& meeting) : real_(std::move(real)), meeting_(meeting) {}

  absl::Status Start(Job& job) override { return real_->Start(job); }
  std::vector<StepResult> Execute(const StepPlan& plan, absl::Span<Job* const> jobs) override {
    if (plan.phase() == Phase::kDenoise && !std::exchange(met_, true)) meeting_.Enter();
    return real_->Execute(plan, jobs);
  }
  ExecutorLimits Limits() const override { return real_->Limits(); }

 private:
  const std::unique_ptr<StepExecutor> real_;
  Meeting& meeting_;
  bool met_ = false;
};

LoadedEngine Load(int replicas) {
  static NullEngineMetrics metrics;
  EngineOptions options;
  options.models = {{.id = "emoji", .path = STEPCAST_SOURCE_DIR "/models/emoji"}};
  options.device = "cpu";
  options.threads = 2;
  options.replicas = replicas;
  options.warm_up = false;
  absl::StatusOr<LoadedEngine> engine = CreateEngine(options, metrics);
  if (!engine.ok()) {
    ADD_FAILURE() << engine.status();
    return {};
  }
  return *std::move(engine);
}

// Paints picture i on loop i % loops; returns the pictures in order.
std::vector<SharedImage> Paint(LoadedEngine engine, std::vector<int64_t>& ticks) {
  static NullEngineMetrics metrics;
  Meeting meeting;
  std::vector<std::unique_ptr<EngineLoop>> loops;
  const bool several = engine.devices.size() > 1;
  for (LoadedDevice& device : engine.devices) {
    std::unique_ptr<StepExecutor> executor = std::move(device.executor);
    if (several) executor = std::make_unique<MeetingExecutor>(std::move(executor), meeting);
    loops.push_back(*EngineLoop::Create({}, std::move(executor), RealClock(), metrics));
  }
  std::vector<std::shared_ptr<RecordingSink>> sinks;
  for (int i = 0; i < kPictures; ++i) {
    sinks.push_back(std::make_shared<RecordingSink>());
    const Picture picture = {.prompt = std::vector<int32_t>(77, 3 + i),
                             .negative = std::vector<int32_t>(77, 1),
                             .width = 64,
                             .height = 64,
                             .steps = 3,
                             .seed = i};
    JobSpec spec = MakePictureSpec(engine.models.front(), picture, sinks.back());
    spec.arrival = RealClock().Now();
    loops[static_cast<size_t>(i) % loops.size()]->Submit(
        {std::move(spec)}, [](absl::StatusOr<Admission> admission) { EXPECT_TRUE(admission.ok()); });
  }
  std::vector<SharedImage> images;
  for (const auto& sink : sinks) {
    EXPECT_TRUE(sink->AwaitFinished(1));
    for (const JobEvent& event : sink->events()) {
      if (const JobImage* image = std::get_if<JobImage>(&event.what)) images.push_back(image->image);
    }
  }
  for (const auto& loop : loops) ticks.push_back(loop->status().ticks);
  return images;
}

TEST(ReplicasTest, TwoLoopsWorkAtTheSameTimeAndPaintWhatOnePaints) {
  LoadedEngine one = Load(1);
  LoadedEngine two = Load(2);
  ASSERT_EQ(one.devices.size(), 1u);
  ASSERT_EQ(two.devices.size(), 2u);
  EXPECT_EQ(two.devices[0].name, "cpu:0");
  EXPECT_EQ(two.devices[1].name, "cpu:1");
  EXPECT_EQ(two.models.size(), 1u);
  std::vector<int64_t> ticks_of_one;
  std::vector<int64_t> ticks_of_two;
  const std::vector<SharedImage> expected = Paint(std::move(one), ticks_of_one);
  const std::vector<SharedImage> images = Paint(std::move(two), ticks_of_two);
  ASSERT_EQ(expected.size(), size_t{kPictures});
  ASSERT_EQ(images.size(), size_t{kPictures});
  for (const int64_t ticks : ticks_of_two) EXPECT_GE(ticks, 5);  // encode, three steps, decode
  for (size_t i = 0; i < images.size(); ++i) {
    ASSERT_EQ(images[i]->pixels.size(), expected[i]->pixels.size());
    int largest = 0;
    for (size_t p = 0; p < images[i]->pixels.size(); ++p) {
      largest = std::max(largest, std::abs(int{images[i]->pixels[p]} - int{expected[i]->pixels[p]}));
    }
    EXPECT_LE(largest, kLargestDifference) << "picture " << i;
  }
}

}  // namespace
}  // namespace stepcast::engine

// The flagship: a job's picture does not depend on its company. Sixty random jobs of the bundled model go through
// the scheduler and the real executor together, with joins and cancels; each finished picture must equal the one
// that the same job gives alone.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "engine/engine_factory.h"
#include "sampling/compile.h"
#include "scheduler/policy.h"
#include "scheduler/step_scheduler.h"
#include "tests/engine/picture_jobs.h"
#include "tests/support/recording_sink.h"
#include "text/clip_tokenizer.h"

namespace stepcast::engine {
namespace {

constexpr int kJobs = 60;

// The forward sums in another order when it has more rows: with every weight perturbed by 1e-6 pictures move by less
// than half of 255th, so a value next to a rounding edge may land one byte away.
constexpr int kLargestDifference = 1;

std::string ModelDir() { return std::string(STEPCAST_SOURCE_DIR) + "/models/emoji"; }

// One job of the traffic.
struct Visitor {
  Picture picture;
  int joins_at = 0;     // tick
  int cancels_at = -1;  // tick; -1: never
};

LoadedEngine Load() {
  static NullEngineMetrics metrics;
  EngineOptions options;
  options.models = {{.id = "emoji", .path = ModelDir()}};
  options.device = "cpu";
  options.max_rows = 12;
  options.embedding_cache_entries = 16;  // fewer than the prompts, so that some are evicted and encoded again
  absl::StatusOr<LoadedEngine> engine = CreateEngine(options, metrics);
  if (!engine.ok()) {
    ADD_FAILURE() << engine.status();
    return {};
  }
  return *std::move(engine);
}

std::vector<Visitor> RandomTraffic(const ClipTokenizer& tokenizer, std::mt19937& random) {
  const char* const prompts[] = {"red apple", "a fox", "rocket", "sunflower", "panda", "grapes", "red heart",
                                 "pizza",     "tiger", "lemon",  "robot",     "cake",  "owl",    "banana"};
  const std::vector<Sampler>& samplers = sampling::SupportedSamplers();
  const int sizes[][2] = {{32, 32}, {64, 64}, {48, 32}};
  const auto pick = [&random](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  std::vector<Visitor> traffic;
  for (int i = 0; i < kJobs; ++i) {
    Visitor visitor;
    Picture& picture = visitor.picture;
    picture.prompt = tokenizer.Encode(prompts[pick(std::size(prompts))]).ids;
    picture.negative = tokenizer.Encode(pick(4) == 0 ? prompts[pick(std::size(prompts))] : "").ids;
    const int size = pick(10);
    picture.width = sizes[size < 6 ? 0 : size < 8 ? 1 : 2][0];
    picture.height = sizes[size < 6 ? 0 : size < 8 ? 1 : 2][1];
    picture.steps = 2 + pick(6);
    picture.sampler = samplers[static_cast<size_t>(i) % samplers.size()];
    picture.guidance_scale = pick(4) == 0 ? 1.0 : 1.5 + 0.5 * pick(8);
    picture.guidance_rescale = pick(5) == 0 ? 0.7 : 0.0;
    picture.guidance_end = pick(5) == 0 ? 0.6 : 1.0;
    picture.eta = picture.sampler == Sampler::kDdim ? 0.5 * pick(3) : 0.0;
    picture.seed = static_cast<int64_t>(random());
    picture.preview_every = pick(3) == 0 ? 1 : 0;
    visitor.joins_at = i < 8 ? 0 : pick(60);
    visitor.cancels_at = pick(6) == 0 ? visitor.joins_at + pick(6) : -1;
    traffic.push_back(std::move(visitor));
  }
  return traffic;
}

// Runs visitors through a scheduler of its own; the outcome of each is in its sink.
class House {
 public:
  House(StepExecutor& executor, SharedModelInfo model) : executor_(executor), model_(std::move(model)) {
    StepSchedulerOptions options;
    options.limits = executor.Limits();
    options.checks = InvariantChecks::kEveryCall;
    scheduler_ = std::make_unique<StepScheduler>(*MakePolicy({.name = "fifo"}), options, metrics_);
  }

  void Run(const std::vector<const Visitor*>& visitors) {
    sinks_.resize(visitors.size());
    ids_.resize(visitors.size());
    for (int tick = 0; tick < 10000 && !Over(); ++tick) {
      const absl::Time now = absl::UnixEpoch() + tick * absl::Milliseconds(10);
      for (size_t i = 0; i < visitors.size(); ++i) {
        if (visitors[i]->joins_at == tick) Join(i, visitors[i]->picture, now);
        if (visitors[i]->cancels_at == tick) scheduler_->Cancel(ids_[i], absl::CancelledError("left"), now);
      }
      const StepPlan plan = scheduler_->Next(now);
      if (plan.empty()) continue;
      if (plan.phase() == Phase::kDenoise)
        largest_batch_ = std::max(largest_batch_, static_cast<int>(plan.jobs.size()));
      scheduler_->Complete(plan, executor_.Execute(plan, scheduler_->JobsOf(plan)), now);
    }
    EXPECT_EQ(scheduler_->live(), 0);
  }

  // The picture of visitor `i`; null when it has none.
  SharedImage ImageOf(size_t i) const {
    const std::vector<JobImage> images = sinks_[i]->Of<JobImage>(ids_[i]);
    return images.empty() ? nullptr : images.front().image;
  }
  absl::Status StatusOf(size_t i) const {
    return sinks_[i]->StatusOf(ids_[i]).value_or(absl::InternalError("no terminal event"));
  }
  int largest_batch() const { return largest_batch_; }

 private:
  bool Over() const { return joined_ == sinks_.size() && scheduler_->live() == 0; }

  void Join(size_t i, const Picture& picture, absl::Time now) {
    ids_[i] = JobId{++last_id_};
    sinks_[i] = std::make_shared<RecordingSink>();
    ++joined_;
    JobSpec spec = MakePictureSpec(model_, picture, sinks_[i]);
    spec.arrival = now;
    std::vector<std::unique_ptr<Job>> jobs;
    jobs.push_back(std::make_unique<Job>(ids_[i], std::move(spec)));
    const absl::Status started = executor_.Start(*jobs.front());
    ASSERT_TRUE(started.ok()) << started;
    scheduler_->Submit(std::move(jobs), now);
  }

  StepExecutor& executor_;
  const SharedModelInfo model_;
  NullEngineMetrics metrics_;
  std::unique_ptr<StepScheduler> scheduler_;
  std::vector<std::shared_ptr<RecordingSink>> sinks_;
  std::vector<JobId> ids_;
  size_t joined_ = 0;
  int64_t last_id_ = 0;
  int largest_batch_ = 0;
};

int LargestDifference(const Image& a, const Image& b) {
  if (a.pixels.size() != b.pixels.size()) return 256;
  int largest = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) {
    largest = std::max(largest, std::abs(int{a.pixels[i]} - int{b.pixels[i]}));
  }
  return largest;
}

TEST(BatchInvarianceTest, EveryPictureOfACrowdEqualsItsSoloRun) {
  LoadedEngine crowd_engine = Load();
  LoadedEngine solo_engine = Load();
  ASSERT_TRUE(crowd_engine.executor != nullptr && solo_engine.executor != nullptr);
  const SharedModelInfo& model = crowd_engine.models.front();
  const auto tokenizer = ClipTokenizer::Load(model->tokenizer_dirs.front());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();

  std::mt19937 random(60);
  const std::vector<Visitor> traffic = RandomTraffic(**tokenizer, random);
  std::vector<const Visitor*> visitors;
  for (const Visitor& visitor : traffic) visitors.push_back(&visitor);
  House crowd(*crowd_engine.executor, model);
  crowd.Run(visitors);
  EXPECT_GE(crowd.largest_batch(), 6);

  int finished = 0;
  int cancelled = 0;
  std::map<Sampler, int> finished_by_sampler;
  for (size_t i = 0; i < traffic.size(); ++i) {
    if (crowd.StatusOf(i).code() == absl::StatusCode::kCancelled) {
      EXPECT_EQ(crowd.ImageOf(i), nullptr);
      ++cancelled;
      continue;
    }
    ASSERT_TRUE(crowd.StatusOf(i).ok()) << crowd.StatusOf(i);
    const Visitor alone = {.picture = traffic[i].picture};
    House solo(*solo_engine.executor, model);
    solo.Run({&alone});
    ASSERT_NE(crowd.ImageOf(i), nullptr) << "job " << i;
    ASSERT_NE(solo.ImageOf(0), nullptr) << "job " << i;
    EXPECT_LE(LargestDifference(*crowd.ImageOf(i), *solo.ImageOf(0)), kLargestDifference)
        << "job " << i << ", " << SamplerName(traffic[i].picture.sampler) << ", steps " << traffic[i].picture.steps;
    ++finished;
    ++finished_by_sampler[traffic[i].picture.sampler];
  }
  EXPECT_GE(finished, 45);
  EXPECT_GE(cancelled, 3);
  EXPECT_EQ(finished_by_sampler.size(), sampling::SupportedSamplers().size());
}

}  // namespace
}  // namespace stepcast::engine

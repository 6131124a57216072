#include "tests/engine/crowd.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "core/sha256.h"
#include "engine/denoise_state.h"
#include "sampling/samplers/registry.h"
#include "scheduler/decide/policy.h"

namespace stepcast::engine {

std::vector<Visitor> RandomTraffic(int count, const ModelInfo& model, const ClipTokenizer& tokenizer,
                                   std::mt19937& random) {
  const char* const prompts[] = {"red apple", "a fox", "rocket", "sunflower", "panda", "grapes", "red heart",
                                 "pizza",     "tiger", "lemon",  "robot",     "cake",  "owl",    "banana"};
  const int sizes[][2] = {{32, 32}, {64, 64}, {48, 32}};
  const auto pick = [&random](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  std::vector<Visitor> traffic;
  for (int i = 0; i < count; ++i) {
    Visitor visitor;
    Picture& picture = visitor.picture;
    picture.prompt = tokenizer.Encode(prompts[pick(std::size(prompts))]).ids;
    picture.negative = tokenizer.Encode(pick(4) == 0 ? prompts[pick(std::size(prompts))] : "").ids;
    const int size = pick(10);
    picture.width = sizes[size < 6 ? 0 : size < 8 ? 1 : 2][0];
    picture.height = sizes[size < 6 ? 0 : size < 8 ? 1 : 2][1];
    picture.steps = 2 + pick(6);
    picture.sampler = model.samplers[static_cast<size_t>(i) % model.samplers.size()];
    if (picture.sampler == Sampler::kAnnealedLangevin) picture.steps = 2;  // of five evaluations each
    picture.guidance_scale = pick(4) == 0 ? 1.0 : 1.5 + 0.5 * pick(8);
    picture.guidance_rescale = pick(5) == 0 ? 0.7 : 0.0;
    picture.guidance_end = pick(5) == 0 ? 0.6 : 1.0;
    if (sampling::FindSampler(picture.sampler)->default_eta) picture.eta = 0.5 * pick(3);
    picture.seed = static_cast<int64_t>(random());
    picture.preview_every = pick(3) == 0 ? 1 : 0;
    visitor.joins_at = i < 8 ? 0 : pick(count);
    visitor.cancels_at = pick(6) == 0 ? visitor.joins_at + pick(6) : -1;
    traffic.push_back(std::move(visitor));
  }
  return traffic;
}

House::House(StepExecutor& executor, SharedModelInfo model) : executor_(executor), model_(std::move(model)) {
  StepSchedulerOptions options;
  options.limits = executor.Limits();
  options.checks = InvariantChecks::kEveryCall;
  scheduler_ = std::make_unique<StepScheduler>(*MakePolicy({.name = "fifo"}), options, metrics_);
}

void House::Run(const std::vector<const Visitor*>& visitors) {
  sinks_.resize(visitors.size());
  ids_.resize(visitors.size());
  digests_.resize(visitors.size());
  for (int tick = 0; tick < 10000 && !Over(); ++tick) {
    const absl::Time now = absl::UnixEpoch() + tick * absl::Milliseconds(10);
    for (size_t i = 0; i < visitors.size(); ++i) {
      if (visitors[i]->joins_at == tick) Join(i, visitors[i]->picture, now);
      if (visitors[i]->cancels_at == tick) scheduler_->Cancel(ids_[i], absl::CancelledError("left"), now);
    }
    const StepPlan plan = scheduler_->Next(now);
    if (plan.empty()) continue;
    const std::vector<Job*> jobs = scheduler_->JobsOf(plan);
    std::vector<StepResult> results = executor_.Execute(plan, jobs);
    if (plan.phase() == Phase::kDenoise) {
      largest_batch_ = std::max(largest_batch_, static_cast<int>(jobs.size()));
      Digest(jobs);
    }
    scheduler_->Complete(plan, std::move(results), now);
  }
  EXPECT_EQ(scheduler_->live(), 0);
}

SharedImage House::ImageOf(size_t i) const {
  const std::vector<JobImage> images = sinks_[i]->Of<JobImage>(ids_[i]);
  return images.empty() ? nullptr : images.front().image;
}

absl::Status House::StatusOf(size_t i) const {
  return sinks_[i]->StatusOf(ids_[i]).value_or(absl::InternalError("no terminal event"));
}

void House::Join(size_t i, const Picture& picture, absl::Time now) {
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

void House::Digest(const std::vector<Job*>& jobs) {
  for (const Job* job : jobs) {
    const size_t i = static_cast<size_t>(std::ranges::find(ids_, job->id()) - ids_.begin());
    Sha256 hash;
    for (const at::Tensor& slot : static_cast<const DenoiseState&>(*job->state()).tensors()) {
      const at::Tensor values = slot.contiguous();
      hash.Update(std::string_view(static_cast<const char*>(values.const_data_ptr()), values.nbytes()));
    }
    digests_[i].push_back(hash.HexDigest());
  }
}

}  // namespace stepcast::engine

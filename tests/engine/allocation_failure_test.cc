// Memory that is refused at any moment of a picture's life costs at most that picture, and never gives a wrong one.

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "core/error_reason.h"
#include "engine/executor/diffusion_executor.h"
#include "tests/engine/fake_bundle.h"
#include "tests/engine/picture_jobs.h"

namespace stepcast::engine {
namespace {

// The CPU's allocator, but that one allocation fails as it does when memory is short.
class FailingAllocator final : public c10::Allocator {
 public:
  explicit FailingAllocator(c10::Allocator* real) : real_(real) {}

  c10::DataPtr allocate(size_t bytes) override {
    TORCH_CHECK(counted_++ != fails_at_, "DefaultCPUAllocator: can't allocate memory: scripted");
    return real_->allocate(bytes);
  }
  c10::DeleterFnPtr raw_deleter() const override { return real_->raw_deleter(); }
  void copy_data(void* to, const void* from, size_t bytes) const override { real_->copy_data(to, from, bytes); }

  // The n-th from now on, counted from 0; < 0: none.
  void FailAt(int64_t n) {
    counted_ = 0;
    fails_at_ = n;
  }
  int64_t counted() const { return counted_; }

 private:
  c10::Allocator* const real_;
  int64_t counted_ = 0;
  int64_t fails_at_ = -1;
};

constexpr uint8_t kAboveAllOthers = 255;

class AllocationFailureTest : public testing::Test {
 protected:
  // For good: an allocator that was set is used by whoever has memory of it.
  static void SetUpTestSuite() {
    static auto* const allocator = new FailingAllocator(c10::GetCPUAllocator());
    failing_ = allocator;
    c10::SetCPUAllocator(failing_, kAboveAllOthers);
  }
  void TearDown() override { failing_->FailAt(-1); }

  AllocationFailureTest() {
    DiffusionExecutorOptions options;
    options.shelf = ShelfOf({MakeFakeBundle("fake", &script_)});
    options.device = *OpenDevice("cpu", 1);
    options.limits = {.max_denoise_rows = 16, .max_encode_jobs = 8, .max_decode_jobs = 2};
    options.embedding_cache_entries = 0;
    executor_ = std::make_unique<DiffusionExecutor>(std::move(options), metrics_);
  }

  // The lives of three jobs, beside each other, with one that fails leaving the others. Their pictures; null: failed,
  // and `reasons` says why.
  std::vector<SharedImage> Paint(std::vector<std::string>& reasons) {
    std::vector<std::unique_ptr<Job>> jobs;
    const SharedModelInfo info = MakePictureModel("fake");
    jobs.push_back(MakePictureJob(1, info, {.steps = 2, .sampler = Sampler::kEulerAncestral, .seed = 1}));
    jobs.push_back(MakePictureJob(2, info, {.prompt = {9, 3}, .steps = 2, .sampler = Sampler::kDdpm, .seed = 2}));
    jobs.push_back(MakePictureJob(3, info, {.steps = 2, .guidance_scale = 1.0, .seed = 3, .preview_every = 1}));
    std::vector<SharedImage> pictures(jobs.size());
    std::vector<Job*> live;
    const auto fail = [&](const Job& job, const absl::Status& status) {
      reasons.push_back(ErrorReason(status).value_or(status.ToString()));
      std::erase_if(live, [&](const Job* each) { return each->id() == job.id(); });
    };
    for (const auto& job : jobs) {
      live.push_back(job.get());
      if (const absl::Status started = executor_->Start(*job); !started.ok()) fail(*job, started);
    }
    for (Phase phase : {Phase::kEncode, Phase::kDenoise, Phase::kDenoise, Phase::kDecode}) {
      if (live.empty()) break;
      StepPlan plan;
      plan.key.phase = phase;
      for (const Job* job : live) plan.jobs.push_back(job->id());
      const std::vector<Job*> asked = live;
      std::vector<StepResult> results = executor_->Execute(plan, asked);
      for (size_t i = 0; i < asked.size(); ++i) {
        if (!results[i].status.ok()) {
          fail(*asked[i], results[i].status);
        } else if (phase == Phase::kEncode) {
          asked[i]->set_needs_encode(false);
        } else {
          asked[i]->Advance();
          if (results[i].image != nullptr) pictures[static_cast<size_t>(asked[i]->id().value) - 1] = results[i].image;
        }
      }
    }
    return pictures;
  }

  static inline FailingAllocator* failing_ = nullptr;
  NullEngineMetrics metrics_;
  FakeScript script_;
  std::unique_ptr<DiffusionExecutor> executor_;
};

TEST_F(AllocationFailureTest, AtAnyAllocationNoPictureIsWrong) {
  std::vector<std::string> reasons;
  failing_->FailAt(-1);
  const std::vector<SharedImage> expected = Paint(reasons);
  const int64_t allocations = failing_->counted();
  ASSERT_TRUE(reasons.empty());
  ASSERT_GT(allocations, 50);
  int failed = 0;
  for (int64_t n = 0; n < allocations; ++n) {
    reasons.clear();
    failing_->FailAt(n);
    const std::vector<SharedImage> pictures = Paint(reasons);
    for (size_t i = 0; i < pictures.size(); ++i) {
      if (pictures[i] == nullptr) continue;
      EXPECT_EQ(pictures[i]->pixels, expected[i]->pixels) << "allocation " << n;
    }
    for (const std::string& reason : reasons) EXPECT_EQ(reason, "DEVICE_MEMORY") << "allocation " << n;
    failed += static_cast<int>(reasons.size());
    EXPECT_LE(reasons.size(), 1u) << "allocation " << n << ": one failure costs one picture at most";
  }
  // Nearly all are made good by trying again.
  EXPECT_LT(failed, allocations / 2);
}

}  // namespace
}  // namespace stepcast::engine

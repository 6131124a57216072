// Our whole path (tokenizer, text encoder, sampler, denoiser, decoder) against pictures that diffusers painted with
// the same weights: tools/parity/make_pipeline_fixtures.py.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "codec/image_codec.h"
#include "core/sha256.h"
#include "engine/engine_factory.h"
#include "sampling/compile.h"
#include "text/clip_tokenizer.h"

namespace stepcast {
namespace {

using nlohmann::json;

// Float32 on both sides, but kernels sum in another order: with every weight perturbed by 1e-6 the worst picture of
// a large corpus moves by 0.44 of 255, so a value next to a rounding edge may land one byte away.
constexpr int kLargestDifference = 1;
constexpr double kMeanDifference = 0.05;

std::string ModelDir() { return std::string(STEPCAST_SOURCE_DIR) + "/models/emoji"; }
std::string DataDir() { return std::string(STEPCAST_SOURCE_DIR) + "/tests/parity/data"; }

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << in.rdbuf();
  return bytes.str();
}

class NullSink final : public EventSink {
 public:
  void OnEvent(JobEvent) override {}
};

class PipelineParityTest : public ::testing::Test {
 protected:
  void SetUp() override {
    manifest_ = json::parse(ReadFile(DataDir() + "/requests.json"), nullptr, /*allow_exceptions=*/false);
    ASSERT_FALSE(manifest_.is_discarded()) << "tests/parity/data/requests.json cannot be read";
    for (const auto& [file, digest] : manifest_["weights"].items()) {
      ASSERT_EQ(Sha256Hex(ReadFile(ModelDir() + "/" + file)), digest.get<std::string>())
          << file << " is not the file that the pictures were painted with; run tools/parity/make_pipeline_fixtures.py";
    }
    EngineOptions options;
    options.models = {{.id = "emoji", .path = ModelDir()}};
    options.device = "cpu";
    options.dtype = "fp32";
    absl::StatusOr<LoadedEngine> engine = CreateEngine(options, metrics_);
    ASSERT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
    auto tokenizer = ClipTokenizer::Load(engine_.models[0]->tokenizer_dirs.at(0));
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    tokenizer_ = *std::move(tokenizer);
  }

  std::unique_ptr<Job> MakeJob(int64_t id, const json& wanted) const {
    sampling::SamplerSpec spec;
    spec.sampler = *SamplerFromName(wanted["sampler"].get<std::string>());
    spec.steps = wanted["steps"];
    const bool karras = wanted["sigma_schedule"] == "KARRAS";
    spec.sigma_schedule = karras ? SigmaSchedule::kKarras : SigmaSchedule::kDefault;
    spec.eta = wanted["eta"];
    spec.guidance_scale = wanted["guidance_scale"];
    spec.guidance_rescale = wanted["guidance_rescale"];
    const auto program = sampling::Compile(engine_.models[0]->noise_schedule, spec);
    EXPECT_TRUE(program.ok()) << program.status();

    auto request = std::make_shared<GenerationRequest>();
    request->model = engine_.models[0];
    request->prompt_ids = {tokenizer_->Encode(wanted["prompt"].get<std::string>()).ids};
    request->negative_prompt_ids = {tokenizer_->Encode(wanted["negative_prompt"].get<std::string>()).ids};
    request->clip_skip = wanted["clip_skip"];
    request->width = wanted["width"];
    request->height = wanted["height"];
    request->seed = wanted["seed"];
    request->image_count = wanted["image_index"].get<int>() + 1;
    JobSpec job;
    job.request = std::move(request);
    job.image_index = wanted["image_index"];
    job.program = *program;
    job.sink = std::make_shared<NullSink>();
    return std::make_unique<Job>(JobId{id}, std::move(job));
  }

  std::vector<StepResult> Execute(Phase phase, const std::vector<Job*>& jobs) {
    StepPlan plan;
    plan.key.phase = phase;
    for (const Job* job : jobs) plan.jobs.push_back(job->id());
    return engine_.executor->Execute(plan, jobs);
  }

  // Paints jobs of one size together. Returns their pictures, null for those that failed.
  std::vector<SharedImage> Paint(const std::vector<Job*>& jobs) {
    for (Job* job : jobs) EXPECT_TRUE(engine_.executor->Start(*job).ok());
    for (const StepResult& result : Execute(Phase::kEncode, jobs)) EXPECT_TRUE(result.status.ok()) << result.status;
    for (std::vector<Job*> live = jobs; !live.empty(); std::erase_if(live, [](Job* job) { return job->denoised(); })) {
      for (const StepResult& result : Execute(Phase::kDenoise, live)) EXPECT_TRUE(result.status.ok()) << result.status;
      for (Job* job : live) job->Advance();
    }
    std::vector<SharedImage> images;
    for (const StepResult& result : Execute(Phase::kDecode, jobs)) images.push_back(result.image);
    return images;
  }

  static void ExpectEqualToReference(const json& wanted, const SharedImage& image) {
    const std::string name = wanted["name"];
    ASSERT_NE(image, nullptr) << name;
    const auto reference = DecodeImage(ReadFile(DataDir() + "/" + name + ".png"), DecodeLimits{});
    ASSERT_TRUE(reference.ok()) << name << ": " << reference.status();
    ASSERT_EQ(image->width, reference->width) << name;
    ASSERT_EQ(image->height, reference->height) << name;
    int largest = 0;
    int64_t sum = 0;
    for (size_t i = 0; i < image->pixels.size(); ++i) {
      const int difference = std::abs(int{image->pixels[i]} - int{reference->pixels[i]});
      largest = std::max(largest, difference);
      sum += difference;
    }
    EXPECT_LE(largest, kLargestDifference) << name;
    EXPECT_LE(static_cast<double>(sum) / static_cast<double>(image->pixels.size()), kMeanDifference) << name;
  }

  NullEngineMetrics metrics_;
  json manifest_;
  LoadedEngine engine_;
  std::unique_ptr<const ClipTokenizer> tokenizer_;
};

TEST_F(PipelineParityTest, EveryRequestAloneEqualsDiffusers) {
  ASSERT_GE(manifest_["requests"].size(), 12u);
  int64_t id = 0;
  for (const json& wanted : manifest_["requests"]) {
    const std::unique_ptr<Job> job = MakeJob(++id, wanted);
    ExpectEqualToReference(wanted, Paint({job.get()}).front());
  }
}

TEST_F(PipelineParityTest, AllRequestsOfOneSizeTogetherEqualDiffusers) {
  std::map<std::pair<int, int>, std::vector<const json*>> by_size;
  for (const json& wanted : manifest_["requests"]) by_size[{wanted["width"], wanted["height"]}].push_back(&wanted);
  int64_t id = 0;
  for (const auto& [size, requests] : by_size) {
    std::vector<std::unique_ptr<Job>> jobs;
    std::vector<Job*> pointers;
    for (const json* wanted : requests) {
      jobs.push_back(MakeJob(++id, *wanted));
      pointers.push_back(jobs.back().get());
    }
    const std::vector<SharedImage> images = Paint(pointers);
    for (size_t i = 0; i < requests.size(); ++i) ExpectEqualToReference(*requests[i], images[i]);
  }
}

}  // namespace
}  // namespace stepcast

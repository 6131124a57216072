// Models that paint from noise alone, in pixels or in the latents of either autoencoder, against latents and pictures
// that diffusers' pipelines made with the same weights: tools/parity/make_pixel_fixtures.py.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/TensorOperators.h>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/weights/weight_map.h"
#include "model/weights/weight_set.h"
#include "tests/parity/painter.h"

namespace stepcast {
namespace {

using nlohmann::json;

constexpr char kData[] = STEPCAST_SOURCE_DIR "/tests/parity/data/pixel";

class PixelParityTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    manifest_ = json::parse(ReadFile(std::string(kData) + "/requests.json"), nullptr, /*allow_exceptions=*/false);
    ASSERT_FALSE(manifest_.is_discarded()) << "tests/parity/data/pixel/requests.json cannot be read";
    ASSERT_GE(manifest_["requests"].size(), 15u);
    const auto set = model::WeightSet::Open(kData, "latents", {""}, nullptr);
    ASSERT_TRUE(set.ok()) << set.status();
    model::WeightMap tensors(*set, c10::DeviceType::CPU, c10::ScalarType::Float);
    for (const json& wanted : manifest_["requests"]) {
      const std::string name = wanted["name"], variant = wanted["variant"];
      latents_[name] = tensors.Get(name, set->Find(name)->entry->shape);
      if (!painters_.contains(variant)) {
        painters_.emplace(
            variant, std::make_unique<Painter>(std::string(kData) + "/" + variant, json::parse(R"({"weights": {}})")));
      }
      ASSERT_FALSE(HasFailure()) << variant;
    }
  }
  static void TearDownTestSuite() {
    painters_.clear();
    latents_.clear();
  }

  static std::unique_ptr<Job> MakeJob(const json& wanted) {
    return painters_.at(wanted["variant"])->MakeJob(wanted, std::make_shared<GenerationRequest>());
  }

  static void ExpectLikeReference(const json& wanted, const Job& job, const SharedImage& image) {
    ExpectLatentsLike(latents_.at(wanted["name"]), job, wanted.dump());
    ExpectEqualToReference(std::string(kData) + "/" + wanted["name"].get<std::string>() + ".png", image);
  }

  static inline json manifest_;
  static inline std::map<std::string, at::Tensor> latents_;
  static inline std::map<std::string, std::unique_ptr<Painter>> painters_;
};

// With the sampler that the folder asks for: nothing but steps, eta and seed is the request's.
TEST_F(PixelParityTest, EveryRequestEqualsDiffusersWithTheDefaultsOfItsFolder) {
  for (const json& wanted : manifest_["requests"]) {
    Painter& painter = *painters_.at(wanted["variant"]);
    const ModelInfo& model = *painter.model();
    EXPECT_EQ(SamplerName(model.defaults.sampler), wanted["sampler"].get<std::string>()) << wanted;
    EXPECT_EQ(model.defaults.width, wanted["width"]) << wanted;
    EXPECT_EQ(model.defaults.height, wanted["height"]) << wanted;
    EXPECT_EQ(model.conditioning, ConditioningKind::kNone) << wanted;
    const std::unique_ptr<Job> job = MakeJob(wanted);
    ExpectLikeReference(wanted, *job, painter.Paint({job.get()}).front());
  }
}

TEST_F(PixelParityTest, AllRequestsOfOneModelTogetherEqualDiffusers) {
  std::map<std::string, std::vector<const json*>> groups;
  for (const json& wanted : manifest_["requests"]) groups[wanted["variant"]].push_back(&wanted);
  for (const auto& [variant, requests] : groups) {
    std::vector<std::unique_ptr<Job>> jobs;
    std::vector<Job*> pointers;
    for (const json* wanted : requests) {
      jobs.push_back(MakeJob(*wanted));
      pointers.push_back(jobs.back().get());
    }
    const std::vector<SharedImage> images = painters_.at(variant)->Paint(pointers);
    for (size_t i = 0; i < requests.size(); ++i) ExpectLikeReference(*requests[i], *jobs[i], images[i]);
  }
}

}  // namespace
}  // namespace stepcast

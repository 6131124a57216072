// Class-conditional generation, with both guidances, against pictures that diffusers painted with the same weights, and
// the gradient of the real classifier: tools/parity/make_class_fixtures.py.

#include <gtest/gtest.h>

#include <ATen/TensorOperators.h>
#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "model/model_bundle.h"
#include "model/weights/weight_map.h"
#include "model/weights/weight_set.h"
#include "tests/parity/painter.h"

namespace stepcast {
namespace {

using nlohmann::json;

constexpr char kModel[] = STEPCAST_SOURCE_DIR "/models/digits";
constexpr char kData[] = STEPCAST_SOURCE_DIR "/tests/parity/data/digits";

bool IsSupported(const json& wanted) {
  const auto& samplers = sampling::SupportedSamplers();
  return std::ranges::find(samplers, *SamplerFromName(wanted["sampler"].get<std::string>())) != samplers.end();
}

class ClassParityTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const json manifest = json::parse(ReadFile(std::string(kData) + "/requests.json"), nullptr, false);
    ASSERT_FALSE(manifest.is_discarded()) << "tests/parity/data/digits/requests.json cannot be read";
    painter_ = std::make_unique<Painter>(kModel, manifest);
    ASSERT_FALSE(HasFailure());
    std::ranges::copy_if(manifest["requests"], std::back_inserter(requests_), IsSupported);
    ASSERT_GE(requests_.size(), 12u);
  }

  std::unique_ptr<Job> MakeJob(const json& wanted) const {
    auto request = std::make_shared<GenerationRequest>();
    if (!wanted["class_index"].is_null()) request->class_index = wanted["class_index"].get<int>();
    return painter_->MakeJob(wanted, std::move(request));
  }
  static std::string PathOf(const json& wanted) {
    return std::string(kData) + "/" + wanted["name"].get<std::string>() + ".png";
  }

  std::vector<json> requests_;
  std::unique_ptr<Painter> painter_;
};

TEST_F(ClassParityTest, EveryRequestAloneEqualsDiffusers) {
  for (const json& wanted : requests_) {
    const std::unique_ptr<Job> job = MakeJob(wanted);
    ExpectEqualToReference(PathOf(wanted), painter_->Paint({job.get()}).front());
  }
}

TEST_F(ClassParityTest, AllRequestsOfOneSizeTogetherEqualDiffusers) {
  std::map<std::pair<int, int>, std::vector<json>> by_size;
  for (const json& wanted : requests_) by_size[{wanted["width"], wanted["height"]}].push_back(wanted);
  for (const auto& [size, requests] : by_size) {
    std::vector<std::unique_ptr<Job>> jobs;
    std::vector<Job*> pointers;
    for (const json& wanted : requests) {
      jobs.push_back(MakeJob(wanted));
      pointers.push_back(jobs.back().get());
    }
    const std::vector<SharedImage> images = painter_->Paint(pointers);
    for (size_t i = 0; i < requests.size(); ++i) ExpectEqualToReference(PathOf(requests[i]), images[i]);
  }
}

TEST(ClassifierParityTest, TheGradientIsThatOfAutograd) {
  const auto set = model::WeightSet::Open(kData, "classifier_gradient", {""}, nullptr);
  ASSERT_TRUE(set.ok()) << set.status();
  model::WeightMap numbers(*set, c10::DeviceType::CPU, c10::ScalarType::Float);
  const auto get = [&](const char* name) { return numbers.Get(name, set->Find(name)->entry->shape); };
  const auto bundle = model::ModelBundle::Load({.id = "digits", .path = kModel});
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  const at::Tensor gradient =
      (*bundle)->classifier()->Gradient(get("latents"), get("timesteps"), get("labels").to(c10::ScalarType::Long));
  const at::Tensor expected = get("gradient");
  // Float32 on both sides, sums in another order.
  EXPECT_LT((gradient - expected).abs().max().item<double>(), 1e-4);
  EXPECT_GT(expected.abs().max().item<double>(), 1e-2) << "a gradient of zero would prove nothing";
}

}  // namespace
}  // namespace stepcast

#include <string>

#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "server/request/request_validator.h"
#include "tests/server/fake_models.h"
#include "tests/server/wire_requests.h"

namespace stepcast {
namespace {

using ::google::protobuf::util::MessageDifferencer;

v1::GenerateRequest Effective(const v1::GenerateRequest& request, int64_t drawn_seed) {
  const ModelRegistry models = ThreeModels();
  FixedSeed seeds(drawn_seed);
  const auto validated = ValidateRequest(request, models, LimitsConfig(), seeds);
  EXPECT_TRUE(validated.ok()) << request.ShortDebugString() << validated.status();
  return validated.ok() ? ToEffectiveRequest(**validated) : v1::GenerateRequest();
}

TEST(EffectiveRequestTest, EveryDefaultIsFilledIn) {
  const v1::GenerateRequest effective = Effective(Wire(R"(prompt: "p")"), 77);
  EXPECT_TRUE(MessageDifferencer::Equals(effective, Wire(R"(
    model: "texty" prompt: "p" seed: 77 image_count: 1 width: 64 height: 64 steps: 20 guidance_scale: 5
    sampler: SAMPLER_DDIM clip_skip: 0 prompt_syntax: PROMPT_SYNTAX_PLAIN guidance_rescale: 0 guidance_start: 0 guidance_end: 1
    sigma_schedule: SIGMA_SCHEDULE_DEFAULT timestep_spacing: TIMESTEP_SPACING_LEADING eta: 0
    output { format: IMAGE_FORMAT_PNG } priority: PRIORITY_STANDARD)")))
      << effective.DebugString();
}

// Sent again, the effective request asks for the same: its own effective request is equal, whatever seed is drawn.
TEST(EffectiveRequestTest, ValidatedAgainItIsTheSame) {
  const std::string rows[] = {
      R"(prompt: "p")",
      R"(prompt: "p" negative_prompt: "")",
      R"(prompt: "p" negative_prompt: "n" sampler: SAMPLER_EULER sigma_schedule: SIGMA_SCHEDULE_KARRAS)",
      R"(prompt: "p" sampler: SAMPLER_EULER_ANCESTRAL)",
      R"(prompt: "p" sampler: SAMPLER_DDPM)",
      R"(prompt: "p" sampler: SAMPLER_DPMPP_2M sigma_schedule: SIGMA_SCHEDULE_LU)",
      R"(prompt: "p" eta: 0.5 guidance_scale: 0.5 guidance_start: 0.1 guidance_end: 0.9 guidance_rescale: 0.7)",
      R"(prompt: "p" output { format: IMAGE_FORMAT_WEBP } preview { every_n_steps: 3 })",
      R"(prompt: "p" output { embed_parameters: true }
         preview { every_n_steps: 3 max_side: 500 format: IMAGE_FORMAT_PNG })",
      R"(prompt: "p" seed: 9007199254740988 image_count: 4 width: 128 height: 48)",
      R"(model: "digits" class_label: "nine")",
      R"(model: "digits")",
      R"(model: "digits" class_index: 7 classifier_scale: 1.5 guidance_scale: 1)",
      R"(prompt: "p" priority: PRIORITY_BATCH)",
      R"(model: "noise" steps: 3)",
  };
  for (const std::string& row : rows) {
    const v1::GenerateRequest once = Effective(Wire(row), 1);
    const v1::GenerateRequest twice = Effective(once, 2);
    EXPECT_TRUE(MessageDifferencer::Equals(once, twice)) << row << "\n" << once.DebugString() << twice.DebugString();
  }
}

}  // namespace
}  // namespace stepcast

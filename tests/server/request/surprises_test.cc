#include "server/request/checks/surprises.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sampling/compile/compile.h"
#include "sampling/compile/usable.h"
#include "server/request/request_validator.h"
#include "tests/server/fake_models.h"
#include "tests/server/wire_requests.h"

namespace stepcast {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Everything that a request is accepted with, on a text model whose schedule `change` makes.
std::vector<std::string> WarningsOf(const std::string& text, void (*change)(NoiseScheduleConfig&) = [](auto&) {}) {
  ModelInfo info = TextModel();
  change(info.noise_schedule);
  info.samplers = sampling::UsableSamplers(info);
  const auto models = ModelRegistry::Create({Share(info)}, "", &LoadFakeTokenizer);
  EXPECT_TRUE(models.ok()) << models.status();
  FixedSeed seeds{7};
  const v1::GenerateRequest wire = Wire(text);
  const auto request = ValidateRequest(wire, *models, LimitsConfig(), seeds);
  EXPECT_TRUE(request.ok()) << request.status();
  sampling::SamplerSpec spec;
  spec.sampler = (*request)->sampler;
  spec.steps = (*request)->steps;
  spec.timestep_spacing = (*request)->timestep_spacing;
  spec.timesteps = (*request)->timesteps;
  const auto program = sampling::Compile((*request)->model->noise_schedule, spec);
  EXPECT_TRUE(program.ok()) << program.status();
  std::vector<std::string> warnings = (*request)->warnings;
  for (std::string& warning : Surprises(wire, **request, **program)) warnings.push_back(std::move(warning));
  return warnings;
}

TEST(SurprisesTest, AnOrdinaryRequestHasNone) { EXPECT_THAT(WarningsOf(R"(prompt: "a")"), IsEmpty()); }

TEST(SurprisesTest, KeysThatTheSamplerDrops) {
  const auto change = [](NoiseScheduleConfig& schedule) {
    schedule.use_karras_sigmas = true;
    schedule.solver_order = 3;
    schedule.timestep_spacing = TimestepSpacing::kTrailing;
  };
  EXPECT_THAT(WarningsOf(R"(prompt: "a")", change),
              ElementsAre("SAMPLER_DDIM does not know use_karras_sigmas, solver_order of the model's "
                          "scheduler_config.json and paints without"));
  EXPECT_THAT(WarningsOf(R"(prompt: "a" sampler: SAMPLER_DPMPP_2M)", change), IsEmpty());
  EXPECT_THAT(WarningsOf(R"(prompt: "a" sampler: SAMPLER_DPMPP_SINGLESTEP)", change),
              ElementsAre(HasSubstr("does not know timestep_spacing of")));
  EXPECT_THAT(WarningsOf(R"(prompt: "a" timestep_spacing: TIMESTEP_SPACING_LEADING
                            sigma_schedule: SIGMA_SCHEDULE_DEFAULT)",
                         change),
              ElementsAre(AllOf(HasSubstr("does not know solver_order of"))))
      << "what the request says itself is not missed";
}

TEST(SurprisesTest, SeedsBeyondTheGenerators) {
  EXPECT_THAT(WarningsOf(R"(prompt: "a" seed: 4294967295)"), IsEmpty());
  EXPECT_THAT(WarningsOf(R"(prompt: "a" seed: 4294967303)"),
              ElementsAre(AllOf(HasSubstr("seed 4294967303 is 2^32 or more"), HasSubstr("is that of 7;"))));
  EXPECT_THAT(WarningsOf(R"(prompt: "a" seed: 4294967295 image_count: 2)"),
              ElementsAre(HasSubstr("seed 4294967296 is 2^32 or more")));
}

TEST(SurprisesTest, StartsNearTheCleanEnd) {
  EXPECT_THAT(WarningsOf(R"(prompt: "a" steps: 1)"),
              ElementsAre(AllOf(HasSubstr("the first of 1 step is at timestep 0 of 1000"), HasSubstr("TRAILING"))));
  EXPECT_THAT(WarningsOf(R"(prompt: "a" steps: 2)"), ElementsAre(HasSubstr("of 2 steps is at timestep 500 of 1000")));
  EXPECT_THAT(WarningsOf(R"(prompt: "a" steps: 1 timestep_spacing: TIMESTEP_SPACING_TRAILING)"), IsEmpty());
  EXPECT_THAT(WarningsOf(R"(prompt: "a" steps: 1 sampler: SAMPLER_EULER)"),
              ElementsAre(HasSubstr("timestep 0 of 1000")));
  EXPECT_THAT(WarningsOf(R"(prompt: "a" steps: 1 sampler: SAMPLER_LCM)"), IsEmpty());
  EXPECT_THAT(WarningsOf(R"(prompt: "a" steps: 10)"), IsEmpty());
  EXPECT_THAT(WarningsOf(R"(prompt: "a" sampler: SAMPLER_DPMPP_2M timesteps: [500, 100])"),
              ElementsAre(HasSubstr("begin the list near 999")));
}

TEST(SurprisesTest, GuidanceThatGuidesNothing) {
  const auto window = HasSubstr("no step lies between guidance_start and guidance_end");
  EXPECT_THAT(WarningsOf(R"(prompt: "a" guidance_start: 0.5 guidance_end: 0.5)"),
              ElementsAre(AllOf(HasSubstr("guidance_scale has no effect"), window)));
  EXPECT_THAT(WarningsOf(R"(prompt: "a" guidance_end: 0.01)"), ElementsAre(window));
  EXPECT_THAT(WarningsOf(R"(prompt: "a" guidance_end: 0.01)", [](auto& s) { s.embeds_guidance = true; }),
              ElementsAre(window));
  EXPECT_THAT(WarningsOf(R"(prompt: "a" guidance_start: 0.5)"), IsEmpty());
}

TEST(SurprisesTest, ATextIsNotLedAwayFromItself) {
  const auto same = HasSubstr("prompt and negative_prompt are the same tokens");
  EXPECT_THAT(WarningsOf(R"(prompt: "")"), ElementsAre(same));
  EXPECT_THAT(WarningsOf(R"(prompt: "a" negative_prompt: "b")"), ElementsAre(same)) << "ids count letters here";
  EXPECT_THAT(WarningsOf(R"(prompt: "" guidance_scale: 1)"), IsEmpty());
  EXPECT_THAT(WarningsOf(R"(prompt: "" negative_prompt: "ab")"), IsEmpty());
}

TEST(SurprisesTest, SyntaxOfOtherPrograms) {
  EXPECT_THAT(WarningsOf("prompt: '(red:1.2)' negative_prompt: '<lora:x:1>'"),
              ElementsAre(HasSubstr("prompt: \"(red:1.2)\""), HasSubstr("negative_prompt: \"<lora:x:1>\"")));
}

}  // namespace
}  // namespace stepcast

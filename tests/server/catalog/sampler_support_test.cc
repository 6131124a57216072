#include "server/catalog/sampler_support.h"

#include <optional>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sampling/compile/compile.h"
#include "sampling/samplers/registry.h"
#include "tests/server/fake_models.h"

namespace stepcast {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(SamplerSupportTest, KeepsTheModelsOrder) {
  ModelInfo info = TextModel();
  info.samplers = {Sampler::kEuler, Sampler::kDdim};
  const auto supported = ProbeSamplers(info);
  ASSERT_THAT(supported, SizeIs(2));
  EXPECT_EQ(supported[0].sampler, Sampler::kEuler);
  EXPECT_EQ(supported[1].sampler, Sampler::kDdim);
  EXPECT_THAT(supported[1].sigma_schedules, ElementsAre(SigmaSchedule::kDefault));
}

TEST(SamplerSupportTest, LeavesOutWhatDoesNotCompile) {
  ModelInfo info = TextModel();
  info.noise_schedule.scheduler_class = "DDIMScheduler";
  info.samplers = {Sampler::kEdmEuler, Sampler::kDdim};  // EDM's are for models of their own
  const auto supported = ProbeSamplers(info);
  ASSERT_THAT(supported, SizeIs(1));
  EXPECT_EQ(supported[0].sampler, Sampler::kDdim);
  info.noise_schedule.beta_start = -1.0;
  EXPECT_THAT(ProbeSamplers(info), IsEmpty());
}

TEST(SamplerSupportTest, TellsCostNoiseAndOptions) {
  for (const SamplerSupport& support : ProbeSamplers(TextModel())) {
    const sampling::SamplerDefinition& definition = *sampling::FindSampler(support.sampler);
    EXPECT_EQ(support.evaluations, 20) << SamplerName(support.sampler) << ": one for each of the default steps";
    EXPECT_EQ(support.draws_noise, support.sampler == Sampler::kDdpm || support.sampler == Sampler::kEulerAncestral);
    EXPECT_EQ(support.options.timesteps, definition.accepts.timesteps);
    EXPECT_EQ(support.options.max_solver_order, definition.accepts.max_solver_order);
  }
}

TEST(SamplerSupportTest, OnlyDdimTakesEta) {
  for (const SamplerSupport& support : ProbeSamplers(TextModel())) {
    EXPECT_EQ(support.takes_eta, support.sampler == Sampler::kDdim) << SamplerName(support.sampler);
    EXPECT_EQ(TakesEta(support.sampler), support.takes_eta);
  }
  EXPECT_FALSE(TakesEta(Sampler::kPndm));
}

TEST(SamplerSupportTest, TheReverseSdeDrawsItsNoiseUnlessAskedForLess) {
  ModelInfo info = TextModel();
  info.samplers = {Sampler::kSdeVp, Sampler::kDdim};
  const auto supported = ProbeSamplers(info);
  ASSERT_THAT(supported, SizeIs(2));
  EXPECT_TRUE(supported[0].takes_eta);
  EXPECT_EQ(supported[0].default_eta, 1.0);
  EXPECT_TRUE(supported[0].draws_noise);
  EXPECT_EQ(supported[1].default_eta, 0.0);
}

// The spacing that we return as the request's is the one that the compiler takes when it is told none.
TEST(SamplerSupportTest, DefaultSpacingIsTheCompilers) {
  for (const Sampler sampler : BuiltSamplers()) {
    for (const std::optional<TimestepSpacing> configured :
         {std::optional<TimestepSpacing>(), std::optional(TimestepSpacing::kTrailing)}) {
      NoiseScheduleConfig schedule;
      schedule.timestep_spacing = configured;
      sampling::SamplerSpec spec;
      spec.sampler = sampler;
      spec.steps = 7;
      const auto unset = sampling::Compile(schedule, spec);
      spec.timestep_spacing = DefaultTimestepSpacing(schedule, sampler);
      const auto named = sampling::Compile(schedule, spec);
      ASSERT_TRUE(unset.ok() && named.ok()) << SamplerName(sampler);
      ASSERT_EQ((*unset)->evaluations.size(), (*named)->evaluations.size());
      for (size_t i = 0; i < (*unset)->evaluations.size(); ++i) {
        EXPECT_EQ((*unset)->evaluations[i].timestep, (*named)->evaluations[i].timestep) << SamplerName(sampler);
      }
    }
  }
}

}  // namespace
}  // namespace stepcast

#include "sampling/compile/usable.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepcast::sampling {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

TEST(UsableSamplersTest, AVarianceMustBePredicted) {
  ModelInfo model;
  model.noise_schedule.variance_type = VarianceType::kLearnedRange;
  EXPECT_THAT(UsableSamplers(model), Not(Contains(Sampler::kDdpm)));
  EXPECT_THAT(UsableSamplers(model), Contains(Sampler::kDdim));
  SamplerSpec spec{.sampler = Sampler::kDdpm, .steps = 10};
  EXPECT_THAT(std::string(CheckUsable(model, spec).message()), HasSubstr("sampler: DDPM reads a variance"));
  model.predicts_variance = true;
  EXPECT_THAT(UsableSamplers(model), Contains(Sampler::kDdpm));
  EXPECT_TRUE(CheckUsable(model, spec).ok());
}

TEST(UsableSamplersTest, ManyDefaultStepsHideNoSamplerOfFew) {
  ModelInfo model;
  model.defaults.steps = 100;
  EXPECT_THAT(UsableSamplers(model), Contains(Sampler::kLcm));
  EXPECT_THAT(UsableSamplers(model), Contains(Sampler::kTcd));
  model.noise_schedule.algorithm_type = SolverAlgorithm::kSdeDpmSolver;
  EXPECT_THAT(UsableSamplers(model), Not(Contains(Sampler::kDpmpp2m)));
}

}  // namespace
}  // namespace stepcast::sampling

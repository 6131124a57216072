#include "core/sampling_enums.h"

#include <gtest/gtest.h>

namespace stepcast {
namespace {

TEST(SamplerNameTest, NamesAreInverse) {
  for (int i = 0; i <= static_cast<int>(Sampler::kSdeVp); ++i) {
    const auto sampler = static_cast<Sampler>(i);
    EXPECT_EQ(SamplerFromName(SamplerName(sampler)), sampler);
  }
}

TEST(SamplerNameTest, SpotChecks) {
  EXPECT_EQ(SamplerName(Sampler::kDdpm), "DDPM");
  EXPECT_EQ(SamplerName(Sampler::kDpmpp2m), "DPMPP_2M");
  EXPECT_EQ(SamplerName(Sampler::kAnnealedLangevin), "ANNEALED_LANGEVIN");
}

TEST(SamplerNameTest, UnknownNames) {
  for (const char* name : {"", "ddim", "DDIM ", "EULER_A", "SAMPLER_DDIM"}) {
    EXPECT_EQ(SamplerFromName(name), std::nullopt) << name;
  }
}

TEST(EnumNamesTest, SpotChecks) {
  EXPECT_EQ(SigmaScheduleName(SigmaSchedule::kDefault), "DEFAULT");
  EXPECT_EQ(SigmaScheduleName(SigmaSchedule::kLu), "LU");
  EXPECT_EQ(TimestepSpacingName(TimestepSpacing::kLinspace), "LINSPACE");
  EXPECT_EQ(TimestepSpacingName(TimestepSpacing::kTrailing), "TRAILING");
  EXPECT_EQ(PredictionTypeName(PredictionType::kVPrediction), "v_prediction");
  EXPECT_EQ(SolverAlgorithmName(SolverAlgorithm::kSdeDpmSolverPlusPlus), "sde-dpmsolver++");
  EXPECT_EQ(SolverAlgorithmName(SolverAlgorithm::kDeis), "deis");
}

}  // namespace
}  // namespace stepcast

#include "sampling/samplers/registry.h"

#include <gtest/gtest.h>

#include "sampling/compile/compile.h"

namespace stepcast::sampling {
namespace {

TEST(RegistryTest, DefinitionsAreCompleteAndInTheOrderOfTheEnum) {
  int previous = -1;
  for (const SamplerDefinition* definition : AllSamplers()) {
    EXPECT_GT(static_cast<int>(definition->sampler), previous);
    previous = static_cast<int>(definition->sampler);
    EXPECT_NE(definition->build, nullptr);
    ASSERT_FALSE(definition->sigma_schedules.empty());
    EXPECT_EQ(definition->sigma_schedules.front(), SigmaSchedule::kDefault);
    EXPECT_EQ(FindSampler(definition->sampler), definition);
  }
}

TEST(RegistryTest, SupportedSamplersAreTheOnesThatCompileKnows) {
  ASSERT_EQ(SupportedSamplers().size(), AllSamplers().size());
  for (const Sampler sampler : SupportedSamplers()) EXPECT_NE(FindSampler(sampler), nullptr);
}

}  // namespace
}  // namespace stepcast::sampling

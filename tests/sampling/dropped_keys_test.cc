#include "sampling/compile/dropped_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sampling/compile/compile.h"
#include "tests/sampling/config_words.h"

namespace stepcast::sampling {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

NoiseScheduleConfig File(std::initializer_list<std::pair<const char*, const char*>> keys) {
  NoiseScheduleConfig config;
  for (const auto& [key, value] : keys) SetConfigKey(key, value, config);
  return config;
}

TEST(DroppedKeysTest, FilesOfStableDiffusionLoseNothing) {
  const NoiseScheduleConfig file = File({{"beta_start", "0.00085"},
                                         {"beta_end", "0.012"},
                                         {"beta_schedule", "scaled_linear"},
                                         {"set_alpha_to_one", "False"},
                                         {"skip_prk_steps", "True"},
                                         {"clip_sample", "False"},
                                         {"thresholding", "False"},
                                         {"steps_offset", "1"}});
  for (const Sampler sampler : SupportedSamplers()) {
    EXPECT_THAT(DroppedKeys(file, sampler), IsEmpty()) << SamplerName(sampler);
  }
}

TEST(DroppedKeysTest, WhatTheClassOfTheSamplerDoesNotHave) {
  const NoiseScheduleConfig file = File({{"rescale_betas_zero_snr", "True"},
                                         {"clip_sample", "True"},
                                         {"thresholding", "True"},
                                         {"timestep_spacing", "trailing"},
                                         {"use_karras_sigmas", "True"},
                                         {"final_sigmas_type", "sigma_min"},
                                         {"solver_order", "3"}});
  EXPECT_THAT(DroppedKeys(file, Sampler::kDdim), ElementsAre("use_karras_sigmas", "final_sigmas_type", "solver_order"));
  EXPECT_THAT(DroppedKeys(file, Sampler::kEuler), ElementsAre("clip_sample", "thresholding", "solver_order"));
  EXPECT_THAT(DroppedKeys(file, Sampler::kHeun),
              ElementsAre("rescale_betas_zero_snr", "thresholding", "final_sigmas_type", "solver_order"));
  EXPECT_THAT(DroppedKeys(file, Sampler::kDpmppSinglestep),
              ElementsAre("rescale_betas_zero_snr", "clip_sample", "timestep_spacing"));
  EXPECT_THAT(DroppedKeys(file, Sampler::kDpmpp2m), ElementsAre("clip_sample"));
}

}  // namespace
}  // namespace stepcast::sampling

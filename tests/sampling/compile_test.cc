#include "sampling/compile/compile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>

namespace stepcast::sampling {
namespace {

using testing::HasSubstr;

// EDM models are told a quarter of ln sigma.
bool IsEdm(Sampler sampler) { return sampler == Sampler::kEdmEuler || sampler == Sampler::kEdmDpmpp; }

TEST(CompileTest, RefusalsNameTheField) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  struct Row {
    const char* field;
    const char* says;
    std::function<void(SamplerSpec&)> spoil;
  };
  const Row rows[] = {
      {"steps", "got 0; this model allows 1 to 1000", [](auto& s) { s.steps = 0; }},
      {"steps", "got 1001", [](auto& s) { s.steps = 1001; }},
      {"steps", "got -3", [](auto& s) { s.steps = -3; }},
      {"sigma_schedule", "KARRAS does not go with DDIM; allowed are DEFAULT",
       [](auto& s) { s.sigma_schedule = SigmaSchedule::kKarras; }},
      {"sigma_schedule", "LU does not go with EULER; allowed are DEFAULT, KARRAS, EXPONENTIAL, BETA",
       [](auto& s) {
         s.sampler = Sampler::kEuler;
         s.sigma_schedule = SigmaSchedule::kLu;
       }},
      {"sigma_schedule", "BETA does not go with DDPM",
       [](auto& s) {
         s.sampler = Sampler::kDdpm;
         s.sigma_schedule = SigmaSchedule::kBeta;
       }},
      {"eta", "EULER has no eta",
       [](auto& s) {
         s.sampler = Sampler::kEuler;
         s.eta = 0.5;
       }},
      {"eta", "allowed are 0 to 1", [](auto& s) { s.eta = 1.5; }},
      {"eta", "allowed are 0 to 1", [=](auto& s) { s.eta = nan; }},
      {"guidance_scale", "finite", [=](auto& s) { s.guidance_scale = nan; }},
      {"guidance_scale", "finite", [=](auto& s) { s.guidance_scale = infinity; }},
      {"guidance_rescale", "got -0.1", [](auto& s) { s.guidance_rescale = -0.1; }},
      {"guidance_start", "got 1.5", [](auto& s) { s.guidance_start = 1.5; }},
      {"guidance_end", "allowed are 0.6 to 1",
       [](auto& s) {
         s.guidance_start = 0.6;
         s.guidance_end = 0.5;
       }},
      {"strength", "allowed are 0 to 1", [](auto& s) { s.strength = 1.2; }},
      {"strength", "leaves no step to run", [](auto& s) { s.strength = 0.01; }},
      {"strength", "leaves no step to run", [](auto& s) { s.strength = 0.0; }},
  };
  for (const Row& row : rows) {
    SamplerSpec spec;
    row.spoil(spec);
    const absl::Status status = Compile({}, spec).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << row.says;
    EXPECT_THAT(std::string(status.message()), testing::StartsWith(std::string(row.field) + ": "));
    EXPECT_THAT(std::string(status.message()), HasSubstr(row.says));
  }
}

TEST(CompileTest, TimestepsOutsideTheTableAreRefused) {
  NoiseScheduleConfig config;
  config.steps_offset = 1;
  for (const Sampler sampler : {Sampler::kDdim, Sampler::kDdpm}) {
    const absl::Status status = Compile(config, {.sampler = sampler, .steps = 1000}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), testing::StartsWith("steps: 1000 steps with LEADING spacing"));
    EXPECT_TRUE(Compile(config, {.sampler = sampler, .steps = 999}).ok());
  }
}

TEST(CompileTest, EdmSamplersAndModelsKeepToThemselves) {
  NoiseScheduleConfig edm;
  edm.scheduler_class = "EDMEulerScheduler";
  NoiseScheduleConfig other;
  other.scheduler_class = "PNDMScheduler";
  for (const Sampler sampler : SupportedSamplers()) {
    EXPECT_EQ(Compile(edm, {.sampler = sampler}).ok(), IsEdm(sampler)) << SamplerName(sampler);
  }
  EXPECT_EQ(Compile(edm, {.sampler = Sampler::kDdim}).status().message(),
            "sampler: DDIM is for models without EDM's preconditioning; this model's scheduler is EDMEulerScheduler");
  EXPECT_EQ(Compile(other, {.sampler = Sampler::kEdmDpmpp}).status().message(),
            "sampler: EDM_DPMPP is for models with EDM's preconditioning; this model's scheduler is PNDMScheduler");
}

TEST(CompileTest, ModelErrorsAreTold) {
  NoiseScheduleConfig config;
  config.beta_end = 2.0;
  EXPECT_THAT(std::string(Compile(config, {}).status().message()), HasSubstr("scheduler_config.json: beta_end"));
}

TEST(CompileTest, EverySpacingAndPredictionGoesWithEverySampler) {
  for (const Sampler sampler : SupportedSamplers()) {
    for (const TimestepSpacing spacing :
         {TimestepSpacing::kLinspace, TimestepSpacing::kLeading, TimestepSpacing::kTrailing}) {
      for (const PredictionType prediction :
           {PredictionType::kEpsilon, PredictionType::kVPrediction, PredictionType::kSample}) {
        NoiseScheduleConfig config;
        config.prediction_type = prediction;
        if (IsEdm(sampler) && prediction == PredictionType::kSample) continue;  // refused, see edm_family_test
        EXPECT_TRUE(Compile(config, {.sampler = sampler, .timestep_spacing = spacing}).ok());
      }
    }
  }
}

TEST(CompileTest, RequestedSpacingWinsOverTheModels) {
  NoiseScheduleConfig config;
  config.timestep_spacing = TimestepSpacing::kLeading;
  EXPECT_EQ(Compile(config, {.steps = 4}).value()->evaluations[0].timestep, 750.0f);
  EXPECT_EQ(
      Compile(config, {.steps = 4, .timestep_spacing = TimestepSpacing::kTrailing}).value()->evaluations[0].timestep,
      999.0f);
}

TEST(CompileTest, GuidanceAboveOneCostsTwoRows) {
  for (const double scale : {-2.0, 0.0, 0.5, 1.0}) {
    const SharedProgram program = Compile({}, {.steps = 10, .guidance_scale = scale}).value();
    EXPECT_EQ(program->RowsFrom(0), 10) << scale;
    EXPECT_EQ(program->evaluations[0].guidance, Guidance());
  }
  const SharedProgram program = Compile({}, {.steps = 10, .guidance_scale = 7.5, .guidance_rescale = 0.7}).value();
  EXPECT_EQ(program->RowsFrom(0), 20);
  EXPECT_EQ(program->RowsFrom(9), 2);
  EXPECT_EQ(program->RowsFrom(10), 0);
  EXPECT_EQ(program->evaluations[3].guidance, (Guidance{GuidanceKind::kClassifierFree, 7.5f, 0.7f}));
}

TEST(CompileTest, GuidanceInterval) {
  struct Row {
    int steps;
    double start;
    double end;
    std::optional<double> strength;
    int first;  // guided steps first .. last - 1
    int last;
  };
  const Row rows[] = {
      {10, 0.0, 1.0, std::nullopt, 0, 10},  {10, 0.25, 0.75, std::nullopt, 2, 7}, {10, 0.0, 0.05, std::nullopt, 0, 0},
      {10, 1.0, 1.0, std::nullopt, 10, 10}, {3, 0.34, 0.67, std::nullopt, 1, 2},  {20, 0.5, 1.0, 0.5, 5, 10},
  };
  for (const Row& row : rows) {
    SamplerSpec spec{.steps = row.steps, .guidance_scale = 3.0, .guidance_start = row.start, .guidance_end = row.end};
    spec.strength = row.strength;
    const SharedProgram program = Compile({}, spec).value();
    for (const Evaluation& e : program->evaluations) {
      EXPECT_EQ(e.rows(), e.step >= row.first && e.step < row.last ? 2 : 1) << row.start << " step " << e.step;
    }
  }
}

// From a picture: with strength 1 the first level's noise is added, not scaled pure noise.
TEST(CompileTest, StartOfEachFamily) {
  const auto start = [](Sampler sampler, TimestepSpacing spacing, std::optional<double> strength) {
    SamplerSpec spec{.sampler = sampler, .steps = 10, .timestep_spacing = spacing};
    spec.strength = strength;
    return Compile({}, spec).value()->start;
  };
  for (const Sampler sampler : {Sampler::kDdpm, Sampler::kDdim, Sampler::kDpmpp2m}) {
    EXPECT_EQ(start(sampler, TimestepSpacing::kTrailing, std::nullopt), (Start{0.0f, 1.0f}));
    const Start from_image = start(sampler, TimestepSpacing::kTrailing, 1.0);
    EXPECT_NEAR(std::hypot(from_image.image_coef, from_image.noise_coef), 1.0, 1e-6);
    EXPECT_LT(from_image.image_coef, 0.01f);
  }
  for (const Sampler sampler : {Sampler::kEuler, Sampler::kEulerAncestral}) {
    const float largest = start(sampler, TimestepSpacing::kTrailing, std::nullopt).noise_coef;
    EXPECT_NEAR(largest, 157.4f, 0.1f);  // sigma of timestep 999
    EXPECT_EQ(start(sampler, TimestepSpacing::kTrailing, 1.0), (Start{1.0f, largest}));
    const float first = start(sampler, TimestepSpacing::kLeading, 1.0).noise_coef;
    EXPECT_NEAR(start(sampler, TimestepSpacing::kLeading, std::nullopt).noise_coef, std::hypot(first, 1.0f), 1e-4f);
  }
}

TEST(CompileTest, AnEmbeddedScaleIsOneRow) {
  NoiseScheduleConfig config;
  config.embeds_guidance = true;
  SamplerSpec spec{.sampler = Sampler::kLcm, .steps = 4, .guidance_scale = 8.5, .guidance_end = 0.5};
  spec.guidance_rescale = 0.7;
  const SharedProgram program = Compile(config, spec).value();
  EXPECT_EQ(program->RowsFrom(0), 4);
  for (const Evaluation& e : program->evaluations) {
    EXPECT_EQ(e.guidance, (Guidance{GuidanceKind::kEmbedded, e.step < 2 ? 8.5f : 1.0f, 0.0f}));
  }
  EXPECT_EQ(Compile(config, {.steps = 4}).value()->evaluations[0].guidance,
            (Guidance{GuidanceKind::kEmbedded, 1.0f, 0.0f}));
  // Below 1 it is told as well, as diffusers tells it.
  EXPECT_EQ(Compile(config, {.steps = 4, .guidance_scale = 0.5}).value()->evaluations[0].guidance,
            (Guidance{GuidanceKind::kEmbedded, 0.5f, 0.0f}));
}

TEST(CompileTest, ModelsOfScoresTakeScoreSamplersOnly) {
  NoiseScheduleConfig config;
  config.scheduler_class = "ScoreSdeVeScheduler";
  for (const Sampler sampler : SupportedSamplers()) {
    const bool takes = sampler == Sampler::kSdeVe || sampler == Sampler::kAnnealedLangevin;
    const absl::Status status = Compile(config, {.sampler = sampler}).status();
    EXPECT_EQ(status.ok(), takes) << status;
    if (takes) continue;
    EXPECT_THAT(std::string(status.message()), testing::StartsWith("sampler: "));
  }
}

TEST(CompileTest, EqualInputsGiveEqualPrograms) {
  for (const Sampler sampler : SupportedSamplers()) {
    const SamplerSpec spec{.sampler = sampler, .steps = 25, .guidance_scale = 4.0};
    EXPECT_EQ(*Compile({}, spec).value(), *Compile({}, spec).value());
  }
}

// The promise of sampling_program.h that lets an executor skip x0 where nothing needs it.
TEST(CompileTest, TransitionsReadX0OnlyAfterAPost) {
  for (const Sampler sampler : SupportedSamplers()) {
    for (const bool clip : {false, true}) {
      NoiseScheduleConfig config;
      config.clip_sample = clip;
      const SharedProgram program = Compile(config, {.sampler = sampler}).value();
      for (const Evaluation& e : program->evaluations) {
        for (const Term& term : e.transition) {
          EXPECT_TRUE(term.from != Slot::kX0 || e.post.kind != PostKind::kNone);
          EXPECT_NE(term.to, Slot::kX0);
        }
      }
    }
  }
}

}  // namespace
}  // namespace stepcast::sampling

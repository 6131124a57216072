#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "sampling/samplers/registry.h"
#include "tests/sampling/upstream_dummies.h"

namespace stepcast::sampling {
namespace {

NoiseScheduleConfig ScoreModel() {
  NoiseScheduleConfig config;
  config.scheduler_class = "ScoreSdeVeScheduler";
  config.num_train_timesteps = 2000;
  return config;
}

SamplerSpec Spec(int steps) { return {.sampler = Sampler::kSdeVe, .steps = steps}; }

// The mean of the norms of the four dummy samples.
float MeanNorm(absl::Span<const float> batch) {
  const size_t size = batch.size() / 4;
  double sum = 0.0;
  for (size_t n = 0; n < 4; ++n) {
    double squares = 0.0;
    for (const float value : batch.subspan(n * size, size)) squares += static_cast<double>(value) * value;
    sum += std::sqrt(squares) / 4.0;
  }
  return static_cast<float>(sum);
}

// A corrector as upstream has it: norms averaged over the batch, so that its four samples are not independent.
void UseBatchNorms(Evaluation& evaluation, absl::Span<const float> score, absl::Span<const float> noise) {
  const float ratio = evaluation.special_coefs.scale * MeanNorm(noise) / MeanNorm(score);
  const float step = 2.0f * ratio * ratio;
  evaluation.special = Special::kNone;
  evaluation.transition = {{Slot::kLatents, Slot::kLatents, 1.0f},
                           {Slot::kLatents, Slot::kModelOutput, step},
                           {Slot::kLatents, Slot::kNoise, std::sqrt(2.0f * step)}};
}

// Upstream's test sets its lists in an order that leaves the denoiser with the first three levels of 2000.
TEST(SdeVeTest, PublishedFullLoop) {
  SamplingProgram program = *Compile(ScoreModel(), Spec(3)).value();
  ASSERT_EQ(program.evaluations.size(), 6u);
  const std::vector<float> times = TorchLinspace(1.0, 1e-5, 2000);
  for (Evaluation& e : program.evaluations) e.timestep = 0.01f * std::pow(134800.0f, times[e.step]);

  NoiseGenerator generator(0);
  ReferenceInterpreter images(program, DummySample());
  std::vector<float> noise(768);
  while (!images.done()) {
    Evaluation& evaluation = program.evaluations[images.position()];
    const std::vector<float> score = DummyModel()(images.DenoiserInput(), evaluation);
    generator.Fill(absl::MakeSpan(noise));
    if (evaluation.special == Special::kLangevinNorm) UseBatchNorms(evaluation, score, noise);
    images.Step(score, noise);
  }
  const Magnitude got = MagnitudeOf(images.Result());
  EXPECT_NEAR(got.sum / 14372758528.0, 1.0, 1e-5);
  EXPECT_NEAR(got.mean / 18714530.0, 1.0, 1e-5);
}

TEST(SdeVeTest, CorrectorsBeforeEachPredictorAndNoiseInAll) {
  NoiseScheduleConfig config = ScoreModel();
  config.score_sde.correct_steps = 2;
  const SharedProgram program = Compile(config, Spec(4)).value();
  ASSERT_EQ(program->evaluations.size(), 12u);
  EXPECT_EQ(program->steps, 4);
  for (size_t i = 0; i < 12; ++i) {
    const Evaluation& e = program->evaluations[i];
    EXPECT_EQ(e.special, i % 3 == 2 ? Special::kNone : Special::kLangevinNorm);
    EXPECT_TRUE(e.draws_noise);
    EXPECT_EQ(e.input_scale, 1.0f);
  }
  EXPECT_FLOAT_EQ(program->evaluations[0].timestep, 1348.0f);  // sigma itself
  EXPECT_NEAR(program->start.noise_coef, 1348.0f, 1e-3f);
  for (const Term& term : program->evaluations.back().transition) EXPECT_NE(term.from, Slot::kNoise);
}

// On a model that predicts noise, the score is that of x = latents * sqrt(sigma^2 + 1).
TEST(SdeVeTest, OtherModelsThroughTheChangeOfVariables) {
  NoiseScheduleConfig config;
  config.sigma_min = 0.1;
  config.sigma_max = 10.0;
  const SharedProgram program = Compile(config, Spec(2)).value();
  const Evaluation& first = program->evaluations[0];
  EXPECT_NEAR(first.input_scale, 1.0 / std::sqrt(101.0), 1e-6);
  EXPECT_EQ(first.special_coefs.score_from_latents, 0.0f);
  EXPECT_FLOAT_EQ(first.special_coefs.score_from_output, -0.1f);
  EXPECT_FLOAT_EQ(first.x0_from_output, -10.0f);
  EXPECT_FLOAT_EQ(program->start.noise_coef, 10.0f);
}

TEST(SdeVeTest, LevelsMustFall) {
  NoiseScheduleConfig config;
  config.sigma_min = 2.0;
  config.sigma_max = 1.0;
  EXPECT_THAT(std::string(Compile(config, Spec(2)).status().message()),
              testing::HasSubstr("sigma_min is 2 and sigma_max is 1"));
}

}  // namespace
}  // namespace stepcast::sampling

#include "sampling/program/reference_interpreter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace stepcast::sampling {
namespace {

using testing::ElementsAre;
using testing::FloatNear;

SamplingProgram OneEvaluation(Evaluation evaluation) {
  SamplingProgram program;
  program.evaluations.push_back(std::move(evaluation));
  program.steps = 1;
  return program;
}

TEST(ReferenceInterpreterTest, ReadsAllRightHandSidesBeforeAnyWrite) {
  Evaluation e;
  e.transition = {{Slot::kLatents, Slot::kModelOutput, 1.0f}, {Slot::kSaved, Slot::kLatents, 1.0f}};
  const SamplingProgram program = OneEvaluation(e);
  ReferenceInterpreter image(program, {1.0f, 2.0f});
  image.Step(std::vector<float>{30.0f, 40.0f});
  EXPECT_THAT(image.slot(Slot::kLatents), ElementsAre(30.0f, 40.0f));
  EXPECT_THAT(image.slot(Slot::kSaved), ElementsAre(1.0f, 2.0f));
  EXPECT_TRUE(image.done());
}

TEST(ReferenceInterpreterTest, InputScaleIsForTheDenoiserOnly) {
  Evaluation e;
  e.input_scale = 0.5f;
  e.x0_from_latents = 1.0f;
  const SamplingProgram program = OneEvaluation(e);
  ReferenceInterpreter image(program, {4.0f});
  EXPECT_THAT(image.DenoiserInput(), ElementsAre(2.0f));
  image.Step(std::vector<float>{0.0f});
  EXPECT_THAT(image.slot(Slot::kX0), ElementsAre(4.0f));
  EXPECT_THAT(image.Result(), ElementsAre(4.0f));  // no term writes the latents: they stay
}

TEST(ReferenceInterpreterTest, FinishMixesLatentsAndX0) {
  Evaluation e;
  e.x0_from_output = 1.0f;
  SamplingProgram program = OneEvaluation(e);
  program.finish = {0.25f, 10.0f};
  ReferenceInterpreter image(program, {4.0f});
  image.Step(std::vector<float>{3.0f});
  EXPECT_THAT(image.Result(), ElementsAre(31.0f));
}

TEST(ReferenceInterpreterTest, StartMixesImageAndNoise) {
  const std::vector<float> image = {1.0f, 2.0f};
  const std::vector<float> noise = {10.0f, 20.0f};
  EXPECT_THAT(StartLatents({0.5f, 0.1f}, image, noise), ElementsAre(FloatNear(1.5f, 1e-6f), FloatNear(3.0f, 1e-6f)));
  EXPECT_THAT(StartLatents({0.5f, 0.1f}, {}, noise), ElementsAre(1.0f, 2.0f));
}

TEST(ApplyPostTest, Clip) {
  std::vector<float> x0 = {-3.0f, 0.5f, 3.0f};
  ApplyPost({PostKind::kClip, 2.0f, 0.0f}, absl::MakeSpan(x0));
  EXPECT_THAT(x0, ElementsAre(-2.0f, 0.5f, 2.0f));
}

TEST(ApplyPostTest, Threshold) {
  struct Row {
    const char* what;
    float limit;
    float ratio;
    std::vector<float> expected;
  };
  // |x0| sorted: 0, 1, 2, 4. Quantile 0.5: rank 1.5, value 1.5.
  const Row rows[] = {
      {"interpolated quantile", 10.0f, 0.5f, {0.0f, -1.0f / 1.5f, 1.0f, -1.0f}},
      {"never below 1", 10.0f, 0.0f, {0.0f, -1.0f, 1.0f, -1.0f}},
      {"never above the limit", 2.0f, 1.0f, {0.0f, -0.5f, 1.0f, -1.0f}},
      {"a limit below 1 wins", 0.5f, 1.0f, {0.0f, -1.0f, 1.0f, -1.0f}},
      {"the largest value", 10.0f, 1.0f, {0.0f, -0.25f, 0.5f, -1.0f}},
  };
  for (const Row& row : rows) {
    std::vector<float> x0 = {0.0f, -1.0f, 2.0f, -4.0f};
    ApplyPost({PostKind::kThreshold, row.limit, row.ratio}, absl::MakeSpan(x0));
    EXPECT_THAT(x0, testing::Pointwise(testing::FloatEq(), row.expected)) << row.what;
  }
}

TEST(ApplySpecialTest, LearnedVarianceScalesTheNoiseElementByElement) {
  Evaluation e;
  e.draws_noise = true;
  e.transition = {{Slot::kLatents, Slot::kNoise, 1.0f}, {Slot::kLatents, Slot::kModelOutput, 1.0f}};
  e.special = Special::kVarianceNoise;
  e.special_coefs = {.scale = 2.0f, .offset = -1.0f};
  const std::vector<float> output = {10.0f, 20.0f, 0.5f, 1.0f};  // prediction, then v
  const std::vector<float> noise = {3.0f, -1.0f};
  {
    const SamplingProgram program = OneEvaluation(e);
    ReferenceInterpreter image(program, {0.0f, 0.0f});
    image.Step(output, noise);
    EXPECT_THAT(image.Result(), ElementsAre(13.0f, FloatNear(20.0f - std::exp(0.5f), 1e-5f)));
  }
  e.special = Special::kVarianceRoot;
  const SamplingProgram program = OneEvaluation(e);
  ReferenceInterpreter image(program, {0.0f, 0.0f});
  image.Step(std::vector<float>{10.0f, 20.0f, 0.25f, -4.0f}, noise);
  EXPECT_THAT(image.Result(), ElementsAre(11.5f, 20.0f));  // a negative variance counts as none
}

TEST(ApplySpecialTest, LangevinStepComesFromTheNormsOfTheImage) {
  Evaluation e;
  e.draws_noise = true;
  e.x0_from_output = 1.0f;  // of the output as the denoiser gave it
  e.special = Special::kLangevinNorm;
  e.special_coefs = {.scale = 0.5f, .score_from_latents = 1.0f, .score_from_output = -1.0f};
  e.transition = {{Slot::kLatents, Slot::kModelOutput, 1.0f}, {Slot::kLatents, Slot::kNoise, 1.0f}};
  const SamplingProgram program = OneEvaluation(e);
  ReferenceInterpreter image(program, {1.0f, 0.0f});
  // score (-3, -4), norm 5; noise (6, 8), norm 10: s = 2 (0.5 * 10 / 5)^2 = 2.
  image.Step(std::vector<float>{4.0f, 4.0f}, std::vector<float>{6.0f, 8.0f});
  EXPECT_THAT(image.Result(), ElementsAre(6.0f, 8.0f));
  EXPECT_THAT(image.slot(Slot::kX0), ElementsAre(4.0f, 4.0f));

  ReferenceInterpreter still(program, {0.0f, 0.0f});
  still.Step(std::vector<float>{0.0f, 0.0f}, std::vector<float>{6.0f, 8.0f});
  EXPECT_THAT(still.Result(), ElementsAre(0.0f, 0.0f));
}

TEST(RunProgramTest, DrawsExactlyWhenTheProgramSaysSo) {
  SamplingProgram program;
  for (const bool draws : {true, false, true}) {
    Evaluation e;
    e.draws_noise = draws;
    if (draws) e.transition = {{Slot::kLatents, Slot::kLatents, 1.0f}, {Slot::kLatents, Slot::kNoise, 1.0f}};
    program.evaluations.push_back(e);
  }
  const Denoiser nothing = [](absl::Span<const float> input, const Evaluation&) {
    return std::vector<float>(input.size(), 0.0f);
  };
  NoiseGenerator used(9);
  const std::vector<float> got = RunProgram(program, std::vector<float>(20, 0.0f), nothing, used);

  NoiseGenerator expected(9);
  std::vector<float> first(20);
  std::vector<float> second(20);
  expected.Fill(absl::MakeSpan(first));
  expected.Fill(absl::MakeSpan(second));
  for (size_t i = 0; i < 20; ++i) EXPECT_EQ(got[i], first[i] + second[i]);
  EXPECT_EQ(used.state(), expected.state());
}

}  // namespace
}  // namespace stepcast::sampling

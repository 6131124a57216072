#include "engine/job/denoise_state.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/randn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sampling/compile/compile.h"
#include "tests/engine/fake_bundle.h"
#include "tests/engine/picture_jobs.h"

namespace stepcast::engine {
namespace {

using sampling::Slot;
using ::testing::ElementsAre;

std::vector<float> Values(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.contiguous();
  return {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()};
}

sampling::SamplingProgram ProgramOf(std::vector<sampling::Term> terms, bool draws_noise) {
  sampling::SamplingProgram program;
  sampling::Evaluation evaluation;
  evaluation.transition = std::move(terms);
  evaluation.draws_noise = draws_noise;
  program.evaluations.push_back(evaluation);
  program.steps = 1;
  return program;
}

TEST(PersistentSlotsTest, KeepsOnlyWhatALaterEvaluationReads) {
  // Euler-like: latents from latents and output.
  EXPECT_THAT(PersistentSlots(ProgramOf(
                  {{Slot::kLatents, Slot::kLatents, 0.9f}, {Slot::kLatents, Slot::kModelOutput, 0.1f}}, false)),
              ElementsAre(Slot::kLatents));
  // A history slot that is read is kept; one that is only written is not.
  EXPECT_THAT(PersistentSlots(ProgramOf({{Slot::kLatents, Slot::kHistory1, 0.5f},
                                         {Slot::kHistory1, Slot::kX0, 1.0f},
                                         {Slot::kHistory0, Slot::kX0, 1.0f}},
                                        false)),
              ElementsAre(Slot::kLatents, Slot::kHistory1));
  // Noise drawn in the same evaluation need not survive; noise read without a draw must.
  EXPECT_THAT(PersistentSlots(ProgramOf({{Slot::kLatents, Slot::kNoise, 1.0f}}, true)), ElementsAre(Slot::kLatents));
  EXPECT_THAT(PersistentSlots(ProgramOf({{Slot::kLatents, Slot::kNoise, 1.0f}}, false)),
              ElementsAre(Slot::kLatents, Slot::kNoise));
}

TEST(PersistentSlotsTest, FinishKeepsX0) {
  sampling::SamplingProgram program = ProgramOf({{Slot::kLatents, Slot::kModelOutput, 1.0f}}, false);
  program.finish = {.latents_coef = 0.0f, .x0_coef = 1.0f};
  EXPECT_THAT(PersistentSlots(program), ElementsAre(Slot::kLatents, Slot::kX0));
}

// The draws of one image in diffusers: torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed)).
TEST(NoiseTest, GeneratorEqualsTorchForEveryKindOfSize) {
  // 1..15: the scalar path; 16: one block; multiples of 16 and not; the sizes of latents.
  const std::vector<std::vector<int64_t>> shapes = {{1}, {5}, {15}, {16}, {17}, {4, 3, 5}, {1, 4, 16, 16}, {4, 15, 13}};
  for (const int64_t seed : {int64_t{0}, int64_t{7}, int64_t{4294967295}, int64_t{4294967296} + 5}) {
    at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(static_cast<uint64_t>(seed));
    sampling::NoiseGenerator ours(static_cast<uint64_t>(seed));
    for (int round = 0; round < 2; ++round) {
      for (const std::vector<int64_t>& shape : shapes) {
        const std::vector<float> expected = Values(at::randn(shape, generator, at::TensorOptions()));
        std::vector<float> drawn(expected.size());
        ours.Fill(absl::MakeSpan(drawn));
        for (size_t i = 0; i < expected.size(); ++i) {
          // Vectorised logarithm, sine and cosine differ from libm's by a few ulp of values up to 6.
          ASSERT_NEAR(drawn[i], expected[i], 4e-6) << "seed " << seed << " size " << expected.size() << " at " << i;
        }
      }
    }
  }
}

class DenoiseStateTest : public ::testing::Test {
 protected:
  FakeScript script_;
  std::shared_ptr<const model::ModelBundle> bundle_ = MakeFakeBundle("fake", &script_);
  std::unique_ptr<ComputeDevice> device_ = *OpenDevice("cpu", 1);
};

TEST_F(DenoiseStateTest, InitialLatentsAreTheFirstDrawTimesTheNoiseScaleAndStepNoiseFollows) {
  const Picture picture = {.sampler = Sampler::kEulerAncestral};
  const sampling::SharedProgram program = CompilePicture(TestSchedule(), picture);
  ASSERT_GT(program->start.noise_coef, 1.5f);
  DenoiseState state(bundle_, MakeRecipe(program), 42);
  EXPECT_TRUE(state.tensors().empty());
  state.Begin(6, 5, *device_);

  sampling::NoiseGenerator generator(42);
  std::vector<float> first(4 * 6 * 5);
  std::vector<float> second(first.size());
  generator.Fill(absl::MakeSpan(first));
  generator.Fill(absl::MakeSpan(second));
  for (float& value : first) value *= program->start.noise_coef;
  EXPECT_EQ(state.tensors().front().sizes().vec(), (std::vector<int64_t>{4, 6, 5}));
  EXPECT_EQ(Values(state.tensors().front()), first);
  EXPECT_EQ(state.Noise(), second);
}

TEST_F(DenoiseStateTest, NoiseStaysTheSameUntilConsumed) {
  DenoiseState state(bundle_, MakeRecipe(CompilePicture(TestSchedule(), {})), 3);
  state.Begin(4, 4, *device_);
  const std::vector<float> first = state.Noise();
  EXPECT_EQ(state.Noise(), first);
  state.ConsumeNoise();
  EXPECT_NE(state.Noise(), first);
}

TEST_F(DenoiseStateTest, BeginTwiceChangesNothing) {
  DenoiseState state(bundle_, MakeRecipe(CompilePicture(TestSchedule(), {})), 3);
  state.Begin(4, 4, *device_);
  const std::vector<float> latents = Values(state.tensors().front());
  state.Begin(4, 4, *device_);
  EXPECT_EQ(Values(state.tensors().front()), latents);
}

TEST_F(DenoiseStateTest, ParkedSlotsComeBackBitByBit) {
  DenoiseState state(bundle_, MakeRecipe(CompilePicture(TestSchedule(), {.sampler = Sampler::kDpmpp2m})), 5);
  state.Park(*device_);
  EXPECT_FALSE(state.parked()) << "there is nothing to park before Begin";
  state.Begin(4, 4, *device_);
  std::vector<std::vector<float>> before;
  for (const at::Tensor& slot : state.tensors()) before.push_back(Values(slot));
  ASSERT_GT(before.size(), 1u);
  const std::vector<float> noise = state.Noise();
  state.Park(*device_);
  EXPECT_TRUE(state.parked());
  EXPECT_TRUE(state.tensors().empty());
  state.Park(*device_);
  state.Begin(4, 4, *device_);
  EXPECT_FALSE(state.parked());
  ASSERT_EQ(state.tensors().size(), before.size());
  for (size_t i = 0; i < before.size(); ++i) EXPECT_EQ(Values(state.tensors()[i]), before[i]);
  EXPECT_EQ(state.Noise(), noise) << "a draw that was not consumed is still the next";
}

TEST_F(DenoiseStateTest, MultistepSamplersKeepHistoryThatStartsAtZero) {
  DenoiseState state(bundle_, MakeRecipe(CompilePicture(TestSchedule(), {.sampler = Sampler::kDpmpp2m})), 3);
  state.Begin(4, 4, *device_);
  ASSERT_GE(state.slots().size(), 2u);
  EXPECT_EQ(state.IndexOf(Slot::kLatents), 0);
  EXPECT_EQ(state.IndexOf(Slot::kAccumulator), -1);
  for (size_t i = 1; i < state.tensors().size(); ++i) {
    EXPECT_THAT(Values(state.tensors()[i]), ::testing::Each(0.0f));
  }
}

TEST_F(DenoiseStateTest, FinishedLatentsCombineLatentsAndX0) {
  auto program =
      std::make_shared<sampling::SamplingProgram>(ProgramOf({{Slot::kLatents, Slot::kLatents, 1.0f}}, false));
  program->finish = {.latents_coef = 0.5f, .x0_coef = 2.0f};
  DenoiseState state(bundle_, MakeRecipe(program), 3);
  state.Begin(4, 4, *device_);
  at::Tensor x0 = state.tensors()[static_cast<size_t>(state.IndexOf(Slot::kX0))];
  x0.fill_(1.0);
  const std::vector<float> latents = Values(state.tensors().front());
  const std::vector<float> finished = Values(state.FinishedLatents());
  for (size_t i = 0; i < latents.size(); ++i) EXPECT_FLOAT_EQ(finished[i], 0.5f * latents[i] + 2.0f);
}

}  // namespace
}  // namespace stepcast::engine

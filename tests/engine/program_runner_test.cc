#include "engine/step/program_runner.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sampling/compile/compile.h"
#include "sampling/program/reference_interpreter.h"
#include "sampling/samplers/registry.h"
#include "tests/engine/fake_bundle.h"
#include "tests/engine/picture_jobs.h"

namespace stepcast::engine {
namespace {

using sampling::Evaluation;
using sampling::NoiseGenerator;
using sampling::PostKind;
using sampling::ReferenceInterpreter;
using sampling::SharedProgram;
using sampling::Slot;

constexpr int kHeight = 5;
constexpr int kWidth = 6;
constexpr size_t kValues = 4 * kHeight * kWidth;

// Slots reach the first sigma (about 15) in sigma-space samplers, and both sides round in float32 once per
// evaluation, in different order: relative 1e-5 covers some dozens of evaluations.
testing::AssertionResult Near(const at::Tensor& actual, absl::Span<const float> expected) {
  const at::Tensor flat = actual.contiguous();
  for (size_t i = 0; i < expected.size(); ++i) {
    const float value = flat.data_ptr<float>()[i];
    if (!(std::abs(value - expected[i]) <= 1e-5f * (1.0f + std::abs(expected[i])))) {
      return testing::AssertionFailure() << "value " << i << " is " << value << ", expected " << expected[i];
    }
  }
  return testing::AssertionSuccess();
}

// One image painted twice: by the runner, and by the reference interpreter on plain floats.
struct Twin {
  Twin(std::shared_ptr<const model::ModelBundle> bundle, SharedProgram shared, int64_t seed,
       const ComputeDevice& device)
      : program(std::move(shared)),
        state(std::move(bundle), MakeRecipe(program), seed),
        noise(static_cast<uint64_t>(seed)) {
    state.Begin(kHeight, kWidth, device);
    std::vector<float> initial(kValues);
    noise.Fill(absl::MakeSpan(initial));
    for (float& value : initial) value *= program->start.noise_coef;
    reference = std::make_unique<ReferenceInterpreter>(*program, std::move(initial));
  }

  SharedProgram program;
  DenoiseState state;
  NoiseGenerator noise;
  std::unique_ptr<ReferenceInterpreter> reference;
};

// Free and strict: the same arithmetic, in batches or job by job.
class ProgramRunnerTest : public ::testing::TestWithParam<bool> {
 protected:
  Twin& Add(SharedProgram program, int64_t seed) {
    twins_.push_back(std::make_unique<Twin>(bundle_, std::move(program), seed, *device_));
    return *twins_.back();
  }

  // Steps `chosen` together in the runner and each alone in the reference, with the same made-up predictions.
  void Tick(const std::vector<Twin*>& chosen) {
    std::vector<ActiveJob> jobs;
    for (Twin* twin : chosen) jobs.push_back({&twin->state, &twin->reference->next(), nullptr});
    const at::Tensor predictions = at::randn({static_cast<int64_t>(chosen.size()), channels_, kHeight, kWidth}) * 1.5;
    const size_t values = static_cast<size_t>(channels_) * kHeight * kWidth;
    SlotBatch batch = runner_.Gather(jobs);
    runner_.Apply(jobs, predictions, batch);
    for (size_t n = 0; n < chosen.size(); ++n) {
      Twin& twin = *chosen[n];
      std::vector<float> noise(kValues);
      if (twin.reference->next().draws_noise) twin.noise.Fill(absl::MakeSpan(noise));
      const float* prediction = predictions.data_ptr<float>() + n * values;
      twin.reference->Step(absl::MakeConstSpan(prediction, values), noise);
      const std::string where =
          absl::StrCat("job ", n, " of ", chosen.size(), ", sampler ", static_cast<int>(twin.program->sampler),
                       ", position ", twin.reference->position());
      EXPECT_TRUE(Near(batch.x0().select(0, static_cast<int64_t>(n)), twin.reference->slot(Slot::kX0))) << where;
      for (size_t i = 0; i < twin.state.slots().size(); ++i) {
        EXPECT_TRUE(Near(twin.state.tensors()[i], twin.reference->slot(twin.state.slots()[i])))
            << where << ", slot " << static_cast<int>(twin.state.slots()[i]);
      }
    }
  }

  const c10::InferenceMode inference_mode_;
  int64_t channels_ = 4;  // of the predictions; 8: with a variance
  FakeScript script_;
  std::shared_ptr<const model::ModelBundle> bundle_ = MakeFakeBundle("fake", &script_);
  std::unique_ptr<ComputeDevice> device_ = *OpenDevice("cpu", 1);
  ProgramRunner runner_{*device_, /*strict=*/GetParam()};
  std::vector<std::unique_ptr<Twin>> twins_;
};

INSTANTIATE_TEST_SUITE_P(Modes, ProgramRunnerTest, testing::Bool(),
                         [](const auto& suite) { return suite.param ? "Strict" : "Free"; });

// The `variant`-th way to ask for `sampler`. A few samplers take only models that predict noise.
SharedProgram AnyProgram(Sampler sampler, size_t variant, int steps) {
  sampling::SamplerSpec spec;
  spec.sampler = sampler;
  spec.steps = steps;
  spec.guidance_scale = 2.5;
  if (sampling::FindSampler(sampler)->default_eta) spec.eta = 0.5 * static_cast<double>(variant % 3);
  const bool sigma_sampler = sampler == Sampler::kEuler || sampler == Sampler::kDpmpp2m;
  if (sigma_sampler && variant % 2 == 0) spec.sigma_schedule = SigmaSchedule::kKarras;
  NoiseScheduleConfig schedule = TestSchedule();
  auto program = sampling::Compile(schedule, spec);
  if (program.ok()) return *program;
  schedule.prediction_type = PredictionType::kEpsilon;
  program = sampling::Compile(schedule, spec);
  EXPECT_TRUE(program.ok()) << SamplerName(sampler) << ": " << program.status();
  return program.ok() ? *program : nullptr;
}

TEST_P(ProgramRunnerTest, AnyMixOfSamplersAtAnyPositionEqualsTheReference) {
  std::mt19937 random(20240607);
  const std::vector<Sampler>& samplers = sampling::SupportedSamplers();
  for (size_t i = 0; i < 3 * samplers.size(); ++i) {
    const int steps = 2 + static_cast<int>(random() % 9);
    const SharedProgram program = AnyProgram(samplers[i % samplers.size()], i / samplers.size(), steps);
    ASSERT_NE(program, nullptr);
    Add(program, static_cast<int64_t>(random()));
  }
  int largest = 0;
  for (bool live = true; live;) {
    std::vector<Twin*> chosen;
    live = false;
    for (const auto& twin : twins_) {
      if (twin->reference->done()) continue;
      live = true;
      if (random() % 3 != 0) chosen.push_back(twin.get());
    }
    if (chosen.empty()) continue;
    std::ranges::shuffle(chosen, random);
    largest = std::max(largest, static_cast<int>(chosen.size()));
    Tick(chosen);
  }
  EXPECT_GE(largest, 8);
  for (const auto& twin : twins_) EXPECT_TRUE(Near(twin->state.FinishedLatents(), twin->reference->Result()));
}

// A program that no sampler compiles today: every post in one batch, slots that survive, terms that add up.
SharedProgram MadeUpProgram(PostKind post, bool draws_noise) {
  auto program = std::make_shared<sampling::SamplingProgram>();
  for (int step = 0; step < 4; ++step) {
    Evaluation evaluation;
    evaluation.step = step;
    evaluation.x0_from_latents = 1.3f;
    evaluation.x0_from_output = -0.4f;
    evaluation.post = {.kind = post, .limit = 1.2f, .ratio = 0.9f};
    evaluation.draws_noise = draws_noise && step % 2 == 0;
    evaluation.transition = {{Slot::kLatents, Slot::kLatents, 0.25f}, {Slot::kLatents, Slot::kLatents, 0.25f},
                             {Slot::kLatents, Slot::kX0, 0.3f},       {Slot::kLatents, Slot::kHistory2, -0.1f},
                             {Slot::kHistory2, Slot::kSaved, 1.0f},   {Slot::kSaved, Slot::kModelOutput, 0.5f},
                             {Slot::kSaved, Slot::kAccumulator, 0.2f}};
    // The odd evaluations read the noise of the even ones.
    if (draws_noise) evaluation.transition.push_back({Slot::kLatents, Slot::kNoise, 0.7f});
    if (step == 1) evaluation.transition.push_back({Slot::kAccumulator, Slot::kX0, 1.0f});
    program->evaluations.push_back(evaluation);
  }
  program->finish = {.latents_coef = 0.5f, .x0_coef = 0.5f};
  program->steps = 4;
  return program;
}

TEST_P(ProgramRunnerTest, EveryPostAndEverySlotInOneBatch) {
  std::vector<Twin*> all;
  for (const PostKind post : {PostKind::kNone, PostKind::kClip, PostKind::kThreshold}) {
    for (const bool draws : {false, true}) all.push_back(&Add(MadeUpProgram(post, draws), 5 + draws));
  }
  for (int step = 0; step < 4; ++step) Tick(all);
  for (const auto& twin : twins_) EXPECT_TRUE(Near(twin->state.FinishedLatents(), twin->reference->Result()));
}

SharedProgram SpecialProgram(sampling::Special special) {
  auto program = std::make_shared<sampling::SamplingProgram>(*MadeUpProgram(PostKind::kNone, /*draws_noise=*/false));
  for (Evaluation& evaluation : program->evaluations) {
    evaluation.draws_noise = true;
    evaluation.special = special;
    evaluation.special_coefs = {
        .scale = 0.17f, .offset = -1.1f, .score_from_latents = -0.4f, .score_from_output = 0.9f};
    evaluation.transition.push_back({Slot::kLatents, Slot::kNoise, 0.7f});
  }
  return program;
}

TEST_P(ProgramRunnerTest, EverySpecialInOneBatch) {
  using sampling::Special;
  channels_ = 8;
  std::vector<Twin*> all;
  for (const Special special :
       {Special::kNone, Special::kVarianceNoise, Special::kVarianceRoot, Special::kLangevinNorm}) {
    all.push_back(&Add(SpecialProgram(special), 11));
  }
  for (int step = 0; step < 4; ++step) Tick(all);
  for (const auto& twin : twins_) EXPECT_TRUE(Near(twin->state.FinishedLatents(), twin->reference->Result()));
}

TEST_P(ProgramRunnerTest, ALangevinStepWithoutAScoreMovesNothing) {
  Twin& still = Add(SpecialProgram(sampling::Special::kLangevinNorm), 3);
  auto program = std::make_shared<sampling::SamplingProgram>(still.state.program());
  Evaluation evaluation = program->evaluations.front();
  evaluation.special_coefs = {.scale = 0.17f, .offset = 0.0f, .score_from_latents = 0.0f, .score_from_output = 1.0f};
  const std::vector<ActiveJob> jobs = {{&still.state, &evaluation, nullptr}};
  SlotBatch batch = runner_.Gather(jobs);
  runner_.Apply(jobs, at::zeros({1, 4, kHeight, kWidth}), batch);
  EXPECT_TRUE(still.state.tensors().front().isfinite().all().item<bool>()) << "0 / 0";
}

TEST_P(ProgramRunnerTest, ClippingOneRowLeavesTheOthersUnbounded) {
  Twin& free = Add(MadeUpProgram(PostKind::kNone, false), 1);
  Twin& clipped = Add(MadeUpProgram(PostKind::kClip, false), 1);
  const std::vector<ActiveJob> jobs = {{&free.state, &free.reference->next()},
                                       {&clipped.state, &clipped.reference->next()}};
  SlotBatch batch = runner_.Gather(jobs);
  runner_.Apply(jobs, at::randn({2, 4, kHeight, kWidth}) * 100.0, batch);
  EXPECT_GT(batch.x0().select(0, 0).abs().max().item<float>(), 10.0f);
  EXPECT_LE(batch.x0().select(0, 1).abs().max().item<float>(), 1.2f);
}

TEST_P(ProgramRunnerTest, NanInOneJobReachesNoOther) {
  Twin& healthy = Add(CompilePicture(TestSchedule(), {.sampler = Sampler::kEulerAncestral}), 1);
  Twin& sick = Add(CompilePicture(TestSchedule(), {.sampler = Sampler::kDpmpp2m}), 2);
  const std::vector<ActiveJob> jobs = {{&healthy.state, &healthy.reference->next()},
                                       {&sick.state, &sick.reference->next()}};
  at::Tensor predictions = at::randn({2, 4, kHeight, kWidth});
  predictions.select(0, 1).fill_(NAN);
  SlotBatch batch = runner_.Gather(jobs);
  runner_.Apply(jobs, predictions, batch);
  EXPECT_TRUE(healthy.state.tensors().front().isfinite().all().item<bool>());
  EXPECT_FALSE(sick.state.tensors().front().isfinite().any().item<bool>());
}

TEST_P(ProgramRunnerTest, GatherCopiesAndApplyWritesInPlace) {
  Twin& twin = Add(CompilePicture(TestSchedule(), {}), 1);
  const void* before = twin.state.tensors().front().data_ptr();
  const std::vector<ActiveJob> jobs = {{&twin.state, &twin.reference->next()}};
  SlotBatch batch = runner_.Gather(jobs);
  EXPECT_NE(batch.latents().data_ptr(), before);
  runner_.Apply(jobs, at::randn({1, 4, kHeight, kWidth}), batch);
  EXPECT_EQ(twin.state.tensors().front().data_ptr(), before);
}

}  // namespace
}  // namespace stepcast::engine

// Jobs that bring a picture: which ticks they need, what is drawn in which order, what is kept between ticks.

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "core/error_reason.h"
#include "engine/executor/diffusion_executor.h"
#include "sampling/program/noise_generator.h"
#include "tests/engine/fake_bundle.h"
#include "tests/engine/picture_jobs.h"

namespace stepcast::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// [C, h, w] of the next normals.
at::Tensor Normals(sampling::NoiseGenerator& generator, c10::IntArrayRef shape) {
  std::vector<float> values(static_cast<size_t>(c10::multiply_integers(shape)));
  generator.Fill(absl::MakeSpan(values));
  return at::from_blob(values.data(), shape).clone();
}

double Difference(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

class PictureStartTest : public ::testing::Test {
 protected:
  PictureStartTest() {
    DiffusionExecutorOptions options;
    options.shelf = ShelfOf({MakeFakeBundle("fake", &script_)});
    options.device = *OpenDevice("cpu", 1);
    options.limits = {.max_denoise_rows = 16};
    executor_ = std::make_unique<DiffusionExecutor>(std::move(options), metrics_);
  }

  Job* Add(const Picture& picture) {
    jobs_.push_back(MakePictureJob(static_cast<int64_t>(jobs_.size()) + 1, MakePictureModel("fake"), picture));
    EXPECT_EQ(executor_->Start(*jobs_.back()), absl::OkStatus());
    return jobs_.back().get();
  }

  std::vector<StepResult> Tick(const std::vector<Job*>& jobs) {
    StepPlan plan;
    plan.key = jobs.front()->key();
    for (const Job* job : jobs) plan.jobs.push_back(job->id());
    std::vector<StepResult> results = executor_->Execute(plan, jobs);
    for (size_t i = 0; i < jobs.size(); ++i) {
      EXPECT_TRUE(results[i].status.ok()) << results[i].status;
      jobs[i]->Advance();
    }
    return results;
  }

  // Until its first evaluation is done.
  DenoiseState& Begun(Job* job) {
    while (job->phase() != Phase::kDenoise) Tick({job});
    Tick({job});
    return static_cast<DenoiseState&>(*job->state());
  }

  FakeScript script_;
  NullEngineMetrics metrics_;
  std::unique_ptr<DiffusionExecutor> executor_;
  std::vector<std::unique_ptr<Job>> jobs_;
};

TEST_F(PictureStartTest, APictureIsATickOfItsOwnUntilItIsKnown) {
  Job* const job = Add({.brought = Brought{}});
  EXPECT_THAT(job->to_encode(), ElementsAre(0, 1));
  Tick({job});
  EXPECT_EQ(job->key().ToString(), "encode_picture:fake:8x8");
  Tick({job});
  EXPECT_EQ(job->phase(), Phase::kDenoise);
  EXPECT_THAT(script_.picture_sizes, ElementsAre(1));
  EXPECT_THAT(Add({.steps = 9, .seed = 8, .brought = Brought{}})->to_encode(), IsEmpty()) << "somebody has it";
  EXPECT_THAT(Add({.brought = Brought{.pattern = 1}})->to_encode(), ElementsAre(1));
}

TEST_F(PictureStartTest, DrawsComeInTheOrderOfDiffusers) {
  // 4 channels blend: posterior, noise, and one more that diffusers draws for the masked picture.
  const Picture picture{.steps = 4,
                        .sampler = Sampler::kEulerAncestral,
                        .guidance_scale = 1.0,
                        .seed = 5,
                        .brought = Brought{.strength = 0.5, .masked = true}};
  Job* const job = Add(picture);
  while (job->phase() != Phase::kDenoise) Tick({job});
  auto& state = static_cast<DenoiseState&>(*job->state());
  const auto device = *OpenDevice("cpu", 1);
  state.Begin(8, 8, *device);
  sampling::NoiseGenerator generator(5);
  const EncodedPicture& encoded = *state.picture(0);
  const at::Tensor latents = (encoded.mean + encoded.deviation * Normals(generator, {4, 8, 8})) * 0.5;
  const at::Tensor noise = Normals(generator, {4, 8, 8});
  Normals(generator, {4, 8, 8});
  EXPECT_LT(Difference(state.LatentsOf(0), latents), 1e-6);
  EXPECT_LT(Difference(state.InitialNoise(), noise), 1e-6);
  const sampling::Start& start = state.program().start;
  EXPECT_LT(Difference(state.tensors().front(), latents * start.image_coef + noise * start.noise_coef), 1e-5);
  const at::Tensor next = Normals(generator, {4, 8, 8});
  EXPECT_LT(Difference(at::from_blob(const_cast<float*>(state.Noise().data()), {4, 8, 8}), next), 1e-6);
}

TEST_F(PictureStartTest, WhatIsKeptIsParkedWithTheRest) {
  const Picture picture{.steps = 4,
                        .sampler = Sampler::kDpmpp2m,
                        .seed = 5,
                        .brought = Brought{.strength = 1.0, .masked = true, .x0 = true}};
  std::vector<SharedImage> images;
  for (const bool parks : {false, true}) {
    Job* const job = Add(picture);
    while (!job->done()) {
      if (parks && job->phase() == Phase::kDenoise) {
        EXPECT_TRUE(executor_->Park(*job->state()).ok());
      }
      const bool last = job->on_last_tick();
      const std::vector<StepResult> results = Tick({job});
      if (last) images.push_back(results[0].image);
    }
  }
  EXPECT_EQ(images[0]->pixels, images[1]->pixels);
}

// Whatever the sampler and the domain: what the mask keeps is the picture as the autoencoder has it.
TEST_F(PictureStartTest, KeptCellsAreThePicture) {
  for (const Brought& brought : {Brought{.strength = 0.8, .masked = true}, Brought{.strength = 1.0, .masked = true},
                                 Brought{.strength = 0.8, .masked = true, .x0 = true, .noise_fill = true},
                                 Brought{.strength = 0.9, .masked = true, .differential = true}}) {
    for (const Sampler sampler : {Sampler::kDdim, Sampler::kEulerAncestral, Sampler::kHeun, Sampler::kDpmpp2mSde}) {
      Job* const job = Add({.steps = 5, .sampler = sampler, .seed = 7, .brought = brought});
      while (!job->denoised()) Tick({job});
      const auto& state = static_cast<const DenoiseState&>(*job->state());
      const int64_t kept = brought.differential ? 7 : 0;  // the column where the mask is 0
      EXPECT_LT(Difference(state.FinishedLatents().select(2, kept), state.LatentsOf(0).select(2, kept)), 1e-5)
          << SamplerName(sampler) << brought.x0 << brought.differential;
      EXPECT_GT(Difference(state.FinishedLatents().select(2, 7 - kept), state.LatentsOf(0).select(2, 7 - kept)), 1e-2);
    }
  }
}

TEST_F(PictureStartTest, InversionGoesToNoiseAndBack) {
  // Without guidance and with many steps the way back is the way there.
  Job* const job = Add({.steps = 400, .guidance_scale = 1.0, .seed = 7, .brought = Brought{.invert = true}});
  while (!job->denoised()) Tick({job});
  const auto& state = static_cast<const DenoiseState&>(*job->state());
  EXPECT_EQ(state.stage_index(), 1);
  EXPECT_EQ(job->work().evaluations(), 800);
  sampling::NoiseGenerator generator(7);
  const EncodedPicture& encoded = *state.picture(0);
  const at::Tensor latents = (encoded.mean + encoded.deviation * Normals(generator, {4, 8, 8})) * 0.5;
  EXPECT_LT(Difference(state.FinishedLatents(), latents), 0.05 * latents.std().item<double>());
}

}  // namespace
}  // namespace stepcast::engine

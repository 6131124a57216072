#include "engine/executor/diffusion_executor.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "core/error_reason.h"
#include "engine/job/latent_resize.h"
#include "sampling/compile/compile.h"
#include "sampling/program/reference_interpreter.h"
#include "tests/engine/fake_bundle.h"
#include "tests/engine/picture_jobs.h"

namespace stepcast::engine {
namespace {

using sampling::Evaluation;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// The finished picture, worked out on plain floats by the reference interpreter.
std::vector<uint8_t> ExpectedPixels(const Job& job) {
  const GenerationRequest& request = job.request();
  const int height = request.latent_height();
  const int width = request.latent_width();
  const size_t size = 4 * static_cast<size_t>(height) * static_cast<size_t>(width);
  const auto predict = [&](absl::Span<const float> input, const Evaluation& evaluation) {
    std::vector<float> copy(input.begin(), input.end());
    const at::Tensor latents = at::from_blob(copy.data(), {4, height, width});
    at::Tensor output = FakePrediction(latents, evaluation.timestep, request.prompt_parts.front().tokens.ids.front());
    if (evaluation.rows() == 2) {
      const at::Tensor uncond = FakePrediction(latents, evaluation.timestep, request.negative_tokens.ids.front());
      output = uncond + (output - uncond) * evaluation.guidance.scale;
    }
    return std::vector<float>(output.data_ptr<float>(), output.data_ptr<float>() + size);
  };
  sampling::NoiseGenerator noise(static_cast<uint64_t>(job.seed()));
  std::vector<float> initial(size);
  noise.Fill(absl::MakeSpan(initial));
  const sampling::SamplingProgram& program = *job.spec().recipe->stages.front().program;
  const std::vector<float> latents =
      sampling::RunProgram(program, sampling::StartLatents(program.start, {}, initial), predict, noise);
  std::vector<uint8_t> pixels;
  for (int y = 0; y < 4 * height; ++y) {
    for (int x = 0; x < 4 * width; ++x) {
      for (int c = 0; c < 3; ++c) {
        const float value = std::tanh(latents[static_cast<size_t>((c * height + y / 4) * width + x / 4)]);
        pixels.push_back(static_cast<uint8_t>(std::nearbyint(255.0f * std::clamp(value * 0.5f + 0.5f, 0.0f, 1.0f))));
      }
    }
  }
  return pixels;
}

int LargestDifference(const std::vector<uint8_t>& a, const std::vector<uint8_t>& b) {
  if (a.size() != b.size()) return 256;
  int largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(int{a[i]} - int{b[i]}));
  return largest;
}

class DiffusionExecutorTest : public ::testing::Test {
 protected:
  std::unique_ptr<DiffusionExecutor> MakeExecutor(size_t cache_entries = 100, int strict_rows = 0) {
    DiffusionExecutorOptions options;
    shelf_ = ShelfOf({MakeFakeBundle("fake", &script_), MakeFakeBundle("second", &script_)});
    options.shelf = shelf_;
    options.device = *OpenDevice("cpu", 1);
    options.limits = {.max_denoise_rows = 16, .max_encode_jobs = 8, .max_decode_jobs = 2, .strict_rows = strict_rows};
    options.embedding_cache_entries = cache_entries;
    options.log = [this](std::string_view text) { log_.emplace_back(text); };
    return std::make_unique<DiffusionExecutor>(std::move(options), metrics_);
  }

  Job* Add(const Picture& picture, const std::string& model = "fake") {
    ModelInfo info = *MakePictureModel(model);
    info.decoding = decoding_;
    jobs_.push_back(MakePictureJob(static_cast<int64_t>(jobs_.size()) + 1,
                                   std::make_shared<const ModelInfo>(std::move(info)), picture));
    return jobs_.back().get();
  }

  std::vector<StepResult> Execute(Phase phase, const std::vector<Job*>& jobs) {
    StepPlan plan;
    plan.key.phase = phase;
    for (const Job* job : jobs) plan.jobs.push_back(job->id());
    return executor_->Execute(plan, jobs);
  }

  // Start and encode.
  void Prepare(const std::vector<Job*>& jobs) {
    for (Job* job : jobs) ASSERT_TRUE(executor_->Start(*job).ok());
    for (const StepResult& result : Execute(Phase::kEncode, jobs)) ASSERT_TRUE(result.status.ok()) << result.status;
    for (Job* job : jobs) job->set_needs_encode(false);
  }

  // One denoise tick of all `jobs`; those that succeed move on.
  std::vector<StepResult> Denoise(const std::vector<Job*>& jobs) {
    std::vector<StepResult> results = Execute(Phase::kDenoise, jobs);
    for (size_t i = 0; i < jobs.size(); ++i) {
      if (results[i].status.ok()) jobs[i]->Advance();
    }
    return results;
  }

  // Ticks whoever is not denoised yet, until all are.
  void DenoiseToTheEnd(const std::vector<Job*>& jobs) {
    while (true) {
      std::vector<Job*> live;
      std::ranges::copy_if(jobs, std::back_inserter(live), [](const Job* job) { return !job->denoised(); });
      if (live.empty()) return;
      for (const StepResult& result : Denoise(live)) ASSERT_TRUE(result.status.ok()) << result.status;
    }
  }

  NullEngineMetrics metrics_;
  FakeScript script_;
  std::vector<std::string> log_;
  Decoding decoding_;                  // of the models of jobs that are added
  std::shared_ptr<ModelShelf> shelf_;  // of the newest executor
  std::unique_ptr<DiffusionExecutor> executor_ = MakeExecutor();
  std::vector<std::unique_ptr<Job>> jobs_;
};

TEST_F(DiffusionExecutorTest, PaintsWhatTheReferencePaintsForAMixedBatch) {
  const std::vector<Job*> jobs = {
      Add({.steps = 5, .sampler = Sampler::kDdim, .eta = 1.0}),
      Add({.prompt = {9, 3}, .steps = 3, .sampler = Sampler::kEuler, .seed = 5}),
      Add({.steps = 6, .sampler = Sampler::kEulerAncestral, .guidance_scale = 1.0, .seed = 6}),
      Add({.prompt = {4, 4}, .steps = 4, .sampler = Sampler::kDpmpp2m, .guidance_scale = 5.0, .guidance_end = 0.6}),
      Add({.steps = 4, .sampler = Sampler::kDdpm, .seed = 77}),
  };
  Prepare(jobs);
  DenoiseToTheEnd(jobs);
  EXPECT_THAT(script_.forward_rows, ElementsAre(9, 9, 8, 6, 3, 1));
  const std::vector<StepResult> results = Execute(Phase::kDecode, jobs);
  EXPECT_THAT(script_.decode_sizes, ElementsAre(2, 2, 1));
  for (size_t i = 0; i < jobs.size(); ++i) {
    ASSERT_TRUE(results[i].status.ok()) << results[i].status;
    EXPECT_EQ(results[i].image->width, 32);
    // Different summation order in float32; a value on the edge between two bytes may fall on either side.
    EXPECT_LE(LargestDifference(results[i].image->pixels, ExpectedPixels(*jobs[i])), 1) << "job " << i;
  }
}

// 100 bytes a pixel, 32 x 32 pixels: one picture fits, two do not.
TEST_F(DiffusionExecutorTest, PicturesThatDoNotFitTogetherAreDecodedOneByOne) {
  decoding_.bytes_per_pixel = 100;
  decoding_.max_bytes = 2 * 100 * 32 * 32 - 1;
  const std::vector<Job*> jobs = {Add({.preview_every = 1}), Add({.seed = 2, .preview_every = 1})};
  Prepare(jobs);
  DenoiseToTheEnd(jobs);
  EXPECT_THAT(script_.preview_sizes, ElementsAre(1, 1, 1, 1, 1, 1)) << "previews are decodes, too";
  for (const StepResult& result : Execute(Phase::kDecode, jobs)) ASSERT_TRUE(result.status.ok()) << result.status;
  EXPECT_THAT(script_.decode_sizes, ElementsAre(1, 1));
  decoding_.max_bytes += 1;
  const std::vector<Job*> small = {Add({.seed = 3}), Add({.seed = 4})};
  Prepare(small);
  DenoiseToTheEnd(small);
  Execute(Phase::kDecode, small);
  EXPECT_THAT(script_.decode_sizes, ElementsAre(1, 1, 2));
}

TEST_F(DiffusionExecutorTest, TiledPicturesAreDecodedApartFromOthers) {
  const std::vector<Job*> jobs = {Add({}), Add({.seed = 2, .vae_tiling = true}), Add({.seed = 3, .vae_tiling = true}),
                                  Add({.seed = 4})};
  Prepare(jobs);
  DenoiseToTheEnd(jobs);
  const std::vector<StepResult> results = Execute(Phase::kDecode, jobs);
  EXPECT_THAT(script_.decode_sizes, ElementsAre(1, 2, 1));
  EXPECT_THAT(script_.tiled_sizes, ElementsAre(2));
  for (size_t i = 0; i < jobs.size(); ++i) {
    ASSERT_TRUE(results[i].status.ok()) << results[i].status;
    EXPECT_LE(LargestDifference(results[i].image->pixels, ExpectedPixels(*jobs[i])), 1);
  }
}

// The fake decoder looks at one cell only, so that tiles make the same picture.
TEST_F(DiffusionExecutorTest, ALargePictureIsDecodedTileByTile) {
  decoding_.tile_side = kFakeTilePixels;
  Job* const large = Add({.width = 64, .height = 64, .vae_tiling = true});
  Job* const small = Add({.seed = 2, .vae_tiling = true});
  Prepare({large, small});
  DenoiseToTheEnd({large});
  DenoiseToTheEnd({small});
  size_t forwards = 0;
  for (int tick = 0; tick < 9; ++tick) {
    const std::vector<Job*> jobs = tick == 4 ? std::vector<Job*>{large, small} : std::vector<Job*>{large};
    // Parked, it begins anew, and catches up in one tick.
    if (tick == 6) {
      ASSERT_TRUE(executor_->Park(*large->state()).ok());
    }
    forwards += tick == 6 ? 7 : jobs.size();
    ASSERT_EQ(large->on_last_tick(), tick == 8);
    const std::vector<StepResult> results = Execute(Phase::kDecode, jobs);
    EXPECT_EQ(script_.decode_sizes.size(), forwards) << tick;
    for (size_t i = 0; i < jobs.size(); ++i) {
      ASSERT_TRUE(results[i].status.ok()) << results[i].status;
      ASSERT_EQ(results[i].image != nullptr, jobs[i]->on_last_tick()) << tick;
      if (results[i].image == nullptr) continue;
      EXPECT_LE(LargestDifference(results[i].image->pixels, ExpectedPixels(*jobs[i])), 1);
    }
    large->Advance();
  }
  EXPECT_TRUE(large->done());
}

TEST_F(DiffusionExecutorTest, ALargePictureThatComesWithARequestIsEncodedTileByTile) {
  decoding_.tile_side = kFakeTilePixels;
  const Picture wanted{.width = 64, .height = 64, .vae_tiling = true, .brought = Brought{.pattern = 1}};
  Job* const first = Add(wanted);
  Job* const second = Add(wanted);
  Picture whole = wanted;
  whole.vae_tiling = false;
  Job* const plain = Add(whole);
  const auto encode = [&](Job* job) {
    while (job->needs_encode()) {
      const std::vector<StepResult> results = Execute(job->phase(), {job});
      ASSERT_TRUE(results[0].status.ok()) << results[0].status;
      job->Advance();
    }
  };
  for (Job* job : {first, second, plain}) ASSERT_TRUE(executor_->Start(*job).ok());
  encode(first);
  EXPECT_EQ(script_.picture_sizes.size(), 9u);
  encode(second);
  EXPECT_EQ(script_.picture_sizes.size(), 9u) << "it is known by now";
  encode(plain);
  EXPECT_EQ(script_.picture_sizes.size(), 10u);
  const auto mean = [](const Job* job) { return static_cast<DenoiseState&>(*job->state()).picture(0)->mean; };
  EXPECT_LE((mean(first) - mean(plain)).abs().max().item<float>(), 1e-6f) << "means of cells know no tiles";
  EXPECT_EQ(&*static_cast<DenoiseState&>(*first->state()).picture(0),
            &*static_cast<DenoiseState&>(*second->state()).picture(0));
  Job* const third = Add(wanted);
  ASSERT_TRUE(executor_->Start(*third).ok());
  EXPECT_FALSE(third->needs_encode());
}

TEST_F(DiffusionExecutorTest, APreviewThatMakesNoSenseCostsNoPicture) {
  script_.previews = std::numeric_limits<float>::quiet_NaN();
  const std::vector<Job*> jobs = {Add({.preview_every = 1})};
  Prepare(jobs);
  const std::vector<StepResult> results = Denoise(jobs);
  ASSERT_TRUE(results[0].status.ok()) << results[0].status;
  EXPECT_EQ(results[0].preview, nullptr);
}

TEST_F(DiffusionExecutorTest, SizesOtherThanSquareKeepTheirSides) {
  const std::vector<Job*> jobs = {Add({.width = 48, .height = 32})};
  Prepare(jobs);
  DenoiseToTheEnd(jobs);
  const std::vector<StepResult> results = Execute(Phase::kDecode, jobs);
  EXPECT_EQ(results[0].image->width, 48);
  EXPECT_EQ(results[0].image->height, 32);
  EXPECT_LE(LargestDifference(results[0].image->pixels, ExpectedPixels(*jobs[0])), 1);
}

TEST_F(DiffusionExecutorTest, AWarmJobSkipsItsEncode) {
  Prepare({Add({})});
  Job* warm = Add({.seed = 2});
  ASSERT_TRUE(executor_->Start(*warm).ok());
  EXPECT_FALSE(warm->needs_encode());
}

TEST_F(DiffusionExecutorTest, PreviewsShowX0OfTheStepsThatAskForThem) {
  const std::vector<Job*> jobs = {Add({.steps = 4, .preview_every = 2}), Add({.steps = 4})};
  Prepare(jobs);
  std::vector<bool> seen;
  for (int step = 0; step < 4; ++step) {
    const std::vector<StepResult> results = Denoise(jobs);
    seen.push_back(results[0].preview != nullptr);
    EXPECT_EQ(results[1].preview, nullptr);
    if (results[0].preview == nullptr) continue;
    EXPECT_EQ(results[0].preview->width, 8);
    EXPECT_EQ(results[0].preview->height, 8);
    EXPECT_EQ(results[0].preview->pixels.size(), 8u * 8 * 3);
  }
  EXPECT_THAT(seen, ElementsAre(false, true, false, false));
}

TEST_F(DiffusionExecutorTest, APoisonedJobFailsAloneAndItsNeighboursArePaintedAsEver) {
  Job* healthy = Add({.prompt = {3, 9}, .seed = 4});
  Job* sick = Add({.prompt = {1, 1, 1, 1}});
  Prepare({healthy, sick});
  script_.poison_above = 0.65f;  // the embedding of {1, 1, 1, 1} has mean 0.68, the others less than 0.61
  DenoiseToTheEnd({healthy, sick});
  const std::vector<StepResult> results = Execute(Phase::kDecode, {healthy, sick});
  ASSERT_TRUE(results[0].status.ok()) << results[0].status;
  EXPECT_LE(LargestDifference(results[0].image->pixels, ExpectedPixels(*healthy)), 1);
  EXPECT_EQ(results[1].status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(ErrorReason(results[1].status), "NUMERIC_FAULT");
  EXPECT_EQ(results[1].image, nullptr);
}

// A forward that throws is looked for by halves: whoever makes it throw is found, and nobody draws noise twice.
TEST_F(DiffusionExecutorTest, AJobWhoseForwardThrowsIsFoundAndItsNeighboursArePaintedAsEver) {
  std::vector<Job*> healthy = {Add({.prompt = {3, 9}, .sampler = Sampler::kEulerAncestral, .seed = 4}),
                               Add({.prompt = {9, 3}, .sampler = Sampler::kDdpm, .seed = 5}),
                               Add({.prompt = {4, 4}, .seed = 6})};
  Job* const sick = Add({.prompt = {1, 1, 1, 1}});
  const std::vector<Job*> all = {healthy[0], sick, healthy[1], healthy[2]};
  Prepare(all);
  Denoise(all);
  script_.throws_above = 0.65f;  // as poison_above below
  script_.forward_rows.clear();
  const std::vector<StepResult> ticked = Denoise(all);
  EXPECT_THAT(script_.forward_rows, ElementsAre(8, 4, 2, 2, 4));
  EXPECT_EQ(ticked[1].status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(ErrorReason(ticked[1].status), "ENGINE_ERROR");
  EXPECT_FALSE(executor_->TakeMemoryCap(sick->key()).has_value()) << "it was no want of memory";
  DenoiseToTheEnd(healthy);
  const std::vector<StepResult> results = Execute(Phase::kDecode, healthy);
  for (size_t i = 0; i < healthy.size(); ++i) {
    ASSERT_TRUE(results[i].status.ok()) << results[i].status;
    EXPECT_LE(LargestDifference(results[i].image->pixels, ExpectedPixels(*healthy[i])), 1) << "job " << i;
  }
}

// Nonsense that begins at any evaluation.
TEST_F(DiffusionExecutorTest, NonsenseFromAnyStepOnCostsItsJobAlone) {
  Job* const healthy = Add({.prompt = {3, 9}, .steps = 4, .seed = 4});
  Prepare({healthy});
  for (int k = 0; k < 4; ++k) {
    Job* const sick = Add({.prompt = {1, 1, 1, 1}, .steps = 4});
    Job* const neighbour = Add({.prompt = {3, 9}, .steps = 4, .seed = 4});
    Prepare({sick, neighbour});
    script_.poison_above = 1e9f;
    for (int step = 0; step < 4; ++step) {
      if (step == k) script_.poison_above = 0.65f;
      Denoise({sick, neighbour});
    }
    const std::vector<StepResult> results = Execute(Phase::kDecode, {sick, neighbour});
    EXPECT_EQ(ErrorReason(results[0].status), "NUMERIC_FAULT") << k;
    ASSERT_TRUE(results[1].status.ok()) << results[1].status;
    EXPECT_LE(LargestDifference(results[1].image->pixels, ExpectedPixels(*healthy)), 1) << k;
  }
}

TEST_F(DiffusionExecutorTest, APoisonedPreviewFailsItsJobEarly) {
  Job* healthy = Add({.prompt = {3, 9}, .preview_every = 1});
  Job* sick = Add({.prompt = {1, 1, 1, 1}, .preview_every = 1});
  Prepare({healthy, sick});
  script_.poison_above = 0.65f;
  const std::vector<StepResult> results = Denoise({healthy, sick});
  EXPECT_TRUE(results[0].status.ok());
  EXPECT_NE(results[0].preview, nullptr);
  EXPECT_EQ(ErrorReason(results[1].status), "NUMERIC_FAULT");
}

TEST_F(DiffusionExecutorTest, OutOfMemorySplitsTheTickAndDrawsNoNoiseTwice) {
  const std::vector<Job*> jobs = {Add({.sampler = Sampler::kEulerAncestral, .seed = 1}),
                                  Add({.sampler = Sampler::kDdpm, .seed = 2}),
                                  Add({.sampler = Sampler::kEulerAncestral, .seed = 3})};
  Prepare(jobs);
  Denoise(jobs);
  script_.max_rows = 2;
  script_.max_images = 1;
  script_.forward_rows.clear();
  Denoise(jobs);
  EXPECT_THAT(script_.forward_rows, ElementsAre(6, 2, 4, 2, 2));
  DenoiseToTheEnd(jobs);
  const std::vector<StepResult> results = Execute(Phase::kDecode, jobs);
  for (size_t i = 0; i < jobs.size(); ++i) {
    ASSERT_TRUE(results[i].status.ok()) << results[i].status;
    EXPECT_LE(LargestDifference(results[i].image->pixels, ExpectedPixels(*jobs[i])), 1) << "job " << i;
  }
  EXPECT_THAT(log_.front(), HasSubstr("the scripted shortage"));
}

TEST_F(DiffusionExecutorTest, AJobThatDoesNotFitAloneFailsAlone) {
  Job* guided = Add({});
  Job* plain = Add({.guidance_scale = 1.0});
  Prepare({guided, plain});
  script_.max_rows = 1;
  const std::vector<StepResult> results = Denoise({guided, plain});
  EXPECT_EQ(results[0].status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(results[0].status), "DEVICE_MEMORY");
  EXPECT_TRUE(results[1].status.ok()) << results[1].status;
}

TEST_F(DiffusionExecutorTest, AForwardThatFailsFailsTheBatchAndTheNextOneRuns) {
  const std::vector<Job*> jobs = {Add({}), Add({.seed = 2})};
  Prepare(jobs);
  script_.denoiser_throws = true;
  for (const StepResult& result : Denoise(jobs)) {
    EXPECT_EQ(result.status.code(), absl::StatusCode::kInternal);
    EXPECT_EQ(ErrorReason(result.status), "ENGINE_ERROR");
    EXPECT_THAT(std::string(result.status.message()), ::testing::Not(HasSubstr("scripted")));
  }
  EXPECT_THAT(log_.back(), HasSubstr("the scripted failure"));
  script_.denoiser_throws = false;
  for (const StepResult& result : Denoise(jobs)) EXPECT_TRUE(result.status.ok());
}

TEST_F(DiffusionExecutorTest, AJobThatIsDestroyedFreesItsTensors) {
  executor_ = MakeExecutor(/*cache_entries=*/0);
  Prepare({Add({})});
  Denoise({jobs_.back().get()});
  const auto& state = static_cast<const DenoiseState&>(*jobs_.back()->state());
  const std::weak_ptr<const Embedding> embedding = Cond(state);
  const at::Tensor latents = state.tensors().front();
  EXPECT_EQ(latents.use_count(), 2u);
  jobs_.clear();
  EXPECT_EQ(latents.use_count(), 1u);
  EXPECT_TRUE(embedding.expired());
}

TEST_F(DiffusionExecutorTest, JobsKeepTheModelTheyStartedWith) {
  Job* first = Add({});
  Job* second = Add({}, "second");
  Prepare({first});
  ASSERT_TRUE(executor_->Start(*second).ok());
  // The same prompt of another model is another embedding.
  EXPECT_TRUE(second->needs_encode());
  const auto& a = static_cast<const DenoiseState&>(*first->state());
  const auto& b = static_cast<const DenoiseState&>(*second->state());
  EXPECT_NE(&a.bundle(), &b.bundle());
}

TEST_F(DiffusionExecutorTest, StartRefusesWhatItCannotPaint) {
  Job* unknown = Add({}, "absent");
  EXPECT_EQ(executor_->Start(*unknown).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(unknown->state(), nullptr);

  Job* outside = Add({.prompt = {kFakeVocabulary}});
  EXPECT_EQ(executor_->Start(*outside).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(outside->state(), nullptr);

  auto program = std::make_shared<sampling::SamplingProgram>(*CompilePicture(TestSchedule(), {}));
  program->evaluations.front().special = sampling::Special::kVarianceNoise;
  const JobSpec plain = Add({})->spec();
  JobSpec spec = MakeJobSpec(plain.request, sampling::SharedProgram(program));
  spec.sink = plain.sink;
  Job special(JobId{99}, spec);
  EXPECT_EQ(executor_->Start(special).code(), absl::StatusCode::kUnimplemented);
}

TEST_F(DiffusionExecutorTest, StrictForwardsHaveAFixedNumberOfRowsAndPaintTheSame) {
  executor_ = MakeExecutor(/*cache_entries=*/100, /*strict_rows=*/8);
  const std::vector<Job*> jobs = {Add({.steps = 5, .sampler = Sampler::kDdim, .eta = 1.0}),
                                  Add({.prompt = {9, 3}, .steps = 3, .sampler = Sampler::kEuler, .seed = 5}),
                                  Add({.prompt = {4, 4},
                                       .steps = 4,
                                       .sampler = Sampler::kDpmpp2m,
                                       .guidance_scale = 5.0,
                                       .guidance_rescale = 0.7,
                                       .guidance_end = 0.6})};
  Prepare(jobs);
  EXPECT_THAT(script_.encode_sizes, ::testing::Each(1));
  DenoiseToTheEnd(jobs);
  EXPECT_EQ(script_.forward_rows, std::vector<int64_t>(3 + 5, 8)) << "three to check a size that is new";
  const std::vector<StepResult> results = Execute(Phase::kDecode, jobs);
  EXPECT_THAT(script_.decode_sizes, ElementsAre(1, 1, 1));
  for (const size_t i : {size_t{0}, size_t{1}}) {
    EXPECT_LE(LargestDifference(results[i].image->pixels, ExpectedPixels(*jobs[i])), 1) << "job " << i;
  }
  Job* alone = Add({.prompt = {4, 4},
                    .steps = 4,
                    .sampler = Sampler::kDpmpp2m,
                    .guidance_scale = 5.0,
                    .guidance_rescale = 0.7,
                    .guidance_end = 0.6});
  Prepare({alone});
  DenoiseToTheEnd({alone});
  EXPECT_EQ(Execute(Phase::kDecode, {alone})[0].image->pixels, results[2].image->pixels);
}

// What strict mode promises is checked for each size when it first comes.
TEST_F(DiffusionExecutorTest, InStrictModeASizeWhoseRowsMeetHasForwardsOfItsOwn) {
  executor_ = MakeExecutor(/*cache_entries=*/100, /*strict_rows=*/8);
  script_.rows_meet = 0.5f;
  script_.meeting_width = 9;
  const Picture picture = {.width = 36, .height = 16, .steps = 2, .seed = 3};
  const Picture other = {.prompt = {9, 3}, .width = 36, .height = 16, .steps = 2, .seed = 4};
  const std::vector<Job*> jobs = {Add(picture), Add(other)};
  Prepare(jobs);
  DenoiseToTheEnd(jobs);
  EXPECT_EQ(script_.forward_rows, std::vector<int64_t>(2 + 2 * 2, 8)) << "two to find out, then one for each";
  EXPECT_THAT(log_, ElementsAre(::testing::HasSubstr("are not independent at 4x9 cells")));
  const std::vector<StepResult> results = Execute(Phase::kDecode, jobs);
  Job* alone = Add(other);
  Prepare({alone});
  DenoiseToTheEnd({alone});
  EXPECT_EQ(Execute(Phase::kDecode, {alone})[0].image->pixels, results[1].image->pixels);
  EXPECT_EQ(log_.size(), 1u) << "asked once";

  script_.forward_rows.clear();
  const Picture narrow = {.width = 32, .height = 16, .steps = 2};
  const std::vector<Job*> fine = {Add(narrow), Add(narrow)};
  Prepare(fine);
  DenoiseToTheEnd(fine);
  EXPECT_EQ(script_.forward_rows, std::vector<int64_t>(3 + 2, 8)) << "a size that passes is shared";
}

TEST_F(DiffusionExecutorTest, AParkedJobComesBackUnchanged) {
  const Picture picture = {.steps = 4, .sampler = Sampler::kDpmpp2m, .seed = 8};
  Job* parked = Add(picture);
  Job* other = Add(picture);
  Prepare({parked, other});
  EXPECT_TRUE(executor_->Park(*parked->state()).ok()) << "nothing to park yet";
  Denoise({parked, other});
  Denoise({parked, other});
  const auto& state = static_cast<const DenoiseState&>(*parked->state());
  const at::Tensor on_device = state.tensors().front();
  ASSERT_TRUE(executor_->Park(*parked->state()).ok());
  EXPECT_TRUE(state.parked());
  EXPECT_THAT(state.tensors(), IsEmpty());
  EXPECT_EQ(on_device.use_count(), 1u) << "the device's memory is free";
  Denoise({parked, other});
  EXPECT_FALSE(state.parked());
  DenoiseToTheEnd({parked, other});
  ASSERT_TRUE(executor_->Park(*parked->state()).ok());
  const std::vector<StepResult> results = Execute(Phase::kDecode, {parked, other});
  ASSERT_TRUE(results[0].status.ok()) << results[0].status;
  EXPECT_EQ(results[0].image->pixels, results[1].image->pixels);
}

// An evaluation of five rows: a picture in five ways at once.
JobSpec FiveRows(const JobSpec& plain) {
  auto recipe = std::make_shared<sampling::Recipe>(*plain.recipe);
  recipe->conditionings.push_back({.text = {.ids = {{7, 8, 0, 0}}}});
  sampling::RowSet& set = recipe->stages.front().row_sets.back();
  for (int i = 0; i < 3; ++i) {
    set.rows.push_back({.conditioning = 2 - i, .guided = {0.01f * static_cast<float>(i), 0.02f}, .cond = {}});
  }
  JobSpec spec = MakeJobSpec(plain.request, std::move(recipe));
  spec.sink = plain.sink;
  return spec;
}

TEST_F(DiffusionExecutorTest, AnEvaluationInPartsPaintsWhatItPaintsAsAWhole) {
  const JobSpec spec = FiveRows(Add({.steps = 3, .sampler = Sampler::kEulerAncestral})->spec());
  for (int64_t id = 50; id < 53; ++id) jobs_.push_back(std::make_unique<Job>(JobId{id}, spec));
  Job* const whole = jobs_[1].get();
  Job* const parted = jobs_[2].get();
  Job* const short_of_memory = jobs_[3].get();
  Job* const plain = Add({.steps = 6, .seed = 4});
  Prepare({whole, parted, short_of_memory, plain});
  DenoiseToTheEnd({whole});
  while (!parted->denoised()) {
    const int rows = std::min(2, parted->rows());
    StepPlan plan;
    plan.key.phase = Phase::kDenoise;
    plan.jobs = {parted->id(), plain->id()};
    plan.parts = {{.job = parted->id(), .first_row = parted->rows_done(), .rows = rows}};
    for (const StepResult& result : executor_->Execute(plan, {parted, plain})) ASSERT_TRUE(result.status.ok());
    parted->Advance(rows);
    if (!plain->denoised()) plain->Advance();
    if (plain->denoised()) break;
  }
  while (!parted->denoised()) {
    const int rows = std::min(3, parted->rows());
    StepPlan plan;
    plan.key.phase = Phase::kDenoise;
    plan.jobs = {parted->id()};
    plan.parts = {{.job = parted->id(), .first_row = parted->rows_done(), .rows = rows}};
    ASSERT_TRUE(executor_->Execute(plan, {parted})[0].status.ok());
    parted->Advance(rows);
  }
  script_.max_rows = 3;
  const BatchKey key = short_of_memory->key();
  DenoiseToTheEnd({short_of_memory});
  EXPECT_EQ(executor_->TakeMemoryCap(key), 3) << "its rows came in halves";
  const std::vector<StepResult> pictures = Execute(Phase::kDecode, {whole, parted});
  EXPECT_LE(LargestDifference(pictures[0].image->pixels, pictures[1].image->pixels), 1);
  const StepResult last = Execute(Phase::kDecode, {short_of_memory})[0];
  EXPECT_LE(LargestDifference(pictures[0].image->pixels, last.image->pixels), 1);
  EXPECT_LE(LargestDifference(Execute(Phase::kDecode, {plain})[0].image->pixels, ExpectedPixels(*plain)), 1);
}

// A second pass of `steps` steps at `strength` over the finished latents, in twice their size.
JobSpec TwoPasses(const JobSpec& plain, const Picture& picture, double strength) {
  auto recipe = std::make_shared<sampling::Recipe>(*plain.recipe);
  sampling::Stage second = recipe->stages.front();
  sampling::SamplerSpec spec;
  spec.sampler = picture.sampler;
  spec.steps = picture.steps;
  spec.guidance_scale = picture.guidance_scale;
  spec.strength = strength;
  second.program = *sampling::Compile(TestSchedule(), spec);
  second.start = sampling::StageStart::kLatents;
  second.resize = sampling::LatentResize::kBilinear;
  second.latent_height *= 2;
  second.latent_width *= 2;
  recipe->stages.push_back(std::move(second));
  JobSpec two = MakeJobSpec(plain.request, std::move(recipe));
  two.sink = plain.sink;
  return two;
}

TEST_F(DiffusionExecutorTest, ASecondPassBeginsWithTheResizedLatentsAndFreshNoise) {
  const Picture picture{.steps = 4, .sampler = Sampler::kEulerAncestral, .guidance_scale = 1.0, .seed = 9};
  const JobSpec spec = TwoPasses(Add(picture)->spec(), picture, 0.5);
  jobs_.push_back(std::make_unique<Job>(JobId{50}, spec));
  Job* const job = jobs_.back().get();
  Job* const neighbour = Add({.width = 64, .height = 64, .steps = 9, .seed = 4});
  Prepare({job, neighbour});
  EXPECT_EQ(job->work().evaluations(), 4 + 2);
  for (int i = 0; i < 4; ++i) Denoise({job});
  const auto& state = static_cast<const DenoiseState&>(*job->state());
  const at::Tensor small = state.FinishedLatents().clone();
  EXPECT_EQ(job->key().ToString(), "denoise:fake:16x16");
  Denoise({job, neighbour});
  EXPECT_EQ(state.stage_index(), 1);
  Denoise({job, neighbour});
  DenoiseToTheEnd({neighbour});

  const sampling::SamplingProgram& program = *spec.recipe->stages[1].program;
  const at::Tensor large = Resized(small, sampling::LatentResize::kBilinear, 16, 16).contiguous();
  const auto size = static_cast<size_t>(large.numel());
  const auto predict = [&](absl::Span<const float> input, const Evaluation& evaluation) {
    std::vector<float> copy(input.begin(), input.end());
    const at::Tensor latents = at::from_blob(copy.data(), {4, 16, 16});
    const at::Tensor output =
        FakePrediction(latents, evaluation.timestep, job->request().prompt_parts.front().tokens.ids.front())
            .contiguous();
    return std::vector<float>(output.data_ptr<float>(), output.data_ptr<float>() + size);
  };
  sampling::NoiseGenerator noise(9);
  std::vector<float> initial(size);
  noise.Fill(absl::MakeSpan(initial));
  const std::vector<float> expected = sampling::RunProgram(
      program, sampling::StartLatents(program.start, {large.data_ptr<float>(), size}, initial), predict, noise);
  const at::Tensor painted = state.FinishedLatents().contiguous();
  ASSERT_EQ(painted.numel(), static_cast<int64_t>(size));
  for (size_t i = 0; i < size; ++i) ASSERT_NEAR(painted.data_ptr<float>()[i], expected[i], 1e-4f) << i;
  const std::vector<StepResult> pictures = Execute(Phase::kDecode, {job, neighbour});
  EXPECT_EQ(pictures[0].image->width, 64);
  EXPECT_LE(LargestDifference(pictures[1].image->pixels, ExpectedPixels(*neighbour)), 1);
}

TEST_F(DiffusionExecutorTest, AJobKeepsTheModelsOfItsLaterStages) {
  const Picture picture{.steps = 2, .guidance_scale = 1.0, .seed = 9};
  jobs_.push_back(std::make_unique<Job>(JobId{50}, TwoPasses(Add(picture)->spec(), picture, 0.5)));
  Job* const job = jobs_.back().get();
  Prepare({job});
  ASSERT_NE(shelf_->Take("fake"), nullptr);
  DenoiseToTheEnd({job});
  EXPECT_EQ(static_cast<const DenoiseState&>(*job->state()).stage_index(), 1);
  EXPECT_TRUE(Execute(Phase::kDecode, {job})[0].status.ok());
}

TEST_F(DiffusionExecutorTest, TellsOnceHowManyRowsFittedAfterASplit) {
  const std::vector<Job*> jobs = {Add({.seed = 1}), Add({.seed = 2}), Add({.seed = 3}), Add({.seed = 4})};
  Prepare(jobs);
  const BatchKey key = jobs.front()->key();
  Denoise(jobs);
  EXPECT_EQ(executor_->TakeMemoryCap(key), std::nullopt);
  script_.max_rows = 5;
  Denoise(jobs);
  EXPECT_EQ(executor_->TakeMemoryCap(key), 4);
  EXPECT_EQ(executor_->TakeMemoryCap(key), std::nullopt);
  script_.max_rows = 1;
  EXPECT_EQ(Denoise(jobs)[0].status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(executor_->TakeMemoryCap(key), std::nullopt) << "nothing fitted";
}

TEST_F(DiffusionExecutorTest, SyntheticTicksHaveTheShapesOfRealOnesAndTouchNoJob) {
  Job* job = Add({});
  Prepare({job});
  Denoise({job});
  script_ = {};
  BatchKey key = {.phase = Phase::kDenoise, .model = "fake", .latent_height = 8, .latent_width = 8};
  ASSERT_TRUE(executor_->RunSynthetic(key, 6).ok());
  ASSERT_TRUE(executor_->RunSynthetic(key, 1).ok());
  EXPECT_THAT(script_.forward_rows, ElementsAre(6, 1));
  EXPECT_THAT(script_.encode_sizes, ElementsAre(1)) << "one prompt for all of them";
  key.phase = Phase::kDecode;
  ASSERT_TRUE(executor_->RunSynthetic(key, 3).ok());
  EXPECT_THAT(script_.decode_sizes, ElementsAre(2, 1));
  key = {.phase = Phase::kEncode, .model = "fake"};
  ASSERT_TRUE(executor_->RunSynthetic(key, 5).ok());
  EXPECT_THAT(script_.encode_sizes, ElementsAre(1, 5));
  DenoiseToTheEnd({job});
  EXPECT_LE(LargestDifference(Execute(Phase::kDecode, {job})[0].image->pixels, ExpectedPixels(*job)), 1);
}

TEST_F(DiffusionExecutorTest, SyntheticTicksFailLikeRealOnes) {
  const BatchKey key = {.phase = Phase::kDenoise, .model = "fake", .latent_height = 8, .latent_width = 8};
  BatchKey absent = key;
  absent.model = "absent";
  EXPECT_EQ(executor_->RunSynthetic(absent, 2).code(), absl::StatusCode::kNotFound);
  script_.max_rows = 4;
  EXPECT_EQ(ErrorReason(executor_->RunSynthetic(key, 8)), "DEVICE_MEMORY");
  EXPECT_TRUE(executor_->RunSynthetic(key, 4).ok());
}

TEST_F(DiffusionExecutorTest, ReportsItsLimits) {
  EXPECT_EQ(executor_->Limits().max_denoise_rows, 16);
  EXPECT_EQ(executor_->Limits().max_decode_jobs, 2);
}

}  // namespace
}  // namespace stepcast::engine

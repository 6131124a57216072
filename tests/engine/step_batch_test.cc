#include "engine/step/step_batch.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <vector>

#include "tests/engine/fake_bundle.h"
#include "tests/engine/picture_jobs.h"

namespace stepcast::engine {
namespace {

using sampling::Evaluation;
using sampling::GuidanceKind;
using ::testing::ElementsAre;

// One job of a batch, in words.
struct Row {
  float timestep = 500.0f;
  float input_scale = 1.0f;
  GuidanceKind guidance = GuidanceKind::kNone;
  float scale = 1.0f;
  float rescale = 0.0f;
  std::vector<int32_t> prompt = {1, 2};
  std::vector<int32_t> negative = {5, 6};
};

class StepBatchTest : public ::testing::Test {
 protected:
  SharedEmbedding Embed(const std::vector<int32_t>& prompt) {
    const PromptKey key = {.model = "fake", .input = {.text = {.ids = {prompt}}, .clip_skip = 0}};
    if (SharedEmbedding known = cache_.Peek(key)) return known;
    return cache_.Insert(key, bundle_->conditioner().Encode({key.input}));
  }

  void Add(const Row& row) {
    Evaluation evaluation;
    evaluation.timestep = row.timestep;
    evaluation.input_scale = row.input_scale;
    evaluation.guidance = {.kind = row.guidance, .scale = row.scale, .rescale = row.rescale};
    evaluations_.push_back(evaluation);
    states_.push_back(std::make_unique<DenoiseState>(bundle_, MakeRecipe(CompilePicture(TestSchedule(), {})), 1));
    DenoiseState& state = *states_.back();
    state.Pin(0, Embed(row.prompt));
    if (row.guidance == GuidanceKind::kClassifierFree) state.Pin(1, Embed(row.negative));
    jobs_.push_back({&state, &evaluations_.back(), &state.stage().RowsOf(evaluations_.back())});
    rows_.push_back(row);
  }

  // What job `n` must get, one row at a time.
  at::Tensor Expected(size_t n, const at::Tensor& latents) const {
    const Row& row = rows_[n];
    const at::Tensor input = latents.select(0, static_cast<int64_t>(n)) * row.input_scale;
    const at::Tensor cond = FakePrediction(input, row.timestep, row.prompt);
    if (row.guidance != GuidanceKind::kClassifierFree) return cond;
    const at::Tensor uncond = FakePrediction(input, row.timestep, row.negative);
    const at::Tensor combined = uncond + (cond - uncond) * row.scale;
    if (row.rescale == 0.0f) return combined;
    return combined * (cond.std() / combined.std()) * row.rescale + combined * (1.0f - row.rescale);
  }

  void ExpectAllEqualTheirOwnArithmetic() {
    const at::Tensor latents = at::randn({static_cast<int64_t>(jobs_.size()), 4, 6, 5});
    const at::Tensor predicted = batch_.Predict(jobs_, latents);
    ASSERT_EQ(predicted.sizes(), latents.sizes());
    ASSERT_EQ(predicted.scalar_type(), c10::ScalarType::Float);
    for (size_t n = 0; n < jobs_.size(); ++n) {
      EXPECT_TRUE(at::allclose(predicted.select(0, static_cast<int64_t>(n)), Expected(n, latents), 1e-5, 1e-6))
          << "job " << n;
    }
  }

  const c10::InferenceMode inference_mode_;
  NullEngineMetrics metrics_;
  FakeScript script_;
  std::shared_ptr<const model::ModelBundle> bundle_ = MakeFakeBundle("fake", &script_);
  std::unique_ptr<ComputeDevice> device_ = *OpenDevice("cpu", 1);
  EmbeddingCache cache_{100, metrics_};
  StepBatch batch_{*device_};
  std::deque<Evaluation> evaluations_;
  std::vector<std::unique_ptr<DenoiseState>> states_;
  std::vector<ActiveJob> jobs_;
  std::vector<Row> rows_;
};

constexpr GuidanceKind kGuided = GuidanceKind::kClassifierFree;

TEST_F(StepBatchTest, LayoutPutsUncondBeforeCondAndGivesUnguidedJobsOneRow) {
  Add({.guidance = kGuided, .scale = 2.0f});
  Add({});
  Add({.guidance = kGuided, .scale = 3.0f});
  const RowLayout layout = RowLayout::Of(jobs_);
  EXPECT_THAT(layout.job_of_row, ElementsAre(0, 0, 1, 2, 2));
  EXPECT_THAT(layout.uncond_row, ElementsAre(0, 2, 3));
  EXPECT_THAT(layout.cond_row, ElementsAre(1, 2, 4));
  EXPECT_TRUE(layout.any_guided);
  EXPECT_FALSE(layout.all_guided);
}

TEST_F(StepBatchTest, AnUnguidedJobCostsOneRow) {
  Add({.timestep = 10.0f});
  ExpectAllEqualTheirOwnArithmetic();
  EXPECT_THAT(script_.forward_rows, ElementsAre(1));
}

TEST_F(StepBatchTest, GuidedJobsOnly) {
  Add({.guidance = kGuided, .scale = 2.5f});
  Add({.timestep = 17.5f, .guidance = kGuided, .scale = 7.5f, .prompt = {3, 9}});
  ExpectAllEqualTheirOwnArithmetic();
  EXPECT_THAT(script_.forward_rows, ElementsAre(4));
  EXPECT_THAT(script_.timesteps, ElementsAre(ElementsAre(500.0f, 500.0f, 17.5f, 17.5f)));
}

TEST_F(StepBatchTest, AnyMixtureOfTimestepsScalesPromptsAndGuidance) {
  Add({.timestep = 999.0f, .guidance = kGuided, .scale = 7.5f});
  Add({.timestep = 3.25f, .input_scale = 0.4f});
  Add({.timestep = 500.0f, .input_scale = 0.1f, .guidance = kGuided, .scale = 1.5f, .rescale = 0.7f, .prompt = {8, 8}});
  Add({.timestep = 1.0f, .guidance = kGuided, .scale = 4.0f, .negative = {7, 7}});
  Add({.timestep = 0.0f, .prompt = {44, 2}});
  ExpectAllEqualTheirOwnArithmetic();
  EXPECT_THAT(script_.forward_rows, ElementsAre(8));
}

TEST_F(StepBatchTest, RescaleOfOneJobLeavesAConstantNeighbourAlone) {
  Add({.guidance = kGuided, .scale = 3.0f, .rescale = 0.5f});
  Add({.guidance = kGuided, .scale = 3.0f});
  // Equal values everywhere: the deviation of both its predictions is 0, and 0 / 0 must not reach the row.
  at::Tensor latents = at::randn({2, 4, 6, 5});
  latents.select(0, 1).fill_(0.25);
  const at::Tensor predicted = batch_.Predict(jobs_, latents);
  EXPECT_TRUE(at::allclose(predicted.select(0, 1), Expected(1, latents), 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(predicted.select(0, 0), Expected(0, latents), 1e-5, 1e-6));
}

TEST_F(StepBatchTest, KeepsConditioningRowsWhileTheBatchStaysTheSame) {
  Add({.guidance = kGuided, .scale = 2.0f});
  Add({.prompt = {9, 9}});
  const at::Tensor latents = at::randn({2, 4, 4, 4});
  batch_.Predict(jobs_, latents);
  batch_.Predict(jobs_, latents);
  ASSERT_EQ(script_.conditioning_data.size(), 2u);
  EXPECT_EQ(script_.conditioning_data[0], script_.conditioning_data[1]);

  std::swap(jobs_[0], jobs_[1]);
  batch_.Predict(jobs_, latents);
  EXPECT_NE(script_.conditioning_data[2], script_.conditioning_data[0]);
  std::swap(jobs_[0], jobs_[1]);
  batch_.Predict(jobs_, latents);
  EXPECT_EQ(script_.conditioning_data[3], script_.conditioning_data[0]);
}

TEST_F(StepBatchTest, StrictForwardsAreFilledUpWithRowsOfZeros) {
  Add({.timestep = 7.0f, .input_scale = 0.4f, .guidance = kGuided, .scale = 2.5f, .rescale = 0.7f});
  Add({.timestep = 9.0f});
  StepBatch strict(*device_, /*strict_rows=*/6);
  const at::Tensor latents = at::randn({2, 4, 6, 5});
  const at::Tensor predicted = strict.Predict(jobs_, latents);
  EXPECT_THAT(script_.forward_rows, ElementsAre(6));
  EXPECT_THAT(script_.timesteps, ElementsAre(ElementsAre(7.0f, 7.0f, 9.0f, 0.0f, 0.0f, 0.0f)));
  for (size_t n = 0; n < 2; ++n) {
    EXPECT_TRUE(at::allclose(predicted.select(0, static_cast<int64_t>(n)), Expected(n, latents), 1e-5, 1e-6));
  }
  const at::Tensor alone = strict.Predict({jobs_.data(), 1}, latents.narrow(0, 0, 1));
  EXPECT_TRUE(alone.select(0, 0).equal(predicted.select(0, 0)));
  Add({.guidance = kGuided, .scale = 2.5f});
  Add({.guidance = kGuided, .scale = 2.5f});
  EXPECT_THROW(strict.Predict(jobs_, at::randn({4, 4, 6, 5})), c10::Error) << "seven rows";
}

TEST_F(StepBatchTest, AJobThatIsToldItsScaleGetsItAsAnInput) {
  Add({.guidance = GuidanceKind::kEmbedded, .scale = 8.5f});
  batch_.Predict(jobs_, at::randn({1, 4, 4, 4}));
  EXPECT_THAT(script_.guidance_scales, ElementsAre(ElementsAre(8.5f)));
}

TEST_F(StepBatchTest, NanInOneJobStaysThere) {
  // Between the means of the two prompts' embeddings and above that of the negative prompt.
  const float plain = Embed({3, 9})->conditioning.prompt_embeds.mean().item<float>();
  const float poisoned = Embed({1, 1})->conditioning.prompt_embeds.mean().item<float>();
  ASSERT_LT(plain, poisoned);
  script_.poison_above = 0.5f * (plain + poisoned);
  Add({.guidance = kGuided, .scale = 3.0f, .rescale = 0.5f, .prompt = {3, 9}});
  Add({.guidance = kGuided, .scale = 3.0f, .rescale = 0.5f, .prompt = {1, 1}});
  const at::Tensor latents = at::randn({2, 4, 6, 5});
  const at::Tensor predicted = batch_.Predict(jobs_, latents);
  EXPECT_TRUE(at::allclose(predicted.select(0, 0), Expected(0, latents), 1e-5, 1e-6));
  EXPECT_TRUE(predicted.select(0, 1).isnan().all().item<bool>());
}

Evaluation EvaluationAt(float timestep, const sampling::Guidance& guidance = {}, float input_scale = 1.0f) {
  Evaluation evaluation;
  evaluation.timestep = timestep;
  evaluation.guidance = guidance;
  evaluation.input_scale = input_scale;
  return evaluation;
}

// Row sets that are no plain pair: what they sum to, one row at a time.
class RowSumsTest : public StepBatchTest {
 protected:
  // A job whose rows show the prompts {i, 2}.
  ActiveJob Job(sampling::RowSet set, const Evaluation& evaluation, int height, int width) {
    auto recipe = std::make_shared<sampling::Recipe>();
    for (int32_t i = 0; i < kPrompts; ++i) recipe->conditionings.push_back({.text = {.ids = {{3 * i + 1, 2}}}});
    sampling::Stage& stage = recipe->stages.emplace_back();
    stage.program = CompilePicture(TestSchedule(), {});
    stage.row_sets.push_back(std::move(set));
    states_.push_back(std::make_unique<DenoiseState>(bundle_, recipe, 1 + static_cast<int64_t>(states_.size())));
    DenoiseState& state = *states_.back();
    for (int32_t i = 0; i < kPrompts; ++i) state.Pin(i, Embed({3 * i + 1, 2}));
    state.Begin(height, width, *device_);
    evaluations_.push_back(evaluation);
    return {&state, &evaluations_.back(), &state.stage().row_sets.front()};
  }

  at::Tensor Expected(const ActiveJob& job, const at::Tensor& latents) const {
    at::Tensor sum = at::zeros(latents.sizes());
    for (const sampling::Row& row : job.rows->rows) {
      const auto part = [&row](const at::Tensor& picture) {
        const sampling::Window& window = row.window;
        if (window.whole()) return picture;
        return picture.narrow(1, window.top, window.height).narrow(2, window.left, window.width);
      };
      at::Tensor prediction = FakePrediction(part(latents) * job.evaluation->input_scale, job.evaluation->timestep,
                                             {3 * row.conditioning + 1, 2}) *
                              row.guided.At(job.evaluation->guidance.scale);
      if (row.map != nullptr) {
        prediction = prediction * at::tensor(row.map->values).view({1, row.map->height, row.map->width});
      }
      part(sum).add_(prediction);
    }
    return sum;
  }

  void ExpectSums(const std::vector<ActiveJob>& jobs) {
    std::vector<at::Tensor> latents;
    for (const ActiveJob& job : jobs) latents.push_back(at::randn(job.state->tensors().front().sizes()));
    const at::Tensor predicted = batch_.Predict(jobs, at::stack(latents));
    for (size_t n = 0; n < jobs.size(); ++n) {
      EXPECT_TRUE(at::allclose(predicted.select(0, static_cast<int64_t>(n)), Expected(jobs[n], latents[n]), 1e-4, 1e-5))
          << "job " << n;
    }
  }

  static constexpr int32_t kPrompts = 4;
};

sampling::SharedWeightMap Half(int height, int width, bool left) {
  auto map = std::make_shared<sampling::WeightMap>(sampling::WeightMap{height, width, {}});
  for (int i = 0; i < height * width; ++i) map->values.push_back((i % width < width / 2) == left ? 1.0f : 0.25f);
  return map;
}

// Two prompts together, each pulled away from the same third: u + s (w1 (c1 - u) + w2 (c2 - u)).
sampling::RowSet TwoPrompts() {
  return {.rows = {{.conditioning = 0, .guided = {1.0f, -1.25f}, .cond = {}, .uncond = {1.0f}},
                   {.conditioning = 1, .guided = {0.0f, 0.75f}, .cond = {0.5f}},
                   {.conditioning = 2, .guided = {0.0f, 0.5f}, .cond = {0.5f}}}};
}

TEST_F(RowSumsTest, SeveralPromptsBesidePlainJobs) {
  ExpectSums({Job(sampling::PlainPair(1, 0), EvaluationAt(9.0f, {kGuided, 3.0f}), 6, 5),
              Job(TwoPrompts(), EvaluationAt(500.0f, {kGuided, 7.5f}, 0.4f), 6, 5),
              Job(sampling::PlainRow(3), EvaluationAt(1.0f), 6, 5)});
  EXPECT_THAT(script_.forward_rows, ElementsAre(6)) << "all in one forward";
  EXPECT_THAT(script_.timesteps, ElementsAre(ElementsAre(9.0f, 9.0f, 500.0f, 500.0f, 500.0f, 1.0f)));
}

TEST_F(RowSumsTest, RegionsWeighCellByCell) {
  sampling::RowSet set = TwoPrompts();
  set.rows[1].map = Half(6, 4, /*left=*/true);
  set.rows[2].map = Half(6, 4, /*left=*/false);
  ExpectSums({Job(set, EvaluationAt(500.0f, {kGuided, 2.0f}), 6, 4)});
}

TEST_F(RowSumsTest, AnEvaluationThatIsThePlainPairComesToTheSameBySums) {
  sampling::RowSet set = sampling::PlainPair(1, 0);
  set.rows.push_back({.conditioning = 2, .guided = {}, .cond = {}});  // a row that weighs nothing
  const Evaluation evaluation = EvaluationAt(40.0f, {kGuided, 5.0f, 0.6f});
  const ActiveJob sums = Job(set, evaluation, 6, 4), pair = Job(sampling::PlainPair(1, 0), evaluation, 6, 4);
  const at::Tensor latents = at::randn({1, 4, 6, 4});
  const at::Tensor by_sums = batch_.Predict({&sums, 1}, latents), by_pair = batch_.Predict({&pair, 1}, latents);
  // (1 - s) u + s c and u + s (c - u) round otherwise.
  EXPECT_TRUE(at::allclose(by_sums, by_pair, 1e-4, 1e-5));
}

// What an evaluation comes to in one tick, in two, and in as many as it has rows.
TEST_F(RowSumsTest, PartsAddUpToTheWhole) {
  sampling::RowSet set = TwoPrompts();
  set.rows[2].map = Half(6, 4, /*left=*/false);
  const ActiveJob whole = Job(set, EvaluationAt(40.0f, {kGuided, 5.0f, 0.6f}), 6, 4);
  const at::Tensor latents = at::randn({1, 4, 6, 4});
  const at::Tensor expected = batch_.Predict({&whole, 1}, latents);
  for (const std::vector<int>& parts : {std::vector<int>{1, 2}, {2, 1}, {1, 1, 1}}) {
    ActiveJob part = whole;
    at::Tensor predicted;
    for (const int rows : parts) {
      part.row_count = rows;
      const LatentGroup group{.jobs = {&part, 1}, .latents = latents};
      // A tick that is tried again adds nothing twice.
      batch_.Predict({&group, 1});
      GroupPrediction result = std::move(batch_.Predict({&group, 1}).front());
      EXPECT_EQ(result.prediction.defined(), part.finishes());
      if (part.finishes()) predicted = result.prediction;
      part.state->set_sums(part.finishes() ? RowSums() : std::move(result.sums.front()));
      part.first_row += rows;
    }
    EXPECT_TRUE(at::allclose(predicted, expected, 1e-5, 1e-6)) << parts.size() << " parts";
  }
}

TEST_F(RowSumsTest, TilesOfALargePictureShareAForwardWithWholeSmallOnes) {
  sampling::RowSet tiles;
  for (const int left : {0, 2, 4}) {
    tiles.rows.push_back({.conditioning = 1, .window = {0, left, 6, 4}, .map = Half(6, 4, left == 2)});
  }
  const ActiveJob large = Job(tiles, EvaluationAt(70.0f, {}, 0.5f), 6, 8);
  const ActiveJob small = Job(sampling::PlainPair(1, 0), EvaluationAt(9.0f, {kGuided, 3.0f}), 6, 4);
  const at::Tensor wide = at::randn({1, 4, 6, 8}), narrow = at::randn({1, 4, 6, 4});
  const LatentGroup groups[] = {{.jobs = {&large, 1}, .latents = wide}, {.jobs = {&small, 1}, .latents = narrow}};
  const std::vector<GroupPrediction> predicted = batch_.Predict(groups);
  EXPECT_THAT(script_.forward_rows, ElementsAre(5));
  EXPECT_TRUE(at::allclose(predicted[0].prediction.select(0, 0), Expected(large, wide.select(0, 0)), 1e-4, 1e-5));
  EXPECT_TRUE(at::allclose(predicted[1].prediction.select(0, 0), Expected(small, narrow.select(0, 0)), 1e-4, 1e-5));
}

TEST(StepBatchDtypeTest, RunsTheForwardInTheComputeDtypeAndGuidesInFloat32) {
  const c10::InferenceMode inference_mode;
  FakeScript script;
  const auto bundle = MakeFakeBundle("fake", &script, c10::ScalarType::BFloat16);
  const auto device = *OpenDevice("cpu", 1);
  NullEngineMetrics metrics;
  EmbeddingCache cache(4, metrics);
  const PromptKey key = {.model = "fake", .input = {.text = {.ids = {{1, 2}}}, .clip_skip = 0}};
  DenoiseState state(bundle, MakeRecipe(CompilePicture(TestSchedule(), {})), 1);
  state.Pin(0, cache.Insert(key, bundle->conditioner().Encode({key.input})));
  Evaluation evaluation;
  evaluation.timestep = 100.0f;
  const std::vector<ActiveJob> jobs = {{&state, &evaluation, &state.stage().row_sets.front()}};
  const at::Tensor predicted = StepBatch(*device).Predict(jobs, at::randn({1, 4, 4, 4}));
  EXPECT_EQ(predicted.scalar_type(), c10::ScalarType::Float);
  EXPECT_EQ(script.input_dtype, c10::ScalarType::BFloat16);
}

}  // namespace
}  // namespace stepcast::engine

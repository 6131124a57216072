#include "server/catalog/model_registry.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sampling/compile/usable.h"
#include "tests/server/fake_models.h"

namespace stepcast {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

std::string Message(const absl::StatusOr<ModelRegistry>& registry) { return std::string(registry.status().message()); }

TEST(ModelRegistryTest, FindsModelsByIdAndTheDefaultByNothing) {
  const ModelRegistry models = ThreeModels();
  EXPECT_EQ(models.Find("digits")->info->id, "digits");
  EXPECT_EQ(models.Find("")->info->id, "texty");
  EXPECT_EQ(models.Find("sdxl"), nullptr);
  EXPECT_EQ(models.Find("Digits"), nullptr);
  EXPECT_EQ(models.Ids(), "texty, digits, noise");
}

TEST(ModelRegistryTest, TheDefaultComesFirstAndTheRestKeepsItsOrder) {
  const auto models = ModelRegistry::Create({Share(TextModel("a")), Share(TextModel("b")), Share(TextModel("c"))}, "b",
                                            &LoadFakeTokenizer);
  ASSERT_TRUE(models.ok()) << models.status();
  EXPECT_EQ(models->Ids(), "b, a, c");
  EXPECT_EQ(models->default_model().info->id, "b");
  EXPECT_EQ(models->Find("")->info->id, "b");
}

TEST(ModelRegistryTest, LoadsATokenizerPerEncoder) {
  ModelInfo info = TextModel();
  info.tokenizer_dirs = {"fake:8", "fake:77"};
  const auto models = ModelRegistry::Create({Share(info)}, "", &LoadFakeTokenizer);
  ASSERT_TRUE(models.ok()) << models.status();
  ASSERT_THAT(models->default_model().tokenizers, SizeIs(2));
  EXPECT_EQ(models->default_model().tokenizers[1]->max_length(), 77);
}

TEST(ModelRegistryTest, KnowsWhatGoesWithASampler) {
  const ModelRegistry models = ThreeModels();
  const RegisteredModel& digits = *models.Find("digits");
  ASSERT_NE(digits.FindSampler(Sampler::kDdim), nullptr);
  EXPECT_TRUE(digits.FindSampler(Sampler::kDdim)->takes_eta);
  EXPECT_EQ(digits.FindSampler(Sampler::kEuler), nullptr);
}

TEST(ModelRegistryTest, RefusesWhatCannotServe) {
  ModelInfo no_tokenizer = TextModel();
  no_tokenizer.tokenizer_dirs = {"missing"};
  ModelInfo no_text = TextModel();
  no_text.tokenizer_dirs.clear();
  ModelInfo too_much_text = ClassModel();
  too_much_text.tokenizer_dirs = {"fake:8"};
  ModelInfo few_ids = TextModel();
  few_ids.text_vocab_size = 1001;
  ModelInfo few_positions = TextModel();
  few_positions.tokenizer_dirs = {"fake:78"};
  ModelInfo bad_default = ClassModel();
  bad_default.defaults.sampler = Sampler::kEuler;
  ModelInfo bad_steps = TextModel();
  bad_steps.defaults.steps = 0;
  ModelInfo bad_schedule = TextModel();
  bad_schedule.noise_schedule.beta_start = 7.0;
  ModelInfo no_size = TextModel();
  no_size.limits.size_multiple = 0;
  const struct {
    std::vector<SharedModelInfo> models;
    std::string default_model;
    std::string error;
  } rows[] = {
      {{}, "", "no model is loaded"},
      {{Share(TextModel("Bad"))}, "", "model id \"Bad\" is none: ids match [a-z0-9][a-z0-9._-]{0,62}"},
      {{Share(TextModel("a")), Share(TextModel("a"))}, "", "two models have the id a"},
      {{Share(TextModel("a"))}, "b", "default_model \"b\" is not loaded; loaded: a"},
      {{Share(no_tokenizer)}, "", "model texty: missing: there is no tokenizer"},
      {{Share(no_text)}, "", "model texty: a text model needs a tokenizer, and only a text model"},
      {{Share(too_much_text)}, "", "model digits: a text model needs a tokenizer, and only a text model"},
      {{Share(few_ids)},
       "",
       "model texty: its tokenizer gives ids up to 1001, its text encoder knows 1001 (vocab_size)"},
      {{Share(few_positions)},
       "",
       "model texty: its tokenizer gives 78 tokens per prompt (model_max_length), its text encoder reads 77 "
       "(max_position_embeddings)"},
      {{Share(bad_default)}, "", "model digits: its default sampler EULER cannot paint in 20 steps: "},
      {{Share(bad_steps)}, "", "model texty: its default sampler DDIM cannot paint in 0 steps: steps: got 0"},
      {{Share(no_size)}, "", "model texty: its limits allow no picture"},
      {{Share(bad_schedule)},
       "",
       "model texty: no sampler can paint with its scheduler_config.json; its default DDIM: scheduler_config.json: "
       "beta"},
  };
  for (const auto& row : rows) {
    const auto models = ModelRegistry::Create(row.models, row.default_model, &LoadFakeTokenizer);
    EXPECT_FALSE(models.ok()) << row.error;
    EXPECT_THAT(Message(models), HasSubstr(row.error));
  }
}

// A text model with every sampler that can paint with its schedule.
SharedModelInfo WithSchedule(Sampler sampler, int steps, void (*change)(NoiseScheduleConfig& schedule)) {
  ModelInfo info = TextModel("odd");
  info.limits.max_steps = 150;
  info.defaults.sampler = sampler;
  info.defaults.steps = steps;
  change(info.noise_schedule);
  info.samplers = sampling::UsableSamplers(info);
  return Share(std::move(info));
}

TEST(ModelRegistryTest, ADefaultThatCannotPaintTellsWhyAndTheRemedy) {
  const struct {
    SharedModelInfo model;
    std::vector<std::string> parts;
  } rows[] = {
      {WithSchedule(Sampler::kDpmpp2m, 20, [](auto& s) { s.algorithm_type = SolverAlgorithm::kDpmSolver; }),
       {"DPMPP_2M cannot paint in 20 steps", "algorithm_type is dpmsolver", "mend scheduler_config.json",
        "name another sampler in its model.json", "DDIM, PNDM, EULER"}},
      {WithSchedule(Sampler::kDdim, 20,
                    [](auto& s) {
                      s.rescale_betas_zero_snr = true;
                      s.timestep_spacing = TimestepSpacing::kTrailing;
                    }),
       {"DDIM cannot paint in 20 steps", "not finite", "do not go with this sampler", "mend scheduler_config.json",
        "EULER"}},
      {WithSchedule(Sampler::kLcm, 60, [](auto&) {}),
       {"LCM cannot paint in 60 steps", "steps: got 60", "set the defaults in its model.json to what it takes", "LCM"}},
      {WithSchedule(Sampler::kDdpm, 20, [](auto& s) { s.variance_type = VarianceType::kLearnedRange; }),
       {"DDPM cannot paint", "reads a variance", "variance_type", "DDIM"}},
  };
  for (const auto& row : rows) {
    const auto alone = ModelRegistry::Create({row.model}, "", &LoadFakeTokenizer);
    for (const std::string& part : row.parts) EXPECT_THAT(Message(alone), HasSubstr(part));
    const auto beside = ModelRegistry::Create({row.model, Share(TextModel("good"))}, "odd", &LoadFakeTokenizer);
    ASSERT_TRUE(beside.ok()) << Message(beside);
    EXPECT_EQ(beside->default_model().info->id, "good");
    ASSERT_THAT(beside->refused(), SizeIs(1));
    EXPECT_THAT(beside->refused()[0].why, HasSubstr(row.parts[0]));
  }
}

// Else the model would be served, and every request that says nothing else refused.
TEST(ModelRegistryTest, EveryDefaultOfTheCardIsTried) {
  const struct {
    void (*set)(ModelInfo& info);
    std::vector<std::string> parts;
  } rows[] = {
      {[](ModelInfo& info) {
         info.defaults.sampler = Sampler::kDpmpp2m;
         info.defaults.timesteps = {999, 500.5};
         info.defaults.steps = 2;
       },
       {"in 2 steps", "timesteps: entry 1 is 500.5", "set the defaults in its model.json"}},
      {[](ModelInfo& info) {
         info.noise_schedule.rescale_betas_zero_snr = true;
         info.defaults.timestep_spacing = TimestepSpacing::kTrailing;
       },
       {"timestep_spacing", "not finite", "set the defaults in its model.json"}},
      {[](ModelInfo& info) { info.defaults.sigma_schedule = SigmaSchedule::kKarras; },
       {"sigma_schedule", "set the defaults in its model.json"}},
      {[](ModelInfo& info) {
         info.defaults.sampler = Sampler::kEuler;
         info.defaults.eta = 0.5;
       },
       {"eta", "set the defaults in its model.json"}},
  };
  for (const auto& row : rows) {
    ModelInfo info = TextModel("odd");
    info.defaults.sampler = Sampler::kDdim;
    row.set(info);
    const auto models = ModelRegistry::Create({Share(std::move(info))}, "", &LoadFakeTokenizer);
    for (const std::string& part : row.parts) EXPECT_THAT(Message(models), HasSubstr(part));
  }
}

TEST(ModelRegistryTest, MoreDefaultStepsThanASamplerTakesDoNotHideIt) {
  const auto models = ModelRegistry::Create({WithSchedule(Sampler::kDdim, 60, [](auto&) {})}, "", &LoadFakeTokenizer);
  ASSERT_TRUE(models.ok()) << Message(models);
  const SamplerSupport* lcm = models->default_model().FindSampler(Sampler::kLcm);
  ASSERT_NE(lcm, nullptr) << "4 steps are fine";
  EXPECT_TRUE(lcm->draws_noise);
  EXPECT_EQ(lcm->evaluations, 60) << "in proportion";
}

TEST(ModelRegistryTest, OneThatCannotServeStopsNoOther) {
  ModelInfo bad_default = TextModel("bad");
  bad_default.defaults.sampler = Sampler::kEdmEuler;
  ModelInfo no_tokenizer = TextModel("worse");
  no_tokenizer.tokenizer_dirs = {"missing"};
  const std::vector<SharedModelInfo> all = {Share(bad_default), Share(TextModel("b")), Share(no_tokenizer),
                                            Share(TextModel("a"))};
  for (const auto& [wanted, expected] :
       std::vector<std::pair<std::string, std::string>>{{"", "b"}, {"a", "a"}, {"bad", "b"}, {"worse", "b"}}) {
    auto models = ModelRegistry::Create(all, wanted, &LoadFakeTokenizer);
    ASSERT_TRUE(models.ok()) << Message(models);
    EXPECT_EQ(models->default_model().info->id, expected) << wanted;
    EXPECT_THAT(models->models(), SizeIs(2));
    EXPECT_EQ(models->Find("bad"), nullptr);
    ASSERT_THAT(models->refused(), SizeIs(2));
    EXPECT_EQ(models->refused()[0].id, "bad");
    EXPECT_THAT(models->refused()[0].why, HasSubstr("model bad: its default sampler"));
    EXPECT_THAT(models->refused()[1].why, HasSubstr("model worse: missing"));
  }
}

TEST(ModelRegistryTest, LeavesOutMisfitsButNotTheLast) {
  auto models = ModelRegistry::Create({Share(TextModel("a")), Share(TextModel("b"))}, "", &LoadFakeTokenizer);
  ASSERT_TRUE(models.ok());
  EXPECT_TRUE(models->LeaveOut({"a", "a is too large"}).ok());
  EXPECT_EQ(models->default_model().info->id, "b");
  EXPECT_EQ(models->LeaveOut({"b", "b is too large"}).message(), "a is too large\nb is too large");
}

}  // namespace
}  // namespace stepcast

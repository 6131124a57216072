#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sampling/compile/compile.h"
#include "server/catalog/model_description.h"
#include "server/request/checks/request_checks.h"
#include "server/wire/proto_enums.h"
#include "tests/server/fake_models.h"
#include "tests/server/wire_requests.h"

namespace stepcast {
namespace {

// Runs the checks of sampling and guidance alone.
struct Checked {
  Checked(const RegisteredModel& model, const v1::GenerateRequest& wire) {
    resolved.model = model.info;
    const RequestContext context{wire, model, limits, NarrowLimits(*model.info, limits)};
    CheckSampling(context, resolved, violations);
    CheckGuidance(context, resolved, violations);
  }

  LimitsConfig limits;
  GenerationRequest resolved;
  FieldViolations violations;
};

RegisteredModel Register(ModelInfo info) {
  return ModelRegistry::Create({Share(std::move(info))}, "", &LoadFakeTokenizer)->default_model();
}

// What the validator accepts the compiler compiles, and what it refuses the compiler refuses.
TEST(CheckSamplingTest, AgreesWithTheCompilerOnEveryPair) {
  const RegisteredModel model = Register(TextModel());
  for (const Sampler sampler : BuiltSamplers()) {
    for (int schedule = v1::SIGMA_SCHEDULE_DEFAULT; schedule <= v1::SIGMA_SCHEDULE_LU; ++schedule) {
      v1::GenerateRequest wire;
      wire.set_sampler(ToProto(sampler));
      wire.set_sigma_schedule(static_cast<v1::SigmaSchedule>(schedule));
      const Checked checked(model, wire);
      sampling::SamplerSpec spec;
      spec.sampler = sampler;
      spec.sigma_schedule = *FromProto(wire.sigma_schedule());
      EXPECT_EQ(checked.violations.empty(), sampling::Compile(model.info->noise_schedule, spec).ok())
          << SamplerName(sampler) << " " << schedule;
    }
  }
}

TEST(CheckSamplingTest, TheModelsScheduleYieldsWhereTheSamplerDoesNotTakeIt) {
  ModelInfo info = TextModel();
  info.defaults.sampler = Sampler::kEuler;
  info.defaults.sigma_schedule = SigmaSchedule::kKarras;
  const RegisteredModel model = Register(info);
  EXPECT_EQ(Checked(model, Wire("")).resolved.sigma_schedule, SigmaSchedule::kKarras);
  EXPECT_EQ(Checked(model, Wire("sampler: SAMPLER_DDIM")).resolved.sigma_schedule, SigmaSchedule::kDefault);
}

TEST(CheckSamplingTest, SpacingIsTheRequestsElseTheModelsElseTheSamplers) {
  ModelInfo plain = TextModel();
  ModelInfo trailing = TextModel();
  trailing.noise_schedule.timestep_spacing = TimestepSpacing::kTrailing;
  const struct {
    ModelInfo info;
    std::string request;
    TimestepSpacing spacing;
  } rows[] = {
      {plain, "sampler: SAMPLER_DDIM", TimestepSpacing::kLeading},
      {plain, "sampler: SAMPLER_DDPM", TimestepSpacing::kLeading},
      {plain, "sampler: SAMPLER_EULER", TimestepSpacing::kLinspace},
      {plain, "sampler: SAMPLER_DPMPP_2M", TimestepSpacing::kLinspace},
      {trailing, "sampler: SAMPLER_EULER", TimestepSpacing::kTrailing},
      {trailing, "sampler: SAMPLER_EULER timestep_spacing: TIMESTEP_SPACING_LEADING", TimestepSpacing::kLeading},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(Checked(Register(row.info), Wire(row.request)).resolved.timestep_spacing, row.spacing) << row.request;
  }
}

TEST(CheckSamplingTest, EtaIsTheSamplersOwnUnlessGiven) {
  ModelInfo info = TextModel();
  info.samplers = {Sampler::kDdim, Sampler::kDdpm, Sampler::kEuler, Sampler::kDpmpp2m, Sampler::kTcd, Sampler::kSdeVp};
  const RegisteredModel model = Register(info);
  EXPECT_EQ(Checked(model, Wire("sampler: SAMPLER_SDE_VP")).resolved.eta, 1.0);
  for (const double eta : {0.0, 0.25, 1.0}) {
    const Checked given(model, Wire(absl::StrCat("sampler: SAMPLER_SDE_VP eta: ", eta)));
    EXPECT_TRUE(given.violations.empty()) << eta;
    EXPECT_EQ(given.resolved.eta, eta);
  }
  EXPECT_TRUE(Checked(model, Wire("sampler: SAMPLER_SDE_VP eta: 1.5")).violations.Has("eta"));
  for (const Sampler sampler : info.samplers) {
    v1::GenerateRequest wire;
    wire.set_sampler(ToProto(sampler));
    EXPECT_EQ(Checked(model, wire).resolved.eta, sampler == Sampler::kSdeVp ? 1.0 : 0.0) << SamplerName(sampler);
    const bool takes = sampler == Sampler::kDdim || sampler == Sampler::kTcd || sampler == Sampler::kSdeVp;
    for (const double eta : {0.0, 1.0}) {
      wire.set_eta(eta);
      EXPECT_EQ(Checked(model, wire).violations.Has("eta"), !takes) << SamplerName(sampler) << " " << eta;
    }
  }
}

TEST(CheckSamplingTest, StepsNeverExceedTheTrainingTimesteps) {
  ModelInfo info = TextModel();
  info.limits.max_steps = 150;
  info.noise_schedule.num_train_timesteps = 100;
  const RegisteredModel model = Register(info);
  EXPECT_TRUE(Checked(model, Wire("steps: 100")).violations.empty());
  EXPECT_FALSE(Checked(model, Wire("steps: 101")).violations.empty());
}

TEST(CheckSamplingTest, WithoutAClassNothingIsGuided) {
  const RegisteredModel model = Register(ClassModel());
  EXPECT_EQ(Checked(model, Wire("")).resolved.guidance_scale, 1.0);
  EXPECT_TRUE(Checked(model, Wire("guidance_scale: 0.5")).violations.empty());
  EXPECT_TRUE(Checked(model, Wire("guidance_scale: 2")).violations.Has("guidance_scale"));
  Checked checked(model, Wire(""));
  checked.resolved.class_index = 7;
  const v1::GenerateRequest wire;
  CheckGuidance({wire, model, checked.limits, NarrowLimits(*model.info, checked.limits)}, checked.resolved,
                checked.violations);
  EXPECT_EQ(checked.resolved.guidance_scale, 5.0) << "the model's";
}

TEST(CheckSamplingTest, WithoutANullClassNothingCanBeGuided) {
  ModelInfo info = ClassModel();
  info.has_null_class = false;
  info.defaults.guidance_scale = 1.0;
  const Checked checked(Register(info), Wire("guidance_scale: 2"));
  EXPECT_TRUE(checked.violations.Has("guidance_scale"));
}

TEST(CheckSamplingTest, AModelThatIsToldTheScaleIsNotGuided) {
  ModelInfo info = TextModel();
  info.noise_schedule.embeds_guidance = true;
  const RegisteredModel model = Register(info);
  EXPECT_TRUE(Checked(model, Wire("guidance_scale: 0.5")).resolved.warnings.empty());
  EXPECT_EQ(Checked(model, Wire("guidance_rescale: 0.5")).resolved.warnings.size(), 1u);
}

TEST(CheckSamplingTest, UnconditionalModelsAreNotGuided) {
  const Checked checked(Register(UnconditionalModel()), Wire(""));
  EXPECT_TRUE(checked.violations.empty());
  EXPECT_EQ(checked.resolved.guidance_scale, 1.0);
}

}  // namespace
}  // namespace stepcast

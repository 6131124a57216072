#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sampling/compile/compile.h"
#include "server/catalog/model_description.h"
#include "server/request/checks/request_checks.h"
#include "tests/server/fake_models.h"
#include "tests/server/wire_requests.h"

namespace stepcast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A model whose DDIM takes everything there is, and whose other samplers take nothing: which sampler really takes what
// is told by sampling/.
RegisteredModel Generous() {
  RegisteredModel model = ModelRegistry::Create({Share(TextModel())}, "", &LoadFakeTokenizer)->default_model();
  for (SamplerSupport& support : model.samplers) {
    support.options = {};
    if (support.sampler != Sampler::kDdim) continue;
    support.options = {.max_solver_order = 3,
                       .churn = true,
                       .original_inference_steps = true,
                       .langevin = true,
                       .timesteps = true,
                       .sigmas = true};
  }
  return model;
}

// Runs the checks of sampling and its options alone.
struct Checked {
  explicit Checked(const std::string& text) {
    const RegisteredModel model = Generous();
    const v1::GenerateRequest wire = Wire(text);
    resolved.model = model.info;
    const RequestContext context{wire, model, limits, NarrowLimits(*model.info, limits)};
    CheckSampling(context, resolved, violations);
    CheckSamplerOptions(context, resolved, violations);
  }

  LimitsConfig limits;
  GenerationRequest resolved;
  FieldViolations violations;
};

TEST(CheckSamplerOptionsTest, EveryOptionArrives) {
  const Checked checked(R"(sampler_options {
    solver_order: 3 churn: 0.5 s_noise: 1.1 original_inference_steps: 50
    langevin { levels: 10 inner_steps: 5 epsilon: 2e-5 final_denoise: false } })");
  EXPECT_THAT(checked.violations.violations(), IsEmpty());
  const SamplerOptions& options = checked.resolved.sampler_options;
  EXPECT_EQ(options.solver_order, 3);
  EXPECT_EQ(options.churn, 0.5);
  EXPECT_EQ(options.s_noise, 1.1);
  EXPECT_EQ(options.original_inference_steps, 50);
  EXPECT_EQ(options.langevin.levels, 10);
  EXPECT_EQ(options.langevin.inner_steps, 5);
  EXPECT_EQ(options.langevin.epsilon, 2e-5);
  EXPECT_EQ(options.langevin.final_denoise, false);
}

TEST(CheckSamplerOptionsTest, UnsetOptionsAreTheSamplersOwn) {
  EXPECT_EQ(Checked("").resolved.sampler_options, SamplerOptions());
  EXPECT_EQ(Checked("sampler_options {}").resolved.sampler_options, SamplerOptions());
}

TEST(CheckSamplerOptionsTest, ListsStandForSteps) {
  const Checked times("timesteps: [999, 500.5, 0]");
  EXPECT_THAT(times.violations.violations(), IsEmpty());
  EXPECT_EQ(times.resolved.steps, 3);
  EXPECT_THAT(times.resolved.timesteps, ElementsAre(999, 500.5, 0));
  EXPECT_EQ(times.resolved.timestep_spacing, std::nullopt);
  const Checked sigmas("sigmas: [14.6, 1, 0] steps: 2");
  EXPECT_THAT(sigmas.violations.violations(), IsEmpty());
  EXPECT_EQ(sigmas.resolved.steps, 2) << "the last level ends the last step";
  EXPECT_THAT(sigmas.resolved.sigmas, ElementsAre(14.6, 1, 0));
}

TEST(CheckSamplerOptionsTest, LevelsStandForSteps) {
  for (const char* text :
       {"sampler_options { langevin { levels: 10 } }", "steps: 10 sampler_options { langevin { levels: 10 } }"}) {
    const Checked checked(text);
    EXPECT_THAT(checked.violations.violations(), IsEmpty()) << text;
    EXPECT_EQ(checked.resolved.steps, 10) << text;
    EXPECT_EQ(checked.resolved.sampler_options.langevin.levels, 10) << text;
  }
}

TEST(CheckSamplerOptionsTest, RefusesByName) {
  const struct {
    const char* request;
    const char* field;
    const char* text;
  } rows[] = {
      {"sampler_options { solver_order: 4 }", "sampler_options.solver_order", "got 4; allowed: 1..3"},
      {"sampler_options { solver_order: 0 }", "sampler_options.solver_order", "got 0"},
      {"sampler_options { churn: -1 }", "sampler_options.churn", "got -1"},
      {"sampler_options { s_noise: nan }", "sampler_options.s_noise", "got nan"},
      {"sampler_options { churn: inf }", "sampler_options.churn", "got inf"},
      {"sampler_options { original_inference_steps: 1001 }", "sampler_options.original_inference_steps", "1..1000"},
      {"sampler_options { langevin { levels: 0 } }", "sampler_options.langevin.levels", "1..50"},
      {"sampler_options { langevin { levels: 51 } }", "sampler_options.langevin.levels",
       "1..50, see ModelLimits.max_steps"},
      {"steps: 20 sampler_options { langevin { levels: 10 } }", "steps",
       "got 20; allowed: 10, the levels of sampler_options.langevin, or unset"},
      {"sampler_options { langevin { inner_steps: 1001 } }", "sampler_options.langevin.inner_steps", "1..1000"},
      {"sampler_options { langevin { levels: 50 inner_steps: 201 } }", "sampler_options.langevin.inner_steps",
       "got 201; allowed: at most 200 at 50 levels"},
      {"steps: 50 sampler_options { langevin { inner_steps: 201 } }", "sampler_options.langevin.inner_steps",
       "at most 200 at 50 levels"},
      {"sampler_options { langevin { epsilon: 0 } }", "sampler_options.langevin.epsilon", "a finite number above 0"},
      {"sampler: SAMPLER_EULER sampler_options { solver_order: 2 }", "sampler_options.solver_order",
       "unset, because SAMPLER_EULER takes none; SamplerSupport.max_solver_order"},
      {"sampler: SAMPLER_EULER sampler_options { langevin { } }", "sampler_options.langevin", "takes_langevin"},
      {"sampler: SAMPLER_EULER timesteps: 3", "timesteps", "SAMPLER_EULER takes none; SamplerSupport.takes_timesteps"},
      {"sampler: SAMPLER_EULER sigmas: [3, 0]", "sigmas", "SamplerSupport.takes_sigmas"},
      {"timesteps: [3, 3]", "timesteps", "got 3 at entry 1; allowed: training timesteps 0 to 999, strictly descending"},
      {"timesteps: [1000]", "timesteps", "got 1000 at entry 0"},
      {"timesteps: [5, -1]", "timesteps", "got -1 at entry 1"},
      {"timesteps: [5, nan]", "timesteps", "got nan at entry 1"},
      {"sigmas: [5]", "sigmas", "got 1 entries, 0 steps; allowed: 1 to 50 steps"},
      {"sigmas: [inf, 1]", "sigmas", "got inf at entry 0"},
      {"sigmas: [2, 1] timesteps: [5]", "sigmas", "unset beside timesteps"},
      {"timesteps: [5, 3] steps: 3", "steps", "got 3; allowed: 2, the steps of timesteps, or unset"},
      {"timesteps: [5] timestep_spacing: TIMESTEP_SPACING_TRAILING", "timestep_spacing", "unset beside timesteps"},
      {"sigmas: [5, 0] sigma_schedule: SIGMA_SCHEDULE_DEFAULT", "sigma_schedule", "unset beside sigmas"},
  };
  for (const auto& row : rows) {
    const Checked checked(row.request);
    ASSERT_EQ(checked.violations.violations().size(), 1u) << row.request;
    EXPECT_EQ(checked.violations.violations()[0].field, row.field) << row.request;
    EXPECT_THAT(checked.violations.violations()[0].description, HasSubstr(row.text)) << row.request;
  }
}

TEST(CheckSamplerOptionsTest, AListIsNoLongerThanTheModelsSteps) {
  std::string text = "timesteps: [999";
  for (int i = 1; i < 51; ++i) text += ", " + std::to_string(999 - i);
  EXPECT_TRUE(Checked(text + "]").violations.Has("timesteps"));
}

}  // namespace
}  // namespace stepcast

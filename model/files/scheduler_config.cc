#include "model/files/scheduler_config.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace stepcast::model {
namespace {

constexpr char kSaSolverClass[] = "SASolverScheduler";
constexpr char kDpmSolverSdeClass[] = "DPMSolverSDEScheduler";

template <typename Enum>
using Names = std::initializer_list<std::pair<const char*, Enum>>;

template <typename Enum>
std::optional<Enum> OptionalEnum(JsonConfig& json, absl::string_view key, Names<Enum> names) {
  const std::optional<std::string> text = json.OptionalString(key);
  if (!text.has_value()) return std::nullopt;
  std::string known;
  for (const auto& [name, value] : names) {
    if (*text == name) return value;
    absl::StrAppend(&known, known.empty() ? "" : ", ", name);
  }
  json.Problem(key, absl::StrCat("'", text->substr(0, 40), "' is not supported (", known, " are)"));
  return std::nullopt;
}

std::optional<int> OptionalSmallInt(JsonConfig& json, absl::string_view key, int min, int max) {
  const std::optional<int64_t> value = json.OptionalInt(key, min, max);
  return value.has_value() ? std::optional<int>(static_cast<int>(*value)) : std::nullopt;
}

void ReadBetas(JsonConfig& json, NoiseScheduleConfig& config) {
  config.num_train_timesteps = OptionalSmallInt(json, "num_train_timesteps", 1, 100'000);
  config.beta_start = json.OptionalDouble("beta_start");
  config.beta_end = json.OptionalDouble("beta_end");
  config.beta_schedule = OptionalEnum<BetaSchedule>(json, "beta_schedule",
                                                    {{"linear", BetaSchedule::kLinear},
                                                     {"scaled_linear", BetaSchedule::kScaledLinear},
                                                     {"squaredcos_cap_v2", BetaSchedule::kSquaredCosCapV2},
                                                     {"sigmoid", BetaSchedule::kSigmoid}});
  config.trained_betas = json.Doubles("trained_betas");
  config.rescale_betas_zero_snr = json.OptionalBool("rescale_betas_zero_snr");
  config.sigma_min = json.OptionalDouble("sigma_min");
  config.sigma_max = json.OptionalDouble("sigma_max");
}

// Of EDM models.
void ReadEdm(JsonConfig& json, NoiseScheduleConfig& config) {
  config.sigma_data = json.OptionalDouble("sigma_data");
  config.rho = json.OptionalDouble("rho");
  config.edm_sigma_schedule = OptionalEnum<SigmaSchedule>(
      json, "sigma_schedule", {{"karras", SigmaSchedule::kKarras}, {"exponential", SigmaSchedule::kExponential}});
}

void ReadClipping(JsonConfig& json, NoiseScheduleConfig& config) {
  config.clip_sample = json.OptionalBool("clip_sample");
  config.clip_sample_range = json.OptionalDouble("clip_sample_range");
  config.thresholding = json.OptionalBool("thresholding");
  config.dynamic_thresholding_ratio = json.OptionalDouble("dynamic_thresholding_ratio");
  config.sample_max_value = json.OptionalDouble("sample_max_value");
}

void ReadSpacing(JsonConfig& json, NoiseScheduleConfig& config) {
  config.prediction_type = OptionalEnum<PredictionType>(json, "prediction_type",
                                                        {{"epsilon", PredictionType::kEpsilon},
                                                         {"v_prediction", PredictionType::kVPrediction},
                                                         {"sample", PredictionType::kSample}});
  config.timestep_spacing = OptionalEnum<TimestepSpacing>(json, "timestep_spacing",
                                                          {{"linspace", TimestepSpacing::kLinspace},
                                                           {"leading", TimestepSpacing::kLeading},
                                                           {"trailing", TimestepSpacing::kTrailing}});
  config.steps_offset = OptionalSmallInt(json, "steps_offset", 0, 1000);
  config.set_alpha_to_one = json.OptionalBool("set_alpha_to_one");
  config.use_karras_sigmas = json.OptionalBool("use_karras_sigmas");
  config.use_exponential_sigmas = json.OptionalBool("use_exponential_sigmas");
  config.use_beta_sigmas = json.OptionalBool("use_beta_sigmas");
  config.use_lu_lambdas = json.OptionalBool("use_lu_lambdas");
  config.final_sigmas_type = OptionalEnum<FinalSigmas>(
      json, "final_sigmas_type", {{"zero", FinalSigmas::kZero}, {"sigma_min", FinalSigmas::kSigmaMin}});
}

// A list of step numbers, empty when there is none.
std::vector<int> ReadSteps(JsonConfig& json, absl::string_view key) {
  const nlohmann::json* value = json.Find(key);
  if (value == nullptr || (value->is_array() && value->empty())) return {};
  const std::vector<int64_t> steps = json.Ints(key, {});
  return {steps.begin(), steps.end()};
}

void ReadSolver(JsonConfig& json, NoiseScheduleConfig& config) {
  config.variance_type = OptionalEnum<VarianceType>(json, "variance_type",
                                                    {{"fixed_small", VarianceType::kFixedSmall},
                                                     {"fixed_small_log", VarianceType::kFixedSmallLog},
                                                     {"fixed_large", VarianceType::kFixedLarge},
                                                     {"fixed_large_log", VarianceType::kFixedLargeLog},
                                                     {"learned", VarianceType::kLearned},
                                                     {"learned_range", VarianceType::kLearnedRange}});
  config.solver_order = OptionalSmallInt(json, "solver_order", 1, 8);
  config.solver_type = OptionalEnum<SolverType>(json, "solver_type",
                                                {{"midpoint", SolverType::kMidpoint},
                                                 {"heun", SolverType::kHeun},
                                                 {"bh1", SolverType::kBh1},
                                                 {"bh2", SolverType::kBh2},
                                                 {"logrho", SolverType::kLogRho}});
  // The sampler refuses those that it lacks: a model whose own one is missing is still good for the others.
  const bool has_algorithm = config.scheduler_class != kSaSolverClass;  // there the key means something else
  if (!has_algorithm) json.Ignore({"algorithm_type"});
  if (has_algorithm)
    config.algorithm_type = OptionalEnum<SolverAlgorithm>(json, "algorithm_type",
                                                          {{"dpmsolver", SolverAlgorithm::kDpmSolver},
                                                           {"dpmsolver++", SolverAlgorithm::kDpmSolverPlusPlus},
                                                           {"sde-dpmsolver", SolverAlgorithm::kSdeDpmSolver},
                                                           {"sde-dpmsolver++", SolverAlgorithm::kSdeDpmSolverPlusPlus},
                                                           {"deis", SolverAlgorithm::kDeis}});
  config.predict_x0 = json.OptionalBool("predict_x0");
  config.disable_corrector = ReadSteps(json, "disable_corrector");
  config.lambda_min_clipped = json.OptionalDouble("lambda_min_clipped");
  config.lower_order_final = json.OptionalBool("lower_order_final");
  config.euler_at_final = json.OptionalBool("euler_at_final");
  config.skip_prk_steps = json.OptionalBool("skip_prk_steps");
  config.original_inference_steps = OptionalSmallInt(json, "original_inference_steps", 1, 100'000);
  config.timestep_scaling = json.OptionalDouble("timestep_scaling");
}

void ReadEulerAndScore(JsonConfig& json, NoiseScheduleConfig& config) {
  config.log_linear_interpolation =
      OptionalEnum<bool>(json, "interpolation_type", {{"linear", false}, {"log_linear", true}});
  config.continuous_timesteps = OptionalEnum<bool>(json, "timestep_type", {{"discrete", false}, {"continuous", true}});
  config.score_sde.snr = json.OptionalDouble("snr");
  config.score_sde.sampling_eps = json.OptionalDouble("sampling_eps");
  config.score_sde.correct_steps = OptionalSmallInt(json, "correct_steps", 0, 100);
}

// Files of classes that another one stands in for: what only they have is not missed, and what the class assumes for
// missing keys is how the model was trained.
void ReadStandIn(JsonConfig& json, NoiseScheduleConfig& config) {
  if (config.scheduler_class == kSaSolverClass) json.Ignore({"predictor_order", "corrector_order", "tau_func"});
  if (config.scheduler_class != kDpmSolverSdeClass) return;
  json.Ignore({"noise_sampler_seed"});
  config.beta_start = config.beta_start.value_or(0.00085);
  config.beta_end = config.beta_end.value_or(0.012);
}

// Sets a key that is in the file for every sampler, an absent one for the scheduler's own class only.
template <typename T>
void Override(std::optional<T>& key, std::optional<T>& own, T value) {
  (key.has_value() ? key : own) = value;
}

// What pipelines override in their scheduler's config.
void ApplyPipelineRules(absl::string_view pipeline_class, NoiseScheduleConfig& config) {
  const bool text_to_image =
      pipeline_class == "StableDiffusionPipeline" || pipeline_class == "StableDiffusionImg2ImgPipeline";
  const bool inpaint = pipeline_class == "StableDiffusionInpaintPipeline";
  PipelineOverrides& own = config.own_class;
  if (text_to_image || inpaint) Override(config.steps_offset, own.steps_offset, 1);
  if (text_to_image) Override(config.clip_sample, own.clip_sample, false);
  if (inpaint) Override(config.skip_prk_steps, own.skip_prk_steps, true);
}

}  // namespace

absl::StatusOr<NoiseScheduleConfig> ParseSchedulerConfig(JsonConfig& json, const std::string& scheduler_class,
                                                         absl::string_view pipeline_class) {
  NoiseScheduleConfig config;
  config.scheduler_class = scheduler_class;
  ReadBetas(json, config);
  ReadClipping(json, config);
  ReadSpacing(json, config);
  ReadSolver(json, config);
  ReadEulerAndScore(json, config);
  ReadEdm(json, config);
  json.Refuse("use_flow_sigmas");
  json.Refuse("solver_p");
  // Settings of single scheduler classes that no sampler of ours reads, all of them with one sensible value.
  json.Ignore({"flow_shift", "use_dynamic_shifting", "time_shift_type", "invert_sigmas", "skip_type"});
  STEPCAST_RETURN_IF_ERROR(json.Finish());
  ReadStandIn(json, config);
  ApplyPipelineRules(pipeline_class, config);
  return config;
}

}  // namespace stepcast::model

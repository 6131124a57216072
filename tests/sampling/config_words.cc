#include "tests/sampling/config_words.h"

#include <cstdlib>
#include <iostream>
#include <map>
#include <sstream>

namespace stepcast::sampling {
namespace {

template <typename T>
using Choices = std::map<std::string, T>;

template <typename T>
T Choose(const Choices<T>& choices, const std::string& text) {
  const auto found = choices.find(text);
  if (found != choices.end()) return found->second;
  std::cerr << "unknown value " << text << "\n";
  std::abort();
}

const Choices<SigmaSchedule> kEdmSchedules = {{"karras", SigmaSchedule::kKarras},
                                              {"exponential", SigmaSchedule::kExponential}};
const Choices<FinalSigmas> kFinalSigmas = {{"zero", FinalSigmas::kZero}, {"sigma_min", FinalSigmas::kSigmaMin}};
const Choices<BetaSchedule> kBetaSchedules = {{"linear", BetaSchedule::kLinear},
                                              {"scaled_linear", BetaSchedule::kScaledLinear},
                                              {"squaredcos_cap_v2", BetaSchedule::kSquaredCosCapV2},
                                              {"sigmoid", BetaSchedule::kSigmoid}};
const Choices<PredictionType> kPredictions = {{"epsilon", PredictionType::kEpsilon},
                                              {"v_prediction", PredictionType::kVPrediction},
                                              {"sample", PredictionType::kSample}};
const Choices<TimestepSpacing> kSpacings = {{"linspace", TimestepSpacing::kLinspace},
                                            {"leading", TimestepSpacing::kLeading},
                                            {"trailing", TimestepSpacing::kTrailing}};
const Choices<VarianceType> kVariances = {{"fixed_small", VarianceType::kFixedSmall},
                                          {"fixed_small_log", VarianceType::kFixedSmallLog},
                                          {"fixed_large", VarianceType::kFixedLarge},
                                          {"learned", VarianceType::kLearned},
                                          {"learned_range", VarianceType::kLearnedRange}};
const Choices<bool> kInterpolations = {{"linear", false}, {"log_linear", true}};
const Choices<bool> kTimestepTypes = {{"discrete", false}, {"continuous", true}};
const Choices<SolverType> kSolvers = {{"midpoint", SolverType::kMidpoint},
                                      {"heun", SolverType::kHeun},
                                      {"bh1", SolverType::kBh1},
                                      {"bh2", SolverType::kBh2},
                                      {"logrho", SolverType::kLogRho}};
const Choices<SolverAlgorithm> kAlgorithms = {{"dpmsolver", SolverAlgorithm::kDpmSolver},
                                              {"dpmsolver++", SolverAlgorithm::kDpmSolverPlusPlus},
                                              {"sde-dpmsolver", SolverAlgorithm::kSdeDpmSolver},
                                              {"sde-dpmsolver++", SolverAlgorithm::kSdeDpmSolverPlusPlus},
                                              {"deis", SolverAlgorithm::kDeis}};

void SetChoices(const std::string& key, const std::string& value, NoiseScheduleConfig& config) {
  if (key == "beta_schedule") config.beta_schedule = Choose(kBetaSchedules, value);
  if (key == "prediction_type") config.prediction_type = Choose(kPredictions, value);
  if (key == "timestep_spacing") config.timestep_spacing = Choose(kSpacings, value);
  if (key == "variance_type") config.variance_type = Choose(kVariances, value);
  if (key == "final_sigmas_type") config.final_sigmas_type = Choose(kFinalSigmas, value);
  if (key == "solver_type") config.solver_type = Choose(kSolvers, value);
  if (key == "algorithm_type") config.algorithm_type = Choose(kAlgorithms, value);
  if (key == "sigma_schedule") config.edm_sigma_schedule = Choose(kEdmSchedules, value);
  if (key == "interpolation_type") config.log_linear_interpolation = Choose(kInterpolations, value);
  if (key == "timestep_type") config.continuous_timesteps = Choose(kTimestepTypes, value);
}

void SetNumbers(const std::string& key, const std::string& value, NoiseScheduleConfig& config) {
  const Choices<std::optional<double>*> doubles = {{"beta_start", &config.beta_start},
                                                   {"beta_end", &config.beta_end},
                                                   {"clip_sample_range", &config.clip_sample_range},
                                                   {"sample_max_value", &config.sample_max_value},
                                                   {"dynamic_thresholding_ratio", &config.dynamic_thresholding_ratio},
                                                   {"timestep_scaling", &config.timestep_scaling},
                                                   {"lambda_min_clipped", &config.lambda_min_clipped},
                                                   {"sigma_min", &config.sigma_min},
                                                   {"sigma_max", &config.sigma_max},
                                                   {"sigma_data", &config.sigma_data},
                                                   {"rho", &config.rho}};
  const Choices<std::optional<int>*> ints = {{"num_train_timesteps", &config.num_train_timesteps},
                                             {"steps_offset", &config.steps_offset},
                                             {"solver_order", &config.solver_order},
                                             {"original_inference_steps", &config.original_inference_steps}};
  if (const auto found = doubles.find(key); found != doubles.end()) *found->second = std::stod(value);
  if (const auto found = ints.find(key); found != ints.end()) *found->second = std::stoi(value);
  if (key == "snr") config.score_sde.snr = std::stod(value);
  if (key == "sampling_eps") config.score_sde.sampling_eps = std::stod(value);
  if (key == "correct_steps") config.score_sde.correct_steps = std::stoi(value);
  if (key == "disable_corrector") {
    std::istringstream steps(value);
    for (std::string step; std::getline(steps, step, ',');) config.disable_corrector.push_back(std::stoi(step));
  }
}

void SetFlags(const std::string& key, const std::string& value, NoiseScheduleConfig& config) {
  const Choices<std::optional<bool>*> flags = {{"clip_sample", &config.clip_sample},
                                               {"thresholding", &config.thresholding},
                                               {"set_alpha_to_one", &config.set_alpha_to_one},
                                               {"rescale_betas_zero_snr", &config.rescale_betas_zero_snr},
                                               {"skip_prk_steps", &config.skip_prk_steps},
                                               {"use_karras_sigmas", &config.use_karras_sigmas},
                                               {"use_exponential_sigmas", &config.use_exponential_sigmas},
                                               {"use_beta_sigmas", &config.use_beta_sigmas},
                                               {"use_lu_lambdas", &config.use_lu_lambdas},
                                               {"lower_order_final", &config.lower_order_final},
                                               {"euler_at_final", &config.euler_at_final},
                                               {"predict_x0", &config.predict_x0}};
  if (const auto found = flags.find(key); found != flags.end()) *found->second = value == "True";
}

}  // namespace

void SetConfigKey(const std::string& key, const std::string& value, NoiseScheduleConfig& config) {
  if (value == "None") return;
  SetChoices(key, value, config);
  SetNumbers(key, value, config);
  SetFlags(key, value, config);
}

}  // namespace stepcast::sampling

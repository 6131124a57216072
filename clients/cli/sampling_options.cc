#include "clients/cli/sampling_options.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

namespace stepcast::cli {
namespace {

namespace v1 = ::stepcast::v1;

constexpr char kClass[] = "Class-conditional models";
constexpr char kSampler[] = "Samplers (see `stepcast samplers`)";

void AddClass(CLI::App& app, v1::GenerateRequest& r) {
  auto* label = app.add_option_function<std::string>(
      "--class-label", [&r](const std::string& v) { r.set_class_label(v); }, "Class to paint; see `stepcast models`");
  auto* index =
      app.add_option_function<int>("--class-index", [&r](int v) { r.set_class_index(v); }, "The same by its number");
  auto* scale = app.add_option_function<double>(
      "--classifier-scale", [&r](double v) { r.set_classifier_scale(v); },
      "Strength of classifier guidance, 0..100; needs a class");
  label->excludes(index);
  for (CLI::Option* option : {label, index, scale}) option->group(kClass);
}

void AddLists(CLI::App& app, v1::GenerateRequest& r) {
  auto* timesteps = app.add_option_function<std::vector<double>>(
      "--timesteps", [&r](const std::vector<double>& v) { r.mutable_timesteps()->Assign(v.begin(), v.end()); },
      "Training timesteps instead of --steps, as 999,850,...");
  auto* sigmas = app.add_option_function<std::vector<double>>(
      "--sigmas", [&r](const std::vector<double>& v) { r.mutable_sigmas()->Assign(v.begin(), v.end()); },
      "Noise levels instead of --steps, the last one (0) ends the last step");
  timesteps->excludes(sigmas);
  for (CLI::Option* option : {timesteps, sigmas}) option->delimiter(',')->group(kSampler);
}

void AddOptions(CLI::App& app, v1::GenerateRequest& r) {
  const auto integer = [&app](const char* name, std::function<void(int)> set, const char* help) {
    app.add_option_function<int>(name, std::move(set), help)->group(kSampler);
  };
  const auto real = [&app](const char* name, std::function<void(double)> set, const char* help) {
    app.add_option_function<double>(name, std::move(set), help)->group(kSampler);
  };
  integer(
      "--solver-order", [&r](int v) { r.mutable_sampler_options()->set_solver_order(v); },
      "Order of a multistep method");
  real("--churn", [&r](double v) { r.mutable_sampler_options()->set_churn(v); }, "Noise added back at each step");
  real("--s-noise", [&r](double v) { r.mutable_sampler_options()->set_s_noise(v); }, "Scale of the noise of --churn");
  integer(
      "--original-steps", [&r](int v) { r.mutable_sampler_options()->set_original_inference_steps(v); },
      "Steps of the schedule that a consistency model was distilled with");
  integer(
      "--langevin-levels", [&r](int v) { r.mutable_sampler_options()->mutable_langevin()->set_levels(v); },
      "Noise levels of annealed Langevin dynamics");
  integer(
      "--langevin-steps", [&r](int v) { r.mutable_sampler_options()->mutable_langevin()->set_inner_steps(v); },
      "Steps at each level");
  real(
      "--langevin-epsilon", [&r](double v) { r.mutable_sampler_options()->mutable_langevin()->set_epsilon(v); },
      "Step size at the last level");
}

}  // namespace

void AddSamplingOptions(CLI::App& app, v1::GenerateRequest& request) {
  AddClass(app, request);
  AddLists(app, request);
  AddOptions(app, request);
}

}  // namespace stepcast::cli

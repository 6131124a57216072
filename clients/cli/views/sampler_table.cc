#include "clients/cli/views/sampler_table.h"

#include <cstdio>

#include "clients/cli/views/enum_names.h"

namespace stepcast::cli {
namespace {

namespace v1 = ::stepcast::v1;

std::string Schedules(const v1::SamplerSupport& support) {
  std::string names;
  for (const int schedule : support.sigma_schedules()) {
    if (schedule == v1::SIGMA_SCHEDULE_DEFAULT) continue;
    names += (names.empty() ? "" : ",") + EnumName(v1::SigmaSchedule_descriptor(), schedule);
  }
  return names.empty() ? "-" : names;
}

std::string Options(const v1::SamplerSupport& support) {
  std::string names;
  const auto add = [&names](bool takes, const std::string& name) {
    if (takes) names += (names.empty() ? "" : " ") + name;
  };
  add(support.takes_eta(), "eta");
  add(support.max_solver_order() > 0, "solver-order<=" + std::to_string(support.max_solver_order()));
  add(support.takes_churn(), "churn s-noise");
  add(support.takes_original_inference_steps(), "original-steps");
  add(support.takes_langevin(), "langevin-*");
  add(support.takes_timesteps(), "timesteps");
  add(support.takes_sigmas(), "sigmas");
  return names.empty() ? "-" : names;
}

std::string Row(const std::string& name, const std::string& evaluations, const std::string& noise,
                const std::string& schedules, const std::string& options) {
  char line[256];
  std::snprintf(line, sizeof line, "%-20s %-12s %-6s %-28s %s\n", name.c_str(), evaluations.c_str(), noise.c_str(),
                schedules.c_str(), options.c_str());
  return line;
}

}  // namespace

std::string SamplerTable(const v1::Model& model) {
  const std::string steps = std::to_string(model.defaults().steps());
  std::string table = Row("sampler", "evals/" + steps, "noise", "sigma schedules", "options");
  for (const v1::SamplerSupport& support : model.samplers()) {
    const bool is_default = support.sampler() == model.defaults().sampler();
    table += Row(EnumName(v1::Sampler_descriptor(), support.sampler()) + (is_default ? " *" : ""),
                 std::to_string(support.evaluations()), support.draws_noise() ? "yes" : "-", Schedules(support),
                 Options(support));
  }
  return table;
}

}  // namespace stepcast::cli

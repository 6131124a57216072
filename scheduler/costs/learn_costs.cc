#include "scheduler/costs/learn_costs.h"

#include "scheduler/costs/cost_cache.h"
#include "scheduler/costs/profiler.h"
#include "scheduler/words/guarded.h"

namespace stepcast {
namespace {

void Warn(const ProfileOptions& profile, const absl::Status& problem) {
  if (profile.on_warning) profile.on_warning(problem);
}

}  // namespace

std::vector<CostEntry> LearnCosts(const ProfileOptions& profile, StepExecutor& executor, const Clock& clock) {
  CostModel costs(executor.Limits());
  if (!profile.cache_file.empty()) {
    const auto cached = ReadCostCache(profile.cache_file, profile.fingerprint);
    if (cached.ok()) costs.SetCurves(*cached);
    if (!cached.ok() && !absl::IsNotFound(cached.status())) Warn(profile, cached.status());
  }
  std::vector<BatchKey> unknown;
  for (const BatchKey& key : profile.keys) {
    if (!costs.Knows(key)) unknown.push_back(key);
  }
  if (!unknown.empty() && profile.budget > absl::ZeroDuration()) {
    const absl::Status profiled =
        Guarded([&] { return ProfileCosts(executor, unknown, profile.budget, clock, costs); });
    if (!profiled.ok()) Warn(profile, profiled);
  }
  if (!unknown.empty()) SaveCosts(profile, costs);
  return costs.Table();
}

void SaveCosts(const ProfileOptions& profile, const CostModel& costs) {
  const std::vector<CostEntry> learned = costs.Learned();
  if (profile.cache_file.empty() || learned.empty()) return;
  const absl::Status written = WriteCostCache(profile.cache_file, profile.fingerprint, learned);
  if (!written.ok()) Warn(profile, written);
}

}  // namespace stepcast

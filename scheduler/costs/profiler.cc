#include "scheduler/costs/profiler.h"

#include <algorithm>
#include <map>
#include <vector>

#include "core/status_macros.h"

namespace stepcast {
namespace {

// What is known of one key.
class KeyProfile {
 public:
  KeyProfile(const BatchKey& key, int cap) : key_(key), counts_(ProfiledRows(key, cap)) {}

  const BatchKey& key() const { return key_; }
  size_t counts() const { return counts_.size(); }
  int rows(size_t at) const { return counts_[at]; }
  bool empty() const { return runs_.empty(); }

  void Add(int rows, absl::Duration took) { runs_[rows].push_back(took); }

  // Medians; of an even number the smaller one, because whatever disturbs a tick makes it longer.
  std::vector<CostPoint> Points() const {
    std::vector<CostPoint> points;
    for (const auto& [rows, runs] : runs_) {
      std::vector<absl::Duration> sorted = runs;
      std::sort(sorted.begin(), sorted.end());
      points.push_back({.rows = rows, .cost = sorted[(sorted.size() - 1) / 2]});
    }
    return points;
  }

 private:
  const BatchKey key_;
  const std::vector<int> counts_;
  std::map<int, std::vector<absl::Duration>> runs_;  // by rows
};

class Profile {
 public:
  Profile(StepExecutor& executor, absl::Duration budget, const Clock& clock, CostModel& costs)
      : executor_(executor), end_(clock.Now() + budget), clock_(clock), costs_(costs) {}

  // Measures one tick of the at-th row count, if the key has so many, they fit the device and the time is not over.
  absl::Status Measure(KeyProfile& profile, size_t at) {
    if (at >= profile.counts()) return absl::OkStatus();
    const BatchKey& key = profile.key();
    const int rows = profile.rows(at);
    if (rows > costs_.RowCap(key) || !Fits(key, rows)) return absl::OkStatus();
    absl::Duration took;
    absl::Status status = profile.empty() ? RunOnce(key, rows, took) : absl::OkStatus();
    if (status.ok()) status = RunOnce(key, rows, took);
    if (absl::IsResourceExhausted(status)) {
      costs_.LowerRowCap(key, rows / 2);
      return absl::OkStatus();
    }
    STEPCAST_RETURN_IF_ERROR(status);
    profile.Add(rows, took);
    costs_.SetCurve(key, profile.Points());
    return absl::OkStatus();
  }

 private:
  bool Fits(const BatchKey& key, int rows) const {
    const absl::Time now = clock_.Now();
    return now < end_ && now + costs_.Predict(key, rows) <= end_;
  }

  absl::Status RunOnce(const BatchKey& key, int rows, absl::Duration& took) {
    const absl::Time start = clock_.Now();
    STEPCAST_RETURN_IF_ERROR(executor_.RunSynthetic(key, rows));
    took = clock_.Now() - start;
    return absl::OkStatus();
  }

  StepExecutor& executor_;
  const absl::Time end_;
  const Clock& clock_;
  CostModel& costs_;
};

}  // namespace

std::vector<BatchKey> ProfileKeys(const ModelInfo& model) {
  const int height = model.defaults.height / model.vae_scale_factor;
  const int width = model.defaults.width / model.vae_scale_factor;
  std::vector<BatchKey> keys;
  if (model.conditioning == ConditioningKind::kText) keys.push_back({.phase = Phase::kEncode, .model = model.id});
  for (const Phase phase : {Phase::kEncodePicture, Phase::kDenoise, Phase::kPreview, Phase::kDecode}) {
    if (phase == Phase::kEncodePicture && !model.encodes_pictures) continue;
    keys.push_back({.phase = phase, .model = model.id, .latent_height = height, .latent_width = width});
  }
  return keys;
}

std::vector<int> ProfiledRows(const BatchKey& key, int cap) {
  const int job = std::min(key.phase == Phase::kDenoise ? 2 : 1, cap);
  std::vector<int> counts = {job};
  for (int rows = cap; rows > job; rows /= 2) counts.push_back(rows);
  if (job > 1) counts.push_back(1);
  return counts;
}

absl::Status ProfileCosts(StepExecutor& executor, absl::Span<const BatchKey> keys, absl::Duration budget,
                          const Clock& clock, CostModel& costs, int passes) {
  Profile profile(executor, budget, clock, costs);
  std::vector<KeyProfile> known;
  size_t most = 0;
  for (const BatchKey& key : keys) {
    known.emplace_back(key, costs.limits().RowCap(key.phase));
    most = std::max(most, known.back().counts());
  }
  for (int pass = 0; pass < passes; ++pass) {
    for (size_t at = 0; at < most; ++at) {
      for (KeyProfile& key : known) STEPCAST_RETURN_IF_ERROR(profile.Measure(key, at));
    }
  }
  return absl::OkStatus();
}

}  // namespace stepcast

#include "scheduler/costs/idle_profile.h"

#include <algorithm>

#include "scheduler/costs/profiler.h"

namespace stepcast {

void IdleProfile::Add(const std::vector<BatchKey>& keys, const CostModel& costs) {
  if (budget_ <= absl::ZeroDuration()) return;
  size_t most = 0;
  std::vector<std::pair<BatchKey, std::vector<int>>> unknown;
  for (const BatchKey& key : keys) {
    const bool pending =
        std::any_of(ticks_.begin(), ticks_.end(), [&key](const Tick& tick) { return tick.key == key; });
    if (costs.Knows(key) || pending) continue;
    unknown.emplace_back(key, ProfiledRows(key, costs.RowCap(key)));
    most = std::max(most, unknown.back().second.size());
  }
  if (unknown.empty()) return;
  left_ = budget_;
  // Coarse first, so that every key is known before any is known well.
  for (size_t at = 0; at < most; ++at) {
    for (const auto& [key, rows] : unknown) {
      if (at == 0) ticks_.push_back({.key = key, .rows = rows[0], .counts = false});
      if (at < rows.size()) ticks_.push_back({.key = key, .rows = rows[at]});
    }
  }
}

std::optional<IdleProfile::Tick> IdleProfile::Next() const {
  if (ticks_.empty()) return std::nullopt;
  return ticks_.front();
}

std::optional<CostEntry> IdleProfile::OnRan(const absl::Status& status, absl::Duration took) {
  const Tick ran = ticks_.front();
  ticks_.pop_front();
  left_ -= took;
  std::optional<CostEntry> learned;
  if (status.ok() && ran.counts) {
    std::vector<CostPoint>& points = points_[ran.key];
    points.push_back({.rows = ran.rows, .cost = took});
    std::sort(points.begin(), points.end(), [](const CostPoint& a, const CostPoint& b) { return a.rows < b.rows; });
    learned = CostEntry{.key = ran.key, .points = points};
  } else if (absl::IsResourceExhausted(status)) {
    std::erase_if(ticks_, [&ran](const Tick& tick) { return tick.key == ran.key && tick.rows >= ran.rows; });
    learned = CostEntry{.key = ran.key, .points = {}, .row_cap = std::max(1, ran.rows / 2)};
  } else if (!status.ok()) {
    std::erase_if(ticks_, [&ran](const Tick& tick) { return tick.key.model == ran.key.model; });
  }
  if (left_ <= absl::ZeroDuration()) ticks_.clear();
  if (ticks_.empty()) points_.clear();
  return learned;
}

}  // namespace stepcast

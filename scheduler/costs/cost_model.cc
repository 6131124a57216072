#include "scheduler/costs/cost_model.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace stepcast {
namespace {

double Area(const BatchKey& key) {
  return std::max(1.0, static_cast<double>(key.latent_height) * static_cast<double>(key.latent_width));
}

std::vector<CostEntry> ByKey(std::vector<CostEntry> table) {
  std::sort(table.begin(), table.end(), [](const CostEntry& a, const CostEntry& b) { return a.key < b.key; });
  return table;
}

}  // namespace

// A key's curve with everything that is asked of it per plan worked out.
struct CostModel::Entry {
  Entry(CostCurve the_curve, int the_cap, bool is_measured)
      : curve(std::move(the_curve)), cap(the_cap), measured(is_measured) {
    Refresh();
  }

  void Refresh() { knee = curve.empty() ? cap : curve.Knee(cap); }

  CostCurve curve;
  int cap;
  bool measured;
  int knee = 1;
};

CostModel::CostModel(const ExecutorLimits& limits) : limits_(limits) {}
CostModel::CostModel(CostModel&&) = default;
CostModel::~CostModel() = default;

void CostModel::SetCurve(const BatchKey& key, std::vector<CostPoint> points) {
  CostCurve curve(points);
  if (curve.empty()) return;
  const int cap = RowCap(key);
  ForgetGuesses();
  entries_[key] = std::make_unique<Entry>(std::move(curve), cap, /*is_measured=*/true);
}

void CostModel::SetCurves(const std::vector<CostEntry>& entries) {
  for (const CostEntry& entry : entries) {
    SetCurve(entry.key, entry.points);
    if (entry.row_cap > 0) LowerRowCap(entry.key, entry.row_cap);
  }
}

void CostModel::Observe(const BatchKey& key, int rows, absl::Duration measured) {
  const double seconds = absl::ToDoubleSeconds(measured);
  (void)EntryOf(key);
  Entry& entry = *entries_[key];
  entry.curve.Observe(rows, seconds);
  entry.Refresh();
  if (!entry.curve.empty()) entry.measured = true;
  // Guesses are made of measured curves and go stale with them. What is predicted depends on what was measured, never
  // on who asked when: a recorded run can be repeated.
  ForgetGuesses();
}

// All but those whose cap was learnt.
void CostModel::ForgetGuesses() {
  absl::erase_if(entries_, [this](const auto& entry) {
    return !entry.second->measured && entry.second->cap == limits_.RowCap(entry.first.phase);
  });
}

void CostModel::Rest() {
  for (const auto& [key, entry] : entries_) entry->curve.Rest();
  ForgetGuesses();
}

bool CostModel::Knows(const BatchKey& key) const {
  const auto entry = entries_.find(key);
  return entry != entries_.end() && entry->second->measured;
}

double CostModel::Seconds(const BatchKey& key, int rows) const {
  const Entry& entry = EntryOf(key);
  return entry.curve.empty() ? 0.0 : entry.curve.Seconds(rows);
}

absl::Duration CostModel::Predict(const BatchKey& key, int rows) const { return absl::Seconds(Seconds(key, rows)); }

int CostModel::Knee(const BatchKey& key) const { return EntryOf(key).knee; }

int CostModel::RowCap(const BatchKey& key) const {
  const auto entry = entries_.find(key);
  return entry == entries_.end() ? limits_.RowCap(key.phase) : entry->second->cap;
}

void CostModel::LowerRowCap(const BatchKey& key, int rows) {
  (void)EntryOf(key);
  Entry& entry = *entries_[key];
  const int least = std::min(key.phase == Phase::kDenoise ? 2 : 1, limits_.RowCap(key.phase));
  entry.cap = std::clamp(rows, least, entry.cap);
  entry.Refresh();
}

double CostModel::SecondsOfWork(const BatchKey& key, int rows) const {
  const Entry& entry = EntryOf(key);
  if (entry.curve.empty()) return 0.0;
  const int rest = rows % entry.cap;
  if (rest == rows) return entry.curve.Seconds(rows);
  return rows / entry.cap * entry.curve.Seconds(entry.cap) + (rest > 0 ? entry.curve.Seconds(rest) : 0.0);
}

template <typename CountOf>
absl::Duration CostModel::Sum(const WorkList& work, CountOf count_of) const {
  double evaluations = 0.0, ends = 0.0;
  for (size_t i = 0; i < work.lines().size(); ++i) {
    const WorkLine& line = work.lines()[i];
    const int count = count_of(i);
    if (count > 0)
      (line.key.phase == Phase::kDenoise ? evaluations : ends) += count * SecondsOfWork(line.key, line.rows);
  }
  return absl::Seconds(ends + evaluations);
}

absl::Duration CostModel::Remaining(const Job& job) const {
  return Sum(job.work(), [&job](size_t line) { return job.left(line); });
}

absl::Duration CostModel::Isolated(const JobSpec& spec) const {
  return Sum(*spec.work, [&spec](size_t line) { return spec.work->lines()[line].count; });
}

std::vector<CostEntry> CostModel::Table() const {
  std::vector<CostEntry> table;
  for (const auto& [key, entry] : entries_) {
    if (entry->measured) table.push_back({.key = key, .points = entry->curve.Points(), .row_cap = entry->cap});
  }
  return ByKey(std::move(table));
}

std::vector<CostEntry> CostModel::Learned() const {
  std::vector<CostEntry> table;
  for (const auto& [key, entry] : entries_) {
    if (!entry->measured) continue;
    table.push_back({.key = key, .points = entry->curve.MeasuredPoints(), .row_cap = 0});
  }
  return ByKey(std::move(table));
}

const CostModel::Entry& CostModel::EntryOf(const BatchKey& key) const {
  const auto entry = entries_.find(key);
  if (entry != entries_.end()) return *entry->second;
  return *entries_.emplace(key, Guess(key)).first->second;
}

std::unique_ptr<CostModel::Entry> CostModel::Guess(const BatchKey& key) const {
  const Entry* nearest = nullptr;
  // Same model first, then the area with the smallest ratio, then the order of keys: the same whatever the hash.
  std::tuple<bool, double, BatchKey> best;
  for (const auto& [other, entry] : entries_) {
    if (!entry->measured || other.phase != key.phase) continue;
    const double ratio = Area(other) / Area(key);
    const std::tuple<bool, double, BatchKey> rank{other.model != key.model, std::max(ratio, 1.0 / ratio), other};
    if (nearest != nullptr && !(rank < best)) continue;
    nearest = entry.get();
    best = rank;
  }
  const int cap = limits_.RowCap(key.phase);
  if (nearest == nullptr) return std::make_unique<Entry>(CostCurve({}), cap, /*is_measured=*/false);
  std::vector<CostPoint> points = nearest->curve.Points();
  for (CostPoint& point : points) point.cost *= Area(key) / Area(std::get<BatchKey>(best));
  return std::make_unique<Entry>(CostCurve(points, /*measured=*/false), cap, /*is_measured=*/false);
}

}  // namespace stepcast

#include "scheduler/decide/price_list.h"

#include <algorithm>
#include <cmath>

#include "scheduler/decide/policies/batch_shape.h"

namespace stepcast {
namespace {

constexpr double kMoved = 0.1;  // by how much a price may be off

}  // namespace

PriceList::Prices PriceList::Keep(const WorkList& work) {
  Prices prices;
  for (const WorkLine& line : work.lines()) {
    KeptOfKey& kept = kept_[line.key];
    auto known = std::find_if(kept.begin(), kept.end(), [&](const auto& each) { return each->line.rows == line.rows; });
    if (known == kept.end()) {
      kept.push_back(
          std::make_unique<Kept>(Kept{.line = line, .price = Measure(line), .small = MeasureSmall(line.key)}));
      known = kept.end() - 1;
    }
    ++(*known)->jobs;
    prices.push_back(&(*known)->price);
  }
  return prices;
}

void PriceList::Drop(const WorkList& work) {
  for (const WorkLine& line : work.lines()) {
    const auto entry = kept_.find(line.key);
    std::erase_if(entry->second, [&](const auto& each) { return each->line.rows == line.rows && --each->jobs == 0; });
    if (entry->second.empty()) kept_.erase(entry);
  }
}

const PriceList::Kept* PriceList::Find(const KeptOfKey& kept, int rows) {
  for (const auto& each : kept) {
    if (each->line.rows == rows) return each.get();
  }
  return nullptr;
}

WorkPrice PriceList::Of(const WorkLine& line) const {
  const auto entry = kept_.find(line.key);
  const Kept* known = entry == kept_.end() ? nullptr : Find(entry->second, line.rows);
  return known != nullptr ? known->price : Measure(line);
}

WorkPrice PriceList::Measure(const WorkLine& line) const {
  const BatchKey& key = line.key;
  const int cap = costs_.RowCap(key);
  const auto share = [&](int rows) { return costs_.Seconds(key, rows) / rows; };
  const double alone = costs_.SecondsOfWork(key, line.rows);
  if (key.phase != Phase::kDenoise) {
    return {.alone = alone, .full = alone, .row = share(cap), .brief = share(cap)};
  }
  // One job at a time where more rows do not pay, else as many as fit: what a backlog is worked off with.
  const int rows = costs_.Knee(key) <= 2 ? std::min(2, cap) : cap;
  int brief = 2;
  while (brief + 2 <= cap && costs_.Seconds(key, brief + 2) <= BatchShape::kCostly * costs_.Seconds(key, 2)) brief += 2;
  const int parts = (line.rows + cap - 1) / cap;
  return {.alone = alone,
          .full = parts * costs_.Seconds(key, rows),
          .row = share(rows),
          .brief = std::max(share(rows), share(brief))};
}

std::array<double, 2> PriceList::MeasureSmall(const BatchKey& key) const {
  return {costs_.Seconds(key, 1), costs_.Seconds(key, 2)};
}

bool PriceList::Moved(const Kept& kept) const {
  const auto moved = [](double a, double b) { return std::abs(b - a) > kMoved * std::max(a, b); };
  const WorkPrice now = Measure(kept.line);
  if (moved(kept.price.alone, now.alone)) return true;
  if (kept.line.key.phase != Phase::kDenoise) return false;
  // Small ticks and full ones tell of the curve between them.
  const std::array<double, 2> small = MeasureSmall(kept.line.key);
  return moved(kept.price.row, now.row) || moved(kept.small[0], small[0]) || moved(kept.small[1], small[1]);
}

bool PriceList::AnyMoved(const KeptOfKey& kept) const {
  return std::any_of(kept.begin(), kept.end(), [this](const auto& each) { return Moved(*each); });
}

bool PriceList::AnyMoved(const BatchKey& key) const {
  const auto entry = kept_.find(key);
  return entry != kept_.end() && AnyMoved(entry->second);
}

// What was measured of one phase of a model changes what is guessed of others.
bool PriceList::Follow(const BatchKey& key) {
  bool moved = false;
  if (key.phase == Phase::kEncode) {
    for (const auto& [other, kept] : kept_) moved |= other.model == key.model && AnyMoved(kept);
  } else {
    for (const Phase phase : kPhases) {
      BatchKey other = key;
      other.phase = phase;
      if (phase == Phase::kEncode) other.latent_height = other.latent_width = 0;
      moved |= AnyMoved(other);
    }
  }
  if (!moved) return false;
  for (auto& [other, kept] : kept_) {
    for (const auto& each : kept) {
      each->price = Measure(each->line);
      each->small = MeasureSmall(each->line.key);
    }
  }
  return true;
}

}  // namespace stepcast

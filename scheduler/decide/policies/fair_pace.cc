#include "scheduler/decide/policies/fair_pace.h"

#include <algorithm>

namespace stepcast {

FairPace::FairPace(double weight, std::vector<Rival> rivals, Company company) : company_(company) {
  if (rivals.empty()) return;
  // Who has least for his weight is done first.
  std::sort(rivals.begin(), rivals.end(),
            [](const Rival& a, const Rival& b) { return a.work * b.weight < b.work * a.weight; });
  double weights = weight;
  for (const Rival& rival : rivals) weights += rival.weight;
  stretches_.push_back({.rate = weight / weights});
  for (const Rival& rival : rivals) {
    const Stretch& last = stretches_.back();
    const double work = rival.work / rival.weight * weight;
    const double time = last.time + (work - last.work) / last.rate;
    weights -= rival.weight;
    stretches_.push_back({.time = time, .work = work, .rate = weight / std::max(weights, weight)});
  }
}

double FairPace::WorkIn(double seconds) const {
  double work = seconds;
  if (!stretches_.empty() && seconds > 0.0) {
    const auto next = std::upper_bound(stretches_.begin(), stretches_.end(), seconds,
                                       [](double time, const Stretch& stretch) { return time < stretch.time; });
    const Stretch& stretch = *(next - 1);
    work = stretch.work + (seconds - stretch.time) * stretch.rate;
  }
  if (company_.tenants < 2.0 || work <= 0.0) return work;
  return std::max(work / company_.tenants, work - company_.others_work);
}

}  // namespace stepcast

#include "tools/simulate/driver.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <queue>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "tools/simulate/device.h"
#include "tools/simulate/specs.h"

namespace stepcast::simulate {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr int kNoBacklog = -1;

double Elapsed(absl::Time time) { return absl::ToDoubleSeconds(time - absl::UnixEpoch()); }

// Writes ends into the fates of its jobs. Job i + 1 is fate i.
class FateSink final : public EventSink {
 public:
  FateSink(std::vector<Fate>& fates, const absl::Time& now) : fates_(fates), now_(now) {}

  void Follow(JobId job, int backlog) { backlogs_[job] = backlog; }

  void OnEvent(JobEvent event) override {
    const auto* finished = std::get_if<JobFinished>(&event.what);
    if (finished == nullptr) return;
    Fate& fate = fates_[static_cast<size_t>(event.job.value) - 1];
    fate.end = finished->status.code();
    fate.finished = Elapsed(now_);
    fate.evaluations = finished->statistics.evaluations;
    const auto backlog = backlogs_.find(event.job);
    if (backlog == backlogs_.end()) return;
    ended_of_backlog.push_back(backlog->second);
    backlogs_.erase(backlog);
  }

  std::vector<int> ended_of_backlog;

 private:
  std::vector<Fate>& fates_;
  const absl::Time& now_;
  absl::flat_hash_map<JobId, int> backlogs_;
};

class Driver {
 public:
  explicit Driver(const RunOptions& options)
      : options_(options), sink_(std::make_shared<FateSink>(outcome_.fates, now_)), truth_(options.device.limits) {
    for (const CostEntry& entry : options.device.costs) truth_.SetCurve(entry.key, entry.points);
    for (int i = 0; i < options.devices; ++i) {
      devices_.push_back(std::make_unique<SimulatedDevice>(options_, i, truth_));
    }
    outcome_.fates.reserve(options.arrivals.size());
  }

  Outcome Run() {
    for (size_t i = 0; i < options_.backlogs.size(); ++i) {
      for (int n = 0; n < options_.backlogs[i].live; ++n) Post(options_.backlogs[i].pattern, static_cast<int>(i));
    }
    const absl::Time end = absl::UnixEpoch() + options_.until;
    do {
      TurnIdleDevices();
    } while (now_ < end && GoOn());
    Stop();
    return std::move(outcome_);
  }

 private:
  // Every idle device reads its mail and begins a tick. A job that ends in passing may call for another one.
  void TurnIdleDevices() {
    do {
      for (const int backlog : std::exchange(sink_->ended_of_backlog, {})) {
        Post(options_.backlogs[static_cast<size_t>(backlog)].pattern, backlog);
      }
      for (const auto& device : devices_) {
        if (device->busy()) continue;
        ReadMail(*device);
        if (const std::optional<Tick> tick = device->Begin(now_)) outcome_.ticks.push_back(*tick);
      }
    } while (!sink_->ended_of_backlog.empty());
  }

  // Goes to the next time at which something happens, and lets it happen. False when nothing will.
  bool GoOn() {
    absl::Time next = absl::InfiniteFuture();
    for (const auto& device : devices_) next = std::min(next, device->due());
    if (next_arrival_ < options_.arrivals.size()) {
      next = std::min(next, absl::UnixEpoch() + options_.arrivals[next_arrival_].at);
    }
    if (!leaving_.empty()) next = std::min(next, leaving_.top().at);
    if (next == absl::InfiniteFuture()) return false;
    now_ = std::max(now_, next);

    while (next_arrival_ < options_.arrivals.size() &&
           absl::UnixEpoch() + options_.arrivals[next_arrival_].at <= now_) {
      Post(options_.arrivals[next_arrival_++], kNoBacklog);
    }
    for (; !leaving_.empty() && leaving_.top().at <= now_; leaving_.pop()) {
      leaving_.top().device->Cancel(leaving_.top().job);
    }
    for (const auto& device : devices_) {
      if (!device->busy() || device->due() > now_) continue;
      ReadMail(*device);
      device->Complete(now_);
    }
    return true;
  }

  void Post(const Arrival& arrival, int backlog) {
    SimulatedDevice& device = LeastBusy();
    SimulatedDevice::Jobs jobs;
    for (int image = 0; image < arrival.images; ++image) {
      JobSpec spec = specs_.Make(arrival, sink_);
      spec.image_index = image;
      spec.arrival = backlog == kNoBacklog ? absl::UnixEpoch() + arrival.at : now_;
      absl::Duration isolated = truth_.Isolated(spec);
      if (!arrival.cold) isolated -= truth_.Predict(KeyOf(*spec.request, Phase::kEncode), 1);
      if (arrival.deadline > 0.0) spec.deadline = spec.arrival + isolated * arrival.deadline;
      spec.deadline = std::min(spec.deadline, spec.arrival + arrival.due);
      outcome_.fates.push_back({.arrival = arrival,
                                .admitted = true,
                                .came = Elapsed(spec.arrival),
                                .finished = kNever,
                                .isolated = absl::ToDoubleSeconds(isolated),
                                .due = absl::ToDoubleSeconds(spec.deadline - spec.arrival)});
      const JobId id{static_cast<int64_t>(outcome_.fates.size())};
      if (backlog != kNoBacklog) sink_->Follow(id, backlog);
      if (arrival.patience != absl::InfiniteDuration()) {
        leaving_.push({.at = spec.arrival + arrival.patience, .job = id, .device = &device});
      }
      jobs.push_back(std::make_unique<Job>(id, std::move(spec)));
      jobs.back()->set_needs_encode(arrival.cold);
      for (int i = 0; i < arrival.done; ++i) jobs.back()->Advance();
    }
    device.Post(std::move(jobs));
  }

  SimulatedDevice& LeastBusy() const {
    SimulatedDevice* least = devices_.front().get();
    if (devices_.size() == 1) return *least;
    absl::Duration backlog = absl::InfiniteDuration();
    for (const auto& device : devices_) {
      const absl::Duration other = device->Backlog();
      if (other >= backlog) continue;
      backlog = other;
      least = device.get();
    }
    return *least;
  }

  void ReadMail(SimulatedDevice& device) {
    device.ReadMail(now_, [this](const SimulatedDevice& reader, const SimulatedDevice::Jobs& jobs) {
      if (!options_.admission || Admit(reader, jobs)) return true;
      for (const auto& job : jobs) {
        Fate& fate = outcome_.fates[static_cast<size_t>(job->id().value) - 1];
        fate.admitted = false;
        fate.end = absl::StatusCode::kResourceExhausted;
        fate.finished = Elapsed(now_);
      }
      return false;
    });
  }

  bool Admit(const SimulatedDevice& device, const SimulatedDevice::Jobs& jobs) {
    std::vector<JobSpec> specs;
    for (const auto& job : jobs) specs.push_back(job->spec());
    const absl::Time start = options_.wall == nullptr ? absl::InfinitePast() : options_.wall->Now();
    const bool admitted = CheckAdmission(options_.limits, specs, device.scheduler(), now_).ok();
    if (options_.wall != nullptr) {
      const double took = absl::ToDoubleSeconds(options_.wall->Now() - start);
      outcome_.longest_decision = std::max(outcome_.longest_decision, took);
    }
    return admitted;
  }

  // What is running finishes its tick; then everybody goes.
  void Stop() {
    outcome_.end = Elapsed(now_);
    for (const auto& device : devices_) {
      if (device->busy()) {
        now_ = device->due();
        outcome_.end = std::max(outcome_.end, Elapsed(now_));
        device->Complete(now_);
      }
      device->Stop(now_);
    }
  }

  struct Leave {
    absl::Time at;
    JobId job;
    SimulatedDevice* device;
    bool operator<(const Leave& other) const { return std::pair(at, job) > std::pair(other.at, other.job); }
  };

  const RunOptions& options_;
  Outcome outcome_;
  absl::Time now_ = absl::UnixEpoch();
  const std::shared_ptr<FateSink> sink_;
  CostModel truth_;
  SpecMaker specs_;
  std::vector<std::unique_ptr<SimulatedDevice>> devices_;
  size_t next_arrival_ = 0;
  std::priority_queue<Leave> leaving_;  // the first to leave on top
};

}  // namespace

Outcome Run(const RunOptions& options) { return Driver(options).Run(); }

}  // namespace stepcast::simulate

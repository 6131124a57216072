#include "tools/simulate/driver.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <queue>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "scheduler/dispatch/loop_books.h"
#include "scheduler/dispatch/placement.h"
#include "tools/simulate/device.h"
#include "tools/simulate/fate_sink.h"
#include "tools/simulate/specs.h"

namespace stepcast::simulate {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

class Driver {
 public:
  explicit Driver(const RunOptions& options)
      : options_(options),
        sink_(std::make_shared<FateSink>(outcome_.fates, now_)),
        truth_(options.device.limits),
        books_(static_cast<size_t>(options.devices),
               options.admission ? options.limits.max_queued_jobs : std::numeric_limits<int>::max()) {
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
  // A request on its way to a decision, as in scheduler/dispatch/dispatcher.cc: the images spread first, then, should
  // there be no room for them, the whole of it on one device after the other.
  struct Tour {
    std::vector<JobSpec> specs;     // of each image
    size_t first_fate = 0;          // of the first image; those of the others follow
    int backlog = kNoBacklog;       // that it comes from
    std::vector<size_t> placed;     // the device of each image
    std::vector<size_t> fallbacks;  // devices to try alone afterwards
    size_t next = 0;                // of them
    // Of this try.
    std::vector<std::pair<size_t, int64_t>> sent;  // devices, and what the books call it
    size_t undecided = 0;                          // of those devices
    absl::StatusCode refusal = absl::StatusCode::kOk;
  };
  using SharedTour = std::shared_ptr<Tour>;

  // Every device reads its mail, as loops do whether they run a tick or not, and every idle one begins a tick. A job
  // that ends in passing may call for another one, and a refusal sends a request on to a device that had its turn.
  void TurnIdleDevices() {
    do {
      for (const int backlog : std::exchange(sink_->ended_of_backlog, {})) {
        Post(options_.backlogs[static_cast<size_t>(backlog)].pattern, backlog);
      }
      for (const auto& device : devices_) {
        ReadMail(*device);
        if (device->busy()) continue;
        if (const std::optional<Tick> tick = device->Begin(now_)) outcome_.ticks.push_back(*tick);
      }
    } while (!sink_->ended_of_backlog.empty() || SomebodyCanRead());
  }

  bool SomebodyCanRead() const {
    return std::any_of(devices_.begin(), devices_.end(), [](const auto& device) { return device->has_mail(); });
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
    for (; !leaving_.empty() && leaving_.top().at <= now_; leaving_.pop()) Leave(leaving_.top().fate);
    for (const auto& device : devices_) {
      if (!device->busy() || device->due() > now_) continue;
      ReadMail(*device);
      device->Complete(now_);
    }
    return true;
  }

  void Post(const Arrival& arrival, int backlog) {
    auto tour = std::make_shared<Tour>();
    tour->first_fate = outcome_.fates.size();
    tour->backlog = backlog;
    for (int image = 0; image < arrival.images; ++image) {
      JobSpec spec = specs_.Make(arrival, sink_);
      spec.image_index = image;
      spec.arrival = backlog == kNoBacklog ? absl::UnixEpoch() + arrival.at : now_;
      absl::Duration isolated = truth_.Isolated(spec);
      if (!arrival.cold) isolated -= EncodeTime(*spec.work);
      if (arrival.deadline > 0.0) spec.deadline = spec.arrival + isolated * arrival.deadline;
      spec.deadline = std::min(spec.deadline, spec.arrival + arrival.due);
      if (arrival.patience != absl::InfiniteDuration()) {
        leaving_.push({.at = spec.arrival + arrival.patience, .fate = outcome_.fates.size()});
      }
      outcome_.fates.push_back({.arrival = arrival,
                                .admitted = true,
                                .came = Elapsed(spec.arrival),
                                .finished = kNever,
                                .isolated = absl::ToDoubleSeconds(isolated),
                                .due = absl::ToDoubleSeconds(spec.deadline - spec.arrival)});
      tour->specs.push_back(std::move(spec));
    }
    seats_.resize(outcome_.fates.size());
    Place(*tour);
    Send(tour);
  }

  absl::Duration EncodeTime(const WorkList& work) const {
    absl::Duration time;
    for (const WorkLine& line : work.lines()) {
      if (line.key.phase == Phase::kEncode) time += line.count * truth_.Predict(line.key, 1);
    }
    return time;
  }

  // As Dispatcher::Impl::Plan.
  void Place(Tour& tour) {
    const int images = static_cast<int>(tour.specs.size());
    if (devices_.size() == 1) {
      tour.placed.assign(tour.specs.size(), 0);
      return;
    }
    std::vector<EngineStatus> statuses;
    for (const auto& device : devices_) statuses.push_back(device->Status());
    std::vector<LoopLoad> loads = books_.LoadsFor(tour.specs.front(), statuses);
    // Arrivals have no prompts, so all look like the same one.
    for (LoopLoad& load : loads) load.knows_prompt = false;
    tour.placed = PlaceImages(loads, images);
    tour.fallbacks = ByFinish(loads, images);
    if (std::count(tour.placed.begin(), tour.placed.end(), tour.placed.front()) == images) {
      std::erase(tour.fallbacks, tour.placed.front());
    }
  }

  // Posts each image to its device, as a new job: a scheduler takes ids in order.
  void Send(const SharedTour& tour) {
    tour->sent.clear();
    std::vector<SimulatedDevice::Jobs> parts(devices_.size());
    for (size_t i = 0; i < tour->specs.size(); ++i) {
      const JobId id{++last_job_};
      const size_t fate = tour->first_fate + i, device = tour->placed[i];
      const Arrival& arrival = outcome_.fates[fate].arrival;
      auto job = std::make_unique<Job>(id, tour->specs[i]);
      job->set_needs_encode(false);
      for (int done = 0; done < arrival.done; ++done) job->Advance();
      job->set_needs_encode(arrival.cold);
      sink_->Follow(id, fate, tour->backlog);
      seats_[fate] = {.device = device, .job = id};
      parts[device].push_back(std::move(job));
    }
    for (size_t device = 0; device < parts.size(); ++device) {
      const int images = static_cast<int>(parts[device].size());
      if (images == 0) continue;
      tour->sent.emplace_back(device, books_.OnSent(device, tour->specs.front(), images));
      touring_[parts[device].front()->id()] = tour;
      devices_[device]->Post(std::move(parts[device]));
    }
    tour->undecided = tour->sent.size();
    // Who has lost patience on the way says so again.
    for (size_t i = 0; i < tour->specs.size(); ++i) {
      const size_t fate = tour->first_fate + i;
      if (tour->specs[i].arrival + outcome_.fates[fate].arrival.patience <= now_) Leave(fate);
    }
  }

  void Leave(size_t fate) { devices_[seats_[fate].device]->Cancel(seats_[fate].job); }

  void ReadMail(SimulatedDevice& device) {
    device.ReadMail(now_, [this](SimulatedDevice& reader, const SimulatedDevice::Jobs& jobs) {
      const SharedTour tour = std::move(touring_.extract(jobs.front()->id()).mapped());
      const absl::Status decision = options_.admission ? Admit(reader, jobs) : absl::OkStatus();
      // Of several refusals the one after which others are asked.
      if (tour->refusal != absl::StatusCode::kResourceExhausted && !decision.ok()) tour->refusal = decision.code();
      if (--tour->undecided == 0) OnDecided(tour, reader.scheduler().costs());
      return decision.ok();
    });
  }

  // All devices of a round have decided. `costs`: of the last of them.
  void OnDecided(const SharedTour& tour, const CostModel& costs) {
    for (const auto& [device, number] : tour->sent) books_.OnDecided(device, number);
    if (tour->refusal == absl::StatusCode::kOk) {
      const JobSpec& spec = tour->specs.front();
      if (tour->sent.size() == 1) books_.OnCost(tour->sent[0].first, spec, costs.Isolated(spec));
      return;
    }
    // What others admitted is taken back.
    for (size_t i = 0; i < tour->specs.size(); ++i) {
      const size_t fate = tour->first_fate + i;
      sink_->Forget(seats_[fate].job);
      if (tour->sent.size() > 1) Leave(fate);
    }
    const absl::StatusCode refusal = std::exchange(tour->refusal, absl::StatusCode::kOk);
    if (refusal == absl::StatusCode::kResourceExhausted && tour->next < tour->fallbacks.size()) {
      std::fill(tour->placed.begin(), tour->placed.end(), tour->fallbacks[tour->next++]);
      return Send(tour);
    }
    for (size_t i = 0; i < tour->specs.size(); ++i) {
      Fate& fate = outcome_.fates[tour->first_fate + i];
      fate.admitted = false;
      fate.end = refusal;
      fate.finished = Elapsed(now_);
    }
  }

  absl::Status Admit(SimulatedDevice& device, const SimulatedDevice::Jobs& jobs) {
    std::vector<JobSpec> specs;
    for (const auto& job : jobs) specs.push_back(job->spec());
    const absl::Time start = options_.wall == nullptr ? absl::Time() : options_.wall->Now();
    absl::Status decision = CheckAdmission(options_.limits, specs, device.scheduler(), now_).status();
    if (decision.ok()) return decision;
    if (options_.wall != nullptr) outcome_.refusals.push_back(absl::ToDoubleSeconds(options_.wall->Now() - start));
    NoteRefusal(specs, decision, device.scheduler(), now_);
    return decision;
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

  struct Leaving {
    absl::Time at;
    size_t fate = 0;
    bool operator<(const Leaving& other) const { return std::pair(at, fate) > std::pair(other.at, other.fate); }
  };
  struct Seat {
    size_t device = 0;
    JobId job = {};
  };

  const RunOptions& options_;
  Outcome outcome_;
  absl::Time now_ = absl::UnixEpoch();
  const std::shared_ptr<FateSink> sink_;
  CostModel truth_;
  SpecMaker specs_;
  std::vector<std::unique_ptr<SimulatedDevice>> devices_;
  LoopBooks books_;
  int64_t last_job_ = 0;
  std::vector<Seat> seats_;                         // of each fate, its last
  absl::flat_hash_map<JobId, SharedTour> touring_;  // by the first job of each part that is not decided
  size_t next_arrival_ = 0;
  std::priority_queue<Leaving> leaving_;  // the first to leave on top
};

}  // namespace

Outcome Run(const RunOptions& options) { return Driver(options).Run(); }

}  // namespace stepcast::simulate

#include "tools/simulate/driver.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <map>
#include <queue>
#include <tuple>

namespace stepcast::simulate {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

double Elapsed(absl::Time time) { return absl::ToDoubleSeconds(time - absl::UnixEpoch()); }

// A request and a program of the right shape; equal arrivals share them.
class SpecMaker {
 public:
  SpecMaker() {
    auto model = std::make_shared<ModelInfo>();
    model->id = kModel;
    model->vae_scale_factor = kVaeScale;
    model_ = std::move(model);
  }

  JobSpec Make(const Arrival& arrival, std::shared_ptr<EventSink> sink) {
    const auto key = std::tuple(arrival.steps, arrival.guided, arrival.latent_side, arrival.previews_every,
                                arrival.priority, arrival.tenant);
    auto& [request, program] = made_[key];
    if (request == nullptr) {
      request = MakeRequest(arrival);
      program = MakeProgram(arrival);
    }
    return {.request = request, .program = program, .sink = std::move(sink)};
  }

 private:
  SharedRequest MakeRequest(const Arrival& arrival) const {
    auto request = std::make_shared<GenerationRequest>();
    request->model = model_;
    request->width = request->height = arrival.latent_side * kVaeScale;
    request->steps = arrival.steps;
    request->guidance_scale = arrival.guided ? 5.0 : 1.0;
    request->priority = arrival.priority;
    request->tenant = arrival.tenant;
    request->preview.every_n_steps = arrival.previews_every;
    return request;
  }

  static sampling::SharedProgram MakeProgram(const Arrival& arrival) {
    auto program = std::make_shared<sampling::SamplingProgram>();
    program->steps = arrival.steps;
    for (int step = 0; step < arrival.steps; ++step) {
      sampling::Evaluation evaluation;
      evaluation.step = step;
      if (arrival.guided) evaluation.guidance = {.kind = sampling::GuidanceKind::kClassifierFree, .scale = 5.0f};
      program->evaluations.push_back(std::move(evaluation));
    }
    return program;
  }

  SharedModelInfo model_;
  std::map<std::tuple<int, bool, int, int, Priority, std::string>, std::pair<SharedRequest, sampling::SharedProgram>>
      made_;
};

// Writes ends into the fates of its jobs.
class FateSink final : public EventSink {
 public:
  FateSink(std::vector<Fate>& fates, const absl::Time& now) : fates_(fates), now_(now) {}

  void Follow(JobId job, size_t fate, int backlog) { followed_[job] = {fate, backlog}; }

  void OnEvent(JobEvent event) override {
    const auto* finished = std::get_if<JobFinished>(&event.what);
    if (finished == nullptr) return;
    const auto entry = followed_.find(event.job);
    Fate& fate = fates_[entry->second.first];
    fate.end = finished->status.code();
    fate.finished = Elapsed(now_);
    fate.evaluations = finished->statistics.evaluations;
    if (entry->second.second >= 0) ended_of_backlog.push_back(entry->second.second);
    followed_.erase(entry);
  }

  std::vector<int> ended_of_backlog;

 private:
  std::vector<Fate>& fates_;
  const absl::Time& now_;
  absl::flat_hash_map<JobId, std::pair<size_t, int>> followed_;
};

class Driver {
 public:
  explicit Driver(const RunOptions& options)
      : options_(options),
        sink_(std::make_shared<FateSink>(outcome_.fates, now_)),
        truth_(options.device.limits),
        noise_(options.noise_seed),
        scheduler_(*MakePolicy(options.policy), SchedulerOptions(options), metrics_) {
    for (const CostEntry& entry : options.device.costs) truth_.SetCurve(entry.key, entry.points);
    outcome_.fates.reserve(options.arrivals.size());
  }

  Outcome Run() {
    for (size_t i = 0; i < options_.backlogs.size(); ++i) {
      for (int n = 0; n < options_.backlogs[i].live; ++n) Submit(options_.backlogs[i].pattern, static_cast<int>(i));
    }
    const absl::Time end = absl::UnixEpoch() + options_.until;
    while (now_ < end && Turn()) {
    }
    outcome_.end = Elapsed(now_);
    scheduler_.CancelAll(absl::UnknownError("the run is over"), now_);
    return std::move(outcome_);
  }

 private:
  static StepSchedulerOptions SchedulerOptions(const RunOptions& options) {
    return {.limits = options.device.limits,
            .heartbeat = absl::Hours(100),
            .initial_costs = options.knows_costs ? options.device.costs : std::vector<CostEntry>{},
            .tenant_weights = options.tenant_weights,
            .observer = options.observer,
            .checks = options.checks};
  }

  // One tick, or one jump to the next event. False when nothing is left.
  bool Turn() {
    ReadMail();
    const StepPlan plan = scheduler_.Next(now_);
    if (plan.empty()) {
      absl::Time next = scheduler_.live() > 0 ? scheduler_.NextEvent() : absl::InfiniteFuture();
      if (plan.wake_at.has_value()) next = std::min(next, *plan.wake_at);
      if (next_arrival_ < options_.arrivals.size()) {
        next = std::min(next, absl::UnixEpoch() + options_.arrivals[next_arrival_].at);
      }
      if (!leaving_.empty()) next = std::min(next, leaving_.top().first);
      if (next == absl::InfiniteFuture() || (next <= now_ && !sink_->ended_of_backlog.empty())) {
        return !sink_->ended_of_backlog.empty();
      }
      now_ = std::max(now_, next);
      return true;
    }
    const double start = Elapsed(now_);
    const double cost = truth_.Seconds(plan.key, plan.rows) * Noise();
    now_ += absl::Seconds(cost);
    outcome_.ticks.push_back({.start = start,
                              .seconds = cost,
                              .predicted = absl::ToDoubleSeconds(plan.predicted),
                              .phase = plan.phase(),
                              .rows = plan.rows,
                              .jobs = static_cast<int>(plan.jobs.size())});
    ReadMail();
    std::vector<StepResult> results(plan.jobs.size());
    if (plan.phase() == Phase::kDecode) {
      for (StepResult& result : results) result.image = image_;
    }
    scheduler_.Complete(plan, std::move(results), now_);
    return true;
  }

  double Noise() { return options_.noise == 0.0 ? 1.0 : std::max(0.2, 1.0 + options_.noise * noise_.Normal()); }

  void ReadMail() {
    while (next_arrival_ < options_.arrivals.size() &&
           absl::UnixEpoch() + options_.arrivals[next_arrival_].at <= now_) {
      Submit(options_.arrivals[next_arrival_++], -1);
    }
    for (const int backlog : std::exchange(sink_->ended_of_backlog, {})) {
      Submit(options_.backlogs[static_cast<size_t>(backlog)].pattern, backlog);
    }
    while (!leaving_.empty() && leaving_.top().first <= now_) {
      scheduler_.Cancel(leaving_.top().second, absl::CancelledError("out of patience"), now_);
      leaving_.pop();
    }
  }

  void Submit(const Arrival& arrival, int backlog) {
    JobSpec spec = specs_.Make(arrival, sink_);
    spec.arrival = backlog < 0 ? absl::UnixEpoch() + arrival.at : now_;
    absl::Duration isolated = truth_.Isolated(spec);
    if (!arrival.cold) isolated -= truth_.Predict(KeyOf(*spec.request, Phase::kEncode), 1);
    if (arrival.deadline > 0.0) spec.deadline = spec.arrival + isolated * arrival.deadline;
    Fate fate{.arrival = arrival,
              .came = Elapsed(spec.arrival),
              .finished = kNever,
              .isolated = absl::ToDoubleSeconds(isolated)};
    fate.admitted = !options_.admission || Admit(spec);
    outcome_.fates.push_back(fate);
    if (!fate.admitted) {
      outcome_.fates.back().end = absl::StatusCode::kResourceExhausted;
      return;
    }
    const JobId id{++last_id_};
    sink_->Follow(id, outcome_.fates.size() - 1, backlog);
    if (arrival.patience != absl::InfiniteDuration()) leaving_.push({spec.arrival + arrival.patience, id});
    std::vector<std::unique_ptr<Job>> jobs;
    jobs.push_back(std::make_unique<Job>(id, std::move(spec)));
    jobs.back()->set_needs_encode(arrival.cold);
    for (int i = 0; i < arrival.done; ++i) jobs.back()->Advance();
    scheduler_.Submit(std::move(jobs), now_);
  }

  bool Admit(const JobSpec& spec) {
    const absl::Time start = options_.wall == nullptr ? absl::InfinitePast() : options_.wall->Now();
    const bool admitted = CheckAdmission(options_.limits, {&spec, 1}, scheduler_, now_).ok();
    if (options_.wall != nullptr) {
      const double took = absl::ToDoubleSeconds(options_.wall->Now() - start);
      outcome_.longest_decision = std::max(outcome_.longest_decision, took);
    }
    return admitted;
  }

  const RunOptions& options_;
  Outcome outcome_;
  absl::Time now_ = absl::UnixEpoch();
  const std::shared_ptr<FateSink> sink_;
  CostModel truth_;
  Random noise_;
  NullEngineMetrics metrics_;
  SpecMaker specs_;
  const SharedImage image_ = std::make_shared<Image>();
  StepScheduler scheduler_;
  size_t next_arrival_ = 0;
  int64_t last_id_ = 0;
  using Leave = std::pair<absl::Time, JobId>;
  std::priority_queue<Leave, std::vector<Leave>, std::greater<>> leaving_;
};

}  // namespace

Outcome Run(const RunOptions& options) { return Driver(options).Run(); }

}  // namespace stepcast::simulate

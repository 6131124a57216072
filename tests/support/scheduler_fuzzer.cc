#include "tests/support/scheduler_fuzzer.h"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/decide/admission.h"
#include "scheduler/decide/step_scheduler.h"
#include "scheduler/loop/schedule_view.h"
#include "tests/support/counted_state.h"
#include "tests/support/job_builder.h"

namespace stepcast {
namespace {

class Numbers {
 public:
  explicit Numbers(uint64_t seed) : state_(seed) {}
  int Below(int n) { return static_cast<int>(Next() % static_cast<uint64_t>(n)); }
  bool Chance(int percent) { return Below(100) < percent; }

 private:
  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15u;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  uint64_t state_;
};

// What the model knows of a live job.
struct Expected {
  const Job* job = nullptr;
  std::deque<Phase> ticks_left;  // its ticks, as if none were split
  int64_t plan = 0;              // in flight; 0: in none
  bool leaving = false;          // was cancelled while in flight
};

class Fuzzer final : public EventSink {
 public:
  explicit Fuzzer(uint64_t seed) : numbers_(seed) {
    constexpr const char* kPolicies[] = {"slo", "slo", "fifo", "request_level", "serial"};
    limits_ = {.max_denoise_rows = 2 + numbers_.Below(15),
               .max_encode_jobs = 1 + numbers_.Below(4),
               .max_decode_jobs = 1 + numbers_.Below(4)};
    if (numbers_.Chance(40)) limits_.max_resident_jobs = 1 + numbers_.Below(8);
    if (numbers_.Chance(20)) limits_.strict_rows = 2 + numbers_.Below(7);
    const PolicyOptions policy{.name = kPolicies[numbers_.Below(5)],
                               .max_queue_delay = absl::Milliseconds(numbers_.Below(3) * 100)};
    scheduler_.emplace(
        *MakePolicy(policy),
        StepSchedulerOptions{
            .limits = limits_, .tenant_weights = {{"a", 3.0}, {"b", 0.5}}, .checks = InvariantChecks::kEveryCall},
        metrics_);
  }

  std::string Run(int operations) {
    for (int i = 0; i < operations && wrong_.empty(); ++i) {
      Operate();
      Compare();
    }
    for (int i = 0; i < 1'000'000 && wrong_.empty() && (scheduler_->live() > 0 || !flights_.empty()); ++i) {
      if (flights_.empty()) Plan();
      if (flights_.empty()) now_ += absl::Milliseconds(50);
      while (!flights_.empty()) Complete();
      Compare();
    }
    if (!live_.empty()) Wrong("jobs were left over");
    if (states_ != 0) Wrong(absl::StrCat(states_, " job states were left over"));
    scheduler_.reset();
    return wrong_;
  }

  void OnEvent(JobEvent event) override {
    const auto* finished = std::get_if<JobFinished>(&event.what);
    const auto entry = live_.find(event.job);
    if (entry == live_.end()) return Wrong(absl::StrCat("job ", event.job.value, " spoke after its end"));
    if (const auto* progress = std::get_if<JobProgress>(&event.what)) {
      if (progress->evaluations_done > progress->evaluations_total) Wrong("progress beyond the end");
    }
    if (finished == nullptr) return;
    if (finished->status.ok() && !entry->second.ticks_left.empty()) {
      Wrong(absl::StrCat("job ", event.job.value, " ended well too early"));
    }
    live_.erase(entry);
  }

 private:
  struct Flight {
    StepPlan plan;
  };

  void Operate() {
    const int dice = numbers_.Below(100);
    if (dice < 22) return Submit();
    if (dice < 52) return Plan();
    if (dice < 80) return Complete();
    if (dice < 87) return Cancel();
    if (dice < 90) return Ask();
    if (dice < 97) return Wait();
    if (dice < 98) return Shake();
    scheduler_->Heartbeat(now_);
  }

  TestJob RandomJob() {
    TestJob job{.model = numbers_.Chance(80) ? "emoji" : "digits",
                .width = 8 * (1 + numbers_.Below(3)),
                .height = 16,
                .steps = 1 + numbers_.Below(8),
                .evaluations_per_step = 1 + numbers_.Below(2),
                .guidance_scale = numbers_.Chance(30) ? 1.0 : 3.0,
                .seed = ++seed_,
                .image_count = 1 + numbers_.Below(3),
                .preview_every = numbers_.Below(3),
                .tenant = std::string(1, static_cast<char>('a' + numbers_.Below(3))),
                .priority = static_cast<Priority>(numbers_.Below(3))};
    if (job.guidance_scale > 1.0 && numbers_.Chance(30)) job.unguided_tail = 1;
    if (job.guidance_scale > 1.0 && numbers_.Chance(20)) job.rows = 3 + numbers_.Below(30);
    if (numbers_.Chance(15)) job.second_steps = 1 + numbers_.Below(3);
    if (numbers_.Chance(70)) job.arrival = now_ - absl::Milliseconds(numbers_.Below(50));
    if (numbers_.Chance(40)) job.deadline = now_ + absl::Milliseconds(1 + numbers_.Below(4000));
    return job;
  }

  void Submit() {
    std::vector<std::unique_ptr<Job>> jobs;
    std::vector<JobId> failing;
    for (JobSpec& spec : MakeSpecs(RandomJob(), std::shared_ptr<EventSink>(std::shared_ptr<void>(), this))) {
      const JobId id{++last_id_};
      auto job = std::make_unique<Job>(id, std::move(spec));
      job->set_state(std::make_unique<CountedState>(states_));
      const bool cold = numbers_.Chance(60);
      job->set_needs_encode(cold);
      live_[id] = {.job = job.get(), .ticks_left = TicksOf(job->work(), cold)};
      if (numbers_.Chance(3)) failing.push_back(id);
      jobs.push_back(std::move(job));
    }
    scheduler_->Submit(std::move(jobs), now_);
    for (const JobId id : failing) scheduler_->Fail(id, absl::InternalError("start"), now_);
  }

  void Plan() {
    if (flights_.size() == 2) return;
    const StepPlan plan = scheduler_->Next(now_);
    if (plan.empty()) return;
    std::set<JobId> once;
    for (const JobId id : plan.jobs) {
      const auto entry = live_.find(id);
      if (entry == live_.end()) return Wrong(plan.ToString() + ": a job that is not live");
      Expected& job = entry->second;
      if (!once.insert(id).second || job.plan != 0) return Wrong(plan.ToString() + ": a job twice");
      if (job.ticks_left.front() != plan.phase()) return Wrong(plan.ToString() + ": a job waits for another phase");
      job.plan = plan.id;
    }
    if (plan.rows > scheduler_->costs().RowCap(plan.key)) Wrong(plan.ToString() + ": too many rows");
    if (static_cast<int>(plan.jobs.size()) > limits_.max_resident_jobs) Wrong(plan.ToString() + ": too many jobs");
    for (const JobId id : plan.evict) {
      if (once.contains(id)) Wrong(plan.ToString() + ": parked and planned");
      if (numbers_.Chance(5)) scheduler_->Fail(id, absl::InternalError("park"), now_);
    }
    for (const JobId id : plan.previews) {
      if (!once.contains(id)) Wrong(plan.ToString() + ": a preview of somebody else");
    }
    flights_.push_back({.plan = plan});
  }

  static std::deque<Phase> TicksOf(const WorkList& work, bool cold) {
    std::deque<Phase> ticks;
    for (const WorkItem& item : work.items()) {
      if (cold || item.key.phase != Phase::kEncode)
        ticks.insert(ticks.end(), static_cast<size_t>(item.count), item.key.phase);
    }
    return ticks;
  }

  static bool Finishes(const StepPlan& plan, const Job& job) {
    const RowPart* part = plan.PartOf(job.id());
    return part == nullptr || part->first_row + part->rows == job.next().rows;
  }

  void Complete() {
    if (flights_.empty()) return;
    const size_t which = static_cast<size_t>(numbers_.Below(static_cast<int>(flights_.size())));
    const StepPlan plan = flights_[which].plan;
    flights_.erase(flights_.begin() + static_cast<std::ptrdiff_t>(which));
    now_ += absl::Milliseconds(5 + 4 * plan.rows) * (0.5 + 0.01 * numbers_.Below(100));
    std::vector<StepResult> results(plan.jobs.size());
    for (size_t i = 0; i < results.size(); ++i) {
      if (plan.phase() == Phase::kDecode) results[i].image = image_;
      if (plan.phase() == Phase::kDenoise && numbers_.Chance(20)) results[i].preview = image_;
      Expected& job = live_.at(plan.jobs[i]);
      job.plan = 0;
      if (numbers_.Chance(2)) {
        results[i].status = absl::InternalError("row");
      } else if (Finishes(plan, *job.job)) {
        job.ticks_left.pop_front();
      }
    }
    if (numbers_.Chance(1)) results.pop_back();
    scheduler_->Complete(plan, std::move(results), now_);
  }

  void Cancel() {
    if (numbers_.Chance(2)) return scheduler_->CancelAll(absl::UnavailableError("all"), now_);
    scheduler_->Cancel(JobId{1 + numbers_.Below(static_cast<int>(last_id_) + 2)}, absl::CancelledError("one"), now_);
  }

  void Ask() {
    const auto specs = MakeSpecs(RandomJob(), nullptr);
    const auto verdict = CheckAdmission({.max_queued_jobs = 1 + numbers_.Below(50)}, specs, *scheduler_, now_);
    if (verdict.ok() && verdict->total < verdict->wait) Wrong("an estimate ends before it starts");
    if (MakeView(*scheduler_, now_).jobs.size() != live_.size()) Wrong("a view shows other jobs");
  }

  void Wait() { now_ += absl::Milliseconds(numbers_.Below(numbers_.Chance(5) ? 20'000 : 200)); }

  void Shake() {
    const BatchKey key{.phase = Phase::kDenoise, .model = "emoji", .latent_height = 4, .latent_width = 2};
    if (numbers_.Chance(50)) return scheduler_->LowerRowCap(key, 2 + numbers_.Below(8));
    scheduler_->SetCurve(key, {{2, absl::Milliseconds(5 + numbers_.Below(50))}, {8, absl::Milliseconds(60)}});
  }

  // The scheduler beside the model.
  void Compare() {
    if (!wrong_.empty()) return;
    const SchedulerSnapshot snapshot = scheduler_->Snapshot();
    if (snapshot.jobs.size() != live_.size()) {
      return Wrong(absl::StrCat(snapshot.jobs.size(), " live jobs, the model has ", live_.size()));
    }
    for (const JobView* view : snapshot.jobs) {
      const auto entry = live_.find(view->job->id());
      if (entry == live_.end()) return Wrong("a job the model does not know");
      const Expected& job = entry->second;
      if (view->job->evaluations_left() != std::count(job.ticks_left.begin(), job.ticks_left.end(), Phase::kDenoise) ||
          view->job->phase() != job.ticks_left.front() || view->in_flight != (job.plan != 0)) {
        return Wrong(absl::StrCat("job ", view->job->id().value, " is not where the model has it"));
      }
    }
    if (states_ != static_cast<int>(live_.size())) Wrong("the states are not those of the live jobs");
  }

  void Wrong(std::string what) {
    if (wrong_.empty()) wrong_ = std::move(what);
  }

  Numbers numbers_;
  ExecutorLimits limits_;
  NullEngineMetrics metrics_;
  int states_ = 0;
  std::map<JobId, Expected> live_;
  std::vector<Flight> flights_;
  std::optional<StepScheduler> scheduler_;
  absl::Time now_ = absl::UnixEpoch();
  int64_t last_id_ = 0;
  int64_t seed_ = 0;
  const SharedImage image_ = std::make_shared<Image>();
  std::string wrong_;
};

}  // namespace

std::string FuzzScheduler(uint64_t seed, int operations) { return Fuzzer(seed).Run(operations); }

}  // namespace stepcast

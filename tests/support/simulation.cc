#include "tests/support/simulation.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace stepcast {
namespace {

FakeDeviceOptions DeviceOptions(const SimulationOptions& options, SimulatedClock& clock) {
  FakeDeviceOptions device{.limits = options.limits,
                           .latency = options.latency,
                           .clock = &clock,
                           .embeddings_cached = options.embeddings_cached};
  if (!device.latency) {
    device.latency = [](const StepPlan& plan) { return absl::Milliseconds(20 + 10 * plan.rows); };
  }
  return device;
}

// Passes events on and writes ends to the log.
class LoggingSink final : public EventSink {
 public:
  LoggingSink(std::shared_ptr<EventSink> next, std::function<void(const std::string&)> log)
      : next_(std::move(next)), log_(std::move(log)) {}

  void OnEvent(JobEvent event) override {
    if (const auto* finished = std::get_if<JobFinished>(&event.what)) {
      log_(absl::StrCat("job ", event.job.value, " ends ", absl::StatusCodeToString(finished->status.code())));
    } else if (const auto* preview = std::get_if<JobPreview>(&event.what)) {
      log_(absl::StrCat("job ", event.job.value, " preview of step ", preview->step));
    }
    next_->OnEvent(std::move(event));
  }

 private:
  const std::shared_ptr<EventSink> next_;
  const std::function<void(const std::string&)> log_;
};

}  // namespace

void StorySink::Expect(JobId job, const JobSpec& spec) {
  ++admitted_;
  stories_[job] = Story{.expected = ExpectedFakeImage(spec),
                        .wants_previews = spec.request->preview.every_n_steps > 0,
                        .last_word = clock_.Now()};
}

void StorySink::OnEvent(JobEvent event) {
  const auto entry = stories_.find(event.job);
  if (entry == stories_.end()) return Complain(event.job, "spoke before it came or after its end");
  Story& story = entry->second;
  longest_silence_ = std::max(longest_silence_, clock_.Now() - story.last_word);
  story.last_word = clock_.Now();
  if (const auto* progress = std::get_if<JobProgress>(&event.what)) {
    const int gained = progress->evaluations_done - story.evaluations;
    if (gained < 0 || gained > 1) Complain(event.job, absl::StrCat("jumped by ", gained, " evaluations"));
    if (progress->evaluations_done > 0 && progress->queue_position > 0) Complain(event.job, "runs and queues");
    story.evaluations = progress->evaluations_done;
  } else if (const auto* preview = std::get_if<JobPreview>(&event.what)) {
    if (!story.wants_previews || preview->image == nullptr) Complain(event.job, "sent a preview nobody wanted");
  } else if (const auto* image = std::get_if<JobImage>(&event.what)) {
    story.has_image = true;
    if (image->image->pixels != story.expected->pixels) Complain(event.job, "painted a picture that is not its own");
  } else {
    const absl::Status& status = std::get<JobFinished>(event.what).status;
    if (status.ok() != story.has_image) Complain(event.job, "ended well without a picture, or badly with one");
    ++ends_[status.code()];
    stories_.erase(entry);
  }
}

int StorySink::ended(absl::StatusCode code) const {
  const auto entry = ends_.find(code);
  return entry == ends_.end() ? 0 : entry->second;
}

int StorySink::ended() const {
  int sum = 0;
  for (const auto& [code, count] : ends_) sum += count;
  return sum;
}

void StorySink::Complain(JobId job, const std::string& what) {
  if (complaint_.empty()) complaint_ = absl::StrCat("job ", job.value, " ", what);
}

Simulation::Simulation(SimulationOptions options)
    : options_(std::move(options)),
      device_(DeviceOptions(options_, clock_)),
      executor_(MakeFakeExecutor(device_)),
      stories_(std::make_shared<StorySink>(clock_)),
      scheduler_(*MakePolicy(options_.policy),
                 {.limits = options_.limits,
                  .initial_costs = options_.initial_costs,
                  .tenant_weights = options_.tenant_weights,
                  .observer = options_.observer,
                  .checks = options_.checks},
                 metrics_) {}

Simulation::~Simulation() { scheduler_.CancelAll(absl::CancelledError("the simulation is over"), clock_.Now()); }

void Simulation::At(absl::Duration offset, std::function<void()> action) {
  actions_.emplace(absl::UnixEpoch() + offset, std::move(action));
}

std::vector<JobId> Simulation::Submit(TestJob job) {
  if (job.arrival == absl::InfinitePast()) job.arrival = clock_.Now();
  std::shared_ptr<EventSink> sink = stories_;
  if (options_.keep_log) {
    sink = std::make_shared<LoggingSink>(stories_, [this](const std::string& what) { Log(what); });
  }
  std::vector<std::unique_ptr<Job>> jobs;
  std::vector<JobId> ids;
  std::vector<std::pair<JobId, absl::Status>> failed;
  for (JobSpec& spec : MakeSpecs(job, sink)) {
    const JobId id{++last_id_};
    stories_->Expect(id, spec);
    jobs.push_back(std::make_unique<Job>(id, std::move(spec)));
    ids.push_back(id);
    if (options_.keep_log) {
      Log(absl::StrFormat("job %d comes: %s %dx%d, %d steps, guidance %g", id.value, job.model, job.width, job.height,
                          job.steps, job.guidance_scale));
    }
    absl::Status started = executor_->Start(*jobs.back());
    if (!started.ok()) failed.emplace_back(id, std::move(started));
  }
  scheduler_.Submit(std::move(jobs), clock_.Now());
  for (const auto& [id, why] : failed) scheduler_.Fail(id, why, clock_.Now());
  return ids;
}

void Simulation::Cancel(JobId job, absl::Status reason) { scheduler_.Cancel(job, reason, clock_.Now()); }

bool Simulation::Turn() {
  RunDueActions();
  scheduler_.Heartbeat(clock_.Now());
  const StepPlan plan = scheduler_.Next(clock_.Now());
  if (plan.empty()) {
    absl::Time next = scheduler_.NextEvent();
    if (!actions_.empty()) next = std::min(next, actions_.begin()->first);
    if (plan.wake_at.has_value()) next = std::min(next, *plan.wake_at);
    if (next == absl::InfiniteFuture()) return false;
    clock_.AdvanceTo(next);
    return true;
  }
  if (options_.keep_log) Log(plan.ToString());
  if (on_plan_) on_plan_(plan);
  for (const JobId id : plan.evict) {
    const absl::Status parked = executor_->Park(*scheduler_.Find(id)->state());
    if (!parked.ok()) scheduler_.Fail(id, parked, clock_.Now());
  }
  std::vector<StepResult> results = executor_->Execute(plan, scheduler_.JobsOf(plan));
  RunDueActions();
  scheduler_.Complete(plan, std::move(results), clock_.Now());
  return true;
}

bool Simulation::RunUntilIdle(int turns) {
  while (turns-- > 0) {
    if (!Turn()) return true;
  }
  return false;
}

void Simulation::RunDueActions() {
  while (!actions_.empty() && actions_.begin()->first <= clock_.Now()) {
    const std::function<void()> action = std::move(actions_.begin()->second);
    actions_.erase(actions_.begin());
    action();
  }
}

void Simulation::Log(const std::string& what) {
  if (options_.keep_log) log_.push_back(absl::StrFormat("%8.3f %s", absl::ToDoubleSeconds(elapsed()), what));
}

}  // namespace stepcast

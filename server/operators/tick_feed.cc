#include "server/operators/tick_feed.h"

#include <algorithm>
#include <utility>

namespace stepcast {

void TickWatch::Push(const SharedTick& tick) {
  if (!device_.empty() && device_ != tick->device) return;
  bool was_empty = false;
  {
    MutexLock lock(mutex_);
    was_empty = queue_.empty();
    if (queue_.size() == max_queued_) {
      queue_.pop_front();
      ++dropped_;
    }
    queue_.push_back(tick);
  }
  if (was_empty) wake_();
}

SharedTick TickWatch::Take() {
  MutexLock lock(mutex_);
  if (queue_.empty()) return nullptr;
  SharedTick tick = std::move(queue_.front());
  queue_.pop_front();
  return tick;
}

int64_t TickWatch::dropped() const {
  MutexLock lock(mutex_);
  return dropped_;
}

// Writes a tick down when it is planned, because positions change until it completes.
class TickFeed::Observer final : public SchedulerObserver {
 public:
  Observer(TickFeed& feed, std::string device) : feed_(feed), device_(std::move(device)) {}

  void OnSubmit(const Job&, absl::Time) override {}
  void OnLeave(JobId, const absl::Status&, absl::Time) override {}

  void OnPlan(const StepPlan&, absl::Time) override {}
  bool wants_jobs() const override { return feed_.watchers_.load(std::memory_order_relaxed) > 0; }

  void OnPlanJobs(const StepPlan& plan, absl::Span<Job* const> jobs, absl::Time now) override {
    auto tick = std::make_shared<TickRecord>();
    tick->device = device_;
    tick->plan = plan;
    tick->start = now;
    tick->parts.reserve(jobs.size());
    for (const Job* job : jobs) {
      const RowPart* part = plan.PartOf(job->id());
      tick->parts.push_back({.job = job->id(),
                             .position = job->position(),
                             .evaluations = job->work().evaluations(),
                             .first_row = part == nullptr ? 0 : part->first_row,
                             .rows = part == nullptr ? job->rows() : part->rows,
                             .whole_rows = job->next().rows});
    }
    in_flight_.push_back(std::move(tick));
  }

  void OnComplete(const StepPlan& plan, absl::Span<const StepResult> results, absl::Time now) override {
    const auto found = std::find_if(in_flight_.begin(), in_flight_.end(),
                                    [&plan](const auto& tick) { return tick->plan.id == plan.id; });
    if (found == in_flight_.end()) return;  // planned before anybody watched
    const std::shared_ptr<TickRecord> tick = std::move(*found);
    in_flight_.erase(found);
    tick->measured = now - tick->start;
    for (size_t i = 0; i < tick->parts.size(); ++i) {
      tick->parts[i].failed = i >= results.size() || !results[i].status.ok();
    }
    feed_.Publish(tick);
  }

 private:
  TickFeed& feed_;
  const std::string device_;
  std::vector<std::shared_ptr<TickRecord>> in_flight_;
};

std::unique_ptr<SchedulerObserver> TickFeed::ObserverOf(const std::string& device) {
  return std::make_unique<Observer>(*this, device);
}

void TickFeed::Add(std::shared_ptr<TickWatch> watch) {
  MutexLock lock(mutex_);
  watches_.insert(std::move(watch));
  watchers_ = static_cast<int>(watches_.size());
}

void TickFeed::Remove(const std::shared_ptr<TickWatch>& watch) {
  MutexLock lock(mutex_);
  watches_.erase(watch);
  watchers_ = static_cast<int>(watches_.size());
}

void TickFeed::Publish(const SharedTick& tick) {
  // With the lock held: watchers come and go rarely, and a push is a few assignments and perhaps a post to a pool.
  MutexLock lock(mutex_);
  for (const std::shared_ptr<TickWatch>& watch : watches_) watch->Push(tick);
}

}  // namespace stepcast

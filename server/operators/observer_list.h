#pragma once
// One scheduler, several observers.

#include <utility>
#include <vector>

#include "scheduler/decide/scheduler_observer.h"

namespace stepcast {

// Tells each of its observers, in order. They outlive it.
class ObserverList final : public SchedulerObserver {
 public:
  explicit ObserverList(std::vector<SchedulerObserver*> observers) : observers_(std::move(observers)) {}

  void OnSubmit(const Job& job, absl::Time now) override {
    for (SchedulerObserver* observer : observers_) observer->OnSubmit(job, now);
  }
  void OnEncodeOnly(const Job& job, absl::Time now) override {
    for (SchedulerObserver* observer : observers_) observer->OnEncodeOnly(job, now);
  }
  void OnRefuse(absl::Span<const JobSpec> request, const absl::Status& why, absl::Time now) override {
    for (SchedulerObserver* observer : observers_) observer->OnRefuse(request, why, now);
  }
  void OnLeave(JobId job, const absl::Status& reason, absl::Time now) override {
    for (SchedulerObserver* observer : observers_) observer->OnLeave(job, reason, now);
  }
  void OnPlan(const StepPlan& plan, absl::Time now) override {
    for (SchedulerObserver* observer : observers_) observer->OnPlan(plan, now);
  }
  bool wants_jobs() const override {
    for (const SchedulerObserver* observer : observers_) {
      if (observer->wants_jobs()) return true;
    }
    return false;
  }
  void OnPlanJobs(const StepPlan& plan, absl::Span<Job* const> jobs, absl::Time now) override {
    for (SchedulerObserver* observer : observers_) {
      if (observer->wants_jobs()) observer->OnPlanJobs(plan, jobs, now);
    }
  }
  void OnComplete(const StepPlan& plan, absl::Span<const StepResult> results, absl::Time now) override {
    for (SchedulerObserver* observer : observers_) observer->OnComplete(plan, results, now);
  }
  void OnCurve(const BatchKey& key, absl::Span<const CostPoint> points) override {
    for (SchedulerObserver* observer : observers_) observer->OnCurve(key, points);
  }
  void OnRowCap(const BatchKey& key, int rows) override {
    for (SchedulerObserver* observer : observers_) observer->OnRowCap(key, rows);
  }

 private:
  const std::vector<SchedulerObserver*> observers_;
};

}  // namespace stepcast

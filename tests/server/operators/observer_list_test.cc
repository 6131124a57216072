#include "server/operators/observer_list.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/job_builder.h"
#include "tests/support/recording_sink.h"

namespace stepcast {
namespace {

using testing::ElementsAre;

class Noting final : public SchedulerObserver {
 public:
  Noting(std::string name, bool wants_jobs, std::vector<std::string>& notes)
      : name_(std::move(name)), wants_jobs_(wants_jobs), notes_(notes) {}
  void OnSubmit(const Job&, absl::Time) override { notes_.push_back(name_ + " submit"); }
  void OnRefuse(absl::Span<const JobSpec>, const absl::Status&, absl::Time) override {
    notes_.push_back(name_ + " refuse");
  }
  void OnLeave(JobId, const absl::Status&, absl::Time) override { notes_.push_back(name_ + " leave"); }
  void OnPlan(const StepPlan&, absl::Time) override { notes_.push_back(name_ + " plan"); }
  bool wants_jobs() const override { return wants_jobs_; }
  void OnPlanJobs(const StepPlan&, absl::Span<Job* const>, absl::Time) override { notes_.push_back(name_ + " jobs"); }
  void OnComplete(const StepPlan&, absl::Span<const StepResult>, absl::Time) override {
    notes_.push_back(name_ + " complete");
  }
  void OnCurve(const BatchKey&, absl::Span<const CostPoint>) override { notes_.push_back(name_ + " curve"); }
  void OnRowCap(const BatchKey&, int) override { notes_.push_back(name_ + " cap"); }

 private:
  const std::string name_;
  const bool wants_jobs_;
  std::vector<std::string>& notes_;
};

TEST(ObserverListTest, EachHearsEverythingAndJobsOnlyWhoWantsThem) {
  std::vector<std::string> notes;
  Noting a("a", false, notes);
  Noting b("b", true, notes);
  ObserverList both({&a, &b});
  EXPECT_TRUE(both.wants_jobs());
  EXPECT_FALSE(ObserverList({&a}).wants_jobs());
  const auto job = MakeJob(1, {}, std::make_shared<RecordingSink>());
  both.OnSubmit(*job, absl::UnixEpoch());
  both.OnPlan({}, absl::UnixEpoch());
  both.OnPlanJobs({}, {}, absl::UnixEpoch());
  both.OnComplete({}, {}, absl::UnixEpoch());
  both.OnCurve({}, {});
  both.OnRowCap({}, 4);
  both.OnRefuse({}, absl::ResourceExhaustedError("x"), absl::UnixEpoch());
  both.OnLeave(JobId{1}, absl::CancelledError("x"), absl::UnixEpoch());
  EXPECT_THAT(notes, ElementsAre("a submit", "b submit", "a plan", "b plan", "b jobs", "a complete", "b complete",
                                 "a curve", "b curve", "a cap", "b cap", "a refuse", "b refuse", "a leave", "b leave"));
}

}  // namespace
}  // namespace stepcast

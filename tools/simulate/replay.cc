#include "tools/simulate/replay.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/metrics.h"
#include "core/status_macros.h"
#include "core/string_view.h"
#include "scheduler/decide/step_scheduler.h"
#include "scheduler/recording/recording_work.h"

namespace stepcast::simulate {
namespace {

class Deaf final : public EventSink {
 public:
  void OnEvent(JobEvent) override {}
};

std::string Describe(const StepPlan& plan) {
  return absl::StrCat(plan.ToString(), " predicted=", absl::FormatDuration(plan.predicted));
}

double Percentile(std::vector<double>& sorted, double share) {
  return sorted[std::min(sorted.size() - 1, static_cast<size_t>(share * static_cast<double>(sorted.size())))];
}

// One replay in progress.
class Run {
 public:
  Run(const RecordingHeader& header, std::unique_ptr<SchedulingPolicy> policy)
      : scheduler_(std::move(policy),
                   {.limits = header.limits,
                    .initial_costs = header.initial_costs,
                    .tenant_weights = header.tenant_weights,
                    .checks = InvariantChecks::kOff},
                   metrics_) {}

  absl::Status Take(RecordedEvent event) {
    now_ = event.at;
    if (report_.events++ == 0) first_ = now_;
    report_.span = now_ - first_;
    return std::visit([this](auto& what) { return Do(what); }, event.what);
  }

  ReplayReport Finish(bool complete) {
    scheduler_.CancelAll(absl::CancelledError("the replay is over"), now_);
    report_.complete = complete;
    for (auto& [phase, errors] : errors_) {
      std::sort(errors.begin(), errors.end());
      report_.prediction[phase] = {
          .ticks = static_cast<int64_t>(errors.size()), .p50 = Percentile(errors, 0.5), .p90 = Percentile(errors, 0.9)};
    }
    return std::move(report_);
  }

  bool diverged() const { return !report_.exact(); }

 private:
  struct Flight {
    StepPlan plan;
    absl::Time planned;
  };

  absl::Status Do(RecordedSubmit& submit) {
    if (submit.job <= newest_job_) {
      return absl::InvalidArgumentError(absl::StrCat("job ", submit.job.value, " comes after job ", newest_job_.value));
    }
    newest_job_ = submit.job;
    submit.spec.sink = sink_;
    std::vector<std::unique_ptr<Job>> jobs;
    jobs.push_back(std::make_unique<Job>(submit.job, std::move(submit.spec)));
    jobs.back()->set_to_encode(std::move(submit.to_encode));
    scheduler_.Submit(std::move(jobs), now_);
    ++report_.jobs;
    return absl::OkStatus();
  }

  absl::Status Do(RecordedEncodeOnly& only) {
    const Job* job = scheduler_.Find(only.job);
    if (job == nullptr) return absl::OkStatus();
    STEPCAST_RETURN_IF_ERROR(recording::CheckEncodes(only.to_encode, job->work()));
    scheduler_.EncodeOnly(only.job, std::move(only.to_encode), now_);
    return absl::OkStatus();
  }

  absl::Status Do(const RecordedRefusal&) { return absl::OkStatus(); }  // the scheduler never heard of it

  absl::Status Do(const RecordedLeave& leave) {
    scheduler_.Cancel(leave.job, absl::Status(leave.code, "as recorded"), now_);
    return absl::OkStatus();
  }

  absl::Status Do(const RecordedPlan& recorded) {
    const StepPlan plan = scheduler_.Next(now_);
    const std::string was = Describe(recorded.plan), is = Describe(plan);
    if (was != is) {
      report_.divergence = absl::StrCat("recorded ", was, "\nreplayed ", is);
      return absl::OkStatus();
    }
    ++report_.plans;
    flights_.emplace(plan.id, Flight{.plan = plan, .planned = now_});
    return absl::OkStatus();
  }

  absl::Status Do(const RecordedComplete& complete) {
    const auto entry = flights_.find(complete.plan);
    if (entry == flights_.end()) {
      return absl::InvalidArgumentError(absl::StrCat("plan ", complete.plan, " completed, but is not in flight"));
    }
    const Flight flight = std::move(entry->second);
    flights_.erase(entry);
    const double measured = absl::ToDoubleSeconds(now_ - flight.planned);
    const double predicted = absl::ToDoubleSeconds(flight.plan.predicted);
    if (predicted > 0 && measured > 0) {
      errors_[flight.plan.phase()].push_back(std::abs(predicted - measured) / measured);
    }
    scheduler_.Complete(flight.plan, Results(flight.plan, complete), now_);
    return absl::OkStatus();
  }

  absl::Status Do(const RecordedCurve& curve) {
    scheduler_.SetCurve(curve.key, curve.points);
    return absl::OkStatus();
  }

  absl::Status Do(const RecordedRowCap& cap) {
    scheduler_.LowerRowCap(cap.key, cap.rows);
    return absl::OkStatus();
  }

  std::vector<StepResult> Results(const StepPlan& plan, const RecordedComplete& complete) const {
    std::vector<StepResult> results;
    for (int i = 0; i < static_cast<int>(plan.jobs.size()); ++i) {
      const auto exception = complete.exceptions.find(i);
      StepResult result;
      if (plan.phase() == Phase::kDecode) result.image = image_;
      if (exception != complete.exceptions.end()) {
        // What is missing is missing to the end: results are in the plan's order.
        if (exception->second.kind == RecordedResult::kMissing) break;
        result.image = nullptr;
        if (exception->second.kind == RecordedResult::kFailed) {
          result.status = absl::Status(exception->second.code, "as recorded");
        }
      }
      results.push_back(std::move(result));
    }
    return results;
  }

  NullEngineMetrics metrics_;
  const std::shared_ptr<Deaf> sink_ = std::make_shared<Deaf>();
  const SharedImage image_ = std::make_shared<Image>();
  StepScheduler scheduler_;
  absl::flat_hash_map<int64_t, Flight> flights_;
  std::map<Phase, std::vector<double>> errors_;
  absl::Time now_, first_;
  JobId newest_job_;
  ReplayReport report_;
};

}  // namespace

absl::StatusOr<ReplayReport> Replay(RecordingReader& recording) {
  STEPCAST_ASSIGN_OR_RETURN(std::unique_ptr<SchedulingPolicy> policy, MakePolicy(recording.header().policy));
  Run run(recording.header(), std::move(policy));
  while (!run.diverged()) {
    STEPCAST_ASSIGN_OR_RETURN(std::optional<RecordedEvent> event, recording.Next());
    if (!event.has_value()) break;
    STEPCAST_RETURN_IF_ERROR(run.Take(*std::move(event)));
  }
  return run.Finish(recording.complete());
}

std::string ToText(const ReplayReport& report) {
  std::string text = absl::StrFormat("%d jobs, %d plans, %d events in %.3f s\n", report.jobs, report.plans,
                                     report.events, absl::ToDoubleSeconds(report.span));
  for (const auto& [phase, error] : report.prediction) {
    absl::StrAppendFormat(&text, "prediction error, %-8s p50 %5.1f %%  p90 %5.1f %%  (%d ticks)\n",
                          absl::StrCat(ToAbsl(PhaseName(phase)), ":"), error.p50 * 100, error.p90 * 100, error.ticks);
  }
  if (!report.exact()) {
    return absl::StrCat(text, "DIVERGED after ", report.plans, " equal plans:\n", report.divergence, "\n");
  }
  if (!report.complete) text += "the recording has no end: the server was killed, or the disk was full\n";
  return text + "every plan reproduced exactly\n";
}

std::string ToJson(const ReplayReport& report) {
  nlohmann::ordered_json json;
  json["exact"] = report.exact();
  json["complete"] = report.complete;
  json["jobs"] = report.jobs;
  json["plans"] = report.plans;
  json["events"] = report.events;
  json["seconds"] = absl::ToDoubleSeconds(report.span);
  json["divergence"] = report.divergence;
  for (const auto& [phase, error] : report.prediction) {
    json["prediction_error"][std::string(PhaseName(phase))] = {
        {"ticks", error.ticks}, {"p50", error.p50}, {"p90", error.p90}};
  }
  return json.dump(2);
}

}  // namespace stepcast::simulate

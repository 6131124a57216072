#include "scheduler/dispatch/split_submit.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <utility>

#include "core/error_reason.h"
#include "core/mutex.h"
#include "scheduler/words/event_sink.h"

namespace stepcast {
namespace {

// Stands between a loop and the request's sink until all loops have decided: holds what comes, then lets it through in
// order, or lets nothing through.
//
// Thread-safety: OnEvent on the loop's thread; Open or Shut once, on any.
class Gate final : public EventSink {
 public:
  explicit Gate(std::shared_ptr<EventSink> sink) : sink_(std::move(sink)) {}

  void OnEvent(JobEvent event) override {
    if (!open_.load(std::memory_order_acquire)) {
      MutexLock lock(mutex_);
      if (shut_) return;
      if (!open_.load(std::memory_order_relaxed)) {
        held_.push_back(std::move(event));
        return;
      }
    }
    sink_->OnEvent(std::move(event));
  }

  void Open() {
    for (;;) {
      std::vector<JobEvent> events;
      {
        MutexLock lock(mutex_);
        if (held_.empty()) {
          open_.store(true, std::memory_order_release);
          return;
        }
        events.swap(held_);
      }
      // What comes meanwhile is held, so that it stays behind these.
      for (JobEvent& event : events) sink_->OnEvent(std::move(event));
    }
  }

  void Shut() {
    MutexLock lock(mutex_);
    shut_ = true;
    held_.clear();
  }

 private:
  const std::shared_ptr<EventSink> sink_;
  std::atomic<bool> open_{false};
  Mutex mutex_;
  bool shut_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<JobEvent> held_ ABSL_GUARDED_BY(mutex_);
};

AdmissionVerdict Joined(const AdmissionVerdict& a, const AdmissionVerdict& b) {
  return {.queue_position = std::min(a.queue_position, b.queue_position),
          .wait = std::min(a.wait, b.wait),
          .total = std::max(a.total, b.total)};
}

// The decisions of all parts, as they come in from several threads; the last one decides.
class Round {
 public:
  using OnDecision = absl::AnyInvocable<void(absl::StatusOr<Admission>) &&>;

  Round(std::vector<RequestPart> parts, OnDecision on_decision)
      : on_decision_(std::move(on_decision)), undecided_(static_cast<int>(parts.size())) {
    for (RequestPart& part : parts) {
      Side side{.loop = part.loop, .gate = std::make_shared<Gate>(part.specs.front().sink)};
      for (JobSpec& spec : part.specs) {
        side.images.push_back(spec.image_index);
        spec.sink = side.gate;
      }
      side.specs = std::move(part.specs);
      sides_.push_back(std::move(side));
    }
  }

  static void Start(const std::shared_ptr<Round>& round) {
    for (size_t i = 0; i < round->sides_.size(); ++i) {
      Side& side = round->sides_[i];
      side.loop->Submit(std::move(side.specs),
                        [round, i](absl::StatusOr<Admission> decision) { round->OnDecided(i, std::move(decision)); });
    }
  }

 private:
  struct Side {
    EngineLoop* loop = nullptr;
    std::shared_ptr<Gate> gate = {};
    std::vector<JobSpec> specs = {};
    std::vector<int> images = {};  // of its specs
    absl::StatusOr<Admission> decision = absl::UnknownError("undecided");
  };

  void OnDecided(size_t i, absl::StatusOr<Admission> decision) {
    {
      MutexLock lock(mutex_);
      sides_[i].decision = std::move(decision);
      if (--undecided_ > 0) return;
    }
    // Nobody else comes here any more.
    absl::Status refusal;
    for (const Side& side : sides_) refusal = MilderRefusal(refusal, side.decision.status());
    if (!refusal.ok()) {
      for (const Side& side : sides_) {
        side.gate->Shut();
        if (!side.decision.ok()) continue;
        for (const JobId job : side.decision->jobs) side.loop->Cancel(job, refusal);
      }
      return std::move(on_decision_)(refusal);
    }
    std::move(on_decision_)(Together());
    for (const Side& side : sides_) side.gate->Open();
  }

  Admission Together() const {
    std::vector<std::pair<int, JobId>> jobs;
    AdmissionVerdict verdict = VerdictOf(*sides_.front().decision);
    absl::Duration work;
    for (const Side& side : sides_) {
      work += side.decision->work;
      for (size_t k = 0; k < side.images.size(); ++k) jobs.emplace_back(side.images[k], side.decision->jobs[k]);
      verdict = Joined(verdict, VerdictOf(*side.decision));
    }
    std::sort(jobs.begin(), jobs.end());
    Admission admission{.jobs = {},
                        .queue_position = verdict.queue_position,
                        .wait = verdict.wait,
                        .total = verdict.total,
                        .work = work};
    for (const auto& [image, job] : jobs) admission.jobs.push_back(job);
    return admission;
  }

  static AdmissionVerdict VerdictOf(const Admission& admission) {
    return {.queue_position = admission.queue_position, .wait = admission.wait, .total = admission.total};
  }

  OnDecision on_decision_;
  Mutex mutex_;
  std::vector<Side> sides_;  // `decision` is guarded until all are in; the rest is fixed once started
  int undecided_ ABSL_GUARDED_BY(mutex_);
};

// As Round, without jobs.
class EstimateRound {
 public:
  using OnVerdict = absl::AnyInvocable<void(absl::StatusOr<AdmissionVerdict>) &&>;

  EstimateRound(size_t parts, OnVerdict on_verdict)
      : on_verdict_(std::move(on_verdict)), undecided_(static_cast<int>(parts)) {}

  void OnPart(const absl::StatusOr<AdmissionVerdict>& verdict) {
    {
      MutexLock lock(mutex_);
      refusal_ = MilderRefusal(refusal_, verdict.status());
      if (verdict.ok()) joined_ = joined_.has_value() ? Joined(*joined_, *verdict) : *verdict;
      if (--undecided_ > 0) return;
    }
    if (!refusal_.ok()) return std::move(on_verdict_)(refusal_);
    std::move(on_verdict_)(*joined_);
  }

 private:
  OnVerdict on_verdict_;
  Mutex mutex_;
  int undecided_ ABSL_GUARDED_BY(mutex_);
  absl::Status refusal_;  // these two are guarded until all are in
  std::optional<AdmissionVerdict> joined_;
};

}  // namespace

absl::Status MilderRefusal(const absl::Status& a, const absl::Status& b) {
  if (a.ok() || (absl::IsResourceExhausted(b) && !absl::IsResourceExhausted(a))) return b;
  if (b.ok() || !absl::IsResourceExhausted(b)) return a;
  const absl::Duration never = absl::InfiniteDuration();
  return RetryDelayOf(b).value_or(never) < RetryDelayOf(a).value_or(never) ? b : a;
}

void SubmitParts(std::vector<RequestPart> parts, absl::AnyInvocable<void(absl::StatusOr<Admission>) &&> on_decision) {
  if (parts.size() == 1) return parts[0].loop->Submit(std::move(parts[0].specs), std::move(on_decision));
  Round::Start(std::make_shared<Round>(std::move(parts), std::move(on_decision)));
}

void EstimateParts(std::vector<RequestPart> parts,
                   absl::AnyInvocable<void(absl::StatusOr<AdmissionVerdict>) &&> on_verdict) {
  const auto round = std::make_shared<EstimateRound>(parts.size(), std::move(on_verdict));
  for (RequestPart& part : parts) {
    part.loop->Estimate(std::move(part.specs),
                        [round](const absl::StatusOr<AdmissionVerdict>& verdict) { round->OnPart(verdict); });
  }
}

}  // namespace stepcast

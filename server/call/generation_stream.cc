#include "server/call/generation_stream.h"

#include <utility>
#include <variant>

#include "core/error_reason.h"
#include "core/status_macros.h"
#include "scheduler/decide/admission.h"
#include "server/request/errors/status_mapping.h"
#include "server/wire/proto_time.h"

namespace stepcast {
namespace {

// A total of zero says that costs are not known yet.
void SetEstimates(absl::Duration wait, absl::Duration total, v1::Accepted& accepted) {
  if (total <= absl::ZeroDuration()) return;
  *accepted.mutable_estimated_wait() = ToProto(wait);
  *accepted.mutable_estimated_total() = ToProto(total);
}

}  // namespace

GenerationStream::GenerationStream(StreamRequest request, ResponseTransport& transport, const StreamServices& services)
    : request_(std::move(request)),
      transport_(transport),
      services_(services),
      writer_(request_.request->image_count, services.chunk_bytes),
      tally_(request_.request->image_count, request_.arrival),
      images_(static_cast<size_t>(request_.request->image_count)) {}

GenerationStream::~GenerationStream() {
  MutexLock lock(mutex_);
  if (late_work_ != nullptr) late_work_->Settle(tally_.Work());
}

std::vector<JobSpec> GenerationStream::Specs() {
  JobSpec spec = MakeJobSpec(request_.request, request_.program, request_.inversion);
  spec.arrival = request_.arrival;
  spec.deadline = request_.deadline;
  spec.sink = shared_from_this();
  std::vector<JobSpec> specs(static_cast<size_t>(request_.request->image_count), spec);
  for (size_t i = 0; i < specs.size(); ++i) specs[i].image_index = static_cast<int>(i);
  return specs;
}

AdmissionContext GenerationStream::AdmissionHints() const {
  return {.tenant = request_.request->tenant, .retry_after = services_.pace.RetryAfter(request_.request->image_count)};
}

void GenerationStream::OnVerdict(absl::StatusOr<AdmissionVerdict> verdict) {
  MutexLock lock(mutex_);
  if (end_) return PostPump();
  if (verdict.ok()) {
    v1::Accepted accepted = request_.accepted;
    accepted.set_queue_position(verdict->queue_position);
    SetEstimates(verdict->wait, verdict->total, accepted);
    writer_.PushAccepted(std::move(accepted));
    end_ = absl::OkStatus();
  } else {
    end_ = FromAdmissionError(verdict.status(), AdmissionHints());
  }
  PostPump();
}

void GenerationStream::OnAdmission(absl::StatusOr<Admission> admission) {
  std::vector<JobId> unwanted;
  absl::Status reason;
  {
    MutexLock lock(mutex_);
    undecided_ = false;
    if (!admission.ok()) {
      if (!end_) {
        end_ = FromAdmissionError(admission.status(), AdmissionHints());
      }
      SettleLateWork();
    } else {
      jobs_ = admission->jobs;
      if (broken_) {  // cancelled while the decision was on its way
        unwanted = jobs_;
        reason = *end_;
      } else {
        v1::Accepted accepted = request_.accepted;
        accepted.set_queue_position(admission->queue_position);
        for (const JobId job : jobs_) accepted.add_job_ids(job.value);
        SetEstimates(admission->wait, admission->total, accepted);
        writer_.PushAccepted(std::move(accepted));
      }
    }
    PostPump();
  }
  CancelJobs(unwanted, reason);
}

void GenerationStream::OnEvent(JobEvent event) {
  MutexLock lock(mutex_);
  std::visit([&](auto& what) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { On(event.image_index, what); }, event.what);
  // Before the client hears of the end: who asks next finds room. The stores call nobody under their locks.
  if (tally_.all_finished()) leases_.clear();
  // A write on its way pumps when it is through.
  if (!writing_ && !ended_) PostPump();
}

void GenerationStream::On(int image_index, JobProgress& progress) {
  const absl::Time now = services_.clock.Now();
  tally_.OnProgress(image_index, progress, now);
  if (!end_) writer_.SetProgress(image_index, progress, tally_.Eta(image_index, now));
}

void GenerationStream::On(int image_index, JobPreview& preview) {
  ImageState& image = images_[static_cast<size_t>(image_index)];
  if (end_ || Stalled(services_.preview_stall, services_.clock.Now())) {
    services_.metrics.CountPreview(PreviewOutcome::kDropped);
    return;
  }
  if (image.preview != nullptr) services_.metrics.CountPreview(PreviewOutcome::kReplaced);
  image.preview = std::move(preview.image);
  image.preview_step = preview.step;
  if (image.preview_encoding) return;
  image.preview_encoding =
      services_.codec.TryPost([self = shared_from_this(), image_index] { self->EncodePreviews(image_index); });
  if (!image.preview_encoding) {
    image.preview = nullptr;
    services_.metrics.CountPreview(PreviewOutcome::kDropped);
  }
}

void GenerationStream::On(int image_index, JobImage& painted) {
  ImageState& image = images_[static_cast<size_t>(image_index)];
  image.painted = true;
  if (std::exchange(image.preview, nullptr) != nullptr) services_.metrics.CountPreview(PreviewOutcome::kReplaced);
  if (end_) return;
  painted_.push_back({.image_index = image_index, .image = std::move(painted.image)});
  PostEncodes();
}

void GenerationStream::On(int image_index, JobSaved& saved) {
  ImageState& image = images_[static_cast<size_t>(image_index)];
  if (end_ || services_.tokens == nullptr) return;
  if (saved.handed_out) {
    image.checkpoint.reset();
    ++encoding_;
    return services_.codec.Post(
        [self = shared_from_this(), image_index, saved = std::move(saved)] { self->SignParked(image_index, saved); });
  }
  if (Stalled(services_.preview_stall, services_.clock.Now())) return;
  image.checkpoint = std::move(saved);
  if (image.checkpoint_signing) return;
  image.checkpoint_signing =
      services_.codec.TryPost([self = shared_from_this(), image_index] { self->SignCheckpoints(image_index); });
}

void GenerationStream::On(int image_index, JobFinished& finished) {
  tally_.OnFinished(image_index, finished.status, finished.statistics);
  const bool delivered = finished.status.ok() && !broken_;
  services_.metrics.CountSteps(request_.request->model->id, delivered ? StepKind::kUseful : StepKind::kWasted,
                               finished.statistics.evaluations);
  services_.metrics.ObserveQueueWait(finished.statistics.queued);
  services_.pace.OnImageEnded(services_.clock.Now());
  const std::optional<std::string> reason = ErrorReason(finished.status);
  if (reason == "DEVICE_LOST") services_.on_device_lost();
  // Of a tick that failed as a whole (ABORTED) nobody knows whose fault it was.
  if (reason == "ENGINE_ERROR" && absl::IsInternal(finished.status) && services_.quarantine != nullptr) {
    services_.quarantine->Add(request_.accepted.request(), image_index);
  }
  if (tally_.all_finished()) SettleLateWork();
  EndIfComplete();
}

void GenerationStream::EndIfComplete() {
  if (end_ || !tally_.all_finished() || !painted_.empty() || encoding_ > 0) return;
  end_ = tally_.Result();
  if (!end_->ok()) return;
  v1::Completed completed;
  *completed.mutable_timings() = tally_.TimingsAt(services_.clock.Now());
  completed.set_evaluations(tally_.evaluations());
  *completed.mutable_batch() = tally_.Batch();
  *completed.mutable_cost() = tally_.Cost();
  completed.set_model_sha256(request_.request->model->sha256);
  writer_.PushCompleted(std::move(completed));
}

std::vector<JobId> GenerationStream::Break(const absl::Status& reason) {
  if (broken_ || ended_) return {};
  broken_ = true;
  end_ = FromJobError(reason, tally_.steps_done());
  painted_.clear();
  int dropped = writer_.Abandon();
  for (ImageState& image : images_) {
    if (std::exchange(image.preview, nullptr) != nullptr) ++dropped;
  }
  for (; dropped > 0; --dropped) services_.metrics.CountPreview(PreviewOutcome::kDropped);
  return jobs_;
}

void GenerationStream::CancelJobs(const std::vector<JobId>& jobs, const absl::Status& reason) {
  for (const JobId job : jobs) services_.loops.Cancel(job, reason);
}

void GenerationStream::Cancel(const absl::Status& reason) {
  std::vector<JobId> jobs;
  int64_t ticket = 0;
  {
    MutexLock lock(mutex_);
    jobs = Break(reason);
    if (holding_) ticket = ticket_;
  }
  if (ticket != 0) services_.models->Abandon(ticket);
  CancelJobs(jobs, reason);
  Pump();
}

bool GenerationStream::Stalled(absl::Duration limit, absl::Time now) const {
  return writing_ && now - write_started_ > limit;
}

void GenerationStream::CheckStall(absl::Time now) {
  const absl::Status reason = WithReason(absl::CancelledError("the client stopped reading"), "CLIENT_STALLED");
  std::vector<JobId> jobs;
  bool late = false;
  {
    MutexLock lock(mutex_);
    late = holding_ && now >= request_.deadline;
  }
  // Whoever waits for a model is not in a queue that looks at deadlines.
  if (late) return Cancel(absl::DeadlineExceededError("the deadline passed"));
  {
    MutexLock lock(mutex_);
    if (broken_ || !Stalled(services_.client_stall, now)) return;
    jobs = Break(reason);
    services_.metrics.CountStalledClient();
    // With the lock held, because the transport lives while a write is on its way.
    transport_.Abort();
  }
  CancelJobs(jobs, reason);
}

void GenerationStream::OnWritten(bool ok) {
  const absl::Status reason = absl::CancelledError("the client is gone");
  std::vector<JobId> jobs;
  {
    MutexLock lock(mutex_);
    writing_ = false;
    if (!ok) jobs = Break(reason);
    PostEncodes();
  }
  CancelJobs(jobs, reason);
  Pump();
}

void GenerationStream::PostPump() {
  if (std::exchange(pump_posted_, true)) return;
  services_.writers.Post([self = shared_from_this()] {
    {
      MutexLock lock(self->mutex_);
      self->pump_posted_ = false;
    }
    self->Pump();
  });
}

void GenerationStream::Pump() {
  v1::GenerateResponse message;
  while (Take(message)) {
    if (transport_.Send(std::move(message))) return;
    MutexLock lock(mutex_);
    writing_ = false;
    PostEncodes();
  }
  if (std::optional<CallOutcome> outcome = TakeEnd()) transport_.End(*std::move(outcome));
}

bool GenerationStream::Take(v1::GenerateResponse& message) {
  MutexLock lock(mutex_);
  if (writing_ || ended_ || broken_ || !writer_.Next(message)) return false;
  writing_ = true;
  write_started_ = services_.clock.Now();
  if (message.has_preview()) {
    services_.metrics.CountPreview(PreviewOutcome::kSent);
    if (!std::exchange(preview_seen_, true)) services_.metrics.ObserveFirstPreview(write_started_ - request_.arrival);
  }
  return true;
}

// On the writers' thread: this one may be the engine's, which writes no lines.
void GenerationStream::SettleLateWork() {
  if (late_work_ == nullptr) return;
  services_.writers.Post([late = std::exchange(late_work_, nullptr), work = tally_.Work()] { late->Settle(work); });
}

std::optional<CallOutcome> GenerationStream::TakeEnd() {
  MutexLock lock(mutex_);
  if (!end_ || writing_ || ended_ || (!broken_ && !writer_.empty())) return std::nullopt;
  ended_ = true;
  CallOutcome outcome{.status = *end_, .work = tally_.Work()};
  if (undecided_ || (!jobs_.empty() && !tally_.all_finished())) {
    outcome.late = late_work_ = std::make_shared<LateWork>();
  }
  outcome.model = request_.request->model->id;
  outcome.admitted = !jobs_.empty();
  if (services_.log_prompts) outcome.prompt = request_.request->prompt;
  return outcome;
}

}  // namespace stepcast

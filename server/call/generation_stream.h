#pragma once
// One painting call: from admission through the engine's events to the last message. docs/life_of_a_request.md walks
// through it.

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "core/mutex.h"
#include "server/call/call_record.h"
#include "server/call/live_calls.h"
#include "server/call/request_tally.h"
#include "server/call/stream_request.h"
#include "server/call/stream_services.h"
#include "server/call/stream_writer.h"
#include "server/catalog/adapters/lora_store.h"
#include "server/catalog/model_store.h"
#include "server/request/errors/status_mapping.h"

namespace stepcast {

// The sink of a request's jobs. Held by its jobs, its codec tasks and its reactor; the jobs never see the reactor.
//
// Messages go out one at a time, from whichever thread finds none on its way: a gRPC thread after a write, a codec
// thread after an encode, the writers' thread after an event. Every call ends exactly once, through ResponseTransport.
//
// Thread-safety: all methods may be called from any thread. Nothing foreign is called with the lock held but the pools'
// Post.
class GenerationStream final : public EventSink,
                               public LiveCall,
                               public std::enable_shared_from_this<GenerationStream> {
 public:
  // `transport` lives until its End returns.
  GenerationStream(StreamRequest request, ResponseTransport& transport, const StreamServices& services);
  ~GenerationStream() override;

  // Submits the jobs, all or none, once their model is in memory. REQUIRES: called once.
  void Submit();
  // Answers as Submit would and paints nothing. REQUIRES: called once.
  void SubmitNothing();

  void OnEvent(JobEvent event) override;
  void OnWritten(bool ok);
  void Cancel(const absl::Status& reason) override;
  void CheckStall(absl::Time now) override;

 private:
  // What an image owns between the engine and the writer.
  struct ImageState {
    SharedImage preview;  // the newest that is not encoded
    int preview_step = 0;
    bool preview_encoding = false;
    std::optional<JobSaved> checkpoint;  // the newest that is not signed
    bool checkpoint_signing = false;
    bool painted = false;
  };
  struct Painted {
    int image_index = 0;
    SharedImage image;
  };

  std::vector<JobSpec> Specs();
  void OnLease(absl::StatusOr<ModelLease> lease);
  absl::Status Refresh() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TakeLoras();
  void SubmitJobs();
  void OnAdmission(absl::StatusOr<Admission> admission);
  void OnVerdict(absl::StatusOr<AdmissionVerdict> verdict);
  AdmissionContext AdmissionHints() const;
  void On(int image_index, JobProgress& progress) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void On(int image_index, JobPreview& preview) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void On(int image_index, JobImage& image) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void On(int image_index, JobSaved& saved) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void On(int image_index, JobFinished& finished) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void EncodePreviews(int image_index);                     // on a codec thread
  void EncodePainted(int image_index, const Image& image);  // on a codec thread
  void SignCheckpoints(int image_index);                    // on a codec thread
  void SignParked(int image_index, const JobSaved& saved);  // on a codec thread
  std::string TokenOf(int image_index, const JobSaved& saved) const;
  void PostEncodes() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndIfComplete() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Ends without waiting for what is queued. Returns the jobs to cancel.
  std::vector<JobId> Break(const absl::Status& reason) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CancelJobs(const std::vector<JobId>& jobs, const absl::Status& reason);
  bool Stalled(absl::Duration limit, absl::Time now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void PostPump() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Pump() ABSL_LOCKS_EXCLUDED(mutex_);
  bool Take(v1::GenerateResponse& message) ABSL_LOCKS_EXCLUDED(mutex_);
  std::optional<CallOutcome> TakeEnd() ABSL_LOCKS_EXCLUDED(mutex_);
  void SettleLateWork() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // As it is when the jobs are submitted; whoever reads it before holds the lock.
  StreamRequest request_;
  ResponseTransport& transport_;  // not touched after ended_
  const StreamServices services_;

  Mutex mutex_;
  std::vector<std::shared_ptr<const void>> leases_ ABSL_GUARDED_BY(mutex_);  // until the last job has ended
  int64_t ticket_ ABSL_GUARDED_BY(mutex_) = 0;                               // of the lease that is waited for
  bool holding_ ABSL_GUARDED_BY(mutex_) = false;                             // waits for it
  StreamWriter writer_ ABSL_GUARDED_BY(mutex_);
  RequestTally tally_ ABSL_GUARDED_BY(mutex_);
  std::vector<ImageState> images_ ABSL_GUARDED_BY(mutex_);
  std::vector<JobId> jobs_ ABSL_GUARDED_BY(mutex_);
  std::deque<Painted> painted_ ABSL_GUARDED_BY(mutex_);  // wait for room to be encoded
  int encoding_ ABSL_GUARDED_BY(mutex_) = 0;
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mutex_);  // how the call ends once nothing waits
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;              // ends at once: nobody reads any more
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool undecided_ ABSL_GUARDED_BY(mutex_) = false;               // the jobs may be admitted yet
  std::shared_ptr<LateWork> late_work_ ABSL_GUARDED_BY(mutex_);  // of a call that ended before its jobs
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool pump_posted_ ABSL_GUARDED_BY(mutex_) = false;
  bool preview_seen_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Time write_started_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();
};

}  // namespace stepcast

// What a call waits for before it submits its jobs: its model, then the LoRAs beside it.

#include <utility>

#include "core/status_macros.h"
#include "server/call/generation_stream.h"
#include "server/request/errors/status_mapping.h"

namespace stepcast {

void GenerationStream::Submit() {
  if (services_.models == nullptr) return TakeLoras();
  {
    MutexLock lock(mutex_);
    holding_ = true;
  }
  const int64_t ticket = services_.models->Acquire(
      request_.request->model->id,
      [weak = weak_from_this()](const absl::Status& reason) {
        if (const auto self = weak.lock()) self->Cancel(FromModelError(reason, self->request_.request->model->id));
      },
      [self = shared_from_this()](absl::StatusOr<ModelLease> lease) { self->OnLease(std::move(lease)); });
  bool gone = false;
  {
    MutexLock lock(mutex_);
    ticket_ = ticket;
    gone = holding_ && broken_;  // cancelled before the ticket was known
  }
  if (gone) services_.models->Abandon(ticket);
}

void GenerationStream::OnLease(absl::StatusOr<ModelLease> lease) {
  {
    MutexLock lock(mutex_);
    holding_ = false;
    if (broken_) return;
    absl::Status ready = lease.ok() ? absl::OkStatus() : FromModelError(lease.status(), request_.request->model->id);
    if (lease.ok()) {
      leases_.push_back(*std::move(lease));
      ready = Refresh();
    }
    if (!ready.ok()) {
      end_ = ready;
      return PostPump();
    }
  }
  TakeLoras();
}

// What was read anew is asked anew.
absl::Status GenerationStream::Refresh() {
  const auto again = std::exchange(request_.again, nullptr);
  if (again == nullptr) return absl::OkStatus();
  const std::shared_ptr<const ModelRegistry> models = services_.models->registry();
  if (models->Find(request_.request->model->id)->info == request_.request->model) return absl::OkStatus();
  STEPCAST_ASSIGN_OR_RETURN(request_, again(*models));
  return absl::OkStatus();
}

// Once their model is in memory, which they lie beside.
void GenerationStream::TakeLoras() {
  std::vector<SharedLoraInfo> loras;
  for (const LoraInput& lora : request_.request->loras) {
    if (lora.info != nullptr) loras.push_back(lora.info);
  }
  if (loras.empty() || services_.loras == nullptr) return SubmitJobs();
  const auto on_lease = [self = shared_from_this()](absl::StatusOr<LoraLease> lease) {
    {
      MutexLock lock(self->mutex_);
      if (self->broken_) return;
      if (!lease.ok()) {
        self->end_ = FromModelError(lease.status(), self->request_.request->model->id);
        return self->PostPump();
      }
      self->leases_.push_back(*std::move(lease));
    }
    self->SubmitJobs();
  };
  services_.loras->Acquire(request_.request->model, std::move(loras), on_lease);
}

void GenerationStream::SubmitJobs() {
  {
    MutexLock lock(mutex_);
    undecided_ = true;
  }
  services_.loops.Submit(Specs(), [self = shared_from_this()](absl::StatusOr<Admission> admission) {
    self->OnAdmission(std::move(admission));
  });
}

void GenerationStream::SubmitNothing() {
  if (services_.models != nullptr) {
    const std::string& model = request_.request->model->id;
    const absl::Status ready = services_.models->Check(model);
    MutexLock lock(mutex_);
    if (!ready.ok()) {
      end_ = FromModelError(ready, model);
      return PostPump();
    }
    if (services_.models->Standing(model).state != ModelState::kReady) {
      request_.accepted.add_warnings("the model is not in memory: the pictures wait until it is loaded");
    }
  }
  services_.loops.Estimate(Specs(), [self = shared_from_this()](absl::StatusOr<AdmissionVerdict> verdict) {
    self->OnVerdict(std::move(verdict));
  });
}

}  // namespace stepcast

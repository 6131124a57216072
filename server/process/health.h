#pragma once
// grpc.health.v1 of our own: gRPC's says SERVING before a model is loaded.

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "core/mutex.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace stepcast {

// Names that Check and Watch know, besides "" (the whole server).
inline constexpr std::string_view kHealthService = "stepcast.v1.ImageGenerationService";
inline constexpr std::string_view kHealthReadiness = "readiness";
inline constexpr std::string_view kHealthLiveness = "liveness";

class HealthWatch;

// What is healthy, for every port that tells it. Starts with liveness SERVING and everything else NOT_SERVING.
//
// Thread-safety: all methods may be called from any thread.
class HealthState {
 public:
  HealthState();
  ~HealthState();

  // Whether the server takes work: "", the service's name and "readiness".
  void SetReady(bool ready);
  // Whether the process is worth keeping.
  void SetLive(bool live);

  // SERVICE_UNKNOWN for a name that is none of ours.
  grpc::health::v1::HealthCheckResponse::ServingStatus Get(std::string_view name) const;

  // Ends every Watch, now and later, with UNAVAILABLE, so that a server can stop.
  void EndWatches();

  // Waits until no Watch is open. Returns false after `patience`.
  bool AwaitNone(absl::Duration patience);

  // For HealthService: tells `watch` every change from now on, the present first, until Remove.
  void Add(std::shared_ptr<HealthWatch> watch);
  void Remove(const std::shared_ptr<HealthWatch>& watch);

 private:
  using Status = grpc::health::v1::HealthCheckResponse::ServingStatus;
  void Set(std::string_view name, bool serving) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  CondVar emptied_;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<std::string, Status, std::less<>> statuses_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<std::shared_ptr<HealthWatch>> watches_ ABSL_GUARDED_BY(mutex_);
};

// The service over a state; one per port. Takes raw bytes, as all our methods: what a probe sends is bounded before it
// is parsed.
class HealthService final
    : public grpc::health::v1::Health::WithRawCallbackMethod_Check<
          grpc::health::v1::Health::WithRawCallbackMethod_Watch<grpc::health::v1::Health::Service>> {
 public:
  // `state` must outlive the server that this is registered with.
  explicit HealthService(HealthState& state) : state_(state) {}

  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext* context, const grpc::ByteBuffer* bytes,
                                  grpc::ByteBuffer* response) override;
  grpc::ServerWriteReactor<grpc::ByteBuffer>* Watch(grpc::CallbackServerContext* context,
                                                    const grpc::ByteBuffer* bytes) override;

 private:
  HealthState& state_;
};

}  // namespace stepcast

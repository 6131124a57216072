#pragma once
// grpc.reflection.v1 of our own: the library of Debian's gRPC knows v1alpha only, and newer tools ask for v1.

#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "core/mutex.h"
#include "grpc/reflection/v1/reflection.grpc.pb.h"

namespace stepcast {

// Answers one question about the messages and services that this program was compiled with. `services` are those that
// a listing names. Answers what v1alpha answers.
grpc::reflection::v1::ServerReflectionResponse Reflect(const grpc::reflection::v1::ServerReflectionRequest& request,
                                                       const std::vector<std::string>& services);

class ReflectionReactor;

// The service of one port. A stream costs one question and one answer at a time, and no answer is larger than the files
// of this program. Takes raw bytes, as all our methods: a question is bounded before it is parsed.
//
// Thread-safety: all methods may be called from any thread.
class ReflectionService final
    : public grpc::reflection::v1::ServerReflection::WithRawCallbackMethod_ServerReflectionInfo<
          grpc::reflection::v1::ServerReflection::Service> {
 public:
  // `services`: full names of what the port serves; both versions of reflection are added.
  explicit ReflectionService(std::vector<std::string> services);
  ~ReflectionService() override;

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* ServerReflectionInfo(
      grpc::CallbackServerContext* context) override;

  // Ends every stream, now and later, with UNAVAILABLE, so that a server can stop.
  void EndStreams();

  // Waits until no stream is open. Returns false after `patience`.
  bool AwaitNone(absl::Duration patience);

  // For the streams.
  void Add(ReflectionReactor* stream);
  void Remove(ReflectionReactor* stream);
  const std::vector<std::string>& services() const { return services_; }

 private:
  std::vector<std::string> services_;
  Mutex mutex_;
  CondVar emptied_;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  absl::flat_hash_set<ReflectionReactor*> streams_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace stepcast

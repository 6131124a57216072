#pragma once
// The one place where a grpc::Status is born. Texts for clients never contain addresses, paths, tensor shapes or words
// of a library: what is not known to be fit for clients becomes ENGINE_ERROR with an id, and the log has the cause.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "grpcpp/support/status.h"
#include "stepcast/v1/error_reason.pb.h"

namespace stepcast {

inline constexpr char kErrorDomain[] = "stepcast.dev";

// Trailer in milliseconds that makes gRPC's own retries wait.
inline constexpr char kRetryPushbackTrailer[] = "grpc-retry-pushback-ms";

// One wrong field of a request.
struct FieldViolation {
  std::string field;        // "preview.every_n_steps"
  std::string description;  // what came, what is allowed, where to list allowed values
};

// An error that is fit for clients.
struct ErrorDetails {
  v1::ErrorReason reason = v1::ERROR_REASON_ENGINE_ERROR;
  std::string message = {};  // for people; "" for the fixed words of the reason
  std::vector<std::pair<std::string, std::string>> metadata = {};
  std::vector<FieldViolation> violations = {};
  int64_t violations_left_out = 0;  // counted, not listed
  std::optional<absl::Duration> retry_after = {};
  // Whose limit is reached ("tenant:acme"), told as google.rpc.QuotaFailure with the message; "": nobody's.
  std::string quota_subject = {};
};

// A status with the code of its reason, carrying the details in google.rpc's form. Message and details are cut (and say
// so) where they would not fit the 8 KiB of metadata that clients accept.
absl::Status MakeError(const ErrorDetails& details);

// FIELD_INVALID for a refusal of sampling::Compile, whose message begins with the field ("steps: ..."). What names no
// field of the request passes unchanged: a fault of the model.
absl::Status FromCompileError(const absl::Status& refusal);

// What an admission's refusal may need to be told well.
struct AdmissionContext {
  std::string tenant = {};                        // of the request
  absl::Duration retry_after = absl::Seconds(1);  // the hint of a refusal that brings none
};

// For a refusal of Dispatcher::Submit for want of room or time: its reason (QUEUE_FULL without one), its own words,
// which name numbers of ours alone, and its retry delay; TENANT_LIMIT also names the tenant. Others as ToClientError.
absl::Status FromAdmissionError(const absl::Status& refusal, const AdmissionContext& context);

// For a refusal of a ModelStore (server/catalog/model_store.h): its reason, its own words, its retry delay and the
// model. Others as ToClientError.
absl::Status FromModelError(const absl::Status& refusal, const std::string& model);

// For a request that ended without all its pictures: as ToClientError, with `steps_done` (by the image that came
// furthest) and, where some images succeeded, `failed_images` in the metadata.
absl::Status FromJobError(const absl::Status& outcome, int steps_done, absl::Span<const int> failed_images = {});

// An error in the form of MakeError. What MakeError made passes unchanged; what carries a reason (core/error_reason.h)
// gets the fixed words of that reason; of the others CANCELLED, DEADLINE_EXCEEDED, UNAVAILABLE and RESOURCE_EXHAUSTED
// become CLIENT_CANCELLED, DEADLINE, DRAINING and QUEUE_FULL, and the rest ENGINE_ERROR with an `error_id`, under which
// the cause is logged here (unless whoever failed has done so). OK passes unchanged.
absl::Status ToClientError(const absl::Status& status);

// The wire form of ToClientError(status).
grpc::Status ToGrpcStatus(const absl::Status& status);

// "FIELD_INVALID" for an error of MakeError or one that carries a reason, "ENGINE_ERROR" for others, "" for OK. For
// logs and metrics.
std::string ReasonOf(const absl::Status& status);

// "INVALID_ARGUMENT", as gRPC spells it. For logs and metrics.
std::string_view CodeName(grpc::StatusCode code);

// Value for kRetryPushbackTrailer, when the error asks to come back later.
std::optional<std::string> RetryPushback(const absl::Status& status);

// "FIELD_INVALID" for v1::ERROR_REASON_FIELD_INVALID.
std::string ReasonName(v1::ErrorReason reason);

}  // namespace stepcast

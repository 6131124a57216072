#include "server/request/errors/status_mapping.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "core/error_reason.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/telemetry/logging.h"
#include "server/wire/text_limits.h"
#include "stepcast/v1/image_generation.pb.h"

namespace stepcast {
namespace {

// Payload with the serialized google.rpc.Status: the mark of an error made by MakeError.
constexpr absl::string_view kDetailsUrl = "stepcast.dev/google.rpc.Status";

// Clients accept 8 KiB of metadata: the message (percent-encoded, up to three times its size) and the details (base64,
// a third larger, with the message in them again) share it with everything else.
constexpr size_t kMaxMessageBytes = 512;
constexpr size_t kMaxMetadataBytes = 256;
constexpr size_t kMaxDetailsBytes = 3000;

// A prediction can be arbitrarily good or bad; a client should neither hammer nor go away for ever.
constexpr absl::Duration kMinRetryDelay = absl::Milliseconds(100);
constexpr absl::Duration kMaxRetryDelay = absl::Minutes(10);

struct ReasonRow {
  v1::ErrorReason reason;
  absl::StatusCode code;
  absl::string_view words;
};

// What has no row is the last.
constexpr std::array kReasons = {
    ReasonRow{v1::ERROR_REASON_FIELD_INVALID, absl::StatusCode::kInvalidArgument, "a field of the request is invalid"},
    ReasonRow{v1::ERROR_REASON_MALFORMED_REQUEST, absl::StatusCode::kInvalidArgument,
              "the bytes of the request are no valid message"},
    ReasonRow{v1::ERROR_REASON_WORK_LIMIT, absl::StatusCode::kInvalidArgument, "the request asks for too much"},
    ReasonRow{v1::ERROR_REASON_IMAGE_UNDECODABLE, absl::StatusCode::kInvalidArgument,
              "a picture of the request cannot be decoded"},
    ReasonRow{v1::ERROR_REASON_IMAGE_TOO_LARGE, absl::StatusCode::kInvalidArgument,
              "a picture of the request is too large"},
    ReasonRow{v1::ERROR_REASON_RESUME_TOKEN_INVALID, absl::StatusCode::kInvalidArgument,
              "the resume token is not good for this request"},
    ReasonRow{v1::ERROR_REASON_MODEL_NOT_FOUND, absl::StatusCode::kNotFound, "there is no such model"},
    ReasonRow{v1::ERROR_REASON_LORA_NOT_FOUND, absl::StatusCode::kNotFound, "there is no such LoRA"},
    ReasonRow{v1::ERROR_REASON_QUEUE_FULL, absl::StatusCode::kResourceExhausted,
              "too many pictures wait already; try again later"},
    ReasonRow{v1::ERROR_REASON_DEVICE_MEMORY, absl::StatusCode::kResourceExhausted,
              "the device has not enough memory for this picture; ask for a smaller one or try again later"},
    ReasonRow{v1::ERROR_REASON_TENANT_LIMIT, absl::StatusCode::kResourceExhausted,
              "the tenant has as much work here as it may have; try again later"},
    ReasonRow{v1::ERROR_REASON_DEADLINE_UNREACHABLE, absl::StatusCode::kResourceExhausted,
              "the pictures would be late; allow more time or try again later"},
    ReasonRow{v1::ERROR_REASON_DRAINING, absl::StatusCode::kUnavailable,
              "the server is about to stop; try again elsewhere with the same seed"},
    ReasonRow{v1::ERROR_REASON_DEVICE_LOST, absl::StatusCode::kUnavailable,
              "the server lost its device; try again elsewhere with the same seed"},
    ReasonRow{v1::ERROR_REASON_MODEL_LOADING, absl::StatusCode::kUnavailable,
              "the server still loads its models; try again in a moment"},
    ReasonRow{v1::ERROR_REASON_MODEL_FAILED, absl::StatusCode::kUnavailable,
              "the model could not be loaded; try another one, or again later"},
    ReasonRow{v1::ERROR_REASON_DEADLINE, absl::StatusCode::kDeadlineExceeded,
              "the deadline passed before the pictures were done"},
    ReasonRow{v1::ERROR_REASON_CLIENT_CANCELLED, absl::StatusCode::kCancelled, "the client cancelled the call"},
    ReasonRow{v1::ERROR_REASON_CLIENT_STALLED, absl::StatusCode::kCancelled,
              "the client stopped reading, and the call was broken off"},
    ReasonRow{v1::ERROR_REASON_NUMERIC_FAULT, absl::StatusCode::kInternal,
              "the picture became NaN or infinite; another seed may do"},
    ReasonRow{v1::ERROR_REASON_TOKEN_MISSING, absl::StatusCode::kUnauthenticated,
              "the call brings no bearer token; send \"authorization: Bearer <token>\""},
    ReasonRow{v1::ERROR_REASON_TOKEN_INVALID, absl::StatusCode::kUnauthenticated,
              "the bearer token is unknown, expired or withdrawn"},
    ReasonRow{v1::ERROR_REASON_MODEL_FORBIDDEN, absl::StatusCode::kPermissionDenied,
              "there is no such model for this tenant; see ListModels"},
    ReasonRow{v1::ERROR_REASON_METHOD_FORBIDDEN, absl::StatusCode::kPermissionDenied,
              "the token does not let its bearer call this"},
    ReasonRow{v1::ERROR_REASON_ENGINE_ERROR, absl::StatusCode::kInternal, "the server failed"},
};

const ReasonRow& RowOf(v1::ErrorReason reason) {
  const auto row = std::find_if(kReasons.begin(), kReasons.end(),
                                [reason](const ReasonRow& candidate) { return candidate.reason == reason; });
  return row == kReasons.end() ? kReasons.back() : *row;
}

std::optional<v1::ErrorReason> ReasonFromName(absl::string_view name) {
  v1::ErrorReason reason;
  if (!v1::ErrorReason_Parse(absl::StrCat("ERROR_REASON_", name), &reason)) return std::nullopt;
  return reason;
}

// The reason of an error that does not carry one.
v1::ErrorReason ReasonFromCode(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kCancelled:
      return v1::ERROR_REASON_CLIENT_CANCELLED;
    case absl::StatusCode::kDeadlineExceeded:
      return v1::ERROR_REASON_DEADLINE;
    case absl::StatusCode::kUnavailable:
      return v1::ERROR_REASON_DRAINING;
    case absl::StatusCode::kResourceExhausted:
      return v1::ERROR_REASON_QUEUE_FULL;
    default:
      return v1::ERROR_REASON_ENGINE_ERROR;
  }
}

// Random, so that it tells a client nothing and is unique across replicas.
std::string NewErrorId() {
  std::random_device entropy;
  const uint64_t id = (static_cast<uint64_t>(entropy()) << 32) | entropy();
  return absl::StrFormat("%016x", id);
}

// The id in "... (error id 0123456789abcdef)", under which the engine has logged the cause; "" without one.
std::string LoggedErrorId(absl::string_view message) {
  constexpr absl::string_view kMark = "(error id ";
  constexpr size_t kDigits = 16;
  const size_t mark = message.find(kMark);
  if (mark == absl::string_view::npos) return "";
  const absl::string_view id = message.substr(mark + kMark.size(), kDigits);
  const bool hex = std::all_of(id.begin(), id.end(), [](char c) { return absl::ascii_isxdigit(c); });
  return hex && id.size() == kDigits ? std::string(id) : "";
}

std::optional<google::rpc::Status> DetailsOf(const absl::Status& status) {
  std::optional<google::rpc::Status> details;
  if (auto payload = status.GetPayload(kDetailsUrl)) {
    details.emplace();
    if (!details->ParseFromString(std::string(*payload))) details.reset();
  }
  return details;
}

// The details with violations' texts cut to `max_bytes`, and only the first `max_violations` of them.
google::rpc::Status Assemble(const ErrorDetails& details, size_t max_bytes, size_t max_violations) {
  const ReasonRow& row = RowOf(details.reason);
  google::rpc::Status status;
  status.set_code(static_cast<int>(row.code));
  status.set_message(Shortened(details.message.empty() ? row.words : details.message, kMaxMessageBytes));
  google::rpc::ErrorInfo info;
  info.set_reason(ReasonName(row.reason));
  info.set_domain(kErrorDomain);
  for (const auto& [key, value] : details.metadata) {
    (*info.mutable_metadata())[key] = Shortened(value, kMaxMetadataBytes);
  }
  google::rpc::BadRequest bad_request;
  const size_t shown = std::min(max_violations, details.violations.size());
  for (size_t i = 0; i < shown; ++i) {
    auto* violation = bad_request.add_field_violations();
    violation->set_field(Shortened(details.violations[i].field, kMaxMetadataBytes));
    violation->set_description(Shortened(details.violations[i].description, max_bytes));
  }
  const int64_t left_out = details.violations_left_out + static_cast<int64_t>(details.violations.size() - shown);
  if (left_out > 0) (*info.mutable_metadata())["violations_left_out"] = absl::StrCat(left_out);
  status.add_details()->PackFrom(info);
  if (shown > 0) status.add_details()->PackFrom(bad_request);
  if (!details.quota_subject.empty()) {
    google::rpc::QuotaFailure quota;
    auto* violation = quota.add_violations();
    violation->set_subject(Shortened(details.quota_subject, kMaxMetadataBytes));
    violation->set_description(status.message());
    status.add_details()->PackFrom(quota);
  }
  if (details.retry_after.has_value()) {
    google::rpc::RetryInfo retry;
    const int64_t millis = absl::ToInt64Milliseconds(*details.retry_after);
    retry.mutable_retry_delay()->set_seconds(millis / 1000);
    retry.mutable_retry_delay()->set_nanos(static_cast<int>(millis % 1000) * 1'000'000);
    status.add_details()->PackFrom(retry);
  }
  return status;
}

// The fullest form that fits.
google::rpc::Status AssembleWithinLimit(const ErrorDetails& details) {
  for (const size_t max_bytes : {300, 160, 90}) {
    google::rpc::Status status = Assemble(details, max_bytes, details.violations.size());
    if (status.ByteSizeLong() <= kMaxDetailsBytes) return status;
  }
  for (size_t count = details.violations.size(); count > 0; count = count * 3 / 4) {
    google::rpc::Status status = Assemble(details, 90, count);
    if (status.ByteSizeLong() <= kMaxDetailsBytes) return status;
  }
  ErrorDetails bare{.reason = details.reason, .message = details.message, .retry_after = details.retry_after};
  return Assemble(bare, 90, 0);
}

absl::Status FromRpcStatus(const google::rpc::Status& details, const std::string& reason) {
  absl::Status status(static_cast<absl::StatusCode>(details.code()), details.message());
  // Through a view: distributions' abseil lacks the constructor that clang calls for a string.
  const std::string bytes = details.SerializeAsString();
  status.SetPayload(kDetailsUrl, absl::Cord(absl::string_view(bytes)));
  return WithReason(std::move(status), reason);
}

// Whether `path` names a field of the request, or, with dots, of a message inside it.
bool IsRequestField(absl::string_view path) {
  const google::protobuf::Descriptor* message = v1::GenerateRequest::descriptor();
  for (const absl::string_view name : absl::StrSplit(path, '.')) {
    if (message == nullptr) return false;
    const google::protobuf::FieldDescriptor* field = message->FindFieldByName(std::string(name));
    if (field == nullptr) return false;
    message = field->message_type();
  }
  return true;
}

// An error of MakeError with more metadata.
absl::Status WithMetadata(const absl::Status& error, absl::string_view key, absl::string_view value) {
  std::optional<google::rpc::Status> details = DetailsOf(error);
  google::rpc::ErrorInfo info;
  if (!details.has_value() || details->details().empty() || !details->details(0).UnpackTo(&info)) return error;
  (*info.mutable_metadata())[std::string(key)] = Shortened(value, kMaxMetadataBytes);
  details->mutable_details(0)->PackFrom(info);
  return FromRpcStatus(*details, info.reason());
}

}  // namespace

absl::Status MakeError(const ErrorDetails& details) {
  return FromRpcStatus(AssembleWithinLimit(details), ReasonName(RowOf(details.reason).reason));
}

absl::Status FromCompileError(const absl::Status& refusal) {
  if (!absl::IsInvalidArgument(refusal)) return refusal;
  const std::string message(refusal.message());
  const std::string field = message.substr(0, message.find(':'));
  // What is not a field of the request is a fault of the model's own files, and no client's business.
  if (!IsRequestField(field)) return refusal;
  ErrorDetails details{.reason = v1::ERROR_REASON_FIELD_INVALID, .message = message};
  details.violations.push_back({field, std::string(absl::StripPrefix(message, field + ": "))});
  details.metadata.emplace_back("fields", field);
  return MakeError(details);
}

absl::Status FromAdmissionError(const absl::Status& refusal, const AdmissionContext& context) {
  if (!absl::IsResourceExhausted(refusal)) return ToClientError(refusal);
  const v1::ErrorReason reason =
      ReasonFromName(ErrorReason(refusal).value_or("")).value_or(v1::ERROR_REASON_QUEUE_FULL);
  const absl::Duration delay = RetryDelayOf(refusal).value_or(context.retry_after);
  ErrorDetails details{.reason = reason,
                       .message = std::string(refusal.message()),
                       .retry_after = std::clamp(delay, kMinRetryDelay, kMaxRetryDelay)};
  if (reason == v1::ERROR_REASON_TENANT_LIMIT) {
    details.quota_subject = absl::StrCat("tenant:", context.tenant);
    details.metadata.emplace_back("tenant", context.tenant);
  }
  return MakeError(details);
}

absl::Status FromModelError(const absl::Status& refusal, const std::string& model) {
  const v1::ErrorReason reason =
      ReasonFromName(ErrorReason(refusal).value_or("")).value_or(v1::ERROR_REASON_ENGINE_ERROR);
  const bool ours = reason == v1::ERROR_REASON_MODEL_LOADING || reason == v1::ERROR_REASON_MODEL_FAILED ||
                    reason == v1::ERROR_REASON_MODEL_NOT_FOUND;
  if (!ours) return ToClientError(refusal);
  ErrorDetails details{.reason = reason, .message = std::string(refusal.message()), .metadata = {{"model", model}}};
  if (const std::optional<absl::Duration> delay = RetryDelayOf(refusal)) {
    details.retry_after = std::clamp(*delay, kMinRetryDelay, kMaxRetryDelay);
  }
  return MakeError(details);
}

absl::Status FromJobError(const absl::Status& outcome, int steps_done, absl::Span<const int> failed_images) {
  absl::Status error = ToClientError(outcome);
  if (error.ok()) return error;
  error = WithMetadata(error, "steps_done", absl::StrCat(steps_done));
  if (failed_images.empty()) return error;
  return WithMetadata(error, "failed_images", absl::StrJoin(failed_images, ","));
}

absl::Status ToClientError(const absl::Status& status) {
  if (status.ok() || status.GetPayload(kDetailsUrl).has_value()) return status;
  const std::optional<std::string> name = ErrorReason(status);
  const std::optional<v1::ErrorReason> carried = name.has_value() ? ReasonFromName(*name) : std::nullopt;
  ErrorDetails details{.reason = carried.value_or(ReasonFromCode(status.code()))};
  std::string id = LoggedErrorId(status.message());
  if (id.empty() && details.reason == v1::ERROR_REASON_ENGINE_ERROR) {
    id = NewErrorId();
    const std::string cause = status.ToString();
    Log(LogLevel::kError, "internal error", {{"error_id", id}, {"cause", cause}});
  }
  if (!id.empty()) details.metadata.emplace_back("error_id", id);
  if (details.reason == v1::ERROR_REASON_ENGINE_ERROR)
    details.message = absl::StrCat("the server failed; error id ", id);
  return MakeError(details);
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const absl::Status error = ToClientError(status);
  const auto payload = error.GetPayload(kDetailsUrl);
  return grpc::Status(static_cast<grpc::StatusCode>(error.code()), std::string(error.message()),
                      payload.has_value() ? std::string(*payload) : std::string());
}

std::string ReasonOf(const absl::Status& status) {
  if (status.ok()) return "";
  return ErrorReason(status).value_or(ReasonName(ReasonFromCode(status.code())));
}

std::string_view CodeName(grpc::StatusCode code) {
  static constexpr std::array<std::string_view, 17> kNames = {
      "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
      "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
      "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
      "DATA_LOSS", "UNAUTHENTICATED"};
  const auto index = static_cast<size_t>(code);
  return index < kNames.size() ? kNames[index] : "UNKNOWN";
}

std::optional<std::string> RetryPushback(const absl::Status& status) {
  const std::optional<google::rpc::Status> details = DetailsOf(status);
  if (!details.has_value()) return std::nullopt;
  for (const google::protobuf::Any& any : details->details()) {
    google::rpc::RetryInfo retry;
    if (!any.UnpackTo(&retry)) continue;
    return absl::StrCat(retry.retry_delay().seconds() * 1000 + retry.retry_delay().nanos() / 1'000'000);
  }
  return std::nullopt;
}

std::string ReasonName(v1::ErrorReason reason) {
  return std::string(absl::StripPrefix(v1::ErrorReason_Name(reason), "ERROR_REASON_"));
}

}  // namespace stepcast

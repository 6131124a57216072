#include "clients/cli/call/exit_code.h"

#include <string>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace stepcast::cli {
namespace {

std::string_view CodeName(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::INVALID_ARGUMENT:
      return "invalid request";
    case grpc::StatusCode::NOT_FOUND:
      return "not found";
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return "server busy";
    case grpc::StatusCode::UNAVAILABLE:
      return "server unavailable";
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return "deadline exceeded";
    case grpc::StatusCode::CANCELLED:
      return "cancelled";
    case grpc::StatusCode::UNAUTHENTICATED:
      return "not let in";
    case grpc::StatusCode::PERMISSION_DENIED:
      return "not allowed";
    default:
      return "server error";
  }
}

}  // namespace

ExitCode ExitCodeOf(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::OK:
      return kOk;
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::NOT_FOUND:
    case grpc::StatusCode::UNAUTHENTICATED:
    case grpc::StatusCode::PERMISSION_DENIED:
      return kInvalidRequest;
    case grpc::StatusCode::UNAVAILABLE:
      return kUnavailable;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return kOverloaded;
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return kDeadline;
    case grpc::StatusCode::CANCELLED:
      return kInterrupted;
    default:
      return kFailed;
  }
}

std::string Describe(const grpc::Status& status) {
  std::string text(CodeName(status.error_code()));
  google::rpc::Status details;
  google::rpc::BadRequest bad_request;
  google::rpc::ErrorInfo info;
  google::rpc::RetryInfo retry;
  if (details.ParseFromString(status.error_details())) {
    for (const auto& any : details.details()) {
      any.UnpackTo(&bad_request) || any.UnpackTo(&info) || any.UnpackTo(&retry);
    }
  }
  if (!info.reason().empty()) text += " (" + info.reason() + ")";
  if (bad_request.field_violations().empty()) {
    if (!status.error_message().empty()) text += ": " + status.error_message();
  } else {
    for (const auto& violation : bad_request.field_violations()) {
      text += "\n  " + violation.field() + ": " + violation.description();
    }
  }
  if (retry.has_retry_delay()) {
    text += "\n  try again in " + std::to_string(retry.retry_delay().seconds() + 1) + " s";
  }
  return text;
}

}  // namespace stepcast::cli

#include "clients/cli/call/retries.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <utility>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace stepcast::cli {
namespace {

bool OneOf(const std::string& reason, std::initializer_list<const char*> reasons) {
  return std::any_of(reasons.begin(), reasons.end(), [&](const char* each) { return reason == each; });
}

// The server, or a proxy on the way to it, was cut off. gRPC's C++ library says CANCELLED to a call that arrives while
// it shuts down.
bool ConnectionLost(const Failure& failure) {
  if (!failure.reason.empty()) return false;
  const bool stopping = failure.code == grpc::StatusCode::CANCELLED && failure.message == "CANCELLED";
  return failure.code == grpc::StatusCode::UNAVAILABLE || stopping ||
         failure.message.find("RST_STREAM") != std::string::npos;
}

bool MayGoOn(const Failure& failure, bool started) {
  if (ConnectionLost(failure) || OneOf(failure.reason, {"DRAINING", "DEVICE_LOST"})) return true;
  return !started &&
         OneOf(failure.reason, {"MODEL_LOADING", "MODEL_FAILED", "QUEUE_FULL", "TENANT_LIMIT", "DEADLINE_UNREACHABLE"});
}

}  // namespace

Failure ToFailure(const grpc::Status& status) {
  Failure failure{.code = status.error_code(), .message = status.error_message()};
  google::rpc::Status details;
  google::rpc::BadRequest bad_request;
  google::rpc::ErrorInfo info;
  google::rpc::RetryInfo retry;
  if (!details.ParseFromString(status.error_details())) return failure;
  for (const auto& any : details.details()) {
    any.UnpackTo(&bad_request) || any.UnpackTo(&info) || any.UnpackTo(&retry);
  }
  failure.reason = info.reason();
  for (const auto& violation : bad_request.field_violations()) failure.fields.push_back(violation.field());
  if (retry.has_retry_delay()) {
    failure.retry_delay_s = static_cast<double>(retry.retry_delay().seconds()) + retry.retry_delay().nanos() / 1e9;
  }
  return failure;
}

bool TokenRefused(const Failure& failure) {
  return failure.reason == "RESUME_TOKEN_INVALID" || failure.fields == std::vector<std::string>{"resume_token"};
}

std::optional<double> Retries::After(const Failure& failure, bool started) {
  if (started && ConnectionLost(failure)) ++lost_;
  if (!MayGoOn(failure, started) || lost_ > kLost) return std::nullopt;
  if (started) {
    began_ = true;
    failures_ = 0;
  }
  if (failure.retry_delay_s >= 0) {
    asked_ = asked_ < 0 ? failure.retry_delay_s : std::min(asked_, failure.retry_delay_s);
  }
  index_ = (index_ + 1) % addresses_;
  if (++failures_ % addresses_ != 0) return 0;
  const int round = failures_ / addresses_;
  if (!began_ || round > kRounds || asked_ > kLongestAsked) return std::nullopt;
  const double wait = std::min(kFirstWait * std::exp2(round - 1), kLongestWait);
  return std::max(wait, std::exchange(asked_, -1));
}

}  // namespace stepcast::cli

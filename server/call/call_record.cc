#include "server/call/call_record.h"

#include <grpc/support/time.h>

#include <algorithm>
#include <optional>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "server/request/errors/status_mapping.h"
#include "server/telemetry/logging.h"

namespace stepcast {
namespace {

constexpr char kRequestIdKey[] = "x-request-id";
constexpr char kTraceKey[] = "traceparent";
constexpr size_t kMaxRequestIdBytes = 128;

std::vector<std::string_view> ValuesOf(const grpc::CallbackServerContext& context, const std::string& key) {
  std::vector<std::string_view> values;
  const auto [begin, end] = context.client_metadata().equal_range(key);
  for (auto it = begin; it != end; ++it) values.emplace_back(it->second.data(), it->second.size());
  return values;
}

std::string RequestId(const grpc::CallbackServerContext& context) {
  const std::vector<std::string_view> values = ValuesOf(context, kRequestIdKey);
  if (!values.empty() && std::count(values.begin(), values.end(), values.front()) == std::ssize(values)) {
    const std::string_view sent = values.front();
    const bool printable = std::all_of(sent.begin(), sent.end(), [](char c) { return c > ' ' && c < 0x7f; });
    if (!sent.empty() && sent.size() <= kMaxRequestIdBytes && printable) return std::string(sent);
  }
  thread_local absl::BitGen random;
  return absl::StrCat(absl::Hex(absl::Uniform<uint64_t>(random), absl::kZeroPad16));
}

// Two headers that differ are none.
TraceContext Trace(const grpc::CallbackServerContext& context) {
  const std::vector<std::string_view> values = ValuesOf(context, kTraceKey);
  return ContinueTrace(values.size() == 1 ? values.front() : std::string_view());
}

// gRPC's deadline, on gRPC's clock, becomes a time of ours: once, here.
absl::Time Deadline(const grpc::CallbackServerContext& context, absl::Duration default_deadline, absl::Time now) {
  const gpr_timespec raw = context.raw_deadline();
  if (gpr_time_cmp(raw, gpr_inf_future(raw.clock_type)) == 0) return now + default_deadline;
  const gpr_timespec left = gpr_time_sub(raw, gpr_now(raw.clock_type));
  return now + absl::Seconds(left.tv_sec) + absl::Nanoseconds(left.tv_nsec);
}

}  // namespace

CallRecord::CallRecord(std::string_view method, grpc::CallbackServerContext& context, const CallBooks& books,
                       absl::Duration default_deadline)
    : method_(method),
      context_(context),
      books_(books),
      arrival_(books.clock.Now()),
      deadline_(Deadline(context, default_deadline, arrival_)),
      request_id_(RequestId(context)),
      trace_(Trace(context)),
      caller_(books.gate.Admit(method, context.client_metadata())) {}

std::vector<std::string_view> CallRecord::Metadata(const std::string& key) const { return ValuesOf(context_, key); }

void CallRecord::WriteLine(const CallOutcome& outcome, std::string_view code, const std::string& reason,
                           absl::Duration duration) const {
  // The call may be gone when the line is written: it takes everything along.
  const auto write = [method = method_, code, reason, model = outcome.model,
                      tenant = caller_.ok() ? std::string(caller_->tenant()) : "",
                      token = caller_.ok() ? std::string(caller_->token()) : "", request_id = request_id_,
                      peer = context_.peer(), duration, bytes = outcome.bytes, trace = trace_,
                      prompt = outcome.prompt](const CallWork& work) {
    LogAccess({.method = method,
               .code = code,
               .reason = reason,
               .model = model,
               .tenant = tenant,
               .token = token,
               .request_id = request_id,
               .peer = peer,
               .duration = duration,
               .bytes = bytes,
               .trace_id = trace.trace_id,
               .span_id = trace.span_id,
               .work = work,
               .prompt = prompt});
  };
  outcome.late == nullptr ? write(outcome.work) : outcome.late->Await(write);
}

grpc::Status CallRecord::Finish(const CallOutcome& outcome) {
  grpc::Status status = ToGrpcStatus(outcome.status);
  const std::string reason = ReasonOf(outcome.status);
  const absl::Duration duration = books_.clock.Now() - arrival_;
  WriteLine(outcome, CodeName(status.error_code()), reason, duration);
  books_.metrics.CountCall({.method = method_,
                            .model = outcome.model,
                            .code = CodeName(status.error_code()),
                            .reason = reason,
                            .tenant = caller_.ok() ? std::string_view(caller_->tenant()) : "",
                            .admitted = outcome.admitted,
                            .duration = duration});
  context_.AddTrailingMetadata(kRequestIdKey, request_id_);
  context_.AddTrailingMetadata(kTraceKey, trace_.ToHeader());
  if (const std::optional<std::string> pushback = RetryPushback(outcome.status)) {
    context_.AddTrailingMetadata(std::string(kRetryPushbackTrailer), *pushback);
  }
  return status;
}

}  // namespace stepcast

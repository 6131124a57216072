#include "server/request/errors/status_mapping.h"

#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/error_reason.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"
#include "server/wire/text_limits.h"

namespace stepcast {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// What a client reads from an error.
struct Received {
  grpc::Status status;
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  google::rpc::BadRequest bad_request;
  google::rpc::RetryInfo retry;
  bool has_retry = false;
  google::rpc::QuotaFailure quota;

  std::string metadata(const std::string& key) const {
    const auto found = info.metadata().find(key);
    return found == info.metadata().end() ? "" : found->second;
  }
};

Received Receive(const absl::Status& error) {
  Received received;
  received.status = ToGrpcStatus(error);
  EXPECT_TRUE(received.details.ParseFromString(received.status.error_details()));
  for (const auto& any : received.details.details()) {
    const bool known = any.UnpackTo(&received.info) || any.UnpackTo(&received.bad_request) ||
                       any.UnpackTo(&received.quota) || (received.has_retry = any.UnpackTo(&received.retry));
    EXPECT_TRUE(known) << any.type_url();
  }
  EXPECT_EQ(received.details.code(), static_cast<int>(received.status.error_code()));
  EXPECT_EQ(received.details.message(), received.status.error_message());
  EXPECT_EQ(received.info.domain(), "stepcast.dev");
  return received;
}

TEST(StatusMappingTest, OkIsOk) {
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
  EXPECT_EQ(ToGrpcStatus(absl::OkStatus()).error_details(), "");
  EXPECT_TRUE(ToClientError(absl::OkStatus()).ok());
  EXPECT_TRUE(FromJobError(absl::OkStatus(), 3).ok());
  EXPECT_EQ(ReasonOf(absl::OkStatus()), "");
  EXPECT_EQ(RetryPushback(absl::OkStatus()), std::nullopt);
}

TEST(StatusMappingTest, EveryReasonHasItsCode) {
  const std::map<v1::ErrorReason, grpc::StatusCode> codes = {
      {v1::ERROR_REASON_FIELD_INVALID, grpc::StatusCode::INVALID_ARGUMENT},
      {v1::ERROR_REASON_MALFORMED_REQUEST, grpc::StatusCode::INVALID_ARGUMENT},
      {v1::ERROR_REASON_WORK_LIMIT, grpc::StatusCode::INVALID_ARGUMENT},
      {v1::ERROR_REASON_IMAGE_UNDECODABLE, grpc::StatusCode::INVALID_ARGUMENT},
      {v1::ERROR_REASON_IMAGE_TOO_LARGE, grpc::StatusCode::INVALID_ARGUMENT},
      {v1::ERROR_REASON_RESUME_TOKEN_INVALID, grpc::StatusCode::INVALID_ARGUMENT},
      {v1::ERROR_REASON_MODEL_NOT_FOUND, grpc::StatusCode::NOT_FOUND},
      {v1::ERROR_REASON_LORA_NOT_FOUND, grpc::StatusCode::NOT_FOUND},
      {v1::ERROR_REASON_QUEUE_FULL, grpc::StatusCode::RESOURCE_EXHAUSTED},
      {v1::ERROR_REASON_DEVICE_MEMORY, grpc::StatusCode::RESOURCE_EXHAUSTED},
      {v1::ERROR_REASON_TENANT_LIMIT, grpc::StatusCode::RESOURCE_EXHAUSTED},
      {v1::ERROR_REASON_DEADLINE_UNREACHABLE, grpc::StatusCode::RESOURCE_EXHAUSTED},
      {v1::ERROR_REASON_DRAINING, grpc::StatusCode::UNAVAILABLE},
      {v1::ERROR_REASON_DEVICE_LOST, grpc::StatusCode::UNAVAILABLE},
      {v1::ERROR_REASON_MODEL_LOADING, grpc::StatusCode::UNAVAILABLE},
      {v1::ERROR_REASON_MODEL_FAILED, grpc::StatusCode::UNAVAILABLE},
      {v1::ERROR_REASON_DEADLINE, grpc::StatusCode::DEADLINE_EXCEEDED},
      {v1::ERROR_REASON_CLIENT_CANCELLED, grpc::StatusCode::CANCELLED},
      {v1::ERROR_REASON_CLIENT_STALLED, grpc::StatusCode::CANCELLED},
      {v1::ERROR_REASON_NUMERIC_FAULT, grpc::StatusCode::INTERNAL},
      {v1::ERROR_REASON_ENGINE_ERROR, grpc::StatusCode::INTERNAL},
      {v1::ERROR_REASON_TOKEN_MISSING, grpc::StatusCode::UNAUTHENTICATED},
      {v1::ERROR_REASON_TOKEN_INVALID, grpc::StatusCode::UNAUTHENTICATED},
      {v1::ERROR_REASON_MODEL_FORBIDDEN, grpc::StatusCode::PERMISSION_DENIED},
      {v1::ERROR_REASON_METHOD_FORBIDDEN, grpc::StatusCode::PERMISSION_DENIED},
  };
  const google::protobuf::EnumDescriptor& reasons = *v1::ErrorReason_descriptor();
  EXPECT_EQ(static_cast<int>(codes.size()), reasons.value_count() - 1);
  for (const auto& [reason, code] : codes) {
    const Received received = Receive(MakeError({.reason = reason}));
    EXPECT_EQ(received.status.error_code(), code) << ReasonName(reason);
    EXPECT_EQ(received.info.reason(), ReasonName(reason));
    EXPECT_NE(received.status.error_message(), "") << ReasonName(reason);
    EXPECT_EQ(ReasonOf(MakeError({.reason = reason})), ReasonName(reason));
  }
}

TEST(StatusMappingTest, EveryReasonIsDocumented) {
  std::ifstream file(std::string(STEPCAST_SOURCE_DIR) + "/docs/errors.md");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const google::protobuf::EnumDescriptor& reasons = *v1::ErrorReason_descriptor();
  for (int i = 1; i < reasons.value_count(); ++i) {
    const auto reason = static_cast<v1::ErrorReason>(reasons.value(i)->number());
    EXPECT_THAT(text, HasSubstr(absl::StrCat("\n## ", ReasonName(reason), "\n")));
    const std::string code(CodeName(ToGrpcStatus(MakeError({.reason = reason})).error_code()));
    EXPECT_THAT(text, HasSubstr(absl::StrCat(") | ", code, " |"))) << ReasonName(reason);
  }
}

TEST(StatusMappingTest, CarriesAllDetails) {
  const absl::Status error = MakeError({.reason = v1::ERROR_REASON_FIELD_INVALID,
                                        .message = "two fields are wrong",
                                        .metadata = {{"fields", "width,preview.format"}},
                                        .violations = {{"width", "got 1"}, {"preview.format", "got 9"}},
                                        .retry_after = absl::Milliseconds(1250)});
  const Received received = Receive(error);
  EXPECT_EQ(received.status.error_message(), "two fields are wrong");
  EXPECT_EQ(received.metadata("fields"), "width,preview.format");
  ASSERT_EQ(received.bad_request.field_violations_size(), 2);
  EXPECT_EQ(received.bad_request.field_violations(1).field(), "preview.format");
  EXPECT_EQ(received.bad_request.field_violations(1).description(), "got 9");
  EXPECT_EQ(received.retry.retry_delay().seconds(), 1);
  EXPECT_EQ(received.retry.retry_delay().nanos(), 250'000'000);
  EXPECT_EQ(RetryPushback(error), "1250");
}

TEST(StatusMappingTest, KeepsDetailsBelow4KiB) {
  const struct {
    size_t violations;
    size_t bytes;
  } rows[] = {{1, 100}, {1, 100'000}, {30, 40}, {30, 5'000}, {500, 5'000}, {5'000, 10}};
  for (const auto& row : rows) {
    ErrorDetails details{.reason = v1::ERROR_REASON_FIELD_INVALID, .message = std::string(row.bytes * 3, 'm')};
    details.metadata = {{"fields", std::string(row.bytes, 'f')}};
    for (size_t i = 0; i < row.violations; ++i) details.violations.push_back({"field", std::string(row.bytes, 'v')});
    const Received received = Receive(MakeError(details));
    EXPECT_LT(received.status.error_details().size(), 4096u) << row.violations << " x " << row.bytes;
    EXPECT_LE(received.status.error_message().size(), 512u);
    EXPECT_EQ(received.info.reason(), "FIELD_INVALID");
    const int shown = received.bad_request.field_violations_size();
    EXPECT_GE(shown, 1);
    const std::string left_out = received.metadata("violations_left_out");
    EXPECT_EQ(left_out, static_cast<size_t>(shown) == row.violations ? "" : absl::StrCat(row.violations - shown));
  }
}

TEST(StatusMappingTest, CutTextStaysUtf8) {
  std::string umlauts;
  for (int i = 0; i < 1000; ++i) umlauts += "\xC3\xBC";
  const Received received = Receive(MakeError({.reason = v1::ERROR_REASON_FIELD_INVALID,
                                               .message = "x" + umlauts,
                                               .metadata = {{"fields", "x" + umlauts}},
                                               .violations = {{"x" + umlauts, "x" + umlauts}}}));
  EXPECT_EQ(FindInvalidUtf8(received.status.error_message()), std::string::npos);
  EXPECT_EQ(FindInvalidUtf8(received.metadata("fields")), std::string::npos);
  EXPECT_EQ(FindInvalidUtf8(received.bad_request.field_violations(0).description()), std::string::npos);
  EXPECT_EQ(FindInvalidUtf8(received.bad_request.field_violations(0).field()), std::string::npos);
}

TEST(StatusMappingTest, TellsNothingOfUnknownErrors) {
  const absl::Status causes[] = {
      absl::InternalError("mat1 and mat2 shapes cannot be multiplied (2x77 and 128x320) at /opt/x.cpp:12 0x7f00"),
      absl::UnknownError("/opt/x.cpp 2x77 0x7f00"),
      absl::InvalidArgumentError("/opt/x.cpp 2x77 0x7f00"),
      absl::NotFoundError("/opt/x.cpp 2x77 0x7f00"),
      absl::FailedPreconditionError("/opt/x.cpp 2x77 0x7f00"),
      WithReason(absl::InternalError("/opt/x.cpp 2x77 0x7f00"), "NO_SUCH_REASON"),
      WithReason(absl::InternalError("/opt/x.cpp 2x77 0x7f00"), "ENGINE_ERROR"),
  };
  for (const absl::Status& cause : causes) {
    const Received received = Receive(cause);
    EXPECT_EQ(received.status.error_code(), grpc::StatusCode::INTERNAL) << cause;
    EXPECT_EQ(received.info.reason(), "ENGINE_ERROR") << cause;
    EXPECT_EQ(received.info.metadata_size(), 1) << cause;
    EXPECT_EQ(received.metadata("error_id").size(), 16u) << cause;
    EXPECT_EQ(received.status.error_message(), "the server failed; error id " + received.metadata("error_id"));
    for (const char* secret : {"/opt", "2x77", "0x7f00"}) {
      EXPECT_THAT(received.status.error_details(), Not(HasSubstr(secret))) << cause;
    }
  }
}

TEST(StatusMappingTest, ErrorIdsDiffer) {
  const absl::Status cause = absl::InternalError("x");
  EXPECT_NE(Receive(cause).metadata("error_id"), Receive(cause).metadata("error_id"));
}

TEST(StatusMappingTest, KeepsTheIdUnderWhichTheEngineLogged) {
  const absl::Status failed =
      WithReason(absl::InternalError("the engine failed in denoise (error id 0123456789abcdef)"), "ENGINE_ERROR");
  EXPECT_EQ(Receive(failed).metadata("error_id"), "0123456789abcdef");
  const absl::Status memory = WithReason(
      absl::ResourceExhaustedError("out of memory in denoise (error id 0123456789abcdef); try again"), "DEVICE_MEMORY");
  EXPECT_EQ(Receive(memory).info.reason(), "DEVICE_MEMORY");
  EXPECT_EQ(Receive(memory).metadata("error_id"), "0123456789abcdef");
  // Something that only looks like an id is none.
  const absl::Status odd = absl::InternalError("(error id /opt/secret/path)");
  EXPECT_THAT(Receive(odd).status.error_details(), Not(HasSubstr("secret")));
}

TEST(StatusMappingTest, EngineStatuses) {
  const struct {
    absl::Status status;
    grpc::StatusCode code;
    std::string reason;
  } rows[] = {
      {absl::CancelledError("x"), grpc::StatusCode::CANCELLED, "CLIENT_CANCELLED"},
      {absl::DeadlineExceededError("x"), grpc::StatusCode::DEADLINE_EXCEEDED, "DEADLINE"},
      {absl::UnavailableError("x"), grpc::StatusCode::UNAVAILABLE, "DRAINING"},
      {WithReason(absl::UnavailableError("x"), "DEVICE_LOST"), grpc::StatusCode::UNAVAILABLE, "DEVICE_LOST"},
      {WithReason(absl::InternalError("x"), "NUMERIC_FAULT"), grpc::StatusCode::INTERNAL, "NUMERIC_FAULT"},
      {WithReason(absl::ResourceExhaustedError("x"), "DEVICE_MEMORY"), grpc::StatusCode::RESOURCE_EXHAUSTED,
       "DEVICE_MEMORY"},
      {absl::InternalError("x"), grpc::StatusCode::INTERNAL, "ENGINE_ERROR"},
  };
  for (const auto& row : rows) {
    const absl::Status error = FromJobError(row.status, 7);
    const Received received = Receive(error);
    EXPECT_EQ(received.status.error_code(), row.code) << row.status;
    EXPECT_EQ(received.info.reason(), row.reason) << row.status;
    EXPECT_EQ(received.metadata("steps_done"), "7") << row.status;
    EXPECT_EQ(received.metadata("failed_images"), "") << row.status;
    EXPECT_FALSE(received.has_retry) << row.status;
    EXPECT_EQ(RetryPushback(error), std::nullopt) << row.status;
    EXPECT_EQ(ReasonOf(row.status), row.reason) << row.status;
  }
}

TEST(StatusMappingTest, NamesTheImagesThatFailed) {
  const int failed[] = {1, 3};
  EXPECT_EQ(Receive(FromJobError(absl::InternalError("x"), 2, failed)).metadata("failed_images"), "1,3");
}

TEST(StatusMappingTest, AdmissionRefusals) {
  const auto refuse = [](const char* reason, absl::Duration delay) {
    return WithRetryDelay(WithReason(absl::ResourceExhaustedError("8 of 8"), reason), delay);
  };
  const absl::Status no_reason = absl::ResourceExhaustedError("64 of 64");
  const struct {
    absl::Status refusal;
    std::string reason;
    std::string pushback;
    std::string subject;
  } rows[] = {
      {no_reason, "QUEUE_FULL", "2500", ""},
      {WithReason(no_reason, "QUEUE_FULL"), "QUEUE_FULL", "2500", ""},
      {refuse("QUEUE_FULL", absl::Seconds(4)), "QUEUE_FULL", "4000", ""},
      {refuse("DEADLINE_UNREACHABLE", absl::Milliseconds(1500)), "DEADLINE_UNREACHABLE", "1500", ""},
      {refuse("TENANT_LIMIT", absl::Seconds(3)), "TENANT_LIMIT", "3000", "tenant:acme"},
      {refuse("QUEUE_FULL", absl::ZeroDuration()), "QUEUE_FULL", "100", ""},
      {refuse("QUEUE_FULL", absl::Hours(20)), "QUEUE_FULL", "600000", ""},
  };
  for (const auto& row : rows) {
    const absl::Status error =
        FromAdmissionError(row.refusal, {.tenant = "acme", .retry_after = absl::Milliseconds(2500)});
    const Received received = Receive(error);
    EXPECT_EQ(received.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << row.refusal;
    EXPECT_EQ(received.status.error_message(), std::string(row.refusal.message()));
    EXPECT_EQ(received.info.reason(), row.reason) << row.refusal;
    EXPECT_EQ(RetryPushback(error), row.pushback) << row.refusal;
    EXPECT_TRUE(received.has_retry);
    EXPECT_EQ(received.metadata("tenant"), row.subject.empty() ? "" : "acme");
    ASSERT_EQ(received.quota.violations_size(), row.subject.empty() ? 0 : 1) << row.refusal;
    if (row.subject.empty()) continue;
    EXPECT_EQ(received.quota.violations(0).subject(), row.subject);
    EXPECT_EQ(received.quota.violations(0).description(), "8 of 8");
  }
}

TEST(StatusMappingTest, OtherRefusalsAreNoMatterOfRoom) {
  const absl::Status draining = FromAdmissionError(absl::UnavailableError("draining"), {});
  EXPECT_EQ(Receive(draining).info.reason(), "DRAINING");
  EXPECT_EQ(RetryPushback(draining), std::nullopt);
  EXPECT_EQ(Receive(FromAdmissionError(absl::DeadlineExceededError("late"), {})).info.reason(), "DEADLINE");
}

TEST(StatusMappingTest, CompileRefusalsNameTheField) {
  const absl::Status error =
      FromCompileError(absl::InvalidArgumentError("sigma_schedule: LU does not go with EULER; allowed are DEFAULT"));
  const Received received = Receive(error);
  EXPECT_EQ(received.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(received.info.reason(), "FIELD_INVALID");
  EXPECT_EQ(received.metadata("fields"), "sigma_schedule");
  ASSERT_EQ(received.bad_request.field_violations_size(), 1);
  EXPECT_EQ(received.bad_request.field_violations(0).field(), "sigma_schedule");
  EXPECT_EQ(received.bad_request.field_violations(0).description(), "LU does not go with EULER; allowed are DEFAULT");
  for (const std::string field : {"sampler_options.s_noise", "sampler_options.langevin.epsilon", "timestep_spacing"}) {
    const absl::Status inner = FromCompileError(absl::InvalidArgumentError(field + ": with it, EULER is not finite"));
    EXPECT_EQ(ReasonOf(inner), "FIELD_INVALID") << field;
    EXPECT_THAT(std::string(inner.message()), testing::StartsWith(field));
  }
  for (const char* other : {"sampler_options.wrong: x", "steps.count: x", "sampler_options.: x", ".steps: x"}) {
    EXPECT_EQ(FromCompileError(absl::InvalidArgumentError(other)), absl::InvalidArgumentError(other));
  }
  // A model's own broken schedule is no field of the request.
  const absl::Status model = FromCompileError(absl::InvalidArgumentError("scheduler_config.json: beta_start is 7"));
  EXPECT_EQ(Receive(model).info.reason(), "ENGINE_ERROR");
  EXPECT_EQ(FromCompileError(absl::InternalError("x")), absl::InternalError("x"));
}

TEST(StatusMappingTest, MadeErrorsPassUnchanged) {
  const absl::Status made = MakeError({.reason = v1::ERROR_REASON_WORK_LIMIT, .message = "too much"});
  EXPECT_EQ(ToClientError(made), made);
  EXPECT_EQ(FromAdmissionError(made, {}).message(), "too much");
}

TEST(StatusMappingTest, CodeNames) {
  EXPECT_EQ(CodeName(grpc::StatusCode::OK), "OK");
  EXPECT_EQ(CodeName(grpc::StatusCode::RESOURCE_EXHAUSTED), "RESOURCE_EXHAUSTED");
  EXPECT_EQ(CodeName(grpc::StatusCode::UNAUTHENTICATED), "UNAUTHENTICATED");
  EXPECT_EQ(CodeName(grpc::StatusCode::DO_NOT_USE), "UNKNOWN");
}

}  // namespace
}  // namespace stepcast

// The command line's pure functions: names of files, bars, exit codes.

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "clients/cli/call/exit_code.h"
#include "clients/cli/views/progress_bar.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace stepcast::cli {
namespace {

using testing::HasSubstr;

TEST(ExitCodeTest, ScriptsRelyOnThese) {
  const struct {
    grpc::StatusCode code;
    int exit;
  } rows[] = {{grpc::StatusCode::OK, 0},
              {grpc::StatusCode::INTERNAL, 1},
              {grpc::StatusCode::UNIMPLEMENTED, 1},
              {grpc::StatusCode::INVALID_ARGUMENT, 3},
              {grpc::StatusCode::NOT_FOUND, 3},
              {grpc::StatusCode::UNAVAILABLE, 4},
              {grpc::StatusCode::RESOURCE_EXHAUSTED, 5},
              {grpc::StatusCode::DEADLINE_EXCEEDED, 6},
              {grpc::StatusCode::CANCELLED, 130}};
  for (const auto& row : rows) EXPECT_EQ(ExitCodeOf(grpc::Status(row.code, "")), row.exit) << row.code;
}

TEST(DescribeTest, TellsReasonFieldsAndWhenToComeBack) {
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  info.set_reason("DEADLINE_UNREACHABLE");
  details.add_details()->PackFrom(info);
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(3);
  details.add_details()->PackFrom(retry);
  const std::string late =
      Describe(grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "too late", details.SerializeAsString()));
  EXPECT_THAT(late, HasSubstr("(DEADLINE_UNREACHABLE): too late"));
  EXPECT_THAT(late, HasSubstr("try again in 4 s"));

  google::rpc::BadRequest bad_request;
  auto* violation = bad_request.add_field_violations();
  violation->set_field("width");
  violation->set_description("got 65");
  details.add_details()->PackFrom(bad_request);
  EXPECT_THAT(Describe(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "x", details.SerializeAsString())),
              HasSubstr("\n  width: got 65"));
  EXPECT_EQ(Describe(grpc::Status(grpc::StatusCode::UNAVAILABLE, "")), "server unavailable");
}

TEST(ProgressBarTest, ShowsHowFarOrHowManyAreAhead) {
  EXPECT_EQ(RenderBar(0, 20, 3, -1), "waiting, 3 ahead");
  EXPECT_EQ(RenderBar(7, 20, 0, 2.1), "[#########-------------------]  35 %  7/20  2.1 s left");
  EXPECT_EQ(RenderBar(20, 20, 0, -1), "[############################] 100 %  20/20");
  EXPECT_EQ(RenderBar(0, 0, 0, -1), "[----------------------------]   0 %  0/0");
}

}  // namespace
}  // namespace stepcast::cli

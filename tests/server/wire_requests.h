#pragma once
// Requests in text form and what a validator says of them.

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "google/protobuf/text_format.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"
#include "server/request/errors/status_mapping.h"
#include "stepcast/v1/image_generation.pb.h"

namespace stepcast {

// A request from text: `prompt: "a" steps: 3`.
inline v1::GenerateRequest Wire(const std::string& text) {
  v1::GenerateRequest request;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request)) << text;
  return request;
}

// "field: description" of each violation that a client sees in `error`.
inline std::vector<std::string> ViolationsOf(const absl::Status& error) {
  google::rpc::Status details;
  details.ParseFromString(ToGrpcStatus(error).error_details());
  std::vector<std::string> violations;
  google::rpc::BadRequest bad_request;
  for (const auto& any : details.details()) {
    if (!any.UnpackTo(&bad_request)) continue;
    for (const auto& violation : bad_request.field_violations()) {
      violations.push_back(violation.field() + ": " + violation.description());
    }
  }
  return violations;
}

}  // namespace stepcast

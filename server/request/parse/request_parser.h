#pragma once
// From bytes to a message, for methods that take raw bytes because the gRPC library answers a malformed message with an
// UNIMPLEMENTED that says nothing.

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "grpcpp/support/byte_buffer.h"

namespace stepcast {

// Parses `bytes` into `message`.
//
// Time and memory are linear in the bytes, whatever they are: some ten nanoseconds and at most six bytes for each.
//
// Errors, made by MakeError: FIELD_INVALID naming the string fields that are not UTF-8, or the first of more than a few
// fields that the message type lacks; MALFORMED_REQUEST for anything else that is no message.
absl::Status ParseRequest(std::string_view bytes, google::protobuf::Message& message);

// As above, from what gRPC received. Errors besides: WORK_LIMIT for more than `max_bytes`, which clients find in
// `source`, if anywhere.
absl::Status ParseRequest(const grpc::ByteBuffer& bytes, int64_t max_bytes, google::protobuf::Message& message,
                          absl::string_view source = {});

}  // namespace stepcast

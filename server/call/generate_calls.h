#pragma once
// The two calls that paint, as gRPC sees them: a reactor each, which lives from receipt to OnDone and lends itself to a
// GenerationStream as its transport.

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_callback.h"
#include "server/call/call_record.h"
#include "server/call/generation_stream.h"
#include "server/call/live_calls.h"
#include "server/call/upload.h"

namespace stepcast {

// A call that was read and checked.
struct CallStart {
  grpc::CallbackServerContext& context;
  std::unique_ptr<CallRecord> record;
  LiveCalls& live;
  std::string model;                         // for the records of a refused call; "" when it names none that exists
  absl::StatusOr<StreamRequest> request;     // an error refuses the call: trailers only, no message; see `upload`
  const StreamServices* services = nullptr;  // REQUIRES: set when `request` is OK or to come
  bool validate_only = false;
  // What makes the request on a thread of `uploads`; null: `request` tells already.
  Upload::Work upload = nullptr;
  CodecPool* uploads = nullptr;
};

// Streams what happens.
grpc::ServerWriteReactor<grpc::ByteBuffer>* AnswerGenerate(CallStart start);

// Collects the pictures and answers once, into `response`.
grpc::ServerUnaryReactor* AnswerGenerateImage(CallStart start, grpc::ByteBuffer& response);

// Serializes `message` into `bytes`: one copy.
void ToBytes(const google::protobuf::MessageLite& message, grpc::ByteBuffer& bytes);

}  // namespace stepcast

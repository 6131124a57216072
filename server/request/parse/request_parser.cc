#include "server/request/parse/request_parser.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "grpcpp/support/proto_buffer_reader.h"
#include "server/request/errors/status_mapping.h"
#include "server/request/parse/wire_scan.h"

namespace stepcast {
namespace {

// Values of unknown fields that are left to the parser, and to the validator to tell beside what else is wrong. Each
// costs the parser up to 64 bytes, so that many are refused unparsed.
constexpr int64_t kMaxUnknownValues = 64;

// Parses what `open()` gives, a stream from the first byte on: looked over, then read.
template <typename Open>
absl::Status Parse(int64_t size, const Open& open, google::protobuf::Message& message) {
  if (size <= INT32_MAX) {
    auto scanned = open();
    const WireFindings findings = ScanWire(scanned, size, *message.GetDescriptor());
    if (findings.well_formed && findings.unknown_values > kMaxUnknownValues) return findings.unknown.ToStatus();
    if (findings.well_formed) {
      auto stream = open();
      if (message.ParseFromZeroCopyStream(&stream)) return absl::OkStatus();
    }
    if (findings.well_formed && !findings.bad_strings.empty()) return findings.bad_strings.ToStatus();
  }
  return MakeError({.reason = v1::ERROR_REASON_MALFORMED_REQUEST,
                    .message = absl::StrCat("the ", size, " bytes of the request are no valid ",
                                            message.GetDescriptor()->full_name())});
}

}  // namespace

absl::Status ParseRequest(std::string_view bytes, google::protobuf::Message& message) {
  const auto open = [bytes] {
    return google::protobuf::io::ArrayInputStream(bytes.data(), static_cast<int>(bytes.size()));
  };
  return Parse(static_cast<int64_t>(bytes.size()), open, message);
}

absl::Status ParseRequest(const grpc::ByteBuffer& bytes, int64_t max_bytes, google::protobuf::Message& message,
                          absl::string_view source) {
  const auto size = static_cast<int64_t>(bytes.Length());
  if (size > max_bytes) {
    return MakeError(
        {.reason = v1::ERROR_REASON_WORK_LIMIT,
         .message = absl::StrCat("the request has ", size, " bytes; allowed: ", max_bytes,
                                 source.empty() ? " of this method" : ", see ", source),
         .metadata = {{"request_bytes", absl::StrCat(size)}, {"max_request_bytes", absl::StrCat(max_bytes)}}});
  }
  grpc::ByteBuffer slices = bytes;  // shares them; gRPC's reader wants one that is not const
  if (!slices.Valid()) return MakeError({.reason = v1::ERROR_REASON_MALFORMED_REQUEST});
  // From slice to field: a picture is copied once.
  return Parse(size, [&slices] { return grpc::ProtoBufferReader(&slices); }, message);
}

}  // namespace stepcast

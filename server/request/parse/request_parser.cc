#include "server/request/parse/request_parser.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "grpcpp/support/slice.h"
#include "server/request/errors/status_mapping.h"
#include "server/request/parse/wire_scan.h"

namespace stepcast {
namespace {

// Values of unknown fields that are left to the parser, and to the validator to tell beside what else is wrong. Each
// costs the parser up to 64 bytes, so that many are refused unparsed.
constexpr int64_t kMaxUnknownValues = 64;

}  // namespace

absl::Status ParseRequest(std::string_view bytes, google::protobuf::Message& message) {
  if (bytes.size() <= INT32_MAX) {
    const WireFindings findings = ScanWire(bytes, *message.GetDescriptor());
    if (findings.well_formed && findings.unknown_values > kMaxUnknownValues) return findings.unknown.ToStatus();
    const bool few = findings.unknown_values <= kMaxUnknownValues;
    if (few && message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return absl::OkStatus();
    if (findings.well_formed && !findings.bad_strings.empty()) return findings.bad_strings.ToStatus();
  }
  return MakeError({.reason = v1::ERROR_REASON_MALFORMED_REQUEST,
                    .message = absl::StrCat("the ", bytes.size(), " bytes of the request are no valid ",
                                            message.GetDescriptor()->full_name())});
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
  grpc::Slice slice;
  // One slice in the common case: no copy.
  if (!bytes.TrySingleSlice(&slice).ok()) {
    if (!bytes.DumpToSingleSlice(&slice).ok()) return MakeError({.reason = v1::ERROR_REASON_MALFORMED_REQUEST});
  }
  return ParseRequest({reinterpret_cast<const char*>(slice.begin()), slice.size()}, message);
}

}  // namespace stepcast

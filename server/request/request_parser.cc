#include "server/request/request_parser.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/unknown_field_set.h"
#include "grpcpp/support/slice.h"
#include "server/request/field_violations.h"
#include "server/wire/text_limits.h"

namespace stepcast {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::UnknownField;
using google::protobuf::UnknownFieldSet;

// Messages within messages that are followed; the contract has two levels.
constexpr int kMaxDepth = 8;

// Finds the string fields of a message that did not parse that are not UTF-8. Read as unknown fields, bytes have no
// types to violate.
void FindBadStrings(std::string_view bytes, const Descriptor& type, const std::string& prefix,
                    FieldViolations& violations) {
  UnknownFieldSet fields;
  if (!fields.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  for (int i = 0; i < fields.field_count(); ++i) {
    if (fields.field(i).type() != UnknownField::TYPE_LENGTH_DELIMITED) continue;
    const FieldDescriptor* field = type.FindFieldByNumber(fields.field(i).number());
    if (field == nullptr) continue;
    const std::string& value = fields.field(i).length_delimited();
    const std::string path = absl::StrCat(prefix, field->name());
    const bool deeper = std::count(path.begin(), path.end(), '.') < kMaxDepth;
    if (field->type() == FieldDescriptor::TYPE_MESSAGE && deeper) {
      FindBadStrings(value, *field->message_type(), absl::StrCat(path, "."), violations);
    }
    if (field->type() != FieldDescriptor::TYPE_STRING || violations.Has(path)) continue;
    const size_t invalid = FindInvalidUtf8(value);
    if (invalid == std::string::npos) continue;
    violations.Add(path, absl::StrCat("a byte that is not UTF-8 at offset ", invalid), "valid UTF-8");
  }
}

}  // namespace

absl::Status ParseRequest(std::string_view bytes, google::protobuf::Message& message) {
  if (bytes.size() <= INT32_MAX) {
    if (message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return absl::OkStatus();
    FieldViolations violations;
    FindBadStrings(bytes, *message.GetDescriptor(), "", violations);
    if (!violations.empty()) return violations.ToStatus();
  }
  return MakeError({.reason = v1::ERROR_REASON_MALFORMED_REQUEST,
                    .message = absl::StrCat("the ", bytes.size(), " bytes of the request are no valid ",
                                            message.GetDescriptor()->full_name())});
}

absl::Status ParseRequest(const grpc::ByteBuffer& bytes, int64_t max_bytes, google::protobuf::Message& message) {
  const auto size = static_cast<int64_t>(bytes.Length());
  if (size > max_bytes) {
    return MakeError(
        {.reason = v1::ERROR_REASON_WORK_LIMIT,
         .message = absl::StrCat("the request has ", size, " bytes; allowed: ", max_bytes,
                                 ", see ServerLimits.max_request_bytes of GetServerInfo"),
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

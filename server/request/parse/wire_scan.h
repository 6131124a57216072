#pragma once
// Looks over the bytes of a message before they are parsed: a parser allocates for every value that it does not know.

#include <cstdint>
#include <string_view>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/zero_copy_stream.h"
#include "server/request/errors/field_violations.h"

namespace stepcast {

struct WireFindings {
  bool well_formed = false;          // whether keys, sizes and groups fit together, at the first level at least
  int64_t unknown_values = 0;        // of fields that the message type lacks
  FieldViolations unknown = {};      // those fields
  FieldViolations bad_strings = {};  // strings that are not UTF-8, each field once
};

// Goes once over `stream`, whose `bytes` bytes claim to be a `type`, and into its messages. A field whose wire type is
// not that of the declared one counts as unknown, as it does for the parser. Fields of bytes are passed over unread.
//
// Time: linear, whatever the bytes are. Memory: a few names, and the longest text. REQUIRES: bytes <= INT32_MAX.
WireFindings ScanWire(google::protobuf::io::ZeroCopyInputStream& stream, int64_t bytes,
                      const google::protobuf::Descriptor& type);
WireFindings ScanWire(std::string_view bytes, const google::protobuf::Descriptor& type);

}  // namespace stepcast

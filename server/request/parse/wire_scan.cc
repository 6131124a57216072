#include "server/request/parse/wire_scan.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/wire_format.h"
#include "google/protobuf/wire_format_lite.h"
#include "server/wire/text_limits.h"

namespace stepcast {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::internal::WireFormat;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

// Messages within messages that are followed; the contract has two levels.
constexpr int kMaxDepth = 8;

// Where the scan stands. Spelled out only when there is something to say.
struct Place {
  const Place* parent = nullptr;
  const FieldDescriptor* field = nullptr;
  int depth = 0;

  std::string Prefix() const { return parent == nullptr ? "" : absl::StrCat(parent->Prefix(), field->name(), "."); }
};

// Whether a parser takes a value of `wire_type` for `field`.
bool Takes(const FieldDescriptor& field, WireFormatLite::WireType wire_type) {
  if (WireFormat::WireTypeForFieldType(field.type()) == wire_type) return true;
  return field.is_packable() && wire_type == WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
}

class Scanner {
 public:
  Scanner(CodedInputStream& input, int64_t bytes) : input_(input), bytes_(bytes) {}

  // Whether all up to the end, or to the limit, could be read.
  bool Scan(const Descriptor& type, const Place& place) {
    while (const uint32_t tag = input_.ReadTag()) {
      const WireFormatLite::WireType wire_type = WireFormatLite::GetTagWireType(tag);
      const int number = WireFormatLite::GetTagFieldNumber(tag);
      const FieldDescriptor* field = number == 0 ? nullptr : type.FindFieldByNumber(number);
      if (field != nullptr && !Takes(*field, wire_type)) field = nullptr;
      if (field == nullptr) {
        ++findings.unknown_values;
        findings.unknown.AddUnknown(place.Prefix(), number);
      }
      const bool looks = field != nullptr && wire_type == WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
      if (!(looks ? Look(*field, place) : WireFormatLite::SkipField(&input_, tag))) return false;
    }
    return input_.ConsumedEntireMessage();
  }

  WireFindings findings;

 private:
  // Goes over a value that begins with its size; whether all of it is there.
  bool Look(const FieldDescriptor& field, const Place& place) {
    int size = 0;
    if (!input_.ReadVarintSizeAsInt(&size)) return false;
    // A reader would make room for as much as is claimed.
    if (size > bytes_ - input_.CurrentPosition()) return false;
    if (field.type() == FieldDescriptor::TYPE_MESSAGE && place.depth < kMaxDepth) return LookInto(field, size, place);
    // Of bytes, which may be a whole picture, nothing is read.
    if (field.type() != FieldDescriptor::TYPE_STRING) return input_.Skip(size);
    if (!input_.ReadString(&text_, size)) return false;
    const size_t invalid = FindInvalidUtf8(text_);
    if (invalid == std::string::npos) return true;
    const std::string path = absl::StrCat(place.Prefix(), field.name());
    if (findings.bad_strings.Has(path)) return true;
    findings.bad_strings.Add(path, absl::StrCat("a byte that is not UTF-8 at offset ", invalid), "valid UTF-8");
    return true;
  }

  // What is wrong within a message is left to the parser; the scan goes on behind it.
  bool LookInto(const FieldDescriptor& field, int size, const Place& place) {
    const int end = input_.CurrentPosition() + size;
    const CodedInputStream::Limit limit = input_.PushLimit(size);
    Scan(*field.message_type(), {&place, &field, place.depth + 1});
    const int left = input_.BytesUntilLimit();
    const bool whole = input_.Skip(std::max(left, 0)) && input_.CurrentPosition() == end;
    input_.PopLimit(limit);
    return whole;
  }

  CodedInputStream& input_;
  const int64_t bytes_;  // of all
  std::string text_;     // kept, so that many texts are one allocation
};

}  // namespace

WireFindings ScanWire(google::protobuf::io::ZeroCopyInputStream& stream, int64_t bytes, const Descriptor& type) {
  CodedInputStream input(&stream);
  Scanner scanner(input, bytes);
  scanner.findings.well_formed = scanner.Scan(type, {});
  return std::move(scanner.findings);
}

WireFindings ScanWire(std::string_view bytes, const Descriptor& type) {
  google::protobuf::io::ArrayInputStream stream(bytes.data(), static_cast<int>(bytes.size()));
  return ScanWire(stream, static_cast<int64_t>(bytes.size()), type);
}

}  // namespace stepcast

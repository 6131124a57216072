#include "server/request/parse/wire_scan.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/io/coded_stream.h"
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
  // Whether all of `bytes` could be read.
  bool Scan(std::string_view bytes, const Descriptor& type, const Place& place) {
    CodedInputStream input(reinterpret_cast<const uint8_t*>(bytes.data()), static_cast<int>(bytes.size()));
    while (const uint32_t tag = input.ReadTag()) {
      const WireFormatLite::WireType wire_type = WireFormatLite::GetTagWireType(tag);
      const int number = WireFormatLite::GetTagFieldNumber(tag);
      const FieldDescriptor* field = number == 0 ? nullptr : type.FindFieldByNumber(number);
      if (field != nullptr && !Takes(*field, wire_type)) field = nullptr;
      const auto before = static_cast<size_t>(input.CurrentPosition());
      if (!WireFormatLite::SkipField(&input, tag)) return false;
      if (field == nullptr) {
        ++findings.unknown_values;
        findings.unknown.AddUnknown(place.Prefix(), number);
      } else if (wire_type == WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
        const std::string_view value = bytes.substr(before, static_cast<size_t>(input.CurrentPosition()) - before);
        Look(value, *field, place);
      }
    }
    return input.ConsumedEntireMessage();
  }

  WireFindings findings;

 private:
  // `value` begins with its size.
  void Look(std::string_view value, const FieldDescriptor& field, const Place& place) {
    while (!value.empty() && (static_cast<unsigned char>(value.front()) & 0x80) != 0) value.remove_prefix(1);
    if (!value.empty()) value.remove_prefix(1);
    if (field.type() == FieldDescriptor::TYPE_MESSAGE && place.depth < kMaxDepth) {
      Scan(value, *field.message_type(), {&place, &field, place.depth + 1});
    }
    if (field.type() != FieldDescriptor::TYPE_STRING) return;
    const size_t invalid = FindInvalidUtf8({value.data(), value.size()});
    if (invalid == std::string::npos) return;
    const std::string path = absl::StrCat(place.Prefix(), field.name());
    if (findings.bad_strings.Has(path)) return;
    findings.bad_strings.Add(path, absl::StrCat("a byte that is not UTF-8 at offset ", invalid), "valid UTF-8");
  }
};

}  // namespace

WireFindings ScanWire(std::string_view bytes, const Descriptor& type) {
  Scanner scanner;
  scanner.findings.well_formed = scanner.Scan(bytes, type, {});
  return std::move(scanner.findings);
}

}  // namespace stepcast

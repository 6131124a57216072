#include "codec/files/exif.h"

#include <cstdint>

#include "codec/files/utf8.h"

namespace stepcast {
namespace {

constexpr uint16_t kExifDirectory = 0x8769;
constexpr uint16_t kUserComment = 0x9286;
constexpr uint16_t kTypeLong = 4;
constexpr uint16_t kTypeUndefined = 7;
constexpr size_t kHeaderBytes = 8;
constexpr size_t kDirectoryBytes = 2 + 12 + 4;  // of one entry

// Big-endian throughout: readers disagree on whether a comment's UTF-16 follows the file's order, and so need not care.
void AppendU16(uint32_t value, std::string* out) {
  out->push_back(static_cast<char>(value >> 8 & 0xFF));
  out->push_back(static_cast<char>(value & 0xFF));
}

void AppendU32(size_t value, std::string* out) {
  AppendU16(static_cast<uint32_t>(value >> 16 & 0xFFFF), out);
  AppendU16(static_cast<uint32_t>(value & 0xFFFF), out);
}

// A directory with one entry, and none after it.
void AppendDirectory(uint16_t tag, uint16_t type, size_t count, size_t value, std::string* out) {
  AppendU16(1, out);
  AppendU16(tag, out);
  AppendU16(type, out);
  AppendU32(count, out);
  AppendU32(value, out);
  AppendU32(0, out);
}

// The comment behind the eight bytes that name its character set; "" when it is no text.
std::string Encoded(std::string_view comment) {
  using namespace std::string_literals;
  std::string wide = "UNICODE\0"s;
  bool is_ascii = true;
  for (size_t position = 0; position < comment.size();) {
    const uint32_t character = ReadUtf8(comment, &position);
    if (character == kIllFormedUtf8 || character == 0) {
      return "";
    }
    is_ascii = is_ascii && character < 0x80;
    if (character < 0x10000) {
      AppendU16(character, &wide);
    } else {
      AppendU16(0xD800 + ((character - 0x10000) >> 10), &wide);
      AppendU16(0xDC00 + ((character - 0x10000) & 0x3FF), &wide);
    }
  }
  return is_ascii ? "ASCII\0\0\0"s.append(comment) : wide;
}

}  // namespace

absl::StatusOr<std::string> ExifWithComment(std::string_view comment) {
  const std::string encoded = Encoded(comment);
  if (encoded.empty()) {
    return absl::InvalidArgumentError("the comment is not UTF-8 without NUL");
  }
  std::string exif("MM\0\x2a", 4);
  AppendU32(kHeaderBytes, &exif);
  AppendDirectory(kExifDirectory, kTypeLong, 1, kHeaderBytes + kDirectoryBytes, &exif);
  AppendDirectory(kUserComment, kTypeUndefined, encoded.size(), kHeaderBytes + 2 * kDirectoryBytes, &exif);
  return exif + encoded;
}

}  // namespace stepcast

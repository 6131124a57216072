#include <cstddef>
#include <cstdint>

#include "clients/cli/files/embedded_request.h"

namespace stepcast::cli {
namespace {

constexpr uint32_t kExifDirectory = 0x8769;
constexpr uint32_t kUserComment = 0x9286;
constexpr size_t kEntryBytes = 12;
constexpr size_t kCharsetBytes = 8;

// Numbers of a TIFF structure. Reading beyond its end gives 0, which leads nowhere.
class Tiff {
 public:
  explicit Tiff(std::string_view bytes) : bytes_(bytes), big_(bytes.substr(0, 2) == "MM") {}

  bool big() const { return big_; }

  uint32_t U16(size_t at) const {
    if (at > bytes_.size() || bytes_.size() - at < 2) return 0;
    const uint32_t first = static_cast<uint8_t>(bytes_[at]);
    const uint32_t second = static_cast<uint8_t>(bytes_[at + 1]);
    return big_ ? first << 8 | second : second << 8 | first;
  }
  uint32_t U32(size_t at) const { return big_ ? U16(at) << 16 | U16(at + 2) : U16(at + 2) << 16 | U16(at); }

  // Where the entry of `tag` begins in the directory at `directory`; 0 when there is none.
  size_t Find(size_t directory, uint32_t tag) const {
    const size_t entries = U16(directory);
    for (size_t i = 0; i < entries; ++i) {
      const size_t entry = directory + 2 + i * kEntryBytes;
      if (entry + kEntryBytes > bytes_.size()) return 0;
      if (U16(entry) == tag) return entry;
    }
    return 0;
  }

 private:
  std::string_view bytes_;
  bool big_;
};

void AppendUtf8(uint32_t character, std::string& out) {
  if (character < 0x80) {
    out += static_cast<char>(character);
  } else if (character < 0x800) {
    out += static_cast<char>(0xC0 | character >> 6);
    out += static_cast<char>(0x80 | (character & 0x3F));
  } else if (character < 0x10000) {
    out += static_cast<char>(0xE0 | character >> 12);
    out += static_cast<char>(0x80 | (character >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (character & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | character >> 18);
    out += static_cast<char>(0x80 | (character >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (character >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (character & 0x3F));
  }
}

std::string FromUtf16(std::string_view bytes, bool big) {
  constexpr uint32_t kReplacement = 0xFFFD;
  std::string text;
  const auto unit = [bytes, big](size_t at) -> uint32_t {
    const uint32_t first = static_cast<uint8_t>(bytes[at]);
    const uint32_t second = static_cast<uint8_t>(bytes[at + 1]);
    return big ? first << 8 | second : second << 8 | first;
  };
  for (size_t at = 0; at + 1 < bytes.size(); at += 2) {
    uint32_t character = unit(at);
    if (character >= 0xD800 && character < 0xE000) {
      const uint32_t low = character < 0xDC00 && at + 3 < bytes.size() ? unit(at + 2) : 0;
      if (low >= 0xDC00 && low < 0xE000) {
        character = 0x10000 + ((character - 0xD800) << 10) + (low - 0xDC00);
        at += 2;
      } else {
        character = kReplacement;
      }
    }
    AppendUtf8(character, text);
  }
  return text;
}

}  // namespace

std::optional<std::string> ExifComment(std::string_view tiff) {
  const Tiff numbers(tiff);
  if (numbers.U16(2) != 42) return std::nullopt;
  const size_t pointer = numbers.Find(numbers.U32(4), kExifDirectory);
  if (pointer == 0) return std::nullopt;
  const size_t entry = numbers.Find(numbers.U32(pointer + 8), kUserComment);
  if (entry == 0) return std::nullopt;
  const size_t bytes = numbers.U32(entry + 4);
  const size_t begin = numbers.U32(entry + 8);
  if (bytes < kCharsetBytes || begin > tiff.size() || tiff.size() - begin < bytes) return std::nullopt;
  const std::string_view charset = tiff.substr(begin, kCharsetBytes);
  const std::string_view text = tiff.substr(begin + kCharsetBytes, bytes - kCharsetBytes);
  if (charset.substr(0, 7) != "UNICODE") return std::string(text);
  return FromUtf16(text, numbers.big());
}

}  // namespace stepcast::cli

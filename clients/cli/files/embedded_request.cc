#include "clients/cli/files/embedded_request.h"

#include <cstddef>
#include <cstdint>

#include <nlohmann/json.hpp>

namespace stepcast::cli {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kPngMagic = "\x89PNG\r\n\x1a\n"sv;
constexpr std::string_view kJpegMagic = "\xff\xd8\xff"sv;
constexpr std::string_view kExifMagic = "Exif\0\0"sv;
constexpr std::string_view kKeyword = "stepcast\0"sv;
constexpr std::string_view kCommentKey = "Stepcast request: \""sv;

bool StartsWith(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

bool IsWebp(std::string_view bytes) {
  return bytes.size() >= 12 && StartsWith(bytes, "RIFF") && bytes.substr(8, 4) == "WEBP";
}

size_t BigEndian(std::string_view bytes) {
  size_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<uint8_t>(byte);
  return value;
}

std::string FromLatin1(std::string_view text) {
  std::string utf8;
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte < 0x80) {
      utf8 += c;
    } else {
      utf8 += static_cast<char>(0xC0 | byte >> 6);
      utf8 += static_cast<char>(0x80 | (byte & 0x3F));
    }
  }
  return utf8;
}

// The text of an iTXt chunk behind its keyword: flag, method, language, translated keyword, text.
std::optional<std::string> InternationalText(std::string_view rest) {
  if (rest.size() < 2 || rest[0] != 0) return std::nullopt;  // compressed
  const size_t language = rest.find('\0', 2);
  const size_t translated = language == std::string_view::npos ? language : rest.find('\0', language + 1);
  if (translated == std::string_view::npos) return std::nullopt;
  return std::string(rest.substr(translated + 1));
}

std::optional<std::string> FromPng(std::string_view bytes) {
  constexpr size_t kOverhead = 12;  // length, kind, checksum
  for (size_t at = kPngMagic.size(); bytes.size() - at >= kOverhead;) {
    const size_t length = BigEndian(bytes.substr(at, 4));
    const std::string_view kind = bytes.substr(at + 4, 4);
    if (length > bytes.size() - at - kOverhead) return std::nullopt;
    const std::string_view data = bytes.substr(at + 8, length);
    if (StartsWith(data, kKeyword)) {
      const std::string_view rest = data.substr(kKeyword.size());
      if (kind == "tEXt") return FromLatin1(rest);
      if (kind == "iTXt") return InternationalText(rest);
    }
    at += kOverhead + length;
  }
  return std::nullopt;
}

// The EXIF of a JPEG, from its segments before the first scan.
std::optional<std::string> JpegComment(std::string_view bytes) {
  for (size_t at = 2; at + 4 <= bytes.size();) {
    const auto marker = static_cast<uint8_t>(bytes[at + 1]);
    if (bytes[at] != '\xff' || marker == 0xDA) return std::nullopt;
    if (marker == 0xFF) {  // padding
      ++at;
      continue;
    }
    const size_t length = BigEndian(bytes.substr(at + 2, 2));
    if (length < 2 || length > bytes.size() - at - 2) return std::nullopt;
    const std::string_view data = bytes.substr(at + 4, length - 2);
    if (marker == 0xE1 && StartsWith(data, kExifMagic)) return ExifComment(data.substr(kExifMagic.size()));
    at += 2 + length;
  }
  return std::nullopt;
}

std::optional<std::string> WebpComment(std::string_view bytes) {
  for (size_t at = 12; at + 8 <= bytes.size();) {
    size_t length = 0;
    for (size_t i = 0; i < 4; ++i) length |= static_cast<size_t>(static_cast<uint8_t>(bytes[at + 4 + i])) << 8 * i;
    if (length > bytes.size() - at - 8) return std::nullopt;
    std::string_view data = bytes.substr(at + 8, length);
    if (bytes.substr(at, 4) == "EXIF") {
      if (StartsWith(data, kExifMagic)) data.remove_prefix(kExifMagic.size());
      return ExifComment(data);
    }
    at += 8 + length + length % 2;
  }
  return std::nullopt;
}

// The value of the last key of a comment. A prompt may contain the key's name, but not behind the settings; and what is
// quoted holds no quote that is not escaped.
std::optional<std::string> LastKey(const std::string& comment) {
  const size_t key = comment.rfind(kCommentKey);
  if (key == std::string::npos) return std::nullopt;
  const size_t begin = key + kCommentKey.size() - 1;  // at the quote
  size_t end = begin + 1;
  while (end < comment.size() && comment[end] != '"') end += comment[end] == '\\' ? 2 : 1;
  if (end >= comment.size()) return std::nullopt;
  const auto value = nlohmann::json::parse(comment.substr(begin, end + 1 - begin), nullptr, false);
  if (!value.is_string()) return std::nullopt;
  return value.get<std::string>();
}

}  // namespace

bool IsPicture(std::string_view bytes) {
  return StartsWith(bytes, kPngMagic) || StartsWith(bytes, kJpegMagic) || IsWebp(bytes);
}

std::optional<std::string> EmbeddedRequest(std::string_view bytes, std::string& problem) {
  std::optional<std::string> request;
  if (StartsWith(bytes, kPngMagic)) {
    request = FromPng(bytes);
  } else {
    const std::optional<std::string> comment = IsWebp(bytes) ? WebpComment(bytes) : JpegComment(bytes);
    if (comment.has_value()) request = LastKey(*comment);
  }
  if (!request.has_value()) problem = "the picture holds no Stepcast request; --embed-parameters puts it there";
  return request;
}

}  // namespace stepcast::cli

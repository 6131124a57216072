#include "text/vocabulary/built_in_clip.h"

#include <zlib.h>

#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "text/vocabulary/byte_alphabet.h"

extern const unsigned char stepcast_clip_merges[];
extern const unsigned long stepcast_clip_merges_size;

namespace stepcast {
namespace {

constexpr size_t kMerges = 48'894;
constexpr size_t kMaxBytes = 1u << 20;  // unpacked it has 525 kB
constexpr int kGzip = 16 + MAX_WBITS;

absl::Status Damaged(std::string_view what) {
  return absl::InternalError(
      absl::StrCat("the built-in vocabulary of CLIP is damaged: ", absl::string_view(what.data(), what.size())));
}

absl::StatusOr<std::string> Unpack() {
  std::string text(kMaxBytes, '\0');
  z_stream stream{};
  stream.next_in = const_cast<unsigned char*>(stepcast_clip_merges);  // zlib only reads it
  stream.avail_in = static_cast<unsigned int>(stepcast_clip_merges_size);
  stream.next_out = reinterpret_cast<unsigned char*>(text.data());
  stream.avail_out = static_cast<unsigned int>(text.size());
  if (inflateInit2(&stream, kGzip) != Z_OK) return Damaged("zlib does not start");
  const int result = inflate(&stream, Z_FINISH);
  text.resize(stream.total_out);
  inflateEnd(&stream);
  if (result != Z_STREAM_END) return Damaged("it cannot be unpacked");
  return text;
}

// The order of CLIP's alphabet: bytes that print, then the others.
std::vector<std::string> Alphabet() {
  std::vector<std::string> printing;
  std::vector<std::string> others;
  for (int byte = 0; byte < 256; ++byte) {
    const bool prints = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    (prints ? printing : others).push_back(CharacterOfByte(static_cast<uint8_t>(byte)));
  }
  printing.insert(printing.end(), others.begin(), others.end());
  return printing;
}

}  // namespace

absl::StatusOr<BpeModelFiles> ReadBuiltInClip() {
  STEPCAST_ASSIGN_OR_RETURN(const std::string text, Unpack());
  BpeModelFiles files;
  files.merges_place = "the built-in vocabulary of CLIP";
  int64_t next_id = 0;
  const auto add = [&](std::string token) { return files.vocabulary.Add(std::move(token), next_id++); };
  const std::vector<std::string> alphabet = Alphabet();
  for (const std::string& character : alphabet) STEPCAST_RETURN_IF_ERROR(add(character));
  for (const std::string& character : alphabet) STEPCAST_RETURN_IF_ERROR(add(character + kEndOfWord));
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    const size_t space = line.find(' ');
    if (space == std::string_view::npos || line.size() == rest.size()) return Damaged("a line is no pair");
    files.merges.emplace_back(line.substr(0, space), line.substr(space + 1));
    STEPCAST_RETURN_IF_ERROR(add(files.merges.back().first + files.merges.back().second));
    rest.remove_prefix(line.size() + 1);
  }
  if (files.merges.size() != kMerges) return Damaged("it has another number of merges");
  STEPCAST_RETURN_IF_ERROR(add("<|startoftext|>"));
  STEPCAST_RETURN_IF_ERROR(add("<|endoftext|>"));
  return files;
}

absl::StatusOr<TokenizerConfig> BuiltInTokenizerConfig(const std::string& dir) {
  const auto control = [](const char* text) {
    return nlohmann::json{
        {"content", text}, {"lstrip", false}, {"normalized", true}, {"rstrip", false}, {"single_word", false}};
  };
  const nlohmann::json map = {{"bos_token", control("<|startoftext|>")},
                              {"eos_token", control("<|endoftext|>")},
                              {"unk_token", control("<|endoftext|>")},
                              {"pad_token", dir == kBuiltInOpenClip ? "!" : "<|endoftext|>"}};
  NamedTokenReader reader(dir);
  STEPCAST_RETURN_IF_ERROR(reader.Read(map, "special_tokens_map.json", /*is_map=*/true));
  TokenizerConfig config;
  STEPCAST_ASSIGN_OR_RETURN(config.tokens, reader.Finish());
  return config;
}

}  // namespace stepcast

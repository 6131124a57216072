#include "text/tokenizer/token_decoder.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "absl/strings/str_replace.h"
#include "text/tokenizer/normalizer.h"
#include "text/unicode/unicode.h"
#include "text/vocabulary/bpe.h"
#include "text/vocabulary/byte_alphabet.h"

namespace stepcast {
namespace {

// The reference trims what Python calls white space, which has four control characters more than Unicode.
bool IsTrimmed(char32_t character) {
  return Classify(character) == CharacterClass::kSpace || (character >= 0x1C && character <= 0x1F);
}

std::string_view Trim(std::string_view text) {
  size_t start = 0;
  for (size_t next = 0; start < text.size() && IsTrimmed(ReadCharacter(text, &next)); start = next) {
  }
  text.remove_prefix(start);
  size_t end = text.size();
  while (end > 0 && IsTrimmed(CharacterBefore(text, end))) {
    do {
      --end;
    } while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80);
  }
  return text.substr(0, end);
}

}  // namespace

TokenDecoder::TokenDecoder(const Vocabulary& vocabulary, const std::vector<AddedToken>& tokens) {
  int32_t max_id = vocabulary.max_id();
  for (const AddedToken& token : tokens) {
    max_id = std::max(max_id, token.id);
  }
  spellings_.resize(static_cast<size_t>(max_id) + 1);
  // What is not spelled in the byte alphabet stands for itself.
  const auto spell = [&](int32_t id, std::string_view token) {
    spellings_[static_cast<size_t>(id)] = BytesOfToken(token).value_or(std::string(token));
  };
  for (int32_t id = 0; id <= vocabulary.max_id(); ++id) {
    spell(id, vocabulary.TokenOf(id));
  }
  for (const AddedToken& token : tokens) {
    spell(token.id, token.normalized ? NormalizeText(token.content) : token.content);
  }
}

std::string TokenDecoder::Decode(std::span<const int32_t> ids) const {
  std::string bytes;
  for (const int32_t id : ids) {
    if (id >= 0 && id <= max_id()) {
      bytes += spellings_[static_cast<size_t>(id)];
    }
  }
  std::string text = IsValidUtf8(bytes) ? std::move(bytes) : ReplaceInvalidUtf8(bytes);
  absl::StrReplaceAll({{kEndOfWord, " "}}, &text);
  return std::string(Trim(text));
}

}  // namespace stepcast

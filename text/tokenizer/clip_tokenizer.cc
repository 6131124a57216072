#include "text/tokenizer/clip_tokenizer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "text/tokenizer/added_tokens.h"
#include "text/tokenizer/normalizer.h"
#include "text/tokenizer/pre_tokenizer.h"
#include "text/tokenizer/token_decoder.h"
#include "text/tokenizer/token_registry.h"
#include "text/unicode/unicode.h"
#include "text/vocabulary/bpe.h"
#include "text/vocabulary/built_in_clip.h"
#include "text/vocabulary/tokenizer_config.h"
#include "text/vocabulary/vocabulary_files.h"

namespace stepcast {
namespace {

class BpeClipTokenizer final : public ClipTokenizer {
 public:
  BpeClipTokenizer(AddedTokenMatcher raw, AddedTokenMatcher normalized, Bpe bpe, TokenDecoder decoder)
      : raw_tokens_(std::move(raw)),
        normalized_tokens_(std::move(normalized)),
        bpe_(std::move(bpe)),
        decoder_(std::move(decoder)) {}

  void SetFrame(const ControlTokens& ids, int max_length) {
    control_ = ids;
    max_length_ = max_length;
  }

  TokenizedPrompt Encode(std::string_view text) const override {
    const std::vector<int32_t> content = EncodeContent(text);
    const auto length = static_cast<size_t>(max_length_);
    const size_t kept = std::min(content.size(), length - 2);
    TokenizedPrompt prompt;
    prompt.ids.reserve(length);
    prompt.ids.push_back(control_.start);
    prompt.ids.insert(prompt.ids.end(), content.begin(), content.begin() + static_cast<std::ptrdiff_t>(kept));
    prompt.ids.push_back(control_.end);
    prompt.ids.resize(length, control_.pad);
    if (kept < content.size()) {
      prompt.truncated = Decode({content.data() + kept, content.size() - kept});
    }
    return prompt;
  }

  std::vector<int32_t> EncodeContent(std::string_view text) const override {
    return IsValidUtf8(text) ? EncodeValid(text) : EncodeValid(ReplaceInvalidUtf8(text));
  }

  std::string Decode(std::span<const int32_t> ids) const override { return decoder_.Decode(ids); }
  ControlTokens control_tokens() const override { return control_; }
  int max_length() const override { return max_length_; }
  int32_t max_id() const override { return decoder_.max_id(); }

 private:
  // Added tokens are cut out of the raw text, then out of each normalised stretch.
  std::vector<int32_t> EncodeValid(std::string_view text) const {
    std::vector<int32_t> ids;
    std::vector<std::string_view> words;
    Bpe::Scratch scratch;
    for (const AddedTokenMatcher::Piece& raw : raw_tokens_.Split(text)) {
      if (raw.id >= 0) {
        ids.push_back(raw.id);
        continue;
      }
      const std::string normalized = NormalizeText(raw.text);
      for (const AddedTokenMatcher::Piece& piece : normalized_tokens_.Split(normalized)) {
        if (piece.id >= 0) {
          ids.push_back(piece.id);
          continue;
        }
        words.clear();
        SplitWords(piece.text, &words);
        for (const std::string_view word : words) {
          bpe_.EncodeWord(word, &scratch, &ids);
        }
      }
    }
    return ids;
  }

  AddedTokenMatcher raw_tokens_;
  AddedTokenMatcher normalized_tokens_;
  Bpe bpe_;
  TokenDecoder decoder_;
  ControlTokens control_;
  int max_length_ = 0;
};

// The id of a token that RegisterTokens has seen.
int32_t IdOf(const std::vector<AddedToken>& tokens, const TokenDeclaration* declaration) {
  const auto found = std::find_if(tokens.begin(), tokens.end(),
                                  [&](const AddedToken& token) { return token.content == declaration->content; });
  return found->id;
}

// `status` with the folder in front.
absl::Status InFolder(const std::string& dir, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(dir, ": ", status.message()));
}

// The parsed tokenizer.json, or nullopt when the folder has none.
absl::StatusOr<std::optional<nlohmann::json>> ReadOptionalTokenizerJson(const std::string& dir) {
  absl::StatusOr<nlohmann::json> value = ReadTokenizerJson(dir);
  if (absl::IsNotFound(value.status())) {
    return std::optional<nlohmann::json>();
  }
  STEPCAST_RETURN_IF_ERROR(value.status());
  return std::optional<nlohmann::json>(*std::move(value));
}

// The files of a tokenizer, wherever they are.
struct TokenizerFiles {
  BpeModelFiles model;
  TokenizerConfig config;
};

absl::StatusOr<TokenizerFiles> ReadFiles(const std::string& dir) {
  TokenizerFiles files;
  if (IsBuiltInTokenizer(dir)) {
    STEPCAST_ASSIGN_OR_RETURN(files.model, ReadBuiltInClip());
    STEPCAST_ASSIGN_OR_RETURN(files.config, BuiltInTokenizerConfig(dir));
    return files;
  }
  STEPCAST_ASSIGN_OR_RETURN(const std::optional<nlohmann::json> tokenizer_json, ReadOptionalTokenizerJson(dir));
  const nlohmann::json* json = tokenizer_json.has_value() ? &*tokenizer_json : nullptr;
  STEPCAST_ASSIGN_OR_RETURN(files.model, ReadBpeModel(dir, json));
  STEPCAST_ASSIGN_OR_RETURN(files.config, ReadTokenizerConfig(dir, json));
  return files;
}

}  // namespace

absl::StatusOr<std::unique_ptr<const ClipTokenizer>> ClipTokenizer::Load(const std::string& dir) {
  STEPCAST_ASSIGN_OR_RETURN(const TokenizerFiles files, ReadFiles(dir));
  const BpeModelFiles& model = files.model;
  const TokenizerConfig& config = files.config;

  absl::StatusOr<std::vector<AddedToken>> tokens = RegisterTokens(config, model.vocabulary);
  if (!tokens.ok()) {
    return InFolder(dir, tokens.status());
  }
  const TokenDeclaration* unknown = config.tokens.Find("unk_token");
  const std::optional<int32_t> unknown_id = model.vocabulary.Find(unknown->content);
  if (!unknown_id.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat(dir, ": unk_token ", QuoteToken(unknown->content), " is not in the vocabulary"));
  }
  absl::StatusOr<Bpe> bpe = Bpe::Create(model.vocabulary, model.merges, *unknown_id);
  if (!bpe.ok()) {
    return InFolder(model.merges_place, bpe.status());
  }
  absl::StatusOr<AddedTokenMatcher> raw = AddedTokenMatcher::Create(*tokens, false, config.split_special_tokens);
  absl::StatusOr<AddedTokenMatcher> normalized = AddedTokenMatcher::Create(*tokens, true, config.split_special_tokens);
  for (const absl::Status& status : {raw.status(), normalized.status()}) {
    if (!status.ok()) {
      return InFolder(dir, status);
    }
  }
  auto tokenizer = std::make_unique<BpeClipTokenizer>(*std::move(raw), *std::move(normalized), *std::move(bpe),
                                                      TokenDecoder(model.vocabulary, *tokens));
  tokenizer->SetFrame({.start = IdOf(*tokens, config.tokens.Find("bos_token")),
                       .end = IdOf(*tokens, config.tokens.Find("eos_token")),
                       .pad = IdOf(*tokens, config.tokens.Find("pad_token")),
                       .comma = model.vocabulary.Find(absl::StrCat(",", kEndOfWord)).value_or(-1)},
                      config.max_length);
  return tokenizer;
}

}  // namespace stepcast

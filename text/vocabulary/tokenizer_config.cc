#include "text/vocabulary/tokenizer_config.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "text/vocabulary/json_file.h"
#include "text/vocabulary/vocabulary.h"

namespace stepcast {
namespace {

using nlohmann::json;

constexpr size_t kMaxConfigBytes = 4u << 20;
constexpr char kConfigFile[] = "tokenizer_config.json";
constexpr char kSpecialTokensFile[] = "special_tokens_map.json";
constexpr char kAddedTokensFile[] = "added_tokens.json";
constexpr char kTokenizerFile[] = "tokenizer.json";
constexpr std::string_view kSupportedClasses[] = {"CLIPTokenizer", "CLIPTokenizerFast", "PreTrainedTokenizerFast",
                                                  "TokenizersBackend"};

// A missing file is an empty object.
absl::StatusOr<json> ReadOptionalObject(const std::string& path) {
  absl::StatusOr<json> value = ReadJsonFile(path, kMaxConfigBytes);
  if (absl::IsNotFound(value.status())) {
    return json::object();
  }
  if (value.ok() && !value->is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is no JSON object"));
  }
  return value;
}

// added_tokens_decoder: {"49406": {"content": ...}, ...}.
absl::Status ReadDecoder(const json& decoder, const std::string& place, TokenizerConfig* config) {
  if (!decoder.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(place, ": is no JSON object"));
  }
  for (const auto& [key, value] : decoder.items()) {
    int64_t id = 0;
    if (!absl::SimpleAtoi(key, &id)) {
      return absl::InvalidArgumentError(absl::StrCat(place, ": ", QuoteToken(key), " is no token id"));
    }
    STEPCAST_ASSIGN_OR_RETURN(config->added[id], ParseTokenDeclaration(value, absl::StrCat(place, "[", key, "]")));
  }
  return absl::OkStatus();
}

// added_tokens.json: {"<token>": 49408, ...}. Only a token that has a role, or is listed as extra, is special.
absl::Status ReadAddedTokens(const json& ids, const std::string& path, TokenizerConfig* config) {
  absl::flat_hash_set<absl::string_view> specials;
  for (const auto& [name, token] : config->tokens.named) {
    specials.insert(token.content);
  }
  for (const TokenDeclaration& token : config->tokens.extra) {
    specials.insert(token.content);
  }
  for (const auto& [content, id] : ids.items()) {
    if (!id.is_number_integer()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": token ", QuoteToken(content), " has no integer id"));
    }
    STEPCAST_ASSIGN_OR_RETURN(TokenDeclaration token,
                              ParseTokenDeclaration(content, absl::StrCat(path, ": token ", QuoteToken(content))));
    token.is_string = false;
    token.special = specials.contains(content);
    token.normalized = !token.special;
    config->added[id.get<int64_t>()] = std::move(token);
  }
  return absl::OkStatus();
}

// tokenizer.json's added_tokens: [{"id": 49406, "content": ...}, ...].
absl::Status ReadTokenizerJsonTokens(const json& tokenizer_json, const std::string& path, TokenizerConfig* config) {
  const auto list = tokenizer_json.find("added_tokens");
  if (list == tokenizer_json.end() || list->is_null()) {
    return absl::OkStatus();
  }
  if (!list->is_array()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": added_tokens is no list"));
  }
  for (size_t index = 0; index < list->size(); ++index) {
    const json& entry = (*list)[index];
    const std::string place = absl::StrCat(path, ": added_tokens[", index, "]");
    if (!entry.is_object() || !entry.contains("id") || !entry["id"].is_number_integer()) {
      return absl::InvalidArgumentError(absl::StrCat(place, ": has no integer \"id\""));
    }
    STEPCAST_ASSIGN_OR_RETURN(config->added[entry["id"].get<int64_t>()], ParseTokenDeclaration(entry, place));
  }
  return absl::OkStatus();
}

absl::Status ReadLength(const json& file, const std::string& path, TokenizerConfig* config) {
  constexpr double kNoLimit = 1e15;  // the reference writes about 1e30 where a tokenizer has no limit of its own
  constexpr int kMaxLength = 2048;
  for (const char* key : {"model_max_length", "max_len"}) {
    const auto found = file.find(key);
    if (found == file.end() || found->is_null()) {
      continue;
    }
    const double length = found->is_number() ? found->get<double>() : -1;
    if (length >= kNoLimit) {
      return absl::OkStatus();
    }
    if (!(length >= 2 && length <= kMaxLength) || length != std::floor(length)) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": ", key, " is ",
                                                     found->is_number() ? absl::StrCat(length) : "no number",
                                                     "; allowed are whole numbers 2..", kMaxLength));
    }
    config->max_length = static_cast<int>(length);
    return absl::OkStatus();
  }
  return absl::OkStatus();
}

// Fields that would change the ids in ways that no CLIP tokenizer uses.
absl::Status CheckSupported(const json& file, const std::string& path) {
  const auto class_name = file.find("tokenizer_class");
  if (class_name != file.end() && class_name->is_string()) {
    const auto& name = class_name->get_ref<const std::string&>();
    if (std::find(std::begin(kSupportedClasses), std::end(kSupportedClasses), name) == std::end(kSupportedClasses)) {
      return absl::UnimplementedError(
          absl::StrCat(path, ": tokenizer_class ", QuoteToken(name), " is not supported; CLIPTokenizer is"));
    }
  }
  for (const char* key : {"padding_side", "truncation_side"}) {
    const auto side = file.find(key);
    if (side != file.end() && !side->is_null() && *side != "right") {
      return absl::UnimplementedError(absl::StrCat(path, ": ", key, " is not \"right\", which alone is supported"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TokenizerConfig> ReadTokenizerConfig(const std::string& dir, const json* tokenizer_json) {
  const std::string path = absl::StrCat(dir, "/", kConfigFile);
  STEPCAST_ASSIGN_OR_RETURN(const json file, ReadOptionalObject(path));
  TokenizerConfig config;
  STEPCAST_RETURN_IF_ERROR(CheckSupported(file, path));
  STEPCAST_RETURN_IF_ERROR(ReadLength(file, path, &config));
  std::optional<bool> split;
  STEPCAST_RETURN_IF_ERROR(ReadFlag(file, "split_special_tokens", path, &split));
  config.split_special_tokens = split.value_or(false);

  NamedTokenReader reader(dir);
  STEPCAST_RETURN_IF_ERROR(reader.Read(file, kConfigFile, /*is_map=*/false));
  if (const auto decoder = file.find("added_tokens_decoder"); decoder != file.end()) {
    STEPCAST_ASSIGN_OR_RETURN(config.tokens, reader.Finish());
    STEPCAST_RETURN_IF_ERROR(ReadDecoder(*decoder, absl::StrCat(path, ": added_tokens_decoder"), &config));
    return config;
  }
  STEPCAST_ASSIGN_OR_RETURN(const json special, ReadOptionalObject(absl::StrCat(dir, "/", kSpecialTokensFile)));
  STEPCAST_RETURN_IF_ERROR(reader.Read(special, kSpecialTokensFile, /*is_map=*/true));
  STEPCAST_ASSIGN_OR_RETURN(config.tokens, reader.Finish());
  const std::string added_path = absl::StrCat(dir, "/", kAddedTokensFile);
  STEPCAST_ASSIGN_OR_RETURN(const json added, ReadOptionalObject(added_path));
  STEPCAST_RETURN_IF_ERROR(ReadAddedTokens(added, added_path, &config));
  if (tokenizer_json != nullptr) {
    STEPCAST_RETURN_IF_ERROR(ReadTokenizerJsonTokens(*tokenizer_json, absl::StrCat(dir, "/", kTokenizerFile), &config));
  }
  return config;
}

}  // namespace stepcast

#include "text/vocabulary/named_tokens.h"

#include <algorithm>
#include <iterator>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace stepcast {
namespace {

using nlohmann::json;

constexpr std::string_view kStandardNames[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                               "pad_token", "cls_token", "mask_token"};
constexpr std::string_view kStartText = "<|startoftext|>";
constexpr std::string_view kEndText = "<|endoftext|>";

bool IsStandardName(std::string_view name) {
  return std::find(std::begin(kStandardNames), std::end(kStandardNames), name) != std::end(kStandardNames);
}

// Appends the tokens of a list that are not there yet.
absl::Status ReadList(const json& list, const std::string& place, bool special, std::vector<TokenDeclaration>* tokens) {
  absl::flat_hash_set<std::string> known;
  for (const TokenDeclaration& token : *tokens) {
    known.insert(token.content);
  }
  for (size_t index = 0; index < list.size(); ++index) {
    STEPCAST_ASSIGN_OR_RETURN(TokenDeclaration token,
                              ParseTokenDeclaration(list[index], absl::StrCat(place, "[", index, "]")));
    token.special = token.special || special;
    if (known.insert(token.content).second) {
      tokens->push_back(std::move(token));
    }
  }
  return absl::OkStatus();
}

}  // namespace

const TokenDeclaration* NamedTokens::Find(std::string_view name) const {
  const auto found = std::find_if(named.begin(), named.end(), [&](const auto& entry) { return entry.first == name; });
  return found == named.end() ? nullptr : &found->second;
}

absl::Status NamedTokenReader::Read(const json& object, const std::string& file, bool is_map) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_null() && IsStandardName(key)) {
      tokens_.erase(key);
      nulls_[key] = Place(file, key);
    } else if (IsStandardName(key) || (key.ends_with("_token") && (value.is_string() || value.is_object()))) {
      STEPCAST_ASSIGN_OR_RETURN(TokenDeclaration token, ParseTokenDeclaration(value, Place(file, key)));
      token.special = token.special || is_map;
      tokens_[key] = std::move(token);
    }
  }
  return ReadExtra(object, file, is_map);
}

absl::StatusOr<NamedTokens> NamedTokenReader::Finish() {
  for (const auto& [name, text] : {std::pair("bos_token", kStartText), std::pair("eos_token", kEndText),
                                   std::pair("unk_token", kEndText), std::pair("pad_token", kEndText)}) {
    if (tokens_.contains(name)) {
      continue;
    }
    if (const auto null = nulls_.find(name); null != nulls_.end()) {
      return absl::InvalidArgumentError(absl::StrCat(null->second, ": is null, but every prompt needs it"));
    }
    tokens_[name] = {.content = std::string(text), .is_string = true};
  }
  NamedTokens result;
  for (const std::string_view name : kStandardNames) {
    if (auto node = tokens_.extract(std::string(name)); !node.empty()) {
      result.named.emplace_back(node.key(), std::move(node.mapped()));
    }
  }
  std::move(tokens_.begin(), tokens_.end(), std::back_inserter(result.named));
  result.extra = std::move(extra_);
  return result;
}

// "additional_special_tokens" is the old name of "extra_special_tokens", which may also be an object of named tokens.
absl::Status NamedTokenReader::ReadExtra(const json& object, const std::string& file, bool is_map) {
  for (const char* key : {"extra_special_tokens", "additional_special_tokens"}) {
    const auto found = object.find(key);
    if (found == object.end() || found->is_null() || found->empty()) {
      continue;
    }
    const std::string place = Place(file, key);
    if (found->is_object()) {
      for (const auto& [name, value] : found->items()) {
        STEPCAST_ASSIGN_OR_RETURN(tokens_[name], ParseTokenDeclaration(value, absl::StrCat(place, ".", name)));
      }
      return absl::OkStatus();
    }
    if (!found->is_array()) {
      return absl::InvalidArgumentError(absl::StrCat(place, ": is neither a list nor an object"));
    }
    if (std::string_view(key) == "additional_special_tokens" && is_map && !extra_.empty()) {
      return absl::OkStatus();  // the list of tokenizer_config.json counts
    }
    return ReadList(*found, place, is_map, &extra_);
  }
  return absl::OkStatus();
}

std::string NamedTokenReader::Place(const std::string& file, const std::string& key) const {
  return absl::StrCat(dir_, "/", file, ": ", key);
}

}  // namespace stepcast

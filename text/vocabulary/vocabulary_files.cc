#include "text/vocabulary/vocabulary_files.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "text/unicode/unicode.h"
#include "text/vocabulary/json_file.h"

namespace stepcast {
namespace {

using nlohmann::json;

constexpr size_t kMaxModelBytes = 32u << 20;  // CLIP's tokenizer.json has 3.6 MB

absl::Status ReadVocabulary(const json& tokens, const std::string& place, Vocabulary* vocabulary) {
  if (!tokens.is_object() || tokens.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(place, ": is no JSON object from tokens to ids"));
  }
  for (const auto& [token, id] : tokens.items()) {
    // An unsigned id beyond 63 bits would wrap to a negative one, which is refused all the same.
    if (!id.is_number_integer()) {
      return absl::InvalidArgumentError(
          absl::StrCat(place, ": token ", QuoteToken(token), " has an id that is no integer"));
    }
    if (const absl::Status added = vocabulary->Add(token, id.get<int64_t>()); !added.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(place, ": ", added.message()));
    }
  }
  return absl::OkStatus();
}

// Splits "left right" at its only space.
absl::Status AddMerge(std::string_view pair, const std::string& place, MergeList* merges) {
  const size_t space = pair.find(' ');
  if (space == 0 || space == std::string_view::npos || space + 1 == pair.size() ||
      pair.find(' ', space + 1) != std::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat(place, ": ", QuoteToken(pair), " is no pair of tokens with one space between"));
  }
  merges->emplace_back(pair.substr(0, space), pair.substr(space + 1));
  return absl::OkStatus();
}

absl::Status ReadMergesText(const std::string& path, MergeList* merges) {
  STEPCAST_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path, kMaxModelBytes));
  if (!IsValidUtf8(text)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is not UTF-8"));
  }
  std::string_view rest = text;
  while (rest.ends_with('\n') || rest.ends_with('\r')) {
    rest.remove_suffix(1);
  }
  for (int number = 1; !rest.empty(); ++number) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    if (!line.starts_with("#version")) {
      STEPCAST_RETURN_IF_ERROR(AddMerge(line, absl::StrCat(path, ": line ", number), merges));
    }
  }
  return absl::OkStatus();
}

// Merges are strings "left right" or pairs ["left", "right"].
absl::Status ReadMergesJson(const json& list, const std::string& place, MergeList* merges) {
  if (!list.is_array()) {
    return absl::InvalidArgumentError(absl::StrCat(place, ": is no list"));
  }
  for (size_t index = 0; index < list.size(); ++index) {
    const json& merge = list[index];
    const std::string merge_place = absl::StrCat(place, ": merge ", index + 1);
    if (merge.is_string()) {
      STEPCAST_RETURN_IF_ERROR(AddMerge(merge.get_ref<const std::string&>(), merge_place, merges));
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      merges->emplace_back(merge[0].get<std::string>(), merge[1].get<std::string>());
    } else {
      return absl::InvalidArgumentError(absl::StrCat(merge_place, " is neither a string nor a pair of strings"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<BpeModelFiles> ReadFromTokenizerJson(const json& tokenizer_json, const std::string& path) {
  const auto model = tokenizer_json.find("model");
  if (model == tokenizer_json.end() || !model->is_object() || !model->contains("vocab") || !model->contains("merges")) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": has no model with vocab and merges"));
  }
  if (model->value("type", json("BPE")) != "BPE" ||
      model->value("end_of_word_suffix", json(kEndOfWord)) != kEndOfWord) {
    return absl::UnimplementedError(
        absl::StrCat(path, ": model is not a BPE with end_of_word_suffix \"", kEndOfWord, "\", as CLIP's is"));
  }
  BpeModelFiles files;
  files.merges_place = absl::StrCat(path, ": model.merges");
  STEPCAST_RETURN_IF_ERROR(ReadVocabulary((*model)["vocab"], absl::StrCat(path, ": model.vocab"), &files.vocabulary));
  STEPCAST_RETURN_IF_ERROR(ReadMergesJson((*model)["merges"], files.merges_place, &files.merges));
  return files;
}

}  // namespace

absl::StatusOr<json> ReadTokenizerJson(const std::string& dir) {
  const std::string path = absl::StrCat(dir, "/tokenizer.json");
  STEPCAST_ASSIGN_OR_RETURN(json value, ReadJsonFile(path, kMaxModelBytes));
  if (!value.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is no JSON object"));
  }
  return value;
}

absl::StatusOr<BpeModelFiles> ReadBpeModel(const std::string& dir, const json* tokenizer_json) {
  if (tokenizer_json != nullptr) {
    return ReadFromTokenizerJson(*tokenizer_json, absl::StrCat(dir, "/tokenizer.json"));
  }
  BpeModelFiles files;
  const std::string vocabulary_path = absl::StrCat(dir, "/vocab.json");
  files.merges_place = absl::StrCat(dir, "/merges.txt");
  STEPCAST_ASSIGN_OR_RETURN(const json tokens, ReadJsonFile(vocabulary_path, kMaxModelBytes));
  STEPCAST_RETURN_IF_ERROR(ReadVocabulary(tokens, vocabulary_path, &files.vocabulary));
  STEPCAST_RETURN_IF_ERROR(ReadMergesText(files.merges_place, &files.merges));
  return files;
}

}  // namespace stepcast

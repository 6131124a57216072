#pragma once
// Reads the byte-pair model: vocab.json and merges.txt, or tokenizer.json.

#include <string>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "text/vocabulary/bpe.h"
#include "text/vocabulary/vocabulary.h"

namespace stepcast {

struct BpeModelFiles {
  Vocabulary vocabulary;
  MergeList merges;
  std::string merges_place;  // where the merges come from, for messages
};

// Reads tokenizer.json when `dir` has one. NOT_FOUND when not; otherwise errors as ReadJsonFile.
absl::StatusOr<nlohmann::json> ReadTokenizerJson(const std::string& dir);

// From `tokenizer_json` when it is not nullptr (as the reference, which prefers it), else from vocab.json and
// merges.txt. A merge is "left right"; merges.txt may begin with "#version" lines and end with empty ones.
// Errors: NOT_FOUND or INVALID_ARGUMENT naming the file and the entry: a token twice, an id that is no integer, out of
// range or taken, a merge that is no pair; UNIMPLEMENTED for a tokenizer.json that holds no CLIP byte-pair model.
absl::StatusOr<BpeModelFiles> ReadBpeModel(const std::string& dir, const nlohmann::json* tokenizer_json);

}  // namespace stepcast

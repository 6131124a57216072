#include "model/files/json_config.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/status_macros.h"
#include "model/weights/data_file.h"
#include "text/vocabulary/json_file.h"

namespace stepcast::model {
namespace {

constexpr size_t kMaxListEntries = 64;
constexpr size_t kMaxNumbers = 10'000;
constexpr size_t kMaxProblems = 20;  // told; the rest is counted

// Python writes -Infinity, Infinity and NaN, which are no JSON, for numbers that have no finite value. All of them say
// "no bound" in configs, as null does.
std::string WithoutNonFinite(absl::string_view text) {
  std::string result;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    size_t length = 0;
    for (const absl::string_view word : {"-Infinity", "Infinity", "NaN"}) {
      if (!in_string && absl::StartsWith(text.substr(i), word)) length = std::max(length, word.size());
    }
    if (length > 0) {
      result += "null";
      i += length - 1;
      continue;
    }
    if (text[i] == '"') in_string = !in_string;
    result += text[i];
    if (text[i] == '\\' && i + 1 < text.size()) result += text[++i];
  }
  return result;
}

absl::Status TooLarge(uint64_t bytes, const std::string& where) {
  return absl::InvalidArgumentError(
      absl::StrCat(where, ": ", bytes, " bytes of JSON; at most ", kMaxJsonBytes, " are read"));
}

}  // namespace

absl::StatusOr<nlohmann::json> ParseJsonObject(absl::string_view text, const std::string& where) {
  if (text.size() > kMaxJsonBytes) {
    return TooLarge(text.size(), where);
  }
  std::string finite;
  if (absl::StrContains(text, "Infinity") || absl::StrContains(text, "NaN")) {
    finite = WithoutNonFinite(text);
    text = finite;
  }
  STEPCAST_ASSIGN_OR_RETURN(nlohmann::json root, ParseJson({text.data(), text.size()}, where));
  if (!root.is_object()) return absl::InvalidArgumentError(absl::StrCat(where, ": a JSON object is needed"));
  return root;
}

absl::StatusOr<nlohmann::json> ReadJsonObject(const std::string& path) {
  STEPCAST_ASSIGN_OR_RETURN(const DataFile file, DataFile::Open(path));
  if (file.size() > kMaxJsonBytes) return TooLarge(file.size(), path);
  STEPCAST_ASSIGN_OR_RETURN(const std::string text, file.ReadAll());
  if (IsLfsPointer(text)) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is a git-lfs pointer, not the file: run `git lfs pull` in the model's folder"));
  }
  return ParseJsonObject(text, path);
}

JsonConfig::JsonConfig(nlohmann::json root, std::string where) : root_(std::move(root)), where_(std::move(where)) {
  const auto defaulted = root_.find("_use_default_values");
  if (defaulted == root_.end() || !defaulted->is_array()) return;
  for (const nlohmann::json& key : *defaulted) {
    if (key.is_string()) defaulted_.insert(key.get_ref<const std::string&>());
  }
}

absl::StatusOr<JsonConfig> JsonConfig::Read(const std::string& path) {
  STEPCAST_ASSIGN_OR_RETURN(nlohmann::json root, ReadJsonObject(path));
  return JsonConfig(std::move(root), path);
}

absl::StatusOr<JsonConfig> JsonConfig::Parse(absl::string_view text, std::string where) {
  STEPCAST_ASSIGN_OR_RETURN(nlohmann::json root, ParseJsonObject(text, where));
  return JsonConfig(std::move(root), std::move(where));
}

const nlohmann::json* JsonConfig::Find(absl::string_view key) {
  known_.emplace(key);
  const auto found = root_.find(std::string(key));
  if (found == root_.end() || found->is_null() || defaulted_.contains(key)) return nullptr;
  return &*found;
}

bool JsonConfig::Has(absl::string_view key) const {
  return root_.contains(std::string(key)) && !defaulted_.contains(key);
}

void JsonConfig::Problem(absl::string_view key, absl::string_view what) {
  if (problems_.size() < kMaxProblems) {
    problems_.push_back(absl::StrCat(key.substr(0, 80), ": ", what));
  } else {
    ++more_problems_;
  }
}

std::optional<int64_t> JsonConfig::ToInt(absl::string_view key, const nlohmann::json& value, int64_t min, int64_t max) {
  // 8.0 is an integer to Python and to the files it writes.
  const bool integral =
      value.is_number_integer() || (value.is_number_float() && value.get<double>() == std::floor(value.get<double>()) &&
                                    std::abs(value.get<double>()) < 1e15);
  if (!integral) {
    Problem(key, absl::StrCat("an integer is needed, got ", value.dump().substr(0, 80)));
    return std::nullopt;
  }
  const double approximate = value.get<double>();
  if (approximate < static_cast<double>(min) || approximate > static_cast<double>(max)) {
    Problem(key, absl::StrCat(value.dump().substr(0, 80), " is outside ", min, "..", max));
    return std::nullopt;
  }
  return value.get<int64_t>();
}

std::optional<bool> JsonConfig::OptionalBool(absl::string_view key) {
  const nlohmann::json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_boolean()) return value->get<bool>();
  Problem(key, absl::StrCat("true or false is needed, got ", value->dump().substr(0, 80)));
  return std::nullopt;
}

std::optional<int64_t> JsonConfig::OptionalInt(absl::string_view key, int64_t min, int64_t max) {
  const nlohmann::json* value = Find(key);
  return value == nullptr ? std::nullopt : ToInt(key, *value, min, max);
}

std::optional<double> JsonConfig::OptionalDouble(absl::string_view key) {
  const nlohmann::json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_number() && std::isfinite(value->get<double>())) return value->get<double>();
  Problem(key, absl::StrCat("a finite number is needed, got ", value->dump().substr(0, 80)));
  return std::nullopt;
}

std::optional<std::string> JsonConfig::OptionalString(absl::string_view key) {
  const nlohmann::json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return value->get<std::string>();
  Problem(key, absl::StrCat("a string is needed, got ", value->dump().substr(0, 80)));
  return std::nullopt;
}

bool JsonConfig::Bool(absl::string_view key, bool fallback) { return OptionalBool(key).value_or(fallback); }

int64_t JsonConfig::Int(absl::string_view key, int64_t fallback, int64_t min, int64_t max) {
  return OptionalInt(key, min, max).value_or(fallback);
}

double JsonConfig::Double(absl::string_view key, double fallback) { return OptionalDouble(key).value_or(fallback); }

std::string JsonConfig::String(absl::string_view key, absl::string_view fallback) {
  return OptionalString(key).value_or(std::string(fallback));
}

std::vector<int64_t> JsonConfig::Ints(absl::string_view key, std::vector<int64_t> fallback, int64_t min, int64_t max) {
  const nlohmann::json* value = Find(key);
  if (value == nullptr) return fallback;
  if (!value->is_array() || value->empty() || value->size() > kMaxListEntries) {
    Problem(key, absl::StrCat("a list of 1..", kMaxListEntries, " integers is needed"));
    return fallback;
  }
  std::vector<int64_t> numbers;
  for (const nlohmann::json& entry : *value) numbers.push_back(ToInt(key, entry, min, max).value_or(min));
  return numbers;
}

std::vector<double> JsonConfig::Doubles(absl::string_view key) {
  const nlohmann::json* value = Find(key);
  if (value == nullptr) return {};
  std::vector<double> numbers;
  bool good = value->is_array() && value->size() <= kMaxNumbers;
  if (good) {
    for (const nlohmann::json& entry : *value) {
      good = good && entry.is_number() && std::isfinite(entry.get<double>());
      if (good) numbers.push_back(entry.get<double>());
    }
  }
  if (good) return numbers;
  Problem(key, absl::StrCat("a list of at most ", kMaxNumbers, " finite numbers is needed"));
  return {};
}

std::vector<std::string> JsonConfig::Strings(absl::string_view key, std::vector<std::string> fallback) {
  const nlohmann::json* value = Find(key);
  if (value == nullptr) return fallback;
  std::vector<std::string> strings;
  bool good = value->is_array() && !value->empty() && value->size() <= kMaxListEntries;
  if (good) {
    for (const nlohmann::json& entry : *value) {
      good = good && entry.is_string();
      if (good) strings.push_back(entry.get<std::string>());
    }
  }
  if (good) return strings;
  Problem(key, absl::StrCat("a list of 1..", kMaxListEntries, " strings is needed"));
  return fallback;
}

std::vector<int64_t> JsonConfig::IntPerBlock(absl::string_view key, int64_t fallback, size_t count, int64_t max) {
  const nlohmann::json* value = Find(key);
  if (value == nullptr || !value->is_array()) return std::vector<int64_t>(count, Int(key, fallback, 1, max));
  std::vector<int64_t> numbers = Ints(key, {}, 1, max);
  if (numbers.size() != count) Problem(key, absl::StrCat("one value per block (", count, ") is needed"));
  numbers.resize(count, fallback);
  return numbers;
}

std::vector<bool> JsonConfig::BoolPerBlock(absl::string_view key, bool fallback, size_t count) {
  const nlohmann::json* value = Find(key);
  if (value == nullptr || !value->is_array()) return std::vector<bool>(count, Bool(key, fallback));
  std::vector<bool> flags;
  for (const nlohmann::json& entry : *value) flags.push_back(entry.is_boolean() && entry.get<bool>());
  if (flags.size() != count) Problem(key, absl::StrCat("one value per block (", count, ") is needed"));
  flags.resize(count, fallback);
  return flags;
}

void JsonConfig::Ignore(std::initializer_list<absl::string_view> keys) {
  for (const absl::string_view key : keys) known_.emplace(key);
}

void JsonConfig::Refuse(absl::string_view key, absl::string_view harmless) {
  const nlohmann::json* value = Find(key);
  if (value == nullptr || (value->is_boolean() && !value->get<bool>())) return;
  if (value->is_string() && value->get_ref<const std::string&>() == harmless) return;
  Problem(key, absl::StrCat(value->dump().substr(0, 80), " is not supported"));
}

absl::Status JsonConfig::Finish() const {
  if (problems_.empty()) return absl::OkStatus();
  std::string text = absl::StrCat(where_, ": ", absl::StrJoin(problems_, "; "));
  if (more_problems_ > 0) absl::StrAppend(&text, "; and ", more_problems_, " more");
  return absl::InvalidArgumentError(text);
}

std::vector<std::string> JsonConfig::UnknownKeys() const {
  std::vector<std::string> unknown;
  for (const auto& [key, value] : root_.items()) {
    if ((key.empty() || key.front() != '_') && !known_.contains(key)) unknown.push_back(key);
  }
  return unknown;
}

}  // namespace stepcast::model

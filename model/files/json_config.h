#pragma once
// Component configs: small untrusted JSON objects with diffusers' rules for defaults.

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace stepcast::model {

inline constexpr size_t kMaxJsonBytes = 16 << 20;

// Parses one JSON object from untrusted text. Python's -Infinity, Infinity and NaN read as null. Errors:
// INVALID_ARGUMENT naming `where` for bad syntax, duplicate keys, nesting or size beyond the limits of
// text/vocabulary/json_file.h, more than kMaxJsonBytes, or a root that is no object.
absl::StatusOr<nlohmann::json> ParseJsonObject(absl::string_view text, const std::string& where);

// The same from a file. Errors also: NOT_FOUND; FAILED_PRECONDITION for a git-lfs pointer.
absl::StatusOr<nlohmann::json> ReadJsonObject(const std::string& path);

// Typed access to one config. Every accessor returns the value, or the default when the key is absent, null, or
// listed in `_use_default_values`. A wrong type or range is remembered, not thrown: Finish() tells all of them.
class JsonConfig {
 public:
  static absl::StatusOr<JsonConfig> Read(const std::string& path);
  // `where` names the config in errors.
  static absl::StatusOr<JsonConfig> Parse(absl::string_view text, std::string where);

  bool Bool(absl::string_view key, bool fallback);
  int64_t Int(absl::string_view key, int64_t fallback, int64_t min = 0, int64_t max = kMaxDimension);
  double Double(absl::string_view key, double fallback);
  std::string String(absl::string_view key, absl::string_view fallback);

  std::optional<bool> OptionalBool(absl::string_view key);
  std::optional<int64_t> OptionalInt(absl::string_view key, int64_t min = 0, int64_t max = kMaxDimension);
  std::optional<double> OptionalDouble(absl::string_view key);
  std::optional<std::string> OptionalString(absl::string_view key);

  // A list of 1..64 integers.
  std::vector<int64_t> Ints(absl::string_view key, std::vector<int64_t> fallback, int64_t min = 0,
                            int64_t max = kMaxDimension);
  std::vector<double> Doubles(absl::string_view key);  // absent: empty; at most 10,000 numbers
  std::vector<std::string> Strings(absl::string_view key, std::vector<std::string> fallback);
  // One integer, repeated `count` times, or a list of `count` integers.
  std::vector<int64_t> IntPerBlock(absl::string_view key, int64_t fallback, size_t count, int64_t max = kMaxDimension);
  std::vector<bool> BoolPerBlock(absl::string_view key, bool fallback, size_t count);

  // The raw value, or nullptr when absent, null or defaulted. Marks the key as known.
  const nlohmann::json* Find(absl::string_view key);

  // Whether the file says anything of `key`, null included: for the few keys where null and absent differ. Keys
  // listed in `_use_default_values` count as absent.
  bool Has(absl::string_view key) const;

  // Marks keys that are known and have no effect here.
  void Ignore(std::initializer_list<absl::string_view> keys);
  // Remembers a problem of this config; of many the first 20 are told and the rest counted.
  void Problem(absl::string_view key, absl::string_view what);
  // Remembers a value that Stepcast cannot honour, unless it is null, false, or `harmless`.
  void Refuse(absl::string_view key, absl::string_view harmless = "");

  // INVALID_ARGUMENT listing every problem met so far.
  absl::Status Finish() const;
  // Keys that nobody asked for (bookkeeping keys, which start with '_', do not count).
  std::vector<std::string> UnknownKeys() const;
  const std::string& where() const { return where_; }
  // The object as it was read.
  const nlohmann::json& root() const { return root_; }

  static constexpr int64_t kMaxDimension = 1'000'000;

 private:
  JsonConfig(nlohmann::json root, std::string where);
  std::optional<int64_t> ToInt(absl::string_view key, const nlohmann::json& value, int64_t min, int64_t max);

  nlohmann::json root_;
  std::string where_;
  std::set<std::string, std::less<>> defaulted_;
  std::set<std::string, std::less<>> known_;
  std::vector<std::string> problems_;
  size_t more_problems_ = 0;
};

}  // namespace stepcast::model

#pragma once
// A strict reader of YAML mappings: unknown, duplicate or mistyped keys are errors with their line. The only user of
// yaml-cpp, and the place where its exceptions end.

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace stepcast {

// What is wrong with a file, in order of line. Keeps kMaxKept errors and counts the rest.
class YamlErrors {
 public:
  static constexpr size_t kMaxKept = 200;

  // `path` names the file.
  explicit YamlErrors(std::string path) : path_(std::move(path)) {}

  // `line` counts from 1; 0: the file as a whole.
  void Add(int line, std::string message);

  // Errors that begin with `key` ("limits.max_side: ...") are told as those of `name`, which has no line: the key was
  // set elsewhere.
  void Call(const std::string& key, const std::string& name) { names_[key] = name; }

  // Whether there are so many that reading on is of no use: through aliases, a small file can hold many mistakes.
  bool full() const { return errors_.size() == kMaxKept; }

  // OK, or INVALID_ARGUMENT with one "path:line: message" per line.
  absl::Status ToStatus() const;

 private:
  std::string path_;
  std::map<std::string, std::string> names_;         // of Call
  std::vector<std::pair<int, std::string>> errors_;  // in the order of Add
  size_t more_ = 0;
};

// Parses one document of at most 1 MiB. The root of an empty file is null.
// Errors: INVALID_ARGUMENT, "path:line: message".
absl::StatusOr<YAML::Node> ParseYaml(const std::string& text, const std::string& path);

// A mapping whose keys are read one by one; what is left unread at the end is unknown. Absent keys leave the value as
// it is; so do wrong ones, besides adding an error.
class YamlMapping {
 public:
  // `section` names the mapping in messages: "limits"; "" for the root. A node that is null counts as empty; so does
  // any when `errors` is full.
  YamlMapping(const YAML::Node& node, std::string section, YamlErrors& errors);

  void Int(const char* key, int64_t min, int64_t max, const std::function<void(int64_t)>& set);
  void Int(const char* key, int64_t min, int64_t max, int& value);
  void Int(const char* key, int64_t min, int64_t max, int64_t& value);
  void Real(const char* key, double min, double max, double& value);
  void Bool(const char* key, bool& value);
  void Text(const char* key, std::string& value);
  // "30s", "1m30s", "250ms", "0"; with `none` that word is an infinite duration.
  void Duration(const char* key, absl::Duration min, absl::Duration max, absl::Duration& value);
  void DurationOrNone(const char* key, absl::Duration min, absl::Duration max, absl::Duration& value);
  // A port number or "off".
  void PortOrOff(const char* key, std::optional<int>& value);
  // One of `names`; `set` receives its index.
  void Choice(const char* key, const std::vector<std::string>& names, const std::function<void(size_t)>& set);

  // The mapping or list at `key`; nullopt when absent.
  std::optional<YAML::Node> Child(const char* key);

  // Reports the keys that nobody read. Call last.
  void Finish();

  // Line of `key`, or of the mapping without it.
  int LineOf(const char* key) const;

 private:
  struct Entry {
    std::string key;
    YAML::Node value;
    int line = 0;
    bool read = false;
  };

  Entry* Find(const char* key);
  // The plain or quoted text of a scalar; nullopt, with an error that says what is allowed, for anything else.
  std::optional<std::string> Scalar(const char* key, absl::string_view allowed, bool quoted_is_fine);
  void Wrong(const char* key, absl::string_view got, absl::string_view allowed);
  std::string Name(absl::string_view key) const;

  std::string section_;
  YamlErrors& errors_;
  int line_ = 0;
  std::vector<Entry> entries_;
  std::vector<std::string> known_;
};

}  // namespace stepcast

#include "server/config/strict_yaml.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/wire/text_limits.h"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/parser.h"

namespace stepcast {
namespace {

constexpr size_t kMaxFileBytes = 1 << 20;
constexpr size_t kMaxErrors = 20;
constexpr size_t kMaxKeys = 1000;  // of one mapping

// Edits by which a misspelt key may differ from the key that is suggested.
constexpr size_t kMaxEdits = 2;
constexpr size_t kMaxSuggestedKey = 64;

int LineOfMark(const YAML::Mark& mark) { return mark.is_null() ? 0 : mark.line + 1; }

// Levenshtein's distance.
size_t Edits(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({row[j - 1] + 1, above + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

// The known key that was probably meant; null when none is close.
const std::string* Nearest(const std::vector<std::string>& known, const std::string& key) {
  const std::string* nearest = nullptr;
  if (key.size() > kMaxSuggestedKey) return nearest;
  size_t fewest = kMaxEdits + 1;
  for (const std::string& candidate : known) {
    const size_t edits = Edits(candidate, key);
    if (edits >= fewest) continue;
    fewest = edits;
    nearest = &candidate;
  }
  return nearest;
}

std::string Describe(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Scalar:
      return Quoted(node.Scalar());
    case YAML::NodeType::Sequence:
      return "a list";
    case YAML::NodeType::Map:
      return "a mapping";
    default:
      return "nothing";
  }
}

bool IsInteger(const std::string& text) {
  const size_t digits = text[0] == '-' ? 1 : 0;
  return text.size() > digits && std::all_of(text.begin() + static_cast<std::ptrdiff_t>(digits), text.end(),
                                             [](char c) { return c >= '0' && c <= '9'; });
}

// Counts documents, and keeps where the second has its first node.
struct Documents final : YAML::EventHandler {
  int begun = 0;
  YAML::Mark second = YAML::Mark::null_mark();

  void Note(const YAML::Mark& mark) {
    if (begun == 2 && second.is_null()) second = mark;
  }
  void OnDocumentStart(const YAML::Mark&) override { ++begun; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { Note(mark); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { Note(mark); }
  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t, const std::string&) override { Note(mark); }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    Note(mark);
  }
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    Note(mark);
  }
  void OnMapEnd() override {}
};

}  // namespace

void YamlErrors::Add(int line, std::string message) {
  if (const auto named = names_.find(message.substr(0, message.find(':'))); named != names_.end()) {
    message.replace(0, named->first.size(), named->second);
    line = 0;
  }
  if (full()) {
    ++more_;
  } else {
    errors_.emplace_back(line, std::move(message));
  }
}

absl::Status YamlErrors::ToStatus() const {
  if (errors_.empty()) return absl::OkStatus();
  // Those of one line in the order of Add, which is that of their addresses. Not std::stable_sort: the standard
  // library's uses functions that C++20 deprecates, of which clang warns.
  std::vector<const std::pair<int, std::string>*> by_line;
  for (const auto& error : errors_) by_line.push_back(&error);
  std::sort(by_line.begin(), by_line.end(),
            [](const auto* a, const auto* b) { return a->first != b->first ? a->first < b->first : a < b; });
  const size_t shown = std::min(by_line.size(), kMaxErrors);
  std::string text;
  for (size_t i = 0; i < shown; ++i) {
    const std::string place = by_line[i]->first == 0 ? path_ : absl::StrCat(path_, ":", by_line[i]->first);
    absl::StrAppend(&text, i == 0 ? "" : "\n", place, ": ", by_line[i]->second);
  }
  const size_t rest = errors_.size() - shown + more_;
  if (rest > 0) absl::StrAppend(&text, "\n", path_, ": and ", rest, " more");
  return absl::InvalidArgumentError(text);
}

absl::StatusOr<YAML::Node> ParseYaml(const std::string& text, const std::string& path) {
  YamlErrors errors(path);
  if (text.size() > kMaxFileBytes) {
    errors.Add(0, absl::StrCat("the file is larger than ", kMaxFileBytes, " bytes"));
  } else if (const size_t invalid = FindInvalidUtf8(text); invalid != std::string::npos) {
    const auto line = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(invalid), '\n') + 1;
    errors.Add(static_cast<int>(line), "the file is not UTF-8");
  } else {
    try {
      // Not LoadAll, which makes documents without end of a comma that stands alone.
      std::istringstream stream(text);
      YAML::Parser parser(stream);
      Documents documents;
      while (documents.begun < 2 && parser.HandleNextDocument(documents)) {
      }
      if (documents.begun == 0) return YAML::Node();
      if (documents.begun == 1) return YAML::Load(text);
      errors.Add(LineOfMark(documents.second), "the file holds more than one document");
    } catch (const YAML::Exception& error) {
      errors.Add(LineOfMark(error.mark), absl::StrCat("this is not YAML: ", error.msg));
    }
  }
  return errors.ToStatus();
}

YamlMapping::YamlMapping(const YAML::Node& node, std::string section, YamlErrors& errors)
    : section_(std::move(section)), errors_(errors), line_(LineOfMark(node.Mark())) {
  if (node.IsNull() || errors.full()) return;
  if (!node.IsMap()) {
    const std::string name = section_.empty() ? "the file" : section_;
    errors_.Add(line_, absl::StrCat(name, ": got ", Describe(node), "; allowed: a mapping of keys to values"));
    return;
  }
  if (node.size() > kMaxKeys) {
    errors_.Add(line_, absl::StrCat(section_.empty() ? "the file" : section_, " has more than ", kMaxKeys, " keys"));
    return;
  }
  // yaml-cpp keeps duplicates but finds only the first.
  absl::flat_hash_map<std::string, int> lines;
  for (const auto& pair : node) {
    const int line = LineOfMark(pair.first.Mark());
    if (!pair.first.IsScalar()) {
      errors_.Add(line, absl::StrCat(section_.empty() ? "the file" : section_, ": a key is no text"));
      continue;
    }
    Entry entry{.key = pair.first.Scalar(), .value = pair.second, .line = line};
    const auto [earlier, is_new] = lines.emplace(entry.key, line);
    if (!is_new) {
      errors_.Add(
          line, absl::StrCat("the key ", Name(Quoted(entry.key)), " was given in line ", earlier->second, " already"));
      continue;
    }
    entries_.push_back(std::move(entry));
  }
}

YamlMapping::Entry* YamlMapping::Find(const char* key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.emplace_back(key);
  const auto found =
      std::find_if(entries_.begin(), entries_.end(), [key](const Entry& entry) { return entry.key == key; });
  if (found == entries_.end()) return nullptr;
  found->read = true;
  return &*found;
}

std::string YamlMapping::Name(absl::string_view key) const {
  return section_.empty() ? std::string(key) : absl::StrCat(section_, ".", key);
}

int YamlMapping::LineOf(const char* key) const {
  const auto found =
      std::find_if(entries_.begin(), entries_.end(), [key](const Entry& entry) { return entry.key == key; });
  return found == entries_.end() ? line_ : found->line;
}

void YamlMapping::Wrong(const char* key, absl::string_view got, absl::string_view allowed) {
  errors_.Add(LineOf(key), absl::StrCat(Name(key), ": got ", got, "; allowed: ", allowed));
}

std::optional<std::string> YamlMapping::Scalar(const char* key, absl::string_view allowed, bool quoted_is_fine) {
  const Entry* entry = Find(key);
  if (entry == nullptr) return std::nullopt;
  const bool quoted = entry->value.Tag() == "!";
  if (!entry->value.IsScalar() || (quoted && !quoted_is_fine)) {
    Wrong(key, absl::StrCat(Describe(entry->value), quoted ? " in quotes" : ""), allowed);
    return std::nullopt;
  }
  return entry->value.Scalar();
}

void YamlMapping::Int(const char* key, int64_t min, int64_t max, const std::function<void(int64_t)>& set) {
  const std::string allowed = absl::StrCat("a whole number in ", min, "..", max);
  const std::optional<std::string> text = Scalar(key, allowed, false);
  if (!text.has_value()) return;
  int64_t parsed = 0;
  if (IsInteger(*text) && absl::SimpleAtoi(*text, &parsed) && parsed >= min && parsed <= max) return set(parsed);
  Wrong(key, Quoted(*text), allowed);
}

void YamlMapping::Int(const char* key, int64_t min, int64_t max, int& value) {
  Int(key, min, max, [&value](int64_t parsed) { value = static_cast<int>(parsed); });
}

void YamlMapping::Int(const char* key, int64_t min, int64_t max, int64_t& value) {
  Int(key, min, max, [&value](int64_t parsed) { value = parsed; });
}

void YamlMapping::Real(const char* key, double min, double max, double& value) {
  const std::string allowed = absl::StrCat("a number in ", min, "..", max);
  const std::optional<std::string> text = Scalar(key, allowed, false);
  if (!text.has_value()) return;
  double parsed = 0.0;
  if (absl::SimpleAtod(*text, &parsed) && std::isfinite(parsed) && parsed >= min && parsed <= max) {
    value = parsed;
  } else {
    Wrong(key, Quoted(*text), allowed);
  }
}

void YamlMapping::Bool(const char* key, bool& value) {
  const std::optional<std::string> text = Scalar(key, "true, false", false);
  if (!text.has_value()) return;
  if (*text != "true" && *text != "false") return Wrong(key, Quoted(*text), "true, false");
  value = *text == "true";
}

void YamlMapping::Text(const char* key, std::string& value) {
  const std::optional<std::string> text = Scalar(key, "a text", true);
  if (!text.has_value()) return;
  if (text->find('\0') != std::string::npos) return Wrong(key, Quoted(*text), "a text without NUL");
  value = *text;
}

void YamlMapping::Duration(const char* key, absl::Duration min, absl::Duration max, absl::Duration& value) {
  const std::string allowed =
      absl::StrCat("a duration in ", absl::FormatDuration(min), "..", absl::FormatDuration(max), ", like 30s or 1m30s");
  const std::optional<std::string> text = Scalar(key, allowed, true);
  if (!text.has_value()) return;
  absl::Duration parsed;
  if (absl::ParseDuration(*text, &parsed) && parsed >= min && parsed <= max) {
    value = parsed;
  } else {
    Wrong(key, Quoted(*text), allowed);
  }
}

void YamlMapping::DurationOrNone(const char* key, absl::Duration min, absl::Duration max, absl::Duration& value) {
  const auto is_none = [key](const Entry& entry) {
    return entry.key == key && entry.value.IsScalar() && entry.value.Scalar() == "none";
  };
  if (std::none_of(entries_.begin(), entries_.end(), is_none)) return Duration(key, min, max, value);
  Find(key);
  value = absl::InfiniteDuration();
}

void YamlMapping::PortOrOff(const char* key, std::optional<int>& value) {
  constexpr int kMaxPort = 65535;
  const std::string allowed = absl::StrCat("a port in 0..", kMaxPort, ", 0 for any free one, or off");
  const std::optional<std::string> text = Scalar(key, allowed, false);
  if (!text.has_value()) return;
  int parsed = 0;
  if (*text == "off") {
    value = std::nullopt;
  } else if (IsInteger(*text) && absl::SimpleAtoi(*text, &parsed) && parsed >= 0 && parsed <= kMaxPort) {
    value = parsed;
  } else {
    Wrong(key, Quoted(*text), allowed);
  }
}

void YamlMapping::Choice(const char* key, const std::vector<std::string>& names,
                         const std::function<void(size_t)>& set) {
  const std::string allowed = absl::StrJoin(names, ", ");
  const std::optional<std::string> text = Scalar(key, allowed, true);
  if (!text.has_value()) return;
  const auto found = std::find(names.begin(), names.end(), *text);
  if (found == names.end()) return Wrong(key, Quoted(*text), allowed);
  set(static_cast<size_t>(found - names.begin()));
}

std::optional<YAML::Node> YamlMapping::Child(const char* key) {
  const Entry* entry = Find(key);
  return entry == nullptr ? std::nullopt : std::optional<YAML::Node>(entry->value);
}

void YamlMapping::Finish() {
  for (const Entry& entry : entries_) {
    if (entry.read || errors_.full()) continue;
    const std::string* const nearest = Nearest(known_, entry.key);
    const std::string hint = nearest != nullptr ? absl::StrCat("; did you mean ", *nearest, "?")
                                                : absl::StrCat("; known here: ", absl::StrJoin(known_, ", "));
    errors_.Add(entry.line, absl::StrCat("unknown key ", Name(Quoted(entry.key)), hint));
  }
}

}  // namespace stepcast

#include "model/families/class_labels.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace stepcast::model {
namespace {

constexpr size_t kMaxLabelBytes = 256;

std::optional<int> ParseIndex(const std::string& text) {
  int index = 0;
  const bool digits = !text.empty() && text.size() <= 7 && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isdigit(static_cast<unsigned char>(c));
  });
  if (!digits || !absl::SimpleAtoi(text, &index) || index > kMaxClassIndex) return std::nullopt;
  return index;
}

}  // namespace

absl::StatusOr<ClassLabels> ReadClassLabels(JsonConfig& index) {
  ClassLabels classes;
  if (const nlohmann::json* labels = index.Find("id2label"); labels != nullptr) {
    if (!labels->is_object()) index.Problem("id2label", "an object of class indices and labels is needed");
    const nlohmann::json& entries = labels->is_object() ? *labels : nlohmann::json::object();
    for (const auto& [key, value] : entries.items()) {
      const std::optional<int> id = ParseIndex(key);
      const bool fits = value.is_string() && !value.get_ref<const std::string&>().empty() &&
                        value.get_ref<const std::string&>().size() <= kMaxLabelBytes;
      if (!id.has_value() || !fits) {
        index.Problem("id2label", absl::StrCat("entry '", absl::CHexEscape(key.substr(0, 40)), "' must be an index 0..",
                                               kMaxClassIndex, " with a label of 1..", kMaxLabelBytes, " bytes"));
        continue;
      }
      classes.labels[*id] = value.get<std::string>();
    }
  }
  if (const std::optional<int64_t> null_class = index.OptionalInt("null_class", 0, kMaxClassIndex)) {
    classes.null_class = static_cast<int>(*null_class);
    if (classes.labels.contains(*classes.null_class)) index.Problem("null_class", "has a label in id2label");
  }
  STEPCAST_RETURN_IF_ERROR(index.Finish());
  return classes;
}

}  // namespace stepcast::model

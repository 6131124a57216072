#pragma once
// The optional card of a LoRA: NAME.json beside NAME.safetensors.

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/model_card.h"

namespace stepcast::model {

struct LoraCard {
  std::optional<std::string> display_name = std::nullopt;
  std::optional<std::string> description = std::nullopt;
  std::optional<std::string> license = std::nullopt;
  std::optional<std::string> family = std::nullopt;
  std::optional<std::vector<std::string>> trigger_words = std::nullopt;
  CardDefaults defaults = {};
};

// Reads {"name", "display_name", "description", "license", "family", "trigger_words", "defaults" (as a model's card,
// without "width" and "height")}. A file that does not exist says nothing; so does one that another program keeps under
// that name. Errors: INVALID_ARGUMENT listing every unknown key and every value of a wrong type.
absl::StatusOr<LoraCard> ReadLoraCard(const std::string& path);

}  // namespace stepcast::model

#include "model/lora/lora_card.h"

#include "core/status_macros.h"
#include "model/files/json_config.h"
#include "model/files/model_card.h"

namespace stepcast::model {
namespace {

bool IsOfAnotherProgram(const JsonConfig& json) {
  for (const char* key : {"sd version", "activation text", "preferred weight", "modelId"}) {
    if (json.Has(key)) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<LoraCard> ReadLoraCard(const std::string& path) {
  LoraCard card;
  absl::StatusOr<JsonConfig> json = JsonConfig::Read(path);
  if (absl::IsNotFound(json.status())) return card;
  STEPCAST_RETURN_IF_ERROR(json.status());
  if (IsOfAnotherProgram(*json)) return card;
  json->Ignore({"name"});
  card.display_name = json->OptionalString("display_name");
  card.description = json->OptionalString("description");
  card.license = json->OptionalString("license");
  card.family = json->OptionalString("family");
  if (const nlohmann::json* words = json->Find("trigger_words"); words != nullptr) {
    card.trigger_words.emplace();
    for (const nlohmann::json& word : *words) {
      if (!words->is_array() || !word.is_string()) {
        json->Problem("trigger_words", "a list of texts is needed");
        break;
      }
      card.trigger_words->push_back(word.get<std::string>());
    }
  }
  if (const nlohmann::json* defaults = json->Find("defaults"); defaults != nullptr) {
    if (defaults->is_object()) {
      STEPCAST_ASSIGN_OR_RETURN(card.defaults, ReadCardDefaults(*defaults, path + ": defaults"));
    } else {
      json->Problem("defaults", "an object is needed");
    }
    if (card.defaults.width.has_value() || card.defaults.height.has_value()) {
      json->Problem("defaults", "a LoRA has no width and height");
    }
  }
  for (const std::string& key : json->UnknownKeys()) json->Problem(key, "unknown key");
  STEPCAST_RETURN_IF_ERROR(json->Finish());
  return card;
}

}  // namespace stepcast::model

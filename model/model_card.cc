#include "model/model_card.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/status_macros.h"
#include "model/json_config.h"

namespace stepcast::model {
namespace {

constexpr double kMaxGuidance = 30;

int Side(JsonConfig& json, absl::string_view key, int current, const ModelLimits& limits) {
  const std::optional<int64_t> side = json.OptionalInt(key, limits.min_side, limits.max_side);
  if (!side.has_value()) return current;
  if (*side % limits.size_multiple != 0) {
    json.Problem(key, absl::StrCat(*side, " is not a multiple of ", limits.size_multiple));
  }
  return static_cast<int>(*side);
}

absl::Status ReadDefaults(const nlohmann::json& value, const std::string& where, ModelInfo& info) {
  STEPCAST_ASSIGN_OR_RETURN(JsonConfig json, JsonConfig::Parse(value.dump(), where));
  ModelDefaults& defaults = info.defaults;
  if (const std::optional<std::string> name = json.OptionalString("sampler")) {
    const std::optional<Sampler> sampler = SamplerFromName(*name);
    if (!sampler.has_value()) json.Problem("sampler", absl::StrCat("'", name->substr(0, 40), "' is not known"));
    defaults.sampler = sampler.value_or(defaults.sampler);
  }
  defaults.steps = static_cast<int>(json.Int("steps", defaults.steps, 1, info.limits.max_steps));
  defaults.guidance_scale = json.Double("guidance_scale", defaults.guidance_scale);
  if (defaults.guidance_scale < 0 || defaults.guidance_scale > kMaxGuidance) {
    json.Problem("guidance_scale", absl::StrCat(defaults.guidance_scale, " is outside 0..", kMaxGuidance));
  }
  defaults.width = Side(json, "width", defaults.width, info.limits);
  defaults.height = Side(json, "height", defaults.height, info.limits);
  for (const std::string& key : json.UnknownKeys()) json.Problem(key, "unknown key");
  return json.Finish();
}

}  // namespace

absl::Status ApplyModelCard(const std::string& path, ModelInfo& info) {
  absl::StatusOr<JsonConfig> json = JsonConfig::Read(path);
  if (absl::IsNotFound(json.status())) return absl::OkStatus();
  STEPCAST_RETURN_IF_ERROR(json.status());
  info.display_name = json->String("display_name", info.display_name);
  info.description = json->String("description", info.description);
  info.license = json->String("license", info.license);
  info.attribution = json->String("attribution", info.attribution);
  const nlohmann::json* defaults = json->Find("defaults");
  for (const std::string& key : json->UnknownKeys()) json->Problem(key, "unknown key");
  STEPCAST_RETURN_IF_ERROR(json->Finish());
  return defaults == nullptr ? absl::OkStatus() : ReadDefaults(*defaults, absl::StrCat(path, ": defaults"), info);
}

}  // namespace stepcast::model

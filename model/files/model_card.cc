#include "model/files/model_card.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/status_macros.h"
#include "core/string_view.h"
#include "model/files/json_config.h"

namespace stepcast::model {
namespace {

constexpr double kMaxGuidance = 30;
constexpr int64_t kMaxInt = 1'000'000;  // a range is checked when the model's limits are known

// One of the names of an enum's values, up to `last`.
template <typename Enum>
std::optional<Enum> Named(JsonConfig& json, absl::string_view key, Enum last, std::string_view (*name_of)(Enum)) {
  const std::optional<std::string> name = json.OptionalString(key);
  if (!name.has_value()) return std::nullopt;
  std::vector<std::string> allowed;
  for (int i = 0; i <= static_cast<int>(last); ++i) {
    allowed.emplace_back(name_of(static_cast<Enum>(i)));
    if (allowed.back() == *name) return static_cast<Enum>(i);
  }
  json.Problem(
      key, absl::StrCat("got '", absl::CHexEscape(name->substr(0, 40)), "'; allowed: ", absl::StrJoin(allowed, ", ")));
  return std::nullopt;
}

std::optional<int> SmallInt(JsonConfig& json, absl::string_view key) {
  const std::optional<int64_t> value = json.OptionalInt(key, 0, kMaxInt);
  return value.has_value() ? std::optional<int>(static_cast<int>(*value)) : std::nullopt;
}

std::optional<Dtype> ReadDtype(JsonConfig& json, const std::string& key, const nlohmann::json& value) {
  std::optional<Dtype> dtype;
  if (value.is_string()) dtype = DtypeFromName(value.get_ref<const std::string&>());
  if (!dtype.has_value()) {
    json.Problem(key, absl::StrCat("got ", value.dump(-1, ' ', true).substr(0, 40), "; allowed: ", kDtypeNames));
  }
  return dtype;
}

// A name, or a map from parts to names.
DtypeWish ReadDtypes(JsonConfig& json) {
  DtypeWish wish;
  const nlohmann::json* said = json.Find("dtype");
  if (said == nullptr) return wish;
  if (!said->is_object()) {
    wish.whole = ReadDtype(json, "dtype", *said);
    return wish;
  }
  for (const auto& [part, value] : said->items()) {
    const std::string key = absl::StrCat("dtype.", absl::CHexEscape(part.substr(0, 40)));
    if (std::find(kDtypeParts.begin(), kDtypeParts.end(), part) == kDtypeParts.end()) {
      json.Problem(key, absl::StrCat("no part has this name; allowed: ", DtypePartNames()));
    } else if (const std::optional<Dtype> dtype = ReadDtype(json, key, value); dtype.has_value()) {
      wish.parts[part] = *dtype;
    }
  }
  return wish;
}

// Other programs keep notes of a checkpoint under the same name.
bool IsOfAnotherProgram(const JsonConfig& json) {
  for (const char* key : {"sd version", "activation text", "preferred weight", "modelId"}) {
    if (json.Has(key)) return true;
  }
  return false;
}

// Collects what is wrong with the defaults of one card.
class DefaultChecks {
 public:
  DefaultChecks(const ModelCard& card, ModelInfo& info) : said_(card.defaults), info_(info) {}

  void Apply() {
    ModelDefaults& defaults = info_.defaults;
    // What goes with a sampler does not go with another.
    if (said_.sampler.has_value() && *said_.sampler != defaults.sampler) {
      defaults.sigma_schedule = SigmaSchedule::kDefault;
      defaults.timestep_spacing.reset();
      defaults.eta.reset();
    }
    defaults.sampler = said_.sampler.value_or(defaults.sampler);
    defaults.sigma_schedule = said_.sigma_schedule.value_or(defaults.sigma_schedule);
    if (said_.timestep_spacing.has_value()) defaults.timestep_spacing = said_.timestep_spacing;
    ApplySteps(defaults);
    Real("guidance_scale", said_.guidance_scale, kMaxGuidance, defaults.guidance_scale);
    Real("guidance_rescale", said_.guidance_rescale, 1, defaults.guidance_rescale);
    if (said_.eta.has_value()) Real("eta", said_.eta, 1, defaults.eta.emplace());
    Int("clip_skip", said_.clip_skip, 0, std::max(0, info_.text_layers - 1), defaults.clip_skip);
    if (said_.negative_prompt.has_value()) defaults.negative_prompt = said_.negative_prompt;
    Side("width", said_.width, defaults.width);
    Side("height", said_.height, defaults.height);
  }

  const std::vector<std::string>& problems() const { return problems_; }

 private:
  void Problem(absl::string_view key, absl::string_view what) { problems_.push_back(absl::StrCat(key, ": ", what)); }

  void Int(absl::string_view key, const std::optional<int>& said, int min, int max, int& value) {
    if (!said.has_value()) return;
    value = *said;
    if (value < min || value > max) Problem(key, absl::StrCat(value, " is outside ", min, "..", max));
  }

  void Real(absl::string_view key, const std::optional<double>& said, double max, double& value) {
    if (!said.has_value()) return;
    value = *said;
    if (!(value >= 0 && value <= max)) Problem(key, absl::StrCat(value, " is outside 0..", max));
  }

  void Side(absl::string_view key, const std::optional<int>& said, int& value) {
    const ModelLimits& limits = info_.limits;
    Int(key, said, limits.min_side, limits.max_side, value);
    if (said.has_value() && *said % limits.size_multiple != 0) {
      Problem(key, absl::StrCat(*said, " is not a multiple of ", limits.size_multiple));
    }
  }

  void Falling(absl::string_view key, const std::vector<double>& list) {
    for (size_t i = 0; i < list.size(); ++i) {
      const bool fine = std::isfinite(list[i]) && list[i] >= 0 && (i == 0 || list[i] < list[i - 1]);
      if (!fine)
        return Problem(key, absl::StrCat(list[i], ": finite numbers, 0 or more, strictly descending are needed"));
    }
  }

  // A list stands for steps; whoever says one replaces what was said of the other.
  void ApplySteps(ModelDefaults& defaults) {
    if (!said_.timesteps.empty() && !said_.sigmas.empty())
      Problem("sigmas", "only one of timesteps and sigmas is allowed");
    Falling("timesteps", said_.timesteps);
    Falling("sigmas", said_.sigmas);
    const size_t listed = !said_.timesteps.empty() ? said_.timesteps.size()
                          : said_.sigmas.empty()   ? 0
                                                   : said_.sigmas.size() - 1;
    const bool has_list = !said_.timesteps.empty() || !said_.sigmas.empty();
    if (said_.steps.has_value() || has_list) {
      defaults.timesteps = said_.timesteps;
      defaults.sigmas = said_.sigmas;
    }
    if (has_list) {
      if (said_.steps.has_value() && static_cast<size_t>(*said_.steps) != listed) {
        Problem("steps", absl::StrCat(*said_.steps, ", but the list makes ", listed));
      }
      Int("steps", static_cast<int>(listed), 1, info_.limits.max_steps, defaults.steps);
    } else {
      Int("steps", said_.steps, 1, info_.limits.max_steps, defaults.steps);
    }
  }

  const CardDefaults& said_;
  ModelInfo& info_;
  std::vector<std::string> problems_;
};

}  // namespace

absl::StatusOr<CardDefaults> ReadCardDefaults(const nlohmann::json& value, const std::string& where) {
  STEPCAST_ASSIGN_OR_RETURN(JsonConfig json, JsonConfig::Parse(value.dump(), where));
  CardDefaults defaults;
  defaults.sampler = Named(json, "sampler", Sampler::kSdeVp, &SamplerName);
  defaults.sigma_schedule = Named(json, "sigma_schedule", SigmaSchedule::kLu, &SigmaScheduleName);
  defaults.timestep_spacing = Named(json, "timestep_spacing", TimestepSpacing::kTrailing, &TimestepSpacingName);
  defaults.steps = SmallInt(json, "steps");
  defaults.timesteps = json.Doubles("timesteps");
  defaults.sigmas = json.Doubles("sigmas");
  defaults.guidance_scale = json.OptionalDouble("guidance_scale");
  defaults.guidance_rescale = json.OptionalDouble("guidance_rescale");
  defaults.eta = json.OptionalDouble("eta");
  defaults.clip_skip = SmallInt(json, "clip_skip");
  defaults.negative_prompt = json.OptionalString("negative_prompt");
  defaults.width = SmallInt(json, "width");
  defaults.height = SmallInt(json, "height");
  for (const std::string& key : json.UnknownKeys()) json.Problem(key, "unknown key");
  STEPCAST_RETURN_IF_ERROR(json.Finish());
  return defaults;
}

absl::StatusOr<ModelCard> ReadModelCard(const std::string& path) {
  ModelCard card;
  absl::StatusOr<JsonConfig> json = JsonConfig::Read(path);
  if (absl::IsNotFound(json.status())) return card;
  STEPCAST_RETURN_IF_ERROR(json.status());
  if (IsOfAnotherProgram(*json)) return card;
  card.source = path;
  card.display_name = json->OptionalString("display_name");
  card.description = json->OptionalString("description");
  card.license = json->OptionalString("license");
  card.attribution = json->OptionalString("attribution");
  card.prediction_type = Named(*json, "prediction_type", PredictionType::kSample, &PredictionTypeName);
  card.zero_terminal_snr = json->OptionalBool("zero_terminal_snr");
  card.dtype = ReadDtypes(*json);
  card.vae = json->String("vae", "");
  if (!card.vae.empty()) card.vae = (std::filesystem::path(path).parent_path() / card.vae).lexically_normal().string();
  card.preview = json->String("preview", "");
  if (NamesPreviewFile(card)) {
    card.preview = (std::filesystem::path(path).parent_path() / card.preview).lexically_normal().string();
  }
  card.vae_tiling = Named(*json, "vae_tiling", VaeTiling::kOff, &VaeTilingName);
  card.vae_tiling_pixels = json->OptionalInt("vae_tiling_pixels", 1, kMostTilingPixels);
  const nlohmann::json* defaults = json->Find("defaults");
  for (const std::string& key : json->UnknownKeys()) json->Problem(key, "unknown key");
  STEPCAST_RETURN_IF_ERROR(json->Finish());
  if (defaults != nullptr) {
    STEPCAST_ASSIGN_OR_RETURN(card.defaults, ReadCardDefaults(*defaults, absl::StrCat(path, ": defaults")));
  }
  return card;
}

absl::Status ApplyModelCard(const ModelCard& card, ModelInfo& info) {
  info.display_name = card.display_name.value_or(info.display_name);
  info.description = card.description.value_or(info.description);
  info.license = card.license.value_or(info.license);
  info.attribution = card.attribution.value_or(info.attribution);
  info.decoding.tiling = card.vae_tiling.value_or(info.decoding.tiling);
  info.decoding.tiling_pixels = card.vae_tiling_pixels.value_or(info.decoding.tiling_pixels);
  if (info.decoding.tile_side == 0 && (card.vae_tiling == VaeTiling::kOn || card.vae_tiling_pixels.has_value())) {
    return absl::InvalidArgumentError(
        absl::StrCat(card.source, ": vae_tiling: the decoder of this model does not work in tiles"));
  }
  DefaultChecks checks(card, info);
  checks.Apply();
  if (checks.problems().empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(card.source, ": defaults: ", absl::StrJoin(checks.problems(), "; ")));
}

}  // namespace stepcast::model

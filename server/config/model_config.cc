#include "server/config/model_config.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/config/config_checks.h"
#include "server/wire/text_limits.h"

namespace stepcast {
namespace {

constexpr int64_t kMaxSide = 65536;
constexpr int kMaxSteps = 1000;
constexpr size_t kMaxList = 1000;
constexpr int64_t kMaxPackedBytes = int64_t{1} << 40;
constexpr size_t kMaxDevices = 64;

std::string RelativeTo(const std::string& config_path, const std::string& path) {
  const std::filesystem::path folder = std::filesystem::path(config_path).parent_path();
  return path.empty() ? path : (folder / path).lexically_normal().string();
}

void OptionalText(YamlMapping& section, const char* key, std::optional<std::string>& value) {
  if (section.Child(key).has_value()) section.Text(key, value.emplace());
}

void OptionalInt(YamlMapping& section, const char* key, int64_t min, int64_t max, std::optional<int>& value) {
  section.Int(key, min, max, [&value](int64_t number) { value = static_cast<int>(number); });
}

void OptionalReal(YamlMapping& section, const char* key, double max, std::optional<double>& value) {
  if (section.Child(key).has_value()) section.Real(key, 0.0, max, value.emplace());
}

// One of the names of the first `count` values of an enum.
template <typename Enum>
void OptionalName(YamlMapping& section, const char* key, int count, std::string_view (*name_of)(Enum),
                  std::optional<Enum>& value) {
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) names.emplace_back(name_of(static_cast<Enum>(i)));
  section.Choice(key, names, [&value](size_t index) { value = static_cast<Enum>(index); });
}

void Numbers(YamlMapping& section, const char* key, const std::string& place, YamlErrors& errors,
             std::vector<double>& numbers) {
  const std::optional<YAML::Node> list = section.Child(key);
  if (!list.has_value()) return;
  const std::string name = absl::StrCat(place, ".", key);
  if (!list->IsSequence() || list->size() > kMaxList) {
    return errors.Add(section.LineOf(key), absl::StrCat(name, ": allowed: a list of at most ", kMaxList, " numbers"));
  }
  for (const YAML::Node& node : *list) {
    double number = 0.0;
    if (!node.IsScalar() || !absl::SimpleAtod(node.Scalar(), &number)) {
      return errors.Add(section.LineOf(key), absl::StrCat(name, ": allowed: a list of numbers"));
    }
    numbers.push_back(number);
  }
}

// One name for the whole model, or a mapping from its parts to names.
void ReadDtypes(YamlMapping& entry, const std::string& place, YamlErrors& errors, DtypeWish& wish) {
  const std::optional<YAML::Node> node = entry.Child("dtype");
  if (!node.has_value()) return;
  constexpr int kCount = static_cast<int>(Dtype::kFp16) + 1;
  if (!node->IsMap()) return OptionalName(entry, "dtype", kCount, &DtypeName, wish.whole);
  YamlMapping parts(*node, absl::StrCat(place, ".dtype"), errors);
  for (const std::string_view part : kDtypeParts) {
    std::optional<Dtype> dtype;
    OptionalName(parts, std::string(part).c_str(), kCount, &DtypeName, dtype);
    if (dtype.has_value()) wish.parts[std::string(part)] = *dtype;
  }
  parts.Finish();
}

void ReadDevices(YamlMapping& entry, const std::string& place, YamlErrors& errors, std::vector<std::string>& devices) {
  const std::optional<YAML::Node> list = entry.Child("devices");
  if (!list.has_value()) return;
  const int line = entry.LineOf("devices");
  const std::string name = absl::StrCat(place, ".devices");
  if (!list->IsSequence() || list->size() == 0 || list->size() > kMaxDevices) {
    return errors.Add(line, absl::StrCat(name, ": allowed: a list of 1 to ", kMaxDevices, " of ", kModelDevices));
  }
  for (const YAML::Node& node : *list) {
    const std::string device = node.IsScalar() ? node.Scalar() : "";
    if (!IsModelDevice(device)) {
      errors.Add(line, absl::StrCat(name, ": got ", Quoted(device), "; allowed: ", kModelDevices));
    } else if (std::find(devices.begin(), devices.end(), device) != devices.end()) {
      errors.Add(line, absl::StrCat(name, ": ", Quoted(device), " was given already"));
    }
    devices.push_back(device);
  }
}

void ReadDefaults(const YAML::Node& node, const std::string& place, YamlErrors& errors, CardDefaults& defaults) {
  YamlMapping section(node, place, errors);
  OptionalName(section, "sampler", static_cast<int>(Sampler::kSdeVp) + 1, &SamplerName, defaults.sampler);
  OptionalName(section, "sigma_schedule", static_cast<int>(SigmaSchedule::kLu) + 1, &SigmaScheduleName,
               defaults.sigma_schedule);
  OptionalName(section, "timestep_spacing", static_cast<int>(TimestepSpacing::kTrailing) + 1, &TimestepSpacingName,
               defaults.timestep_spacing);
  OptionalInt(section, "steps", 1, kMaxSteps, defaults.steps);
  Numbers(section, "timesteps", place, errors, defaults.timesteps);
  Numbers(section, "sigmas", place, errors, defaults.sigmas);
  OptionalReal(section, "guidance_scale", 30.0, defaults.guidance_scale);
  OptionalReal(section, "guidance_rescale", 1.0, defaults.guidance_rescale);
  OptionalReal(section, "eta", 1.0, defaults.eta);
  OptionalInt(section, "clip_skip", 0, 255, defaults.clip_skip);
  OptionalText(section, "negative_prompt", defaults.negative_prompt);
  OptionalInt(section, "width", 1, kMaxSide, defaults.width);
  OptionalInt(section, "height", 1, kMaxSide, defaults.height);
  section.Finish();
}

}  // namespace

ModelSource ReadModelEntry(YamlMapping& entry, const std::string& place, const std::string& config_path,
                           YamlErrors& errors) {
  ModelSource source;
  ModelCard& card = source.card;
  card.source = "the server's configuration";
  entry.Text("id", source.id);
  entry.Text("path", source.path);
  entry.Choice("load", {"eager", "on_demand", "pinned"},
               [&source](size_t index) { source.loading = static_cast<ModelLoading>(index); });
  ReadDevices(entry, place, errors, source.devices);
  entry.Text("vae", card.vae);
  entry.Text("preview", card.preview);
  OptionalName(entry, "vae_tiling", static_cast<int>(VaeTiling::kOff) + 1, &VaeTilingName, card.vae_tiling);
  entry.Int("vae_tiling_pixels", 1, kMostTilingPixels, [&card](int64_t pixels) { card.vae_tiling_pixels = pixels; });
  OptionalText(entry, "display_name", card.display_name);
  OptionalText(entry, "description", card.description);
  OptionalText(entry, "license", card.license);
  OptionalText(entry, "attribution", card.attribution);
  OptionalName(entry, "prediction_type", static_cast<int>(PredictionType::kSample) + 1, &PredictionTypeName,
               card.prediction_type);
  if (entry.Child("zero_terminal_snr").has_value()) entry.Bool("zero_terminal_snr", card.zero_terminal_snr.emplace());
  ReadDtypes(entry, place, errors, card.dtype);
  entry.Int("packed_bytes", 0, kMaxPackedBytes, [&source](int64_t bytes) { source.packed_bytes = bytes; });
  const std::optional<YAML::Node> defaults = entry.Child("defaults");
  if (defaults.has_value()) ReadDefaults(*defaults, absl::StrCat(place, ".defaults"), errors, card.defaults);
  entry.Finish();
  source.path = RelativeTo(config_path, source.path);
  card.vae = RelativeTo(config_path, card.vae);
  if (NamesPreviewFile(card)) card.preview = RelativeTo(config_path, card.preview);
  return source;
}

}  // namespace stepcast

#include "engine/start/lora_library.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "model/files/file_digests.h"
#include "model/files/json_config.h"
#include "model/files/model_card.h"
#include "model/lora/lora_card.h"
#include "model/lora/lora_loader.h"
#include "model/lora/lora_match.h"

namespace stepcast::engine {
namespace {

struct OpenedLora final : LoraSource {
  explicit OpenedLora(model::LoraFile opened) : file(std::move(opened)) {}
  const model::LoraFile file;
};

const model::LoraFile& FileOf(const LoraInfo& lora) { return static_cast<const OpenedLora&>(*lora.source).file; }

// adapter_config.json beside the file, which PEFT writes; null: there is none.
absl::StatusOr<nlohmann::json> SettingsBeside(const std::string& path) {
  const auto settings = std::filesystem::path(path).parent_path() / "adapter_config.json";
  absl::StatusOr<nlohmann::json> read = model::ReadJsonObject(settings.string());
  if (absl::IsNotFound(read.status())) return nlohmann::json(nullptr);
  return read;
}

std::string Titled(const model::LoraFile& file, const char* key) {
  const auto& metadata = file.file->header().metadata;
  const auto found = metadata.find(key);
  return found == metadata.end() ? "" : found->second.substr(0, 1000);
}

absl::StatusOr<std::vector<model::LoraMatch>> Matches(const LoraInfo& lora, const ModelInfo& model) {
  if (model.lora_targets == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("no LoRA goes with model '", model.id, "'"));
  }
  absl::StatusOr<std::vector<model::LoraMatch>> matches = model::MatchLora(FileOf(lora), *model.lora_targets);
  if (matches.ok()) return matches;
  const std::string family = lora.family.empty() ? "another model" : lora.family;
  return absl::InvalidArgumentError(absl::StrCat("was made for ", family, ", model '", model.id, "' is a ",
                                                 model.family, ": ", matches.status().message()));
}

}  // namespace

absl::StatusOr<SharedLoraInfo> LoraLibrary::Read(const std::string& name, const std::string& path) const {
  const bool in_folder = std::filesystem::path(path).filename() == "adapter_model.safetensors";
  nlohmann::json settings = nullptr;
  if (in_folder) {
    STEPCAST_ASSIGN_OR_RETURN(settings, SettingsBeside(path));
  }
  STEPCAST_ASSIGN_OR_RETURN(model::LoraFile file, model::OpenLora(path, settings));
  const std::filesystem::path card_path = in_folder
                                              ? std::filesystem::path(path).parent_path().replace_extension(".json")
                                              : std::filesystem::path(path).replace_extension(".json");
  STEPCAST_ASSIGN_OR_RETURN(model::LoraCard card, model::ReadLoraCard(card_path.string()));
  absl::Status numbers;
  STEPCAST_RETURN_IF_ERROR(guard_.Run("reading of a LoRA", [&] {
    places_.front().device->BindThread();  // no second pool of workers stays behind
    numbers = model::CheckNumbers(file);
  }));
  STEPCAST_RETURN_IF_ERROR(numbers);
  auto info = std::make_shared<LoraInfo>();
  info->name = name;
  model::FileDigests digests;
  digests.Add(file.file->data());
  STEPCAST_ASSIGN_OR_RETURN(info->sha256, digests.Of(path));
  info->display_name = card.display_name.value_or(Titled(file, "modelspec.title"));
  info->description = card.description.value_or(Titled(file, "modelspec.description"));
  info->license = card.license.value_or(Titled(file, "modelspec.license"));
  const std::string family = model::LoraFamily(file);
  info->family = family.empty() ? card.family.value_or("") : family;
  info->trigger_words = card.trigger_words.value_or(model::TriggerWords(file.file->header().metadata));
  info->rank = static_cast<int>(file.rank);
  info->changes_denoiser = file.Changes("unet");
  info->changes_text_encoders = file.Changes("text_encoder") || file.Changes("text_encoder_2");
  for (const model::TensorEntry& entry : file.file->header().tensors) {
    info->bytes += static_cast<int64_t>(entry.end - entry.begin);
  }
  info->defaults = card.defaults;
  info->source = std::make_shared<const OpenedLora>(std::move(file));
  return info;
}

absl::StatusOr<LoraFit> LoraLibrary::Fit(const LoraInfo& lora, const ModelInfo& model) const {
  STEPCAST_ASSIGN_OR_RETURN(const std::vector<model::LoraMatch> matches, Matches(lora, model));
  ModelInfo with = model;
  const absl::Status applied = model::ApplyModelCard({.source = "the LoRA's card", .defaults = lora.defaults}, with);
  if (!applied.ok()) return applied;
  if (!model.samplers.empty() && std::ranges::find(model.samplers, with.defaults.sampler) == model.samplers.end()) {
    return absl::InvalidArgumentError(absl::StrCat("has a card whose sampler, ",
                                                   std::string(SamplerName(with.defaults.sampler)),
                                                   ", does not go with model '", model.id, "'"));
  }
  return LoraFit{.defaults = with.defaults, .cost = model::LoraCost(matches, *model.lora_targets)};
}

absl::StatusOr<SharedLora> LoraLibrary::LoadOn(const ModelPlace& place, const LoraInfo& lora,
                                               const ModelInfo& model) const {
  STEPCAST_ASSIGN_OR_RETURN(const std::vector<model::LoraMatch> matches, Matches(lora, model));
  absl::StatusOr<model::LoadedLora> loaded = absl::InternalError("not loaded");
  STEPCAST_RETURN_IF_ERROR(guard_.Run(absl::StrCat("loading of LoRA '", lora.name, "'"), [&] {
    place.device->BindThread();
    loaded = model::LoadLora(FileOf(lora), matches, *model.lora_targets, place.device->device());
    place.device->Synchronize();  // executors have streams of their own
  }));
  STEPCAST_RETURN_IF_ERROR(loaded.status());
  // Its key says what was in it when it was listed.
  STEPCAST_RETURN_IF_ERROR(FileOf(lora).file->data()->CheckUnchanged());
  auto shelved = std::make_shared<ShelvedLora>();
  shelved->denoiser = loaded->networks.front();
  shelved->towers.assign(loaded->networks.begin() + 1, loaded->networks.end());
  shelved->bytes = loaded->bytes;
  return shelved;
}

absl::StatusOr<int64_t> LoraLibrary::Load(const LoraInfo& lora, const ModelInfo& model) {
  std::vector<std::pair<const ModelPlace*, SharedLora>> loaded;
  for (const ModelPlace& place : places_) {
    if (place.shelf->Find(model.id) == nullptr) continue;
    STEPCAST_ASSIGN_OR_RETURN(SharedLora shelved, LoadOn(place, lora, model));
    loaded.emplace_back(&place, std::move(shelved));
  }
  if (loaded.empty()) return absl::NotFoundError(absl::StrCat("model '", model.id, "' is not in memory"));
  for (const auto& [place, shelved] : loaded) place->loras->Put(LoraKey(model, lora.sha256), shelved);
  return loaded.front().second->bytes;
}

void LoraLibrary::Unload(const std::string& key) {
  for (const ModelPlace& place : places_) place.loras->Remove(key);
}

}  // namespace stepcast::engine

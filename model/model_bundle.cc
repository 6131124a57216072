#include "model/model_bundle.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "model/families/class_conditional.h"
#include "model/families/stable_diffusion.h"
#include "model/families/stable_diffusion_xl.h"
#include "model/files/json_config.h"
#include "model/files/model_card.h"
#include "model/files/model_index.h"
#include "model/single_file/single_file.h"

namespace stepcast::model {

namespace {

// A path that ends like a file, or is one.
bool IsFile(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return false;
  return std::filesystem::is_regular_file(path, ignored) || absl::EndsWithIgnoreCase(path, ".safetensors");
}

// The card that lies beside a model.
std::string CardPath(const std::string& path) {
  if (!IsFile(path)) return absl::StrCat(path, "/model.json");
  return std::filesystem::path(path).replace_extension(".json").string();
}

// What the config of a part by itself says that it is.
absl::StatusOr<std::string> ClassOfSource(const ComponentSource& source) {
  nlohmann::json config;
  if (const auto known = source.configs.find("config.json"); known != source.configs.end()) {
    config = known->second;
  } else {
    STEPCAST_ASSIGN_OR_RETURN(config, ReadJsonObject(absl::StrCat(source.path, "/config.json")));
  }
  const auto name = config.find("_class_name");
  return name != config.end() && name->is_string() ? name->get<std::string>() : "AutoencoderKL";
}

// Puts another autoencoder in the place of the model's own.
absl::Status ReplaceVae(const std::string& path, ModelIndex& index) {
  std::error_code ignored;
  nlohmann::json like = nlohmann::json::object();
  if (std::filesystem::is_directory(path, ignored)) {
    index.sources["vae"] = {path, {}, nullptr, nullptr};
  } else {
    const auto own = index.sources.find("vae");
    if (own != index.sources.end()) {
      like = own->second.configs["config.json"];
    } else if (absl::StatusOr<nlohmann::json> config =
                   ReadJsonObject(absl::StrCat(index.PathOf("vae"), "/config.json"));
               config.ok()) {
      like = *std::move(config);
    }
    STEPCAST_ASSIGN_OR_RETURN(index.sources["vae"], OpenVaeFile(path, like));
  }
  STEPCAST_ASSIGN_OR_RETURN(const std::string class_name, ClassOfSource(index.sources["vae"]));
  index.components["vae"] = {"diffusers", class_name};
  return absl::OkStatus();
}

// Adds the small decoder that shows unfinished pictures.
absl::Status AddPreview(const std::string& path, const std::string& source, ModelIndex& index) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    index.sources["preview"] = {path, {}, nullptr, nullptr};
  } else {
    STEPCAST_ASSIGN_OR_RETURN(index.sources["preview"], OpenVaeFile(path, nlohmann::json::object()));
  }
  STEPCAST_ASSIGN_OR_RETURN(const std::string class_name, ClassOfSource(index.sources["preview"]));
  index.components["preview"] = {"diffusers", class_name};
  index.decisions.push_back({"preview", path, source});
  return absl::OkStatus();
}

absl::StatusOr<ModelIndex> OpenModel(const LoadOptions& options) {
  STEPCAST_ASSIGN_OR_RETURN(ModelCard card, ReadModelCard(CardPath(options.path)));
  std::vector<ModelCard> cards = {std::move(card), options.card};
  SingleFileOptions said;
  std::string vae, vae_source;
  const ModelCard* preview = nullptr;
  for (const ModelCard& each : cards) {
    if (each.prediction_type.has_value() || each.zero_terminal_snr.has_value()) said.source = each.source;
    if (each.prediction_type.has_value()) said.prediction_type = each.prediction_type;
    if (each.zero_terminal_snr.has_value()) said.zero_terminal_snr = each.zero_terminal_snr;
    if (!each.preview.empty()) preview = &each;
    if (each.vae.empty()) continue;
    vae = each.vae;
    vae_source = each.source;
  }
  said.has_vae = !vae.empty();
  STEPCAST_ASSIGN_OR_RETURN(ModelIndex index,
                            IsFile(options.path) ? OpenSingleFile(options.path, said) : ReadModelIndex(options.path));
  if (said.has_vae) {
    STEPCAST_RETURN_IF_ERROR(ReplaceVae(vae, index));
    index.decisions.push_back({"vae", vae, vae_source});
  }
  if (preview != nullptr && NamesPreviewFile(*preview)) {
    STEPCAST_RETURN_IF_ERROR(AddPreview(preview->preview, preview->source, index));
  }
  index.cards = std::move(cards);
  std::vector<std::string> parts;
  for (const auto& [name, component] : index.components) {
    const std::string part = DtypePartOf(name);
    if (std::find(kDtypeParts.begin(), kDtypeParts.end(), part) != kDtypeParts.end()) parts.push_back(part);
  }
  STEPCAST_RETURN_IF_ERROR(ComputeDtypes(index.cards, c10::ScalarType::Undefined, {}).CheckParts(parts));
  return index;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const ModelBundle>> ModelBundle::Load(const LoadOptions& options) {
  STEPCAST_ASSIGN_OR_RETURN(const ModelIndex index, OpenModel(options));
  if (IsStableDiffusion(index.pipeline_class)) return LoadStableDiffusion(index, options);
  if (IsStableDiffusionXl(index.pipeline_class)) return LoadStableDiffusionXl(index, options);
  if (IsClassConditional(index.pipeline_class)) return LoadClassConditional(index, options);
  return absl::InvalidArgumentError(
      absl::StrCat(index.path(), ": pipeline '", absl::CHexEscape(index.pipeline_class),
                   "' is not supported (StableDiffusionPipeline, StableDiffusionImg2ImgPipeline, ",
                   "StableDiffusionInpaintPipeline, StableDiffusionInstructPix2PixPipeline, ",
                   "LatentConsistencyModelPipeline, StableDiffusionXLPipeline, StableDiffusionXLImg2ImgPipeline, ",
                   "StableDiffusionXLInpaintPipeline, StableDiffusionXLInstructPix2PixPipeline, ",
                   "ClassConditionalLatentDiffusionPipeline, DDPMPipeline, DDIMPipeline, PNDMPipeline, LDMPipeline, ",
                   "ScoreSdeVePipeline are)"));
}

}  // namespace stepcast::model

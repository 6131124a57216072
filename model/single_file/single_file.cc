#include "model/single_file/single_file.h"

#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "model/single_file/checkpoint.h"
#include "model/single_file/foreign_files.h"
#include "model/single_file/name_rules.h"
#include "model/single_file/tiny_layout.h"
#include "text/vocabulary/built_in_clip.h"

namespace stepcast::model {
namespace {

constexpr int64_t kPixelsPerCell = 8;  // of the families below

using nlohmann::json;
using SharedFile = std::shared_ptr<const SafetensorsFile>;

// What the published models of a family have in common and no tensor tells.
struct FamilyFacts {
  const char* pipeline;
  const char* scheduler;
  int64_t sample_size;  // latent cells
  double scaling_factor;
  bool force_upcast;
};

FamilyFacts FactsOf(const Checkpoint& checkpoint) {
  const bool v = checkpoint.prediction.type == PredictionType::kVPrediction;
  switch (checkpoint.family) {
    case CheckpointFamily::kStableDiffusion1:
      return {"StableDiffusionPipeline", "PNDMScheduler", 64, 0.18215, false};
    case CheckpointFamily::kStableDiffusion2:
      // The models that predict v were trained at 768 pixels.
      return {"StableDiffusionPipeline", v ? "DDIMScheduler" : "PNDMScheduler", v ? 96 : 64, 0.18215, false};
    case CheckpointFamily::kStableDiffusionXl:
      return {"StableDiffusionXLPipeline", "EulerDiscreteScheduler", 128, 0.13025, true};
    case CheckpointFamily::kStableDiffusionXlRefiner:
      return {"StableDiffusionXLImg2ImgPipeline", "EulerDiscreteScheduler", 128, 0.13025, true};
  }
  return {};
}

bool IsXl(CheckpointFamily family) {
  return family == CheckpointFamily::kStableDiffusionXl || family == CheckpointFamily::kStableDiffusionXlRefiner;
}

absl::StatusOr<SharedFile> OpenFile(const std::string& path) {
  STEPCAST_RETURN_IF_ERROR(RefuseOtherFormats(path));
  absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Open(path);
  STEPCAST_RETURN_IF_ERROR(file.status());
  return std::make_shared<const SafetensorsFile>(*std::move(file));
}

// What another autoencoder's config says and a file of weights does not. Values of other types say nothing.
VaeFacts FactsOf(const json& config) {
  VaeFacts facts;
  const auto find = [&config](const char* key) { return config.contains(key) ? config.at(key) : json(); };
  if (const json factor = find("scaling_factor"); factor.is_number()) facts.scaling_factor = factor.get<double>();
  if (const json upcast = find("force_upcast"); upcast.is_boolean()) facts.force_upcast = upcast.get<bool>();
  if (const json size = find("sample_size"); size.is_number_integer()) facts.sample_size = size.get<int64_t>();
  return facts;
}

absl::Status InFile(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

json SchedulerJson(const Checkpoint& checkpoint) {
  const bool v = checkpoint.prediction.type == PredictionType::kVPrediction;
  const char* const types[] = {"epsilon", "v_prediction", "sample"};
  json config = {{"beta_start", 0.00085},
                 {"beta_end", 0.012},
                 {"beta_schedule", "scaled_linear"},
                 {"num_train_timesteps", 1000},
                 {"steps_offset", 1},
                 {"clip_sample", false},
                 {"set_alpha_to_one", false},
                 {"prediction_type", types[static_cast<int>(checkpoint.prediction.type)]}};
  if (checkpoint.prediction.zero_terminal_snr) config["rescale_betas_zero_snr"] = true;
  if (IsXl(checkpoint.family)) {
    config["timestep_spacing"] = "leading";
    config["interpolation_type"] = "linear";
  } else if (!(checkpoint.family == CheckpointFamily::kStableDiffusion2 && v)) {
    config["skip_prk_steps"] = true;
  }
  return config;
}

// Adds parts to an index.
class Parts {
 public:
  Parts(ModelIndex& index, SharedFile file) : index_(index), file_(std::move(file)) {}

  // A part with weights and a config.
  void AddNetwork(const std::string& name, const ComponentClass& type, json config, ViewRule views) {
    index_.components[name] = type;
    index_.sources[name] = {PathIn(name), {{"config.json", std::move(config)}}, file_, std::move(views)};
  }
  void AddConfig(const std::string& name, const ComponentClass& type, const std::string& file, json config) {
    index_.components[name] = type;
    index_.sources[name] = {PathIn(name), {{file, std::move(config)}}, nullptr, nullptr};
  }
  void AddTokenizer(const std::string& name, const std::string& path) {
    index_.components[name] = {"transformers", "CLIPTokenizer"};
    index_.sources[name] = {path, {}, nullptr, nullptr};
  }

 private:
  // Where a message says that a part lies.
  std::string PathIn(const std::string& name) const { return absl::StrCat(index_.file, "/", name); }

  ModelIndex& index_;
  SharedFile file_;
};

absl::Status AddTexts(const Checkpoint& checkpoint, Parts& parts) {
  for (const CheckpointText& text : checkpoint.texts) {
    const bool open = text.place.naming == TextNaming::kOpenClip;
    // The tower whose pooled text XL reads is the second one, also in the refiner, which has no other.
    const bool projection = open && IsXl(checkpoint.family);
    const std::string suffix = projection ? "_2" : "";
    STEPCAST_ASSIGN_OR_RETURN(json config, TextConfigJson(text.layout, text.place.naming, projection));
    parts.AddNetwork(absl::StrCat("text_encoder", suffix),
                     {"transformers", projection ? "CLIPTextModelWithProjection" : "CLIPTextModel"}, std::move(config),
                     TextNames(text.place, text.layout.layers));
    parts.AddTokenizer(absl::StrCat("tokenizer", suffix), open ? kBuiltInOpenClip : kBuiltInClip);
  }
  return absl::OkStatus();
}

absl::StatusOr<ModelIndex> IndexOf(const Checkpoint& checkpoint, const SharedFile& file, bool has_vae) {
  const FamilyFacts facts = FactsOf(checkpoint);
  ModelIndex index;
  index.file = file->path();
  index.folder = std::filesystem::path(index.file).parent_path().string();
  if (index.folder.empty()) index.folder = ".";
  index.pipeline_class = facts.pipeline;
  index.decisions = checkpoint.decisions;
  index.warnings = checkpoint.warnings;
  // Published refiners read the empty text where no negative prompt is given; base models read zeros.
  if (checkpoint.family == CheckpointFamily::kStableDiffusionXlRefiner) {
    index.options["force_zeros_for_empty_prompt"] = false;
  }
  Parts parts(index, file);
  const bool first = checkpoint.family == CheckpointFamily::kStableDiffusion1;
  STEPCAST_ASSIGN_OR_RETURN(json unet, UNetConfigJson(checkpoint.unet, first, facts.sample_size));
  parts.AddNetwork("unet", {"diffusers", "UNet2DConditionModel"}, std::move(unet), UNetNames(checkpoint.unet));
  STEPCAST_RETURN_IF_ERROR(AddTexts(checkpoint, parts));
  const VaeFacts vae = {facts.scaling_factor, facts.force_upcast, kPixelsPerCell * facts.sample_size};
  if (checkpoint.vae.has_value()) {
    parts.AddNetwork("vae", {"diffusers", "AutoencoderKL"}, VaeConfigJson(*checkpoint.vae, vae),
                     VaeNames(kVaePrefix, static_cast<int64_t>(checkpoint.vae->channels.size())));
  } else if (has_vae) {
    // What another autoencoder inherits.
    parts.AddConfig(
        "vae", {"diffusers", "AutoencoderKL"}, "config.json",
        {{"scaling_factor", vae.scaling_factor}, {"force_upcast", vae.force_upcast}, {"sample_size", vae.sample_size}});
  } else {
    return absl::InvalidArgumentError(absl::StrCat("this checkpoint holds no autoencoder (", kVaePrefix,
                                                   "*): name a file or folder that does under `vae`"));
  }
  parts.AddConfig("scheduler", {"diffusers", facts.scheduler}, "scheduler_config.json", SchedulerJson(checkpoint));
  return index;
}

}  // namespace

absl::StatusOr<ModelIndex> OpenSingleFile(const std::string& path, const SingleFileOptions& options) {
  STEPCAST_ASSIGN_OR_RETURN(const SharedFile file, OpenFile(path));
  PredictionEvidence evidence;
  evidence.name = std::filesystem::path(path).stem().string();
  evidence.operators_prediction = options.prediction_type;
  evidence.operators_zero_terminal_snr = options.zero_terminal_snr;
  evidence.operators_source = options.source;
  absl::Status read;
  evidence.bytes = [&](const TensorEntry& entry) {
    absl::StatusOr<std::string> bytes = file->Bytes(entry);
    read.Update(bytes.status());
    return bytes.ok() ? *std::move(bytes) : "";
  };
  const TensorListing tensors(file->header());
  const absl::StatusOr<Checkpoint> checkpoint = DetectCheckpoint(tensors, evidence);
  STEPCAST_RETURN_IF_ERROR(read);
  if (!checkpoint.ok()) return InFile(path, checkpoint.status());
  absl::StatusOr<ModelIndex> index = IndexOf(*checkpoint, file, options.has_vae);
  if (!index.ok()) return InFile(path, index.status());
  return index;
}

absl::StatusOr<ComponentSource> OpenVaeFile(const std::string& path, const json& like) {
  STEPCAST_ASSIGN_OR_RETURN(const SharedFile file, OpenFile(path));
  const TensorListing tensors(file->header());
  if (const absl::Status quantised = RefuseQuantised(tensors); !quantised.ok()) return InFile(path, quantised);
  if (const std::optional<TinyLayout> tiny = FindTinyDecoder(tensors); tiny.has_value()) {
    return ComponentSource{path, {{"config.json", TinyConfigJson(*tiny)}}, file, TinyNames(*tiny)};
  }
  if (IsTinyEncoder(tensors)) {
    return InFile(path, absl::InvalidArgumentError("this is the encoder of a tiny autoencoder: name its decoder"));
  }
  const std::string prefix = tensors.HasPrefix(kVaePrefix) ? kVaePrefix : "";
  const bool original = tensors.HasPrefix(absl::StrCat(prefix, "decoder.up."));
  const absl::StatusOr<VaeLayout> layout = original ? ReadVaeLayout(tensors, prefix) : ReadDiffusersVaeLayout(tensors);
  if (!layout.ok()) return InFile(path, layout.status());
  ComponentSource source;
  source.path = path;
  source.configs["config.json"] = VaeConfigJson(*layout, FactsOf(like));
  source.file = file;
  source.views = original ? VaeNames(prefix, static_cast<int64_t>(layout->channels.size())) : SameNames();
  return source;
}

}  // namespace stepcast::model

#include "model/families/stable_diffusion.h"

#include <algorithm>
#include <string>
#include <utility>

#include <c10/core/InferenceMode.h>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "model/control/control_shape.h"
#include "model/families/assembled_bundle.h"
#include "model/families/image_input.h"
#include "model/files/load_report.h"
#include "model/loading/component_loader.h"
#include "model/lora/lora_loader.h"
#include "model/text_encoder/text_conditioner.h"
#include "model/unet/unet_2d_condition_model.h"

namespace stepcast::model {
namespace {

constexpr double kDefaultGuidance = 7.5;
// Latent consistency models (Luo et al. 2023) are told the scale, and need few steps.
constexpr double kEmbeddedGuidance = 8.5;
constexpr int kConsistencySteps = 4;
constexpr int64_t kSmallestSide = 64;

// What the pipeline cannot drive although the network could be built.
absl::Status CheckUNet(const ModelIndex& index, const UNetConfig& unet, const VaeConfig& vae,
                       const ClipTextConfig& text) {
  const auto refuse = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat(index.PathOf("unet"), "/config.json: ", why));
  };
  if (!ImageInputOf(unet, vae.latent_channels).has_value()) return refuse(WrongChannels(unet, vae.latent_channels));
  const int64_t width = unet.encoder_hid_dim > 0 ? unet.encoder_hid_dim : unet.cross_attention_dim;
  if (width != text.hidden_size) {
    return refuse(
        absl::StrCat("cross_attention_dim ", width, " must equal the text encoder's hidden_size ", text.hidden_size));
  }
  if (unet.class_embedding != ClassEmbedding::kNone) return refuse("num_class_embeds: upscalers are not supported");
  if (unet.addition_time_embed_dim > 0) return refuse("addition_embed_type: text_time needs an SDXL pipeline");
  return absl::OkStatus();
}

// Files of releases before 0.9 say sample_size 32 where 64 is meant.
void FixOldSampleSize(JsonConfig& json, UNetConfig& unet) {
  const std::string version = json.String("_diffusers_version", "1.0");
  const bool before_0_9 =
      version.size() > 3 && version.compare(0, 2, "0.") == 0 && version[2] < '9' && version[3] == '.';
  if (!before_0_9 || unet.sample_height == 0 || unet.sample_height >= 64) return;
  unet.sample_height = unet.sample_width = 64;
}

LatentShape ShapeOf(const UNetConfig& unet, const VaeConfig& vae) {
  return {.channels = vae.latent_channels,
          .height = unet.sample_height > 0 ? unet.sample_height : 64,
          .width = unet.sample_width > 0 ? unet.sample_width : 64,
          .factor = vae.factor,
          .halvings = unet.halvings()};
}

ModelInfo Describe(const ComponentLoader& loader, const NoiseScheduleConfig& schedule, const LatentShape& shape,
                   const ClipTextConfig& text) {
  const int64_t native_side = std::min(shape.height, shape.width) * shape.factor;
  ModelInfo info = loader.Describe(schedule, shape, std::min(kSmallestSide, native_side / 2));
  info.conditioning = ConditioningKind::kText;
  info.tokenizer_dirs = {loader.index().PathOf("tokenizer")};
  info.text_layers = static_cast<int>(text.num_hidden_layers);
  info.text_vocab_size = text.vocab_size;
  info.text_max_tokens = text.max_position_embeddings;
  info.defaults.guidance_scale = schedule.embeds_guidance ? kEmbeddedGuidance : kDefaultGuidance;
  if (info.defaults.sampler == Sampler::kLcm) info.defaults.steps = kConsistencySteps;
  return info;
}

absl::StatusOr<std::shared_ptr<const TextConditioner>> LoadText(ComponentLoader& loader, const ClipTextConfig& text) {
  return loader.Network("text_encoder", "model", &CanonicalClipName, [&](WeightMap& weights) {
    // A projection may be in the file; these pipelines read the hidden states only.
    weights.IgnorePrefix("text_projection.");
    ClipTextConfig without_projection = text;
    without_projection.with_projection = false;
    return std::make_unique<const TextConditioner>(ClipTextModel(weights, without_projection), weights.device());
  });
}

}  // namespace

bool IsStableDiffusion(absl::string_view pipeline_class) {
  return pipeline_class == "StableDiffusionPipeline" || pipeline_class == "StableDiffusionImg2ImgPipeline" ||
         pipeline_class == "StableDiffusionInpaintPipeline" ||
         pipeline_class == "StableDiffusionInstructPix2PixPipeline" ||
         pipeline_class == "LatentConsistencyModelPipeline";
}

absl::StatusOr<std::shared_ptr<const ModelBundle>> LoadStableDiffusion(const ModelIndex& index,
                                                                       const LoadOptions& options) {
  const c10::InferenceMode no_autograd;
  ComponentLoader loader(index, options);
  STEPCAST_RETURN_IF_ERROR(index.ClassOf("unet", {"UNet2DConditionModel"}).status());
  STEPCAST_RETURN_IF_ERROR(index.ClassOf("tokenizer", {"CLIPTokenizer", "CLIPTokenizerFast"}).status());
  STEPCAST_ASSIGN_OR_RETURN(const std::string text_class,
                            index.ClassOf("text_encoder", {"CLIPTextModel", "CLIPTextModelWithProjection"}));

  STEPCAST_ASSIGN_OR_RETURN(NoiseScheduleConfig schedule, loader.Schedule());
  STEPCAST_ASSIGN_OR_RETURN(JsonConfig text_json, loader.Config("text_encoder"));
  STEPCAST_ASSIGN_OR_RETURN(const ClipTextConfig text, ParseClipTextConfig(text_json, text_class));
  STEPCAST_ASSIGN_OR_RETURN(const VaeConfig vae, loader.AutoencoderSettings());
  STEPCAST_ASSIGN_OR_RETURN(JsonConfig unet_json, loader.Config("unet"));
  STEPCAST_ASSIGN_OR_RETURN(UNetConfig unet, ParseUNetConfig(unet_json));
  FixOldSampleSize(unet_json, unet);
  schedule.embeds_guidance = unet.time_cond_proj_dim > 0;
  loader.Warn(PredictionContradiction(unet_json, schedule));
  for (const JsonConfig* json : {&text_json, &unet_json}) loader.NoteUnknownKeys(*json);
  STEPCAST_RETURN_IF_ERROR(CheckUNet(index, unet, vae, text));

  BundleParts parts;
  STEPCAST_ASSIGN_OR_RETURN(parts.conditioner, LoadText(loader, text));
  STEPCAST_ASSIGN_OR_RETURN(parts.denoiser,
                            loader.Network("unet", "diffusion_pytorch_model", nullptr, [&](WeightMap& weights) {
                              return std::make_unique<const UNet2DConditionModel>(weights, unet);
                            }));
  STEPCAST_ASSIGN_OR_RETURN(parts.codec, loader.Autoencoder(vae));
  const LatentShape shape = ShapeOf(unet, vae);
  STEPCAST_ASSIGN_OR_RETURN(parts.preview,
                            loader.Preview(shape, FallbackPreviewMatrix(shape.channels, /*sdxl=*/false)));
  parts.precise_codec = loader.TakePreciseCodec();
  for (const std::string& name : FileNames(index.PathOf("tokenizer"))) {
    loader.AddPath(absl::StrCat(index.PathOf("tokenizer"), "/", name));
  }
  ModelInfo info = Describe(loader, schedule, shape, text);
  info.control_shape = ControlShapeOf(unet, shape.channels, shape.factor);
  info.image_input = *ImageInputOf(unet, vae.latent_channels);
  info.lora_targets = LoraTargetsOf(*parts.denoiser, *parts.conditioner);
  STEPCAST_ASSIGN_OR_RETURN(parts.info, loader.Finish(std::move(info)));
  parts.warnings = loader.TakeWarnings();
  parts.notes = loader.TakeNotes();
  return std::make_shared<const AssembledBundle>(std::move(parts), options.device, loader.denoiser_dtype());
}

}  // namespace stepcast::model

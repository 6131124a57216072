#include "model/families/stable_diffusion_xl.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <c10/core/InferenceMode.h>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "model/control/control_shape.h"
#include "model/families/assembled_bundle.h"
#include "model/families/image_input.h"
#include "model/files/load_report.h"
#include "model/loading/component_loader.h"
#include "model/lora/lora_loader.h"
#include "model/text_encoder/sdxl_text_conditioner.h"
#include "model/unet/unet_2d_condition_model.h"

namespace stepcast::model {
namespace {

constexpr double kDefaultGuidance = 5.0;
// Latent consistency models (Luo et al. 2023) are told the scale, and need few steps.
constexpr double kEmbeddedGuidance = 8.5;
constexpr int kConsistencySteps = 4;
constexpr int64_t kDefaultSampleSize = 128;  // cells, where unet/config.json does not tell
constexpr int64_t kSmallestSide = 64;

// What the configs say, before anything large is read.
struct Settings {
  std::vector<std::string> encoders;  // "text_encoder", "text_encoder_2"
  std::vector<std::string> tokenizers;
  std::vector<ClipTextConfig> texts;  // one per encoder
  VaeConfig vae;
  UNetConfig unet;
  NoiseScheduleConfig schedule;
  SizeConditioning size_conditioning = SizeConditioning::kNone;

  int64_t SharedByTexts(int64_t ClipTextConfig::* limit) const {
    int64_t smallest = texts.front().*limit;
    for (const ClipTextConfig& text : texts) smallest = std::min(smallest, text.*limit);
    return smallest;
  }
};

// The width of add_embedding tells what it is fed: the pooled text and so many embedded numbers.
SizeConditioning SizeConditioningOf(const UNetConfig& unet, const ClipTextConfig& pooled) {
  for (const SizeConditioning kind : {SizeConditioning::kTarget, SizeConditioning::kAestheticScore}) {
    const int64_t width = pooled.projection_dim + SizeIdCount(kind) * unet.addition_time_embed_dim;
    if (unet.addition_time_embed_dim > 0 && width == unet.projection_class_embeddings_input_dim) return kind;
  }
  return SizeConditioning::kNone;
}

// What the pipeline cannot drive although the network could be built.
absl::Status CheckUNet(const ModelIndex& index, const Settings& settings) {
  const UNetConfig& unet = settings.unet;
  const auto refuse = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat(index.PathOf("unet"), "/config.json: ", why));
  };
  const int64_t channels = settings.vae.latent_channels;
  if (!ImageInputOf(unet, channels).has_value()) return refuse(WrongChannels(unet, channels));
  int64_t text_width = 0;
  for (const ClipTextConfig& text : settings.texts) text_width += text.hidden_size;
  const int64_t width = unet.encoder_hid_dim > 0 ? unet.encoder_hid_dim : unet.cross_attention_dim;
  if (width != text_width) {
    return refuse(absl::StrCat("cross_attention_dim ", width, " must equal the text encoders' hidden_size, together ",
                               text_width));
  }
  if (unet.class_embedding != ClassEmbedding::kNone) return refuse("num_class_embeds: upscalers are not supported");
  if (unet.addition_time_embed_dim == 0) return refuse("addition_embed_type: an SDXL pipeline needs text_time");
  if (settings.size_conditioning == SizeConditioning::kNone) {
    const int64_t pooled = settings.texts.back().projection_dim;
    return refuse(absl::StrCat("projection_class_embeddings_input_dim ", unet.projection_class_embeddings_input_dim,
                               " must be the projection_dim ", pooled, " of text_encoder_2 and 6 (refiners: 5) times ",
                               "addition_time_embed_dim ", unet.addition_time_embed_dim, ": ",
                               pooled + 6 * unet.addition_time_embed_dim, " or ",
                               pooled + 5 * unet.addition_time_embed_dim));
  }
  return absl::OkStatus();
}

absl::Status ReadText(ComponentLoader& loader, const std::string& suffix, const std::string& class_name,
                      Settings& settings) {
  const ModelIndex& index = loader.index();
  const std::string encoder = absl::StrCat("text_encoder", suffix);
  const std::string tokenizer = absl::StrCat("tokenizer", suffix);
  STEPCAST_RETURN_IF_ERROR(index.ClassOf(encoder, {class_name}).status());
  STEPCAST_RETURN_IF_ERROR(index.ClassOf(tokenizer, {"CLIPTokenizer", "CLIPTokenizerFast"}).status());
  STEPCAST_ASSIGN_OR_RETURN(JsonConfig json, loader.Config(encoder));
  STEPCAST_ASSIGN_OR_RETURN(const ClipTextConfig text, ParseClipTextConfig(json, class_name));
  loader.NoteUnknownKeys(json);
  settings.encoders.push_back(encoder);
  settings.tokenizers.push_back(tokenizer);
  settings.texts.push_back(text);
  return absl::OkStatus();
}

absl::StatusOr<Settings> ReadSettings(ComponentLoader& loader) {
  const ModelIndex& index = loader.index();
  Settings settings;
  STEPCAST_RETURN_IF_ERROR(index.ClassOf("unet", {"UNet2DConditionModel"}).status());
  STEPCAST_ASSIGN_OR_RETURN(settings.schedule, loader.Schedule());
  if (index.components.contains("text_encoder")) {
    STEPCAST_RETURN_IF_ERROR(ReadText(loader, "", "CLIPTextModel", settings));
  }
  STEPCAST_RETURN_IF_ERROR(ReadText(loader, "_2", "CLIPTextModelWithProjection", settings));
  STEPCAST_ASSIGN_OR_RETURN(settings.vae, loader.AutoencoderSettings());
  STEPCAST_ASSIGN_OR_RETURN(JsonConfig json, loader.Config("unet"));
  STEPCAST_ASSIGN_OR_RETURN(settings.unet, ParseUNetConfig(json));
  loader.Warn(PredictionContradiction(json, settings.schedule));
  loader.NoteUnknownKeys(json);
  settings.schedule.embeds_guidance = settings.unet.time_cond_proj_dim > 0;
  settings.size_conditioning = SizeConditioningOf(settings.unet, settings.texts.back());
  STEPCAST_RETURN_IF_ERROR(CheckUNet(index, settings));
  return settings;
}

LatentShape ShapeOf(const Settings& settings) {
  const UNetConfig& unet = settings.unet;
  return {.channels = settings.vae.latent_channels,
          .height = unet.sample_height > 0 ? unet.sample_height : kDefaultSampleSize,
          .width = unet.sample_width > 0 ? unet.sample_width : kDefaultSampleSize,
          .factor = settings.vae.factor,
          .halvings = unet.halvings()};
}

ModelInfo Describe(const ComponentLoader& loader, const Settings& settings) {
  const LatentShape shape = ShapeOf(settings);
  const int64_t native_side = std::min(shape.height, shape.width) * shape.factor;
  ModelInfo info = loader.Describe(settings.schedule, shape, std::min(kSmallestSide, native_side / 2));
  info.conditioning = ConditioningKind::kText;
  for (const std::string& tokenizer : settings.tokenizers) {
    info.tokenizer_dirs.push_back(loader.index().PathOf(tokenizer));
  }
  info.text_layers = static_cast<int>(settings.SharedByTexts(&ClipTextConfig::num_hidden_layers));
  info.text_vocab_size = settings.SharedByTexts(&ClipTextConfig::vocab_size);
  info.text_max_tokens = settings.SharedByTexts(&ClipTextConfig::max_position_embeddings);
  info.zeroes_unset_negative = loader.index().Option("force_zeros_for_empty_prompt", true);
  info.size_conditioning = settings.size_conditioning;
  info.control_shape = ControlShapeOf(settings.unet, shape.channels, shape.factor);
  info.image_input = *ImageInputOf(settings.unet, settings.vae.latent_channels);
  info.defaults.guidance_scale = settings.schedule.embeds_guidance ? kEmbeddedGuidance : kDefaultGuidance;
  if (info.defaults.sampler == Sampler::kLcm) info.defaults.steps = kConsistencySteps;
  return info;
}

absl::StatusOr<std::unique_ptr<const Conditioner>> LoadTexts(ComponentLoader& loader, const Settings& settings) {
  std::vector<std::shared_ptr<const ClipTextModel>> towers;
  for (size_t i = 0; i < settings.texts.size(); ++i) {
    const ClipTextConfig& text = settings.texts[i];
    STEPCAST_ASSIGN_OR_RETURN(
        auto tower, loader.Network(settings.encoders[i], "model", &CanonicalClipName, [&](WeightMap& weights) {
          // A projection that this tower does not use may be there.
          if (!text.with_projection) {
            weights.IgnorePrefix("text_projection.");
          }
          return std::make_unique<const ClipTextModel>(weights, text);
        }));
    towers.push_back(std::move(tower));
  }
  return std::make_unique<const SdxlTextConditioner>(std::move(towers), loader.options().device);
}

}  // namespace

bool IsStableDiffusionXl(absl::string_view pipeline_class) {
  return pipeline_class == "StableDiffusionXLPipeline" || pipeline_class == "StableDiffusionXLImg2ImgPipeline" ||
         pipeline_class == "StableDiffusionXLInpaintPipeline" ||
         pipeline_class == "StableDiffusionXLInstructPix2PixPipeline";
}

absl::StatusOr<std::shared_ptr<const ModelBundle>> LoadStableDiffusionXl(const ModelIndex& index,
                                                                         const LoadOptions& options) {
  const c10::InferenceMode no_autograd;
  ComponentLoader loader(index, options);
  STEPCAST_ASSIGN_OR_RETURN(const Settings settings, ReadSettings(loader));
  // The autoencoder that SDXL was published with overflows in half precision.
  const Precision precision = settings.vae.force_upcast ? Precision::kNotHalf : Precision::kAny;

  BundleParts parts;
  STEPCAST_ASSIGN_OR_RETURN(parts.conditioner, LoadTexts(loader, settings));
  STEPCAST_ASSIGN_OR_RETURN(parts.denoiser,
                            loader.Network("unet", "diffusion_pytorch_model", nullptr, [&](WeightMap& weights) {
                              return std::make_unique<const UNet2DConditionModel>(weights, settings.unet);
                            }));
  STEPCAST_ASSIGN_OR_RETURN(parts.codec, loader.Autoencoder(settings.vae, precision));
  const LatentShape shape = ShapeOf(settings);
  STEPCAST_ASSIGN_OR_RETURN(parts.preview, loader.Preview(shape, FallbackPreviewMatrix(shape.channels, /*sdxl=*/true)));
  parts.precise_codec = loader.TakePreciseCodec();
  for (const std::string& tokenizer : settings.tokenizers) {
    for (const std::string& name : FileNames(index.PathOf(tokenizer))) {
      loader.AddPath(absl::StrCat(index.PathOf(tokenizer), "/", name));
    }
  }
  ModelInfo info = Describe(loader, settings);
  info.lora_targets = LoraTargetsOf(*parts.denoiser, *parts.conditioner);
  STEPCAST_ASSIGN_OR_RETURN(parts.info, loader.Finish(std::move(info)));
  parts.warnings = loader.TakeWarnings();
  parts.notes = loader.TakeNotes();
  return std::make_shared<const AssembledBundle>(std::move(parts), options.device, loader.denoiser_dtype());
}

}  // namespace stepcast::model

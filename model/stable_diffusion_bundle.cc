#include "model/stable_diffusion_bundle.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include <c10/core/InferenceMode.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/status_macros.h"
#include "model/model_card.h"
#include "model/model_digest.h"
#include "model/scheduler_config.h"

namespace stepcast::model {
namespace {

constexpr int kDefaultSteps = 30;
constexpr double kDefaultGuidance = 7.5;
constexpr int64_t kLargestSide = 2048;
constexpr int64_t kSmallestSide = 64;

// Everything that the loading of one folder gathers on its way.
struct Loading {
  const ModelIndex& index;
  const LoadOptions& options;
  std::vector<std::string> paths;  // files whose bytes decide what is painted
  std::vector<std::string> warnings;
  int64_t parameters = 0;

  absl::StatusOr<JsonConfig> Config(absl::string_view component, absl::string_view file) {
    std::string path = absl::StrCat(index.PathOf(component), "/", file);
    paths.push_back(path);
    return JsonConfig::Read(path);
  }

  // The variant that loses least and reads least comes first.
  std::vector<std::string> Variants() const {
    switch (options.dtype) {
      case c10::ScalarType::Half:
        return {"fp16", "", "bf16"};
      case c10::ScalarType::BFloat16:
        return {"bf16", "", "fp16"};
      default:
        return {"", "fp16", "bf16"};
    }
  }

  void NoteUnknownKeys(const JsonConfig& json) {
    const std::vector<std::string> keys = json.UnknownKeys();
    if (!keys.empty()) warnings.push_back(absl::StrCat(json.where(), ": unknown keys ", absl::StrJoin(keys, ", ")));
  }

  // Makes one network from the weights of its folder. `make` takes a WeightMap.
  template <typename Make>
  auto Network(const std::string& component, const std::string& basename, NameRule rule, Make make)
      -> absl::StatusOr<decltype(make(std::declval<WeightMap&>()))> {
    STEPCAST_ASSIGN_OR_RETURN(const WeightSet set,
                              WeightSet::Open(index.PathOf(component), basename, Variants(), rule));
    paths.insert(paths.end(), set.paths().begin(), set.paths().end());
    WeightMap weights(set, options.device, options.dtype);
    auto network = make(weights);
    STEPCAST_RETURN_IF_ERROR(weights.Report(component));
    const std::vector<std::string> unused = weights.Unused();
    if (!unused.empty()) {
      warnings.push_back(absl::StrCat(set.folder(), ": unused weights ", absl::StrJoin(unused, ", ")));
    }
    parameters += weights.parameter_count();
    return network;
  }
};

// What the pipeline cannot drive although the network could be built.
absl::Status CheckUNet(const Loading& loading, const UNetConfig& unet, const AutoencoderConfig& vae,
                       const ClipTextConfig& text) {
  const auto refuse = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat(loading.index.PathOf("unet"), "/config.json: ", why));
  };
  if (unet.in_channels != vae.latent_channels || unet.out_channels != vae.latent_channels) {
    return refuse(absl::StrCat("in_channels ", unet.in_channels, " and out_channels ", unet.out_channels,
                               " must equal the autoencoder's latent_channels ", vae.latent_channels,
                               " (inpainting and editing models are not supported)"));
  }
  const int64_t width = unet.encoder_hid_dim > 0 ? unet.encoder_hid_dim : unet.cross_attention_dim;
  if (width != text.hidden_size) {
    return refuse(
        absl::StrCat("cross_attention_dim ", width, " must equal the text encoder's hidden_size ", text.hidden_size));
  }
  if (unet.time_cond_proj_dim > 0) return refuse("time_cond_proj_dim: latent-consistency models are not supported");
  if (unet.class_embedding != ClassEmbedding::kNone) return refuse("num_class_embeds: upscalers are not supported");
  if (unet.addition_time_embed_dim > 0) return refuse("addition_embed_type: text_time needs an SDXL pipeline");
  return absl::OkStatus();
}

ModelLimits LimitsOf(int64_t native_side, const UNetConfig& unet, int64_t factor, int train_steps) {
  ModelLimits limits;
  // A size that the U-Net halves evenly is enough for a small model; the pipelines ask for multiples of 8.
  const int64_t multiple = std::min(std::lcm(int64_t{8}, factor), factor << unet.halvings());
  const int64_t smallest = std::min(kSmallestSide, std::max(native_side / 2, multiple));
  limits.size_multiple = static_cast<int>(multiple);
  limits.min_side = static_cast<int>((smallest + multiple - 1) / multiple * multiple);
  limits.max_side = static_cast<int>(std::min(kLargestSide, 4 * native_side) / multiple * multiple);
  limits.max_area = int64_t{limits.max_side} * limits.max_side;
  limits.max_steps = std::min(limits.max_steps, train_steps);
  return limits;
}

std::string DtypeName(c10::ScalarType dtype) {
  switch (dtype) {
    case c10::ScalarType::Float:
      return "fp32";
    case c10::ScalarType::BFloat16:
      return "bf16";
    case c10::ScalarType::Half:
      return "fp16";
    default:
      return "";
  }
}

absl::StatusOr<ModelInfo> Describe(Loading& loading, const NoiseScheduleConfig& schedule, const UNetConfig& unet,
                                   const AutoencoderConfig& vae, const ClipTextConfig& text) {
  const LoadOptions& options = loading.options;
  ModelInfo info;
  info.id = options.id;
  info.display_name = options.id;
  info.conditioning = ConditioningKind::kText;
  info.tokenizer_dirs = {loading.index.PathOf("tokenizer")};
  info.text_layers = static_cast<int>(text.num_hidden_layers);
  info.noise_schedule = schedule;
  info.latent_channels = static_cast<int>(vae.latent_channels);
  info.vae_scale_factor = static_cast<int>(vae.scale_factor());
  info.parameter_count = loading.parameters;
  info.dtype = DtypeName(options.dtype);
  info.device = options.device.str();
  const int64_t height = unet.sample_height > 0 ? unet.sample_height : 64;
  const int64_t width = unet.sample_width > 0 ? unet.sample_width : 64;
  const int64_t factor = vae.scale_factor();
  info.limits = LimitsOf(std::min(height, width) * factor, unet, factor, schedule.num_train_timesteps.value_or(1000));
  info.defaults.sampler = SamplerOfClass(schedule.scheduler_class).value_or(Sampler::kDdim);
  info.defaults.steps = std::min(kDefaultSteps, info.limits.max_steps);
  info.defaults.guidance_scale = kDefaultGuidance;
  info.defaults.width = static_cast<int>(width * factor);
  info.defaults.height = static_cast<int>(height * factor);
  STEPCAST_RETURN_IF_ERROR(ApplyModelCard(absl::StrCat(loading.index.folder, "/model.json"), info));
  STEPCAST_ASSIGN_OR_RETURN(info.sha256, ModelDigest(loading.index.folder, loading.paths));
  return info;
}

// Files of releases before 0.9 say sample_size 32 where 64 is meant.
void FixOldSampleSize(JsonConfig& json, UNetConfig& unet) {
  const std::string version = json.String("_diffusers_version", "1.0");
  const bool before_0_9 =
      version.size() > 3 && version.compare(0, 2, "0.") == 0 && version[2] < '9' && version[3] == '.';
  if (!before_0_9 || unet.sample_height == 0 || unet.sample_height >= 64) return;
  unet.sample_height = unet.sample_width = 64;
}

absl::StatusOr<std::unique_ptr<const LinearPreviewDecoder>> LoadPreview(Loading& loading, int64_t latent_channels) {
  const std::string path = absl::StrCat(loading.index.folder, "/preview.json");
  absl::StatusOr<PreviewMatrix> matrix = ReadPreviewMatrix(path, latent_channels);
  if (absl::IsNotFound(matrix.status())) {
    matrix = FallbackPreviewMatrix(latent_channels, /*sdxl=*/false);
  } else {
    loading.paths.push_back(path);
  }
  STEPCAST_RETURN_IF_ERROR(matrix.status());
  return std::make_unique<const LinearPreviewDecoder>(*matrix, loading.options.device);
}

}  // namespace

bool StableDiffusionBundle::Accepts(absl::string_view pipeline_class) {
  return pipeline_class == "StableDiffusionPipeline" || pipeline_class == "StableDiffusionImg2ImgPipeline";
}

absl::StatusOr<std::shared_ptr<const ModelBundle>> StableDiffusionBundle::Load(const ModelIndex& index,
                                                                               const LoadOptions& options) {
  const c10::InferenceMode no_autograd;
  Loading loading{index, options, {index.path()}, {}, 0};
  STEPCAST_RETURN_IF_ERROR(index.ClassOf("unet", {"UNet2DConditionModel"}).status());
  STEPCAST_RETURN_IF_ERROR(index.ClassOf("vae", {"AutoencoderKL"}).status());
  STEPCAST_RETURN_IF_ERROR(index.ClassOf("tokenizer", {"CLIPTokenizer", "CLIPTokenizerFast"}).status());
  STEPCAST_ASSIGN_OR_RETURN(const std::string text_class,
                            index.ClassOf("text_encoder", {"CLIPTextModel", "CLIPTextModelWithProjection"}));
  STEPCAST_ASSIGN_OR_RETURN(const std::string scheduler_class, index.ClassOf("scheduler", {}));

  STEPCAST_ASSIGN_OR_RETURN(JsonConfig scheduler_json, loading.Config("scheduler", "scheduler_config.json"));
  STEPCAST_ASSIGN_OR_RETURN(const NoiseScheduleConfig schedule,
                            ParseSchedulerConfig(scheduler_json, scheduler_class, index.pipeline_class));
  STEPCAST_ASSIGN_OR_RETURN(JsonConfig text_json, loading.Config("text_encoder", "config.json"));
  STEPCAST_ASSIGN_OR_RETURN(const ClipTextConfig text, ParseClipTextConfig(text_json, text_class));
  STEPCAST_ASSIGN_OR_RETURN(JsonConfig vae_json, loading.Config("vae", "config.json"));
  STEPCAST_ASSIGN_OR_RETURN(const AutoencoderConfig vae, ParseAutoencoderConfig(vae_json));
  STEPCAST_ASSIGN_OR_RETURN(JsonConfig unet_json, loading.Config("unet", "config.json"));
  STEPCAST_ASSIGN_OR_RETURN(UNetConfig unet, ParseUNetConfig(unet_json));
  FixOldSampleSize(unet_json, unet);
  for (const JsonConfig* json : {&scheduler_json, &text_json, &vae_json, &unet_json}) loading.NoteUnknownKeys(*json);
  STEPCAST_RETURN_IF_ERROR(CheckUNet(loading, unet, vae, text));

  Parts parts;
  STEPCAST_ASSIGN_OR_RETURN(
      parts.conditioner, loading.Network("text_encoder", "model", &CanonicalClipName, [&](WeightMap& weights) {
        // A projection may be in the file; these pipelines read the hidden states only.
        weights.IgnorePrefix("text_projection.");
        ClipTextConfig without_projection = text;
        without_projection.with_projection = false;
        return std::make_unique<const TextConditioner>(ClipTextModel(weights, without_projection), options.device);
      }));
  STEPCAST_ASSIGN_OR_RETURN(parts.denoiser,
                            loading.Network("unet", "diffusion_pytorch_model", nullptr, [&](WeightMap& weights) {
                              return std::make_unique<const UNet2DConditionModel>(weights, unet);
                            }));
  STEPCAST_ASSIGN_OR_RETURN(parts.codec, loading.Network("vae", "diffusion_pytorch_model", &CanonicalAutoencoderName,
                                                         [&](WeightMap& weights) {
                                                           return std::make_unique<const AutoencoderKL>(weights, vae);
                                                         }));
  STEPCAST_ASSIGN_OR_RETURN(parts.preview, LoadPreview(loading, vae.latent_channels));
  for (const std::string& name : FileNames(index.PathOf("tokenizer"))) {
    loading.paths.push_back(absl::StrCat(index.PathOf("tokenizer"), "/", name));
  }
  STEPCAST_ASSIGN_OR_RETURN(ModelInfo info, Describe(loading, schedule, unet, vae, text));
  parts.info = std::make_shared<const ModelInfo>(std::move(info));
  parts.warnings = std::move(loading.warnings);
  return std::make_shared<const StableDiffusionBundle>(std::move(parts), options.device, options.dtype);
}

}  // namespace stepcast::model

#include "model/families/class_conditional.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include <c10/core/InferenceMode.h>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "model/classifier/latent_classifier.h"
#include "model/families/assembled_bundle.h"
#include "model/families/class_conditioner.h"
#include "model/families/class_labels.h"
#include "model/families/latent_space.h"
#include "model/files/load_report.h"
#include "model/loading/component_loader.h"
#include "model/unet/unet_2d_model.h"
#include "model/vae/autoencoder_kl.h"

namespace stepcast::model {
namespace {

constexpr double kDefaultGuidance = 2.0;
constexpr int64_t kSmallestSide = 64;

struct Family {
  absl::string_view pipeline_class;
  absl::string_view name;  // for people; "": the class's own
  bool paints_pixels = false;
  int steps = 0;  // of the pipeline; 0: as every other model
};

constexpr Family kFamilies[] = {
    {"ClassConditionalLatentDiffusionPipeline", ""},
    {"LDMPipeline", "Unconditional latent diffusion", false, 50},
    {"DDPMPipeline", "Pixel-space diffusion", true, 1000},
    {"DDIMPipeline", "Pixel-space diffusion", true, 50},
    {"PNDMPipeline", "Pixel-space diffusion", true, 50},
    {"ScoreSdeVePipeline", "Score model in pixel space", true, 2000},
};

const Family* FindFamily(absl::string_view pipeline_class) {
  const auto* const found = std::find_if(std::begin(kFamilies), std::end(kFamilies),
                                         [&](const Family& family) { return family.pipeline_class == pipeline_class; });
  return found == std::end(kFamilies) ? nullptr : found;
}

absl::Status Refuse(const std::string& path, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", why));
}

// What the pipeline cannot drive although the network could be built.
absl::Status CheckUNet(const ModelIndex& index, const UNetConfig& unet, const LatentSpace& space) {
  const std::string path = absl::StrCat(index.PathOf("unet"), "/config.json");
  const absl::string_view whose = space.is_pixels()      ? "its in_channels"
                                  : space.vq.has_value() ? "the autoencoder's vq_embed_dim"
                                                         : "the autoencoder's latent_channels";
  if (unet.in_channels != space.channels) {
    return Refuse(path, absl::StrCat("in_channels ", unet.in_channels, " must equal ", whose, " ", space.channels));
  }
  if (unet.out_channels != space.channels && unet.out_channels != 2 * space.channels) {
    return Refuse(path, absl::StrCat("out_channels ", unet.out_channels, " must be ", whose, " ", space.channels,
                                     ", or twice as many, the variance after the prediction"));
  }
  if (unet.sample_height == 0) return Refuse(path, "sample_size is needed");
  return absl::OkStatus();
}

// Fits the labels to the rows of the class table and finds the one that stands for "any class".
absl::Status ResolveClasses(const ModelIndex& index, const UNetConfig& unet, ClassLabels& classes) {
  if (unet.class_embedding == ClassEmbedding::kNone) {
    if (classes.labels.empty() && !classes.null_class.has_value()) return absl::OkStatus();
    return Refuse(index.path(), "id2label and null_class need a U-Net with num_class_embeds");
  }
  if (classes.labels.empty()) return Refuse(index.path(), "id2label is needed: the U-Net has classes");
  if (unet.num_class_embeds == 0) {
    return Refuse(absl::StrCat(index.PathOf("unet"), "/config.json"), "num_class_embeds is needed");
  }
  const int64_t last = classes.labels.rbegin()->first;
  if (!classes.null_class.has_value() && last + 1 < unet.num_class_embeds) {
    classes.null_class = static_cast<int>(last + 1);
  }
  const int64_t largest = std::max<int64_t>(last, classes.null_class.value_or(0));
  if (largest < unet.num_class_embeds) return absl::OkStatus();
  return Refuse(index.path(), absl::StrCat("id2label and null_class reach ", largest,
                                           ", but the U-Net has num_class_embeds ", unet.num_class_embeds));
}

// Null when the folder has none.
absl::StatusOr<std::shared_ptr<const Classifier>> LoadClassifier(ComponentLoader& loader, const ClassLabels& classes,
                                                                 int64_t latent_channels) {
  const ModelIndex& index = loader.index();
  if (!index.components.contains("classifier")) return nullptr;
  STEPCAST_RETURN_IF_ERROR(index.ClassOf("classifier", {"LatentClassifier"}).status());
  STEPCAST_ASSIGN_OR_RETURN(JsonConfig json, loader.Config("classifier"));
  STEPCAST_ASSIGN_OR_RETURN(const LatentClassifierConfig config, ParseLatentClassifierConfig(json));
  loader.NoteUnknownKeys(json);
  if (config.in_channels != latent_channels) {
    return Refuse(json.where(), absl::StrCat("in_channels ", config.in_channels,
                                             " must equal the autoencoder's latent_channels ", latent_channels));
  }
  if (classes.labels.empty() || classes.labels.rbegin()->first >= config.num_classes) {
    return Refuse(json.where(), absl::StrCat("num_classes ", config.num_classes, " must cover id2label"));
  }
  // Its gradient is taken, so its weights must not be born in InferenceMode. In float32: guidance multiplies it.
  const c10::InferenceMode gradients_allowed(false);
  const auto make = [&](WeightMap& weights) -> std::unique_ptr<const Classifier> {
    return std::make_unique<const LatentClassifier>(weights, config);
  };
  return loader.Network("classifier", "diffusion_pytorch_model", nullptr, make, Precision::kFull);
}

std::unique_ptr<const Conditioner> MakeConditioner(const UNetConfig& unet, const ClassLabels& classes,
                                                   c10::Device device) {
  if (unet.class_embedding == ClassEmbedding::kNone) return std::make_unique<const EmptyConditioner>();
  // Without a null class every request names its class.
  return std::make_unique<const ClassConditioner>(unet.num_class_embeds, classes.null_class.value_or(-1), device);
}

LatentShape ShapeOf(const UNetConfig& unet, const LatentSpace& space) {
  return {.channels = space.channels,
          .height = unet.sample_height,
          .width = unet.sample_width,
          .factor = space.factor,
          .halvings = unet.halvings()};
}

ModelInfo Describe(const ComponentLoader& loader, const NoiseScheduleConfig& schedule, const UNetConfig& unet,
                   const LatentSpace& space, const ClassLabels& classes) {
  const LatentShape shape = ShapeOf(unet, space);
  const int64_t native_side = std::min(shape.height, shape.width) * shape.factor;
  ModelInfo info = loader.Describe(schedule, shape, std::min(kSmallestSide, native_side));
  info.conditioning = classes.labels.empty() ? ConditioningKind::kNone : ConditioningKind::kClassLabel;
  info.class_labels = classes.labels;
  info.predicts_variance = unet.out_channels == 2 * space.channels;
  info.has_null_class = classes.null_class.has_value();
  info.defaults.guidance_scale = info.has_null_class ? kDefaultGuidance : 1.0;
  // These models are small: as many steps as they were trained with are affordable.
  info.limits.max_steps = schedule.num_train_timesteps.value_or(1000);
  const int steps = FindFamily(loader.index().pipeline_class)->steps;
  if (steps > 0) info.defaults.steps = std::min(steps, info.limits.max_steps);
  return info;
}

// The pictures of this score model are 0 where they are black, not -1.
PixelRange RangeOf(const ModelIndex& index) {
  return index.pipeline_class == "ScoreSdeVePipeline" ? PixelRange::kZeroToOne : PixelRange::kMinusOneToOne;
}

}  // namespace

bool IsClassConditional(absl::string_view pipeline_class) { return FindFamily(pipeline_class) != nullptr; }

absl::StatusOr<std::shared_ptr<const ModelBundle>> LoadClassConditional(const ModelIndex& index,
                                                                        const LoadOptions& options) {
  const c10::InferenceMode no_autograd;
  const Family& family = *FindFamily(index.pipeline_class);
  ComponentLoader loader(index, options);
  if (!family.name.empty()) loader.Decide({"family", std::string(family.name), index.path()});
  STEPCAST_RETURN_IF_ERROR(index.ClassOf("unet", {"UNet2DModel"}).status());
  STEPCAST_ASSIGN_OR_RETURN(JsonConfig index_json, JsonConfig::Read(index.path()));
  STEPCAST_ASSIGN_OR_RETURN(ClassLabels classes, ReadClassLabels(index_json));
  STEPCAST_ASSIGN_OR_RETURN(const NoiseScheduleConfig schedule, loader.Schedule());
  STEPCAST_ASSIGN_OR_RETURN(JsonConfig unet_json, loader.Config("unet"));
  STEPCAST_ASSIGN_OR_RETURN(const UNet2DConfig unet, ParseUNet2DConfig(unet_json));
  loader.Warn(PredictionContradiction(unet_json, schedule));
  loader.NoteUnknownKeys(unet_json);
  STEPCAST_ASSIGN_OR_RETURN(const LatentSpace space, family.paints_pixels
                                                         ? ReadPixelSpace(loader, unet.unet, RangeOf(index))
                                                         : ReadAutoencoderSpace(loader));
  STEPCAST_RETURN_IF_ERROR(CheckUNet(index, unet.unet, space));
  STEPCAST_RETURN_IF_ERROR(ResolveClasses(index, unet.unet, classes));

  BundleParts parts;
  parts.conditioner = MakeConditioner(unet.unet, classes, options.device);
  STEPCAST_ASSIGN_OR_RETURN(parts.denoiser, loader.Network("unet", "diffusion_pytorch_model", &CanonicalAutoencoderName,
                                                           [&](WeightMap& weights) {
                                                             return std::make_unique<const UNet2DModel>(weights, unet);
                                                           }));
  STEPCAST_ASSIGN_OR_RETURN(parts.codec, LoadCodec(loader, space));
  STEPCAST_ASSIGN_OR_RETURN(parts.preview, LoadPreview(loader, space, ShapeOf(unet.unet, space)));
  parts.precise_codec = loader.TakePreciseCodec();
  STEPCAST_ASSIGN_OR_RETURN(parts.classifier, LoadClassifier(loader, classes, space.channels));
  ModelInfo info = Describe(loader, schedule, unet.unet, space, classes);
  info.has_classifier = parts.classifier != nullptr;
  loader.Warn(VarianceContradiction(schedule, info.predicts_variance));
  STEPCAST_ASSIGN_OR_RETURN(parts.info, loader.Finish(std::move(info)));
  parts.warnings = loader.TakeWarnings();
  parts.notes = loader.TakeNotes();
  return std::make_shared<const AssembledBundle>(std::move(parts), options.device, loader.denoiser_dtype());
}

}  // namespace stepcast::model

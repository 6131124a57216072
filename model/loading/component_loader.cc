#include "model/loading/component_loader.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

#include "absl/strings/str_join.h"
#include "model/files/load_report.h"
#include "model/files/model_card.h"
#include "model/files/model_digest.h"
#include "model/files/scheduler_class.h"
#include "model/files/scheduler_config.h"
#include "model/loading/component_cache.h"
#include "model/preview/linear_preview_decoder.h"
#include "model/vae/autoencoder_kl.h"
#include "model/vae/decode_memory.h"
#include "model/vae/tiling.h"

namespace stepcast::model {
namespace {

constexpr char kNetworkFile[] = "diffusion_pytorch_model";
constexpr size_t kNamed = 20;  // of unused weights or keys, in one line of the log
constexpr int kDefaultSteps = 30;
constexpr int64_t kLargestSide = 2048;
constexpr int kDefaultTrainTimesteps = 1000;  // in every scheduler class

// The first names of a list that may be long.
std::string FirstOf(const std::vector<std::string>& names) {
  const size_t shown = std::min(names.size(), kNamed);
  std::string text = absl::StrJoin(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", ");
  if (shown < names.size()) absl::StrAppend(&text, " and ", names.size() - shown, " more");
  return text;
}

// The variant that loses least and reads least comes first.
std::vector<std::string> Variants(c10::ScalarType dtype) {
  switch (dtype) {
    case c10::ScalarType::Half:
      return {"fp16", "", "bf16"};
    case c10::ScalarType::BFloat16:
      return {"bf16", "", "fp16"};
    default:
      return {"", "fp16", "bf16"};
  }
}

std::unique_ptr<const LatentCodec> MakeCodec(WeightMap& weights, const VaeConfig& config) {
  if (config.kl.has_value()) {
    return std::make_unique<const AutoencoderKL>(weights, *config.kl, AutoencoderEncoder::IsIn(weights));
  }
  return std::make_unique<const AutoencoderTiny>(weights, *config.tiny, TinyEncoder::IsIn(weights));
}

int64_t TileSide(const VaeConfig& config) {
  return config.kl.has_value() ? TileGrid::Of(config.kl->sample_size, config.factor).pixels() : kMaskedTilePixels;
}

ModelLimits LimitsOf(const LatentShape& shape, int64_t smallest_side, int train_steps) {
  ModelLimits limits;
  // A size that the U-Net halves evenly is enough for a small model; the pipelines ask for multiples of 8.
  const int64_t multiple = std::min(std::lcm(int64_t{8}, shape.factor), shape.factor << shape.halvings);
  const int64_t native_side = std::min(shape.height, shape.width) * shape.factor;
  const int64_t smallest = std::max(smallest_side, multiple);
  limits.size_multiple = static_cast<int>(multiple);
  limits.min_side = static_cast<int>((smallest + multiple - 1) / multiple * multiple);
  limits.max_side = static_cast<int>(std::min(kLargestSide, 4 * native_side) / multiple * multiple);
  limits.max_area = int64_t{limits.max_side} * limits.max_side;
  limits.max_steps = std::min(limits.max_steps, train_steps);
  return limits;
}

}  // namespace

absl::StatusOr<JsonConfig> ComponentLoader::Config(const std::string& component, const std::string& file) {
  std::string path = absl::StrCat(index_.PathOf(component), "/", file);
  const auto read = [&]() -> absl::StatusOr<JsonConfig> {
    const auto source = index_.sources.find(component);
    if (source != index_.sources.end()) {
      const auto config = source->second.configs.find(file);
      if (config != source->second.configs.end()) return JsonConfig::Parse(config->second.dump(), path);
    }
    paths_.push_back(path);
    return JsonConfig::Read(path);
  };
  STEPCAST_ASSIGN_OR_RETURN(JsonConfig config, read());
  settings_[component] = NetworkSettings(config.root());
  return config;
}

void ComponentLoader::NoteUnknownKeys(const JsonConfig& json) {
  const std::vector<std::string> keys = json.UnknownKeys();
  if (!keys.empty()) warnings_.push_back(absl::StrCat(json.where(), ": unknown keys ", FirstOf(keys)));
}

absl::StatusOr<WeightSet> ComponentLoader::OpenWeights(const std::string& component, const std::string& basename,
                                                       NameRule rule, Precision precision) const {
  const auto source = index_.sources.find(component);
  if (source != index_.sources.end() && source->second.file != nullptr) {
    return WeightSet::OpenViews(source->second.file, source->second.views, rule);
  }
  const c10::ScalarType dtype = dtypes_.For(component, precision, c10::ScalarType::Undefined);
  return WeightSet::Open(index_.PathOf(component), basename, Variants(dtype), rule);
}

void ComponentLoader::NoteDtype(const std::string& component, c10::ScalarType dtype) {
  if (component == "unet") denoiser_dtype_ = dtype;
  if (!dtypes_.CardOverrulesServer(component)) return;
  Warn(absl::StrCat(component, " computes in ", DtypeName(dtype), ", as ", index_.cards.front().source,
                    " says, not in ", DtypeName(options_.dtype),
                    ", the server's dtype; dtype of its entry in models wins"));
}

absl::Status ComponentLoader::Account(const std::string& component, const WeightSet& set, const WeightMap& weights,
                                      const std::string& digest) {
  paths_.insert(paths_.end(), set.paths().begin(), set.paths().end());
  STEPCAST_RETURN_IF_ERROR(weights.Report(component));
  const std::vector<std::string> unused = weights.Unused();
  if (!unused.empty()) {
    warnings_.push_back(absl::StrCat(set.folder(), ": unused weights ", FirstOf(unused)));
  }
  std::set<std::string> null_metadata;
  for (const auto& [name, tensor] : set.tensors()) {
    if (tensor.file->header().null_metadata) null_metadata.insert(tensor.file->path());
  }
  for (const std::string& path : null_metadata) {
    warnings_.push_back(absl::StrCat(path, ": __metadata__ is null, read as none"));
  }
  NoteDtype(component, weights.dtype());
  parameters_ += weights.parameter_count();
  notes_.push_back(DescribeWeights(component, set, weights));
  std::set<std::string> types;
  for (const auto& [name, shape] : weights.requested()) types.insert(set.Find(name)->entry->dtype);
  const auto part = index_.components.find(component);
  components_.push_back({.name = component,
                         .class_name = part == index_.components.end() ? "" : part->second.class_name,
                         .files = set.paths(),
                         .stored_types = {types.begin(), types.end()},
                         .parameters = weights.parameter_count(),
                         .compute_type = DtypeName(weights.dtype()),
                         .sha256 = digest,
                         .bytes = weights.parameter_count() * static_cast<int64_t>(c10::elementSize(weights.dtype()))});
  return absl::OkStatus();
}

void ComponentLoader::AddToDigest(const WeightSet& set) {
  if (!options_.digest) return;
  for (const auto& file : set.files()) digests_.Add(file->data());
}

absl::StatusOr<std::string> ComponentLoader::DigestOf(const std::string& component, const WeightSet& set,
                                                      const WeightMap& shapes) {
  STEPCAST_RETURN_IF_ERROR(shapes.Report(component));
  // How a denoiser is built depends on its pipeline, too.
  const std::string pipeline = component == "unet" ? index_.pipeline_class : "";
  return options_.components->DigestOf(absl::StrCat(pipeline, settings_[component]), set, shapes.requested());
}

absl::StatusOr<NoiseScheduleConfig> ComponentLoader::Schedule() {
  STEPCAST_ASSIGN_OR_RETURN(const std::string index_class, index_.ClassOf("scheduler", {}));
  STEPCAST_ASSIGN_OR_RETURN(JsonConfig json, Config("scheduler", "scheduler_config.json"));
  STEPCAST_ASSIGN_OR_RETURN(SchedulerVerdict verdict, JudgeScheduler(json, index_class));
  ConvertScheduler(index_.pipeline_class, index_.path(), verdict);
  STEPCAST_ASSIGN_OR_RETURN(NoiseScheduleConfig schedule,
                            ParseSchedulerConfig(json, verdict.scheduler_class, index_.pipeline_class));
  for (std::string& note : verdict.notes) warnings_.push_back(std::move(note));
  for (const std::string& contradiction : Contradictions(schedule)) {
    warnings_.push_back(absl::StrCat(json.where(), ": ", contradiction));
  }
  NoteUnknownKeys(json);
  if (index_.file.empty()) {
    const PredictionType type = schedule.prediction_type.value_or(PredictionType::kEpsilon);
    decisions_.push_back({"prediction_type", std::string(PredictionTypeName(type)),
                          schedule.prediction_type.has_value()
                              ? json.where()
                              : absl::StrCat("the default of ", verdict.scheduler_class)});
  }
  ApplyCards(schedule);
  return schedule;
}

void ComponentLoader::ApplyCards(NoiseScheduleConfig& schedule) {
  const auto decide = [this](const std::string& about, const std::string& value, const std::string& source) {
    std::erase_if(decisions_, [&](const ModelDecision& decision) { return decision.about == about; });
    std::erase_if(said_, [&](const std::string& line) { return line.rfind(about, 0) == 0; });
    decisions_.push_back({about, value, source});
    said_.push_back(absl::StrCat(about, "=", value));
  };
  for (const ModelCard& card : index_.cards) {
    if (card.prediction_type.has_value()) {
      schedule.prediction_type = card.prediction_type;
      decide("prediction_type", std::string(PredictionTypeName(*card.prediction_type)), card.source);
    }
    if (card.zero_terminal_snr.has_value()) {
      schedule.rescale_betas_zero_snr = card.zero_terminal_snr;
      decide("zero_terminal_snr", *card.zero_terminal_snr ? "true" : "false", card.source);
    }
  }
}

absl::StatusOr<VaeConfig> ComponentLoader::AutoencoderSettings(const std::string& component) {
  STEPCAST_ASSIGN_OR_RETURN(const std::string kind, index_.ClassOf(component, {"AutoencoderKL", "AutoencoderTiny"}));
  STEPCAST_ASSIGN_OR_RETURN(JsonConfig json, Config(component));
  if (kind == "AutoencoderTiny") {
    STEPCAST_ASSIGN_OR_RETURN(AutoencoderTinyConfig tiny, ParseAutoencoderTinyConfig(json));
    NoteUnknownKeys(json);
    return VaeConfig(std::move(tiny));
  }
  STEPCAST_ASSIGN_OR_RETURN(AutoencoderConfig config, ParseAutoencoderConfig(json));
  NoteUnknownKeys(json);
  return VaeConfig(std::move(config));
}

absl::StatusOr<std::shared_ptr<const LatentCodec>> ComponentLoader::Autoencoder(const VaeConfig& config,
                                                                                Precision precision,
                                                                                const std::string& component) {
  const auto make = [config](WeightMap& weights) { return MakeCodec(weights, config); };
  STEPCAST_ASSIGN_OR_RETURN(std::shared_ptr<const LatentCodec> codec,
                            Network(component, kNetworkFile, &CanonicalAutoencoderName, make, precision));
  NoteEncoder(*codec);
  const double element = ActivationBytes(codec->dtype(), options_.device);
  decoding_.tile_side = static_cast<int>(TileSide(config));
  decoding_.bytes_per_pixel =
      config.kl.has_value() ? PeakBytesPerPixel(*config.kl, element) : PeakBytesPerPixel(*config.tiny, element);
  if (codec->dtype() == c10::ScalarType::Float || options_.device.is_meta()) return codec;
  STEPCAST_ASSIGN_OR_RETURN(WeightSet set, OpenWeights(component, kNetworkFile, &CanonicalAutoencoderName, precision));
  precise_codec_ = [set = std::make_shared<const WeightSet>(std::move(set)), make,
                    device = options_.device]() -> absl::StatusOr<std::unique_ptr<const LatentCodec>> {
    WeightMap weights(*set, device, c10::ScalarType::Float);
    return make(weights);
  };
  return codec;
}

void ComponentLoader::NoteDecodeBytes(const AutoencoderConfig& decoder, c10::ScalarType dtype) {
  decoding_.bytes_per_pixel = PeakBytesPerPixel(decoder, ActivationBytes(dtype, options_.device));
}

absl::StatusOr<std::shared_ptr<const PreviewDecoder>> ComponentLoader::Preview(const LatentShape& shape,
                                                                               const PreviewMatrix& otherwise) {
  if (index_.components.contains("preview")) return TinyPreview(shape);
  for (const ModelCard& card : index_.cards) {
    if (card.preview.empty()) continue;
    decoding_.preview = card.preview == "none" ? PreviewKind::kNone : PreviewKind::kLinear;
  }
  return LinearPreview(shape.channels, otherwise);
}

absl::StatusOr<std::shared_ptr<const PreviewDecoder>> ComponentLoader::TinyPreview(const LatentShape& shape) {
  STEPCAST_RETURN_IF_ERROR(index_.ClassOf("preview", {"AutoencoderTiny"}).status());
  STEPCAST_ASSIGN_OR_RETURN(JsonConfig json, Config("preview"));
  STEPCAST_ASSIGN_OR_RETURN(const AutoencoderTinyConfig config, ParseAutoencoderTinyConfig(json));
  NoteUnknownKeys(json);
  // What its weights are laid out for is the model's.
  absl::StrAppend(&settings_["preview"], " ", shape.height, "x", shape.width);
  const int64_t factor = config.scale_factor();
  if (config.latent_channels != shape.channels || factor > shape.factor) {
    return absl::InvalidArgumentError(
        absl::StrCat(json.where(), ": a preview decoder of ", config.latent_channels, " latent channels and ", factor,
                     " pixels per cell does not go with a model of ", shape.channels, " and ", shape.factor));
  }
  STEPCAST_ASSIGN_OR_RETURN(std::shared_ptr<const AutoencoderTiny> decoder,
                            Network("preview", kNetworkFile, nullptr, [&](WeightMap& weights) {
                              return std::make_unique<const AutoencoderTiny>(weights, config,
                                                                             /*with_encoder=*/false,
                                                                             SpatialSize{shape.height, shape.width});
                            }));
  decoding_.preview = PreviewKind::kNetwork;
  decoding_.preview_scale = static_cast<int>(factor);
  // What is decoded together is bounded by one number for both.
  const double share = static_cast<double>(factor * factor) / static_cast<double>(shape.factor * shape.factor);
  const double element = ActivationBytes(decoder->dtype(), options_.device);
  decoding_.bytes_per_pixel = std::max(decoding_.bytes_per_pixel, share * PeakBytesPerPixel(config, element));
  return decoder;
}

absl::StatusOr<std::shared_ptr<const PreviewDecoder>> ComponentLoader::LinearPreview(int64_t latent_channels,
                                                                                     const PreviewMatrix& otherwise) {
  const std::string path = index_.Beside("preview.json", ".preview.json");
  absl::StatusOr<PreviewMatrix> matrix = ReadPreviewMatrix(path, latent_channels);
  if (absl::IsNotFound(matrix.status())) {
    matrix = otherwise;
  } else {
    paths_.push_back(path);
  }
  STEPCAST_RETURN_IF_ERROR(matrix.status());
  return std::make_unique<const LinearPreviewDecoder>(*matrix, options_.device);
}

void ComponentLoader::Warn(std::string warning) {
  if (!warning.empty()) warnings_.push_back(std::move(warning));
}

ModelInfo ComponentLoader::Describe(const NoiseScheduleConfig& schedule, const LatentShape& shape,
                                    int64_t smallest_side) const {
  ModelInfo info;
  info.id = options_.id;
  info.display_name = options_.id;
  info.noise_schedule = schedule;
  info.latent_channels = static_cast<int>(shape.channels);
  info.vae_scale_factor = static_cast<int>(shape.factor);
  info.parameter_count = parameters_;
  info.device = options_.device.str();
  info.limits = LimitsOf(shape, smallest_side, schedule.num_train_timesteps.value_or(kDefaultTrainTimesteps));
  info.defaults.sampler = DefaultSampler(schedule).value_or(Sampler::kDdim);
  info.defaults.steps = std::min(kDefaultSteps, info.limits.max_steps);
  info.defaults.width = static_cast<int>(shape.width * shape.factor);
  info.defaults.height = static_cast<int>(shape.height * shape.factor);
  return info;
}

absl::StatusOr<SharedModelInfo> ComponentLoader::Finish(ModelInfo info) {
  info.decoding = decoding_;
  info.encodes_pictures = encodes_pictures_;
  if (info.image_input != ImageInput::kNone && !encodes_pictures_) {
    return absl::InvalidArgumentError(
        absl::StrCat(index_.PathOf("vae"), ": the U-Net reads pictures, and the autoencoder has no encoder"));
  }
  for (const ModelCard& card : index_.cards) STEPCAST_RETURN_IF_ERROR(ApplyModelCard(card, info));
  info.decisions = decisions_;
  info.components = components_;
  info.dtype = DtypeName(denoiser_dtype_);
  const auto family = std::find_if(decisions_.begin(), decisions_.end(),
                                   [](const ModelDecision& decision) { return decision.about == "family"; });
  info.family = family == decisions_.end() ? index_.pipeline_class : family->value;
  if (std::string left_out = DescribeLeftOut(index_, paths_); !left_out.empty()) notes_.push_back(std::move(left_out));
  if (options_.digest) {
    STEPCAST_ASSIGN_OR_RETURN(info.sha256, ModelDigest(index_.folder, paths_, digests_, said_));
  }
  return std::make_shared<const ModelInfo>(std::move(info));
}

}  // namespace stepcast::model

#include "server/request/request_validator.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/status_macros.h"
#include "google/protobuf/unknown_field_set.h"
#include "sampling/recipe/picture_inputs.h"
#include "server/catalog/model_description.h"
#include "server/request/checks/lora_checks.h"
#include "server/request/checks/model_defaults.h"
#include "server/request/checks/picture_checks.h"
#include "server/request/checks/request_checks.h"
#include "server/request/pictures/picture_parameters.h"
#include "server/wire/names.h"
#include "server/wire/text_limits.h"

namespace stepcast {
namespace {

constexpr int64_t kMaxSeed = (int64_t{1} << 53) - 1;  // the largest integer that JSON numbers carry exactly

// What a file may need beyond its pixels and embedded parameters.
constexpr int64_t kFileOverheadBytes = 4096;

// Fields that this server does not know: a newer client asks for something that would otherwise be ignored.
void RefuseUnknownFields(const google::protobuf::Message& message, absl::string_view prefix,
                         FieldViolations& violations) {
  const google::protobuf::UnknownFieldSet& fields = message.GetReflection()->GetUnknownFields(message);
  for (int i = 0; i < fields.field_count(); ++i) violations.AddUnknown(prefix, fields.field(i).number());
}

void RefuseAllUnknownFields(const v1::GenerateRequest& request, FieldViolations& violations) {
  RefuseUnknownFields(request, "", violations);
  RefuseUnknownFields(request.output(), "output.", violations);
  RefuseUnknownFields(request.preview(), "preview.", violations);
  RefuseUnknownFields(request.sampler_options(), "sampler_options.", violations);
  RefuseUnknownFields(request.size_conditioning(), "size_conditioning.", violations);
  RefuseUnknownFields(request.sampler_options().langevin(), "sampler_options.langevin.", violations);
  RefuseUnknownFields(request.inpaint(), "inpaint.", violations);
  for (const v1::ControlInput& control : request.control()) RefuseUnknownFields(control, "control.", violations);
  for (const v1::LoraInput& lora : request.loras()) RefuseUnknownFields(lora, "loras.", violations);
  for (const v1::SentPicture& sent : request.sent_pictures()) RefuseUnknownFields(sent, "sent_pictures.", violations);
}

// seed, image_count.
void CheckSeeds(const RequestContext& context, SeedSource& seeds, GenerationRequest& resolved,
                FieldViolations& violations) {
  const v1::GenerateRequest& wire = context.wire;
  const int count = wire.has_image_count() ? wire.image_count() : 1;
  if (violations.CheckRange("image_count", count, 1, context.limits.max_image_count,
                            "ServerLimits.max_image_count of GetServerInfo")) {
    resolved.image_count = count;
  }
  if (!wire.has_seed()) {
    resolved.seed = seeds.Next();
  } else if (violations.CheckRange("seed", wire.seed(), 0, kMaxSeed - (resolved.image_count - 1),
                                   "GenerateRequest.seed: picture i uses seed + i")) {
    resolved.seed = wire.seed();
  }
}

// Rows of one step of one picture.
int RowsPerStep(const GenerationRequest& request) {
  const bool guided = sampling::GuidanceOf(request) > 1.0 && !request.model->noise_schedule.embeds_guidance;
  const auto prompts = std::max(1, static_cast<int>(request.prompt_parts.size()));
  if (guided) return prompts + (request.model->image_input == ImageInput::kPicture ? 2 : 1);
  double weights = 0.0;
  for (const WeightedPrompt& part : request.prompt_parts) weights += part.weight;
  return prompts + (request.prompt_parts.empty() || weights == 1.0 ? 0 : 1);
}

// Steps that are run for one picture: those that strength leaves of a picture's, and those that invert it first.
int StepsRun(const v1::GenerateRequest& wire, const GenerationRequest& request) {
  if (request.invert) return 2 * request.steps;
  const bool whole = request.inpainting.has_value() && request.strength == 1.0;
  if (!wire.has_init_image() || whole || request.model->image_input == ImageInput::kPicture) return request.steps;
  return static_cast<int>(request.steps * request.strength);
}

// Evaluations of one picture, nearly: most samplers take one per step, some two, and annealed Langevin dynamics as many
// as it is told at each level.
double EvaluationsOf(const v1::GenerateRequest& wire, const GenerationRequest& request, const SamplerSupport& support) {
  const LangevinOptions& langevin = request.sampler_options.langevin;
  const double per_step = static_cast<double>(support.evaluations) / request.model->defaults.steps;
  const double levels = langevin.levels.value_or(StepsRun(wire, request));
  return levels * (langevin.inner_steps.has_value() ? *langevin.inner_steps : std::max(1.0, per_step));
}

absl::Status CheckWork(const v1::GenerateRequest& wire, const GenerationRequest& request, const SamplerSupport& support,
                       const LimitsConfig& limits) {
  if (limits.max_megapixel_steps <= 0.0) return absl::OkStatus();
  const double work = 1e-6 * request.width * request.height * EvaluationsOf(wire, request, support) *
                      request.image_count * RowsPerStep(request);
  if (work <= limits.max_megapixel_steps) return absl::OkStatus();
  const std::string asked = absl::StrFormat("%.6g", work);
  const std::string allowed = absl::StrFormat("%.6g", limits.max_megapixel_steps);
  return MakeError({.reason = v1::ERROR_REASON_WORK_LIMIT,
                    .message = absl::StrCat("the request asks for ", asked,
                                            " megapixels x steps x pictures x rows; allowed: ", allowed,
                                            ", see ServerLimits.max_megapixel_steps of GetServerInfo"),
                    .metadata = {{"megapixel_steps", asked}, {"max_megapixel_steps", allowed}}});
}

}  // namespace

int64_t RandomSeedSource::Next() {
  MutexLock lock(mutex_);
  return absl::Uniform<int64_t>(generator_, 0, int64_t{1} << 32);
}

absl::StatusOr<const RegisteredModel*> FindModel(std::string_view id, const ModelRegistry& models) {
  const RegisteredModel* model = models.Find(id);
  if (model != nullptr) return model;
  const std::string name(id);
  if (!IsModelId(id)) {
    FieldViolations violations;
    violations.Add("model", Quoted(name), absl::StrCat("[a-z0-9][a-z0-9._-]{0,62}, one of ", models.Ids()));
    return violations.ToStatus();
  }
  return MakeError(
      {.reason = v1::ERROR_REASON_MODEL_NOT_FOUND,
       .message = absl::StrCat("model: got ", Quoted(name), "; available: ", models.Ids(), ", see ListModels"),
       .metadata = {{"model", name}, {"available", models.Ids()}}});
}

absl::StatusOr<SharedRequest> ValidateRequest(const v1::GenerateRequest& wire, const ModelRegistry& models,
                                              const LimitsConfig& limits, SeedSource& seeds,
                                              const RequestOrigin& origin) {
  STEPCAST_ASSIGN_OR_RETURN(const RegisteredModel* model, FindModel(wire.model(), models));
  STEPCAST_RETURN_IF_ERROR(FindLoras(wire, *model, origin.loras));
  // The card of a LoRA that distils knows better than the model's what is left open.
  RegisteredModel with = *model;
  with.info = WithLoraDefaults(wire, *model, origin.loras);
  const std::optional<v1::GenerateRequest> filled = WithModelDefaults(wire, *with.info);
  const v1::GenerateRequest& request = filled.has_value() ? *filled : wire;
  const RequestContext context{
      request,         with,        limits, NarrowLimits(*model->info, limits), origin.tenant, origin.pictures,
      origin.adapters, origin.loras};
  auto resolved = std::make_shared<GenerationRequest>();
  resolved->model = model->info;
  FieldViolations violations;
  CheckConditioning(context, *resolved, violations);
  CheckSeeds(context, seeds, *resolved, violations);
  CheckSize(context, *resolved, violations);
  CheckDecoding(context, *resolved, violations);
  CheckPictures(context, *resolved, violations);
  CheckInpainting(context, *resolved, violations);
  CheckControl(context, *resolved, violations);
  CheckLoras(context, *resolved, violations);
  CheckSizeConditioning(context, *resolved, violations);
  CheckSampling(context, *resolved, violations);
  CheckSamplerOptions(context, *resolved, violations);
  CheckImageToImage(context, *resolved, violations);
  CheckGuidance(context, *resolved, violations);
  CheckClassifierGuidance(context, *resolved, violations);
  CheckOutput(context, *resolved, violations);
  CheckService(context, *resolved, violations);
  RefuseAllUnknownFields(request, violations);
  STEPCAST_RETURN_IF_ERROR(violations.ToStatus());
  STEPCAST_RETURN_IF_ERROR(CheckWork(wire, *resolved, *model->FindSampler(resolved->sampler), limits));
  STEPCAST_RETURN_IF_ERROR(CheckParametersFit(*resolved));
  return resolved;
}

int RowsOf(const GenerationRequest& request) { return request.image_count * RowsPerStep(request); }

absl::Status CheckUnaryResponseFits(const GenerationRequest& request, const LimitsConfig& limits) {
  const int64_t texts = static_cast<int64_t>(request.prompt.size() + request.negative_prompt.size() +
                                             request.prompt_2.size() + request.negative_prompt_2.size());
  const int64_t pixels = int64_t{request.finished_width()} * request.finished_height() * 3;
  // PNG stores what it cannot compress, with a filter byte per row and a few bytes per block.
  const int64_t file =
      pixels + pixels / 1000 + request.finished_height() + ParametersBytes(request) + kFileOverheadBytes;
  const int64_t bytes = file * request.image_count + 2 * texts;
  if (bytes <= limits.max_unary_response_bytes) return absl::OkStatus();
  return MakeError(
      {.reason = v1::ERROR_REASON_WORK_LIMIT,
       .message = absl::StrCat("the pictures may need ", bytes, " bytes; an answer of GenerateImage has at most ",
                               limits.max_unary_response_bytes, ": call Generate, which streams them"),
       .metadata = {{"response_bytes", absl::StrCat(bytes)},
                    {"max_unary_response_bytes", absl::StrCat(limits.max_unary_response_bytes)}}});
}

// Those that a model cannot do without, of its own size.
static PictureFiles PicturesOf(const ModelInfo& info, v1::GenerateRequest& request) {
  PictureFiles pictures;
  if (info.image_input == ImageInput::kNone) return pictures;
  const PictureHeader header = {.width = info.defaults.width, .height = info.defaults.height};
  request.set_init_image("");
  pictures.files.push_back({kInitImage, "", header});
  if (info.image_input == ImageInput::kPicture) return pictures;
  request.set_mask_image("");
  pictures.files.push_back({kMaskImage, "", header});
  return pictures;
}

std::vector<RefusedModel> FindMisfits(const ModelRegistry& models, const LimitsConfig& limits) {
  class ZeroSeed final : public SeedSource {
    int64_t Next() override { return 0; }
  } seed;
  std::vector<RefusedModel> misfits;
  for (const RegisteredModel& model : models.models()) {
    v1::GenerateRequest request;
    request.set_model(model.info->id);
    if (model.info->conditioning == ConditioningKind::kText) request.set_prompt("a");
    if (!model.info->class_labels.empty()) request.set_class_index(model.info->class_labels.begin()->first);
    const PictureFiles pictures = PicturesOf(*model.info, request);
    const absl::Status status = ValidateRequest(request, models, limits, seed, {.pictures = &pictures}).status();
    if (status.ok()) continue;
    misfits.push_back({model.info->id,
                       absl::StrCat("model ", model.info->id, ": its own defaults break the limits: ", status.message(),
                                    "; mend its card's defaults, or raise `limits`")});
  }
  return misfits;
}

}  // namespace stepcast

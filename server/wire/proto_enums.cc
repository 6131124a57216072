#include "server/wire/proto_enums.h"

namespace stepcast {
namespace {

static_assert(v1::SAMPLER_DDPM == static_cast<int>(Sampler::kDdpm) + 1);
static_assert(v1::SAMPLER_DDIM == static_cast<int>(Sampler::kDdim) + 1);
static_assert(v1::SAMPLER_EULER == static_cast<int>(Sampler::kEuler) + 1);
static_assert(v1::SAMPLER_EULER_ANCESTRAL == static_cast<int>(Sampler::kEulerAncestral) + 1);
static_assert(v1::SAMPLER_DPMPP_2M == static_cast<int>(Sampler::kDpmpp2m) + 1);
static_assert(v1::SAMPLER_DPMPP_2M_SDE == static_cast<int>(Sampler::kDpmpp2mSde) + 1);
static_assert(v1::SAMPLER_DPMPP_3M == static_cast<int>(Sampler::kDpmpp3m) + 1);
static_assert(v1::SAMPLER_DPMPP_SINGLESTEP == static_cast<int>(Sampler::kDpmppSinglestep) + 1);
static_assert(v1::SAMPLER_UNIPC == static_cast<int>(Sampler::kUnipc) + 1);
static_assert(v1::SAMPLER_DEIS == static_cast<int>(Sampler::kDeis) + 1);
static_assert(v1::SAMPLER_EDM_EULER == static_cast<int>(Sampler::kEdmEuler) + 1);
static_assert(v1::SAMPLER_EDM_DPMPP == static_cast<int>(Sampler::kEdmDpmpp) + 1);
static_assert(v1::SAMPLER_LCM == static_cast<int>(Sampler::kLcm) + 1);
static_assert(v1::SAMPLER_ANNEALED_LANGEVIN == static_cast<int>(Sampler::kAnnealedLangevin) + 1);
static_assert(v1::SAMPLER_SDE_VP == static_cast<int>(Sampler::kSdeVp) + 1);
static_assert(v1::SIGMA_SCHEDULE_DEFAULT == static_cast<int>(SigmaSchedule::kDefault) + 1);
static_assert(v1::SIGMA_SCHEDULE_LU == static_cast<int>(SigmaSchedule::kLu) + 1);
static_assert(v1::TIMESTEP_SPACING_LINSPACE == static_cast<int>(TimestepSpacing::kLinspace) + 1);
static_assert(v1::TIMESTEP_SPACING_TRAILING == static_cast<int>(TimestepSpacing::kTrailing) + 1);
static_assert(v1::IMAGE_FORMAT_PNG == static_cast<int>(ImageFormat::kPng) + 1);
static_assert(v1::IMAGE_FORMAT_WEBP == static_cast<int>(ImageFormat::kWebp) + 1);
static_assert(v1::CONDITIONING_KIND_TEXT == static_cast<int>(ConditioningKind::kText) + 1);
static_assert(v1::PRIORITY_INTERACTIVE == static_cast<int>(Priority::kInteractive) + 1);
static_assert(v1::PRIORITY_BATCH == static_cast<int>(Priority::kBatch) + 1);
static_assert(v1::PROMPT_SYNTAX_PLAIN == static_cast<int>(PromptSyntax::kPlain) + 1);
static_assert(v1::PROMPT_SYNTAX_A1111_NO_NORM == static_cast<int>(PromptSyntax::kA1111NoNorm) + 1);
static_assert(v1::PREVIEW_DECODER_LINEAR == static_cast<int>(PreviewKind::kLinear) + 1);
static_assert(v1::PREVIEW_DECODER_NONE == static_cast<int>(PreviewKind::kNone) + 1);
static_assert(v1::IMAGE_INPUT_NONE == static_cast<int>(ImageInput::kNone) + 1);
static_assert(v1::IMAGE_INPUT_PICTURE == static_cast<int>(ImageInput::kPicture) + 1);
static_assert(v1::RESIZE_MODE_EXACT == static_cast<int>(ResizeMode::kExact) + 1);
static_assert(v1::RESIZE_MODE_STRETCH == static_cast<int>(ResizeMode::kStretch) + 1);
static_assert(v1::INPAINT_FILL_NOISE == static_cast<int>(InpaintFill::kNoise) + 1);
static_assert(v1::BLEND_DOMAIN_X0 == static_cast<int>(BlendDomain::kX0) + 1);
static_assert(v1::CONDITIONING_KIND_NONE == static_cast<int>(ConditioningKind::kNone) + 1);

// Wire values are ours plus one, because 0 is UNSPECIFIED.
template <typename Wire, typename Core>
Wire AddOne(Core value) {
  return static_cast<Wire>(static_cast<int>(value) + 1);
}

template <typename Core>
std::optional<Core> SubtractOne(int value, bool valid) {
  if (!valid || value == 0) return std::nullopt;
  return static_cast<Core>(value - 1);
}

}  // namespace

v1::Sampler ToProto(Sampler sampler) { return AddOne<v1::Sampler>(sampler); }
v1::SigmaSchedule ToProto(SigmaSchedule schedule) { return AddOne<v1::SigmaSchedule>(schedule); }
v1::TimestepSpacing ToProto(TimestepSpacing spacing) { return AddOne<v1::TimestepSpacing>(spacing); }
v1::ImageFormat ToProto(ImageFormat format) { return AddOne<v1::ImageFormat>(format); }
v1::Priority ToProto(Priority priority) { return AddOne<v1::Priority>(priority); }
v1::PromptSyntax ToProto(PromptSyntax syntax) { return AddOne<v1::PromptSyntax>(syntax); }
v1::PreviewDecoder ToProto(PreviewKind kind) { return AddOne<v1::PreviewDecoder>(kind); }
v1::ImageInput ToProto(ImageInput input) { return AddOne<v1::ImageInput>(input); }
v1::ResizeMode ToProto(ResizeMode mode) { return AddOne<v1::ResizeMode>(mode); }
v1::InpaintFill ToProto(InpaintFill fill) { return AddOne<v1::InpaintFill>(fill); }
v1::BlendDomain ToProto(BlendDomain domain) { return AddOne<v1::BlendDomain>(domain); }
v1::ConditioningKind ToProto(ConditioningKind kind) { return AddOne<v1::ConditioningKind>(kind); }

std::optional<Sampler> FromProto(v1::Sampler sampler) {
  return SubtractOne<Sampler>(sampler, v1::Sampler_IsValid(sampler));
}
std::optional<SigmaSchedule> FromProto(v1::SigmaSchedule schedule) {
  return SubtractOne<SigmaSchedule>(schedule, v1::SigmaSchedule_IsValid(schedule));
}
std::optional<TimestepSpacing> FromProto(v1::TimestepSpacing spacing) {
  return SubtractOne<TimestepSpacing>(spacing, v1::TimestepSpacing_IsValid(spacing));
}
std::optional<ImageFormat> FromProto(v1::ImageFormat format) {
  return SubtractOne<ImageFormat>(format, v1::ImageFormat_IsValid(format));
}
std::optional<PromptSyntax> FromProto(v1::PromptSyntax syntax) {
  return SubtractOne<PromptSyntax>(syntax, v1::PromptSyntax_IsValid(syntax));
}
std::optional<Priority> FromProto(v1::Priority priority) {
  return SubtractOne<Priority>(priority, v1::Priority_IsValid(priority));
}
std::optional<ResizeMode> FromProto(v1::ResizeMode mode) {
  return SubtractOne<ResizeMode>(mode, v1::ResizeMode_IsValid(mode));
}
std::optional<InpaintFill> FromProto(v1::InpaintFill fill) {
  return SubtractOne<InpaintFill>(fill, v1::InpaintFill_IsValid(fill));
}
std::optional<BlendDomain> FromProto(v1::BlendDomain domain) {
  return SubtractOne<BlendDomain>(domain, v1::BlendDomain_IsValid(domain));
}

}  // namespace stepcast

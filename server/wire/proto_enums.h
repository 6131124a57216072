#pragma once
// Between the enums of the wire and those of core.

#include <optional>
#include <string_view>

#include "core/generation_request.h"
#include "core/sampling_types.h"
#include "stepcast/v1/input_picture.pb.h"
#include "stepcast/v1/model.pb.h"
#include "stepcast/v1/output.pb.h"
#include "stepcast/v1/priority.pb.h"
#include "stepcast/v1/prompt.pb.h"
#include "stepcast/v1/sampling.pb.h"

namespace stepcast {

v1::Sampler ToProto(Sampler sampler);
v1::SigmaSchedule ToProto(SigmaSchedule schedule);
v1::TimestepSpacing ToProto(TimestepSpacing spacing);
v1::ImageFormat ToProto(ImageFormat format);
v1::ConditioningKind ToProto(ConditioningKind kind);
v1::Priority ToProto(Priority priority);
v1::PromptSyntax ToProto(PromptSyntax syntax);
v1::PreviewDecoder ToProto(PreviewKind kind);
v1::ImageInput ToProto(ImageInput input);
v1::ResizeMode ToProto(ResizeMode mode);
v1::InpaintFill ToProto(InpaintFill fill);
v1::BlendDomain ToProto(BlendDomain domain);

// nullopt for UNSPECIFIED and for numbers that are no value.
std::optional<Sampler> FromProto(v1::Sampler sampler);
std::optional<SigmaSchedule> FromProto(v1::SigmaSchedule schedule);
std::optional<TimestepSpacing> FromProto(v1::TimestepSpacing spacing);
std::optional<ImageFormat> FromProto(v1::ImageFormat format);
std::optional<Priority> FromProto(v1::Priority priority);
std::optional<PromptSyntax> FromProto(v1::PromptSyntax syntax);
std::optional<ResizeMode> FromProto(v1::ResizeMode mode);
std::optional<InpaintFill> FromProto(v1::InpaintFill fill);
std::optional<BlendDomain> FromProto(v1::BlendDomain domain);

}  // namespace stepcast

#include "server/request/checks/surprises.h"

#include <cstdint>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "sampling/compile/dropped_keys.h"
#include "sampling/samplers/registry.h"
#include "server/wire/proto_enums.h"

namespace stepcast {
namespace {

constexpr int64_t kGeneratorSeeds = int64_t{1} << 32;  // distinct ones
constexpr int kDefaultTrainTimesteps = 1000;           // in every scheduler class
constexpr double kNoisyEnd = 0.75;  // of the training timesteps: pure noise is a fair start from there

// Whether the request itself says what `key` of the file would.
bool IsAsked(const v1::GenerateRequest& wire, absl::string_view key) {
  const bool listed = !wire.timesteps().empty() || !wire.sigmas().empty();
  if (key == "timestep_spacing") return listed || wire.timestep_spacing() != v1::TIMESTEP_SPACING_UNSPECIFIED;
  if (key == "solver_order") return wire.sampler_options().has_solver_order();
  if (absl::StartsWith(key, "use_")) return listed || wire.sigma_schedule() != v1::SIGMA_SCHEDULE_UNSPECIFIED;
  return false;
}

std::optional<std::string> DroppedKeys(const v1::GenerateRequest& wire, const GenerationRequest& request) {
  std::vector<std::string> keys;
  for (const std::string_view key : sampling::DroppedKeys(request.model->noise_schedule, request.sampler)) {
    if (!IsAsked(wire, {key.data(), key.size()})) keys.emplace_back(key);
  }
  if (keys.empty()) return std::nullopt;
  return absl::StrCat(v1::Sampler_Name(ToProto(request.sampler)), " does not know ", absl::StrJoin(keys, ", "),
                      " of the model's scheduler_config.json and paints without");
}

std::optional<std::string> ShortenedSeed(const GenerationRequest& request) {
  const int64_t last = request.seed + request.image_count - 1;
  if (last < kGeneratorSeeds) return std::nullopt;
  return absl::StrCat("seed ", last,
                      " is 2^32 or more: the generator takes it modulo 2^32, so that the picture is that of ",
                      last % kGeneratorSeeds, "; programs that use all its bits paint another");
}

// Whether an evaluation is told a training timestep. Models with noise levels of their own are told those.
bool CountsTimesteps(const GenerationRequest& request) {
  const sampling::SamplerDefinition* const definition = sampling::FindSampler(request.sampler);
  const NoiseScheduleConfig& schedule = request.model->noise_schedule;
  const bool own_levels = definition == nullptr || definition->for_edm_models ||
                          schedule.scheduler_class == "ScoreSdeVeScheduler" ||
                          schedule.continuous_timesteps.value_or(false);
  return !own_levels;
}

std::optional<std::string> CleanStart(const GenerationRequest& request, const sampling::SamplingProgram& program) {
  // Whoever begins with a picture begins where its noise is.
  if (request.init_image.image != nullptr && request.model->image_input != ImageInput::kPicture) return std::nullopt;
  if (program.evaluations.empty() || !CountsTimesteps(request)) return std::nullopt;
  const int count = request.model->noise_schedule.num_train_timesteps.value_or(kDefaultTrainTimesteps);
  const double first = program.evaluations.front().timestep;
  if (first >= kNoisyEnd * (count - 1)) return std::nullopt;
  const bool listed = !request.timesteps.empty() || !request.sigmas.empty();
  return absl::StrFormat(
      "the first of %d %s is at timestep %.6g of %d, where the model expects little noise, but the start is pure "
      "noise: "
      "the picture may stay noise; %s",
      request.steps, request.steps == 1 ? "step" : "steps", first, count,
      listed ? absl::StrFormat("begin the list near %d", count - 1)
             : std::string("take TIMESTEP_SPACING_TRAILING, or more steps"));
}

// Guidance leads from one text to the other.
std::optional<std::string> SameTexts(const GenerationRequest& request) {
  const bool guided = request.guidance_scale > 1.0 && !request.model->noise_schedule.embeds_guidance;
  const bool zeros = request.model->zeroes_unset_negative && !request.negative_prompt_given;
  const bool told_apart = zeros || request.model->size_conditioning == SizeConditioning::kAestheticScore;
  if (!guided || told_apart || request.prompt_parts.size() != 1) return std::nullopt;
  if (request.prompt_syntax == PromptSyntax::kPlain && request.clip_skip > 0) return std::nullopt;
  if (request.prompt_parts.front().tokens != request.negative_tokens) return std::nullopt;
  return "guidance_scale has no effect: prompt and negative_prompt are the same tokens";
}

}  // namespace

std::vector<std::string> Surprises(const v1::GenerateRequest& wire, const GenerationRequest& request,
                                   const sampling::SamplingProgram& program) {
  std::vector<std::string> warnings;
  for (std::optional<std::string> warning :
       {DroppedKeys(wire, request), ShortenedSeed(request), CleanStart(request, program), SameTexts(request)}) {
    if (warning.has_value()) warnings.push_back(*std::move(warning));
  }
  return warnings;
}

}  // namespace stepcast

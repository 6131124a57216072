#include "model/files/scheduler_class.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "core/status_macros.h"

namespace stepcast::model {
namespace {

struct KnownClass {
  absl::string_view name;
  Sampler sampler;
  absl::string_view equals = {};     // another class with the same keys and the same pictures
  absl::string_view stands_in = {};  // what is run instead, where it is not the class itself
};

constexpr KnownClass kKnown[] = {
    {"DDPMScheduler", Sampler::kDdpm},
    {"DDPMParallelScheduler", Sampler::kDdpm, "DDPMScheduler"},
    {"DDIMScheduler", Sampler::kDdim},
    {"DDIMParallelScheduler", Sampler::kDdim, "DDIMScheduler"},
    {"PNDMScheduler", Sampler::kPndm},
    {"EulerDiscreteScheduler", Sampler::kEuler},
    {"EulerAncestralDiscreteScheduler", Sampler::kEulerAncestral},
    {"HeunDiscreteScheduler", Sampler::kHeun},
    {"LMSDiscreteScheduler", Sampler::kLms},
    {"KDPM2DiscreteScheduler", Sampler::kDpm2},
    {"KDPM2AncestralDiscreteScheduler", Sampler::kDpm2Ancestral},
    {"DPMSolverMultistepScheduler", Sampler::kDpmpp2m},
    {"DPMSolverSinglestepScheduler", Sampler::kDpmppSinglestep},
    {"DPMSolverSDEScheduler", Sampler::kDpmpp2mSde, {}, "DPMPP_2M_SDE"},
    {"SASolverScheduler", Sampler::kDpmpp2mSde, {}, "DPMPP_2M_SDE"},
    {"UniPCMultistepScheduler", Sampler::kUnipc},
    {"DEISMultistepScheduler", Sampler::kDeis},
    {"LCMScheduler", Sampler::kLcm},
    {"TCDScheduler", Sampler::kTcd},
    {"EDMEulerScheduler", Sampler::kEdmEuler},
    {"EDMDPMSolverMultistepScheduler", Sampler::kEdmDpmpp},
    {"ScoreSdeVeScheduler", Sampler::kSdeVe},
};

// Part of a class's name, and what such classes are for.
constexpr std::pair<absl::string_view, absl::string_view> kOtherKinds[] = {
    {"FlowMatch", "is for flow matching models"},
    {"FlowMap", "is for flow matching models"},
    {"PiFlow", "is for flow matching models"},
    {"AncestralRF", "is for rectified flow models"},
    {"SCMScheduler", "is for continuous-time consistency models"},
    {"CMStochasticIterative", "is for consistency models"},
    {"ConsistencyDecoder", "is for decoders that are consistency models"},
    {"KarrasVe", "is for variance-exploding models of Karras et al."},
    {"ScoreSdeVp", "is for models that predict the score of the variance-preserving SDE"},
    {"Inverse", "runs from a picture to noise"},
    {"RePaint", "paints into a given picture only"},
    {"UnCLIP", "is for unCLIP models"},
    {"CogVideoX", "is for video models"},
    {"VQDiffusion", "is for models of discrete tokens"},
    {"Amused", "is for models of discrete tokens"},
    {"DiscreteDDIM", "is for models of discrete tokens"},
    {"BlockRefinement", "is for models of discrete tokens"},
    {"EntropyBound", "is for models of discrete tokens"},
    {"Wuerstchen", "is for Wuerstchen models"},
    {"Cosine", "is for models of exponentially spaced noise levels"},
};

const KnownClass* FindKnown(absl::string_view name) {
  for (const KnownClass& known : kKnown) {
    if (known.name == name) return &known;
  }
  return nullptr;
}

// `name`, which `where` says, is not run.
absl::Status Refuse(absl::string_view where, absl::string_view name) {
  std::string names;
  for (const KnownClass& known : kKnown) absl::StrAppend(&names, names.empty() ? "" : ", ", known.name);
  absl::string_view why = "is no scheduler class that is known here";
  for (const auto& [part, kind] : kOtherKinds) {
    if (absl::StrContains(name, part)) why = kind;
  }
  return absl::InvalidArgumentError(absl::StrCat(where, " is ", absl::CHexEscape(name.substr(0, 80)), ", which ", why,
                                                 " and is not run; these are: ", names));
}

// Repositories that were mirrored from Flax keep its names; configs and pictures are the same.
absl::string_view WithoutFlax(absl::string_view name) { return absl::StripPrefix(name, "Flax"); }

absl::string_view ReadAs(const KnownClass& known) { return known.equals.empty() ? known.name : known.equals; }

}  // namespace

absl::StatusOr<SchedulerVerdict> JudgeScheduler(JsonConfig& json, const std::string& index_class) {
  const KnownClass* const decided = FindKnown(WithoutFlax(index_class));
  if (decided == nullptr) return Refuse("model_index.json: the class of component 'scheduler'", index_class);
  SchedulerVerdict verdict{.scheduler_class = std::string(ReadAs(*decided)), .notes = {}};
  const std::string file_class = json.String("_class_name", index_class);
  STEPCAST_RETURN_IF_ERROR(json.Finish());
  const KnownClass* const written = FindKnown(WithoutFlax(file_class));
  if (written == nullptr) return Refuse(absl::StrCat(json.where(), ": _class_name"), file_class);
  if (ReadAs(*written) != ReadAs(*decided)) {
    verdict.notes.push_back(absl::StrCat(json.where(), ": _class_name is ", written->name,
                                         ", but model_index.json says ", decided->name, ", which is what is run"));
  }
  if (!decided->stands_in.empty()) {
    verdict.notes.push_back(absl::StrCat(json.where(), ": ", decided->name, " is not run; ", decided->stands_in,
                                         " stands in for it, with the same betas and other noise"));
  }
  return verdict;
}

void ConvertScheduler(absl::string_view pipeline_class, absl::string_view where, SchedulerVerdict& verdict) {
  const absl::string_view own = pipeline_class == "DDIMPipeline"   ? "DDIMScheduler"
                                : pipeline_class == "PNDMPipeline" ? "PNDMScheduler"
                                                                   : "";
  if (own.empty() || verdict.scheduler_class == own) return;
  verdict.notes.push_back(absl::StrCat(where, ": a ", pipeline_class, " runs its ", verdict.scheduler_class, " as a ",
                                       own, ", with the same keys"));
  verdict.scheduler_class = std::string(own);
}

std::optional<Sampler> SamplerOfClass(absl::string_view scheduler_class) {
  const KnownClass* const known = FindKnown(scheduler_class);
  return known == nullptr ? std::nullopt : std::optional<Sampler>(known->sampler);
}

std::optional<Sampler> DefaultSampler(const NoiseScheduleConfig& config) {
  const std::optional<Sampler> sampler = SamplerOfClass(config.scheduler_class);
  const bool sde = config.algorithm_type == SolverAlgorithm::kSdeDpmSolverPlusPlus;
  return sampler == Sampler::kDpmpp2m && sde ? Sampler::kDpmpp2mSde : sampler;
}

}  // namespace stepcast::model

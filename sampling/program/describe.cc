#include "sampling/program/describe.h"

#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace stepcast::sampling {
namespace {

constexpr std::array<const char*, kSlotCount> kSlotNames = {
    "latents", "model_output", "x0", "noise", "history0", "history1", "history2", "history3", "saved", "accumulator"};

std::string PostText(const Post& post, int digits) {
  switch (post.kind) {
    case PostKind::kNone:
      break;
    case PostKind::kClip:
      return absl::StrFormat("clip(%.*g)", digits, post.limit);
    case PostKind::kThreshold:
      return absl::StrFormat("threshold(%.*g,%.*g)", digits, post.ratio, digits, post.limit);
  }
  return "";
}

std::string SpecialText(const Evaluation& e, int digits) {
  const SpecialCoefs& c = e.special_coefs;
  switch (e.special) {
    case Special::kNone:
      break;
    case Special::kVarianceNoise:
      return absl::StrFormat(" noise*exp((%.*g*v %+.*g)/2)", digits, c.scale, digits, c.offset);
    case Special::kVarianceRoot:
      return " noise*sqrt(v)";
    case Special::kLangevinNorm:
      return absl::StrFormat(" snr=%.*g score=[%.*g*latents %+.*g*model_output]", digits, c.scale, digits,
                             c.score_from_latents, digits, c.score_from_output);
  }
  return "";
}

void AppendEvaluation(const Evaluation& e, int digits, std::string& out) {
  absl::StrAppendFormat(&out, "%d: t=%.*g in*%.*g", e.step, digits, e.timestep, digits, e.input_scale);
  if (e.guidance.kind == GuidanceKind::kClassifierFree)
    absl::StrAppendFormat(&out, " cfg=%.*g", digits, e.guidance.scale);
  if (e.guidance.kind == GuidanceKind::kEmbedded) absl::StrAppendFormat(&out, " w=%.*g", digits, e.guidance.scale);
  if (e.guidance.rescale != 0.0f) absl::StrAppendFormat(&out, " rescale=%.*g", digits, e.guidance.rescale);
  if (e.draws_noise) out += " draws";
  absl::StrAppendFormat(&out, " x0=%s[%.*g*latents %+.*g*model_output]", PostText(e.post, digits), digits,
                        e.x0_from_latents, digits, e.x0_from_output);
  out += SpecialText(e, digits);
  for (size_t i = 0; i < e.transition.size(); ++i) {
    const Term& term = e.transition[i];
    const bool first = i == 0 || e.transition[i - 1].to != term.to;
    if (first) {
      absl::StrAppend(&out, " ", SlotName(term.to), "=");
      absl::StrAppendFormat(&out, "%.*g*%s", digits, term.coefficient, SlotName(term.from));
    } else {
      absl::StrAppendFormat(&out, "%+.*g*%s", digits, term.coefficient, SlotName(term.from));
    }
  }
  out += "\n";
}

}  // namespace

std::string SlotName(Slot slot) { return kSlotNames[static_cast<size_t>(slot)]; }

std::string Describe(const SamplingProgram& program, int digits) {
  std::string out = absl::StrFormat("%s %d steps, start %.*g*image %+.*g*noise, slots", SamplerName(program.sampler),
                                    program.steps, digits, program.start.image_coef, digits, program.start.noise_coef);
  for (int i = 0; i < kSlotCount; ++i) {
    if (program.slots_used & (1u << i)) absl::StrAppend(&out, " ", kSlotNames[i]);
  }
  if (program.finish.latents_coef != 1.0f || program.finish.x0_coef != 0.0f) {
    absl::StrAppendFormat(&out, ", finish %.*g*latents %+.*g*x0", digits, program.finish.latents_coef, digits,
                          program.finish.x0_coef);
  }
  out += "\n";
  for (const Evaluation& evaluation : program.evaluations) AppendEvaluation(evaluation, digits, out);
  return out;
}

}  // namespace stepcast::sampling

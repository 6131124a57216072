#include "sampling/program/program_builder.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_format.h"

namespace stepcast::sampling {
namespace {

constexpr int kFirstHistorySlot = static_cast<int>(Slot::kHistory0);

uint32_t Bit(Slot slot) { return 1u << static_cast<unsigned>(slot); }

// Removes writes that no later evaluation and not the result reads.
void DropDeadWrites(SamplingProgram& program) {
  uint32_t live = 0;
  if (program.finish.latents_coef != 0.0f) live |= Bit(Slot::kLatents);
  for (auto it = program.evaluations.rbegin(); it != program.evaluations.rend(); ++it) {
    std::erase_if(it->transition, [&](const Term& term) { return (live & Bit(term.to)) == 0; });
    for (const Term& term : it->transition) live &= ~Bit(term.to);
    for (const Term& term : it->transition) live |= Bit(term.from);
    live |= Bit(Slot::kLatents);  // the denoiser's input
  }
}

uint32_t SlotsUsed(const SamplingProgram& program) {
  uint32_t used = Bit(Slot::kLatents) | Bit(Slot::kModelOutput) | Bit(Slot::kX0);
  for (const Evaluation& evaluation : program.evaluations) {
    if (evaluation.draws_noise) used |= Bit(Slot::kNoise);
    for (const Term& term : evaluation.transition) used |= Bit(term.to) | Bit(term.from);
  }
  return used;
}

}  // namespace

LinearForm LinearForm::Of(Slot slot) {
  LinearForm form;
  form.coefficients_[static_cast<size_t>(slot)] = 1.0;
  return form;
}

LinearForm& LinearForm::operator+=(const LinearForm& other) {
  for (int i = 0; i < kSlotCount; ++i) coefficients_[i] += other.coefficients_[i];
  return *this;
}

LinearForm& LinearForm::operator-=(const LinearForm& other) {
  for (int i = 0; i < kSlotCount; ++i) coefficients_[i] -= other.coefficients_[i];
  return *this;
}

LinearForm& LinearForm::operator*=(double factor) {
  for (double& coefficient : coefficients_) coefficient *= factor;
  return *this;
}

LinearForm& LinearForm::operator/=(double divisor) {
  for (double& coefficient : coefficients_) coefficient /= divisor;
  return *this;
}

ProgramBuilder::ProgramBuilder(Sampler sampler, int history) {
  program_.sampler = sampler;
  set_history(history);
}

void ProgramBuilder::set_history(int history) { history_capacity_ = std::clamp(history, 0, 4); }

void ProgramBuilder::Evaluate(int step, double timestep, double input_scale) {
  Close();
  Evaluation& evaluation = program_.evaluations.emplace_back();
  evaluation.step = step;
  evaluation.timestep = static_cast<float>(timestep);
  evaluation.input_scale = static_cast<float>(input_scale);
  for (int i = 0; i < kSlotCount; ++i) values_[i] = LinearForm::Of(static_cast<Slot>(i));
  open_ = true;
}

LinearForm ProgramBuilder::Combine(PredictionForm form) const {
  return form.from_latents * LinearForm::Of(Slot::kLatents) + form.from_output * LinearForm::Of(Slot::kModelOutput);
}

LinearForm ProgramBuilder::PredictX0(PredictionForm form, Post post) {
  Evaluation& evaluation = program_.evaluations.back();
  evaluation.x0_from_latents = static_cast<float>(form.from_latents);
  evaluation.x0_from_output = static_cast<float>(form.from_output);
  evaluation.post = post;
  return post.kind == PostKind::kNone ? Combine(form) : LinearForm::Of(Slot::kX0);
}

void ProgramBuilder::SetLevel(Level level, std::optional<Level> kept) {
  const size_t count = program_.evaluations.size();
  program_.evaluations.back().level = level;
  if (count > 1) program_.evaluations[count - 2].kept = kept.value_or(level);
}

LinearForm ProgramBuilder::DrawNoise() {
  program_.evaluations.back().draws_noise = true;
  return LinearForm::Of(Slot::kNoise);
}

void ProgramBuilder::SetSpecial(Special special, SpecialCoefs coefs) {
  program_.evaluations.back().special = special;
  program_.evaluations.back().special_coefs = coefs;
}

void ProgramBuilder::PushHistory(const LinearForm& value) { history_.insert(history_.begin(), {value, -1}); }

void ProgramBuilder::PlaceHistory() {
  if (history_size() > history_capacity_) history_.resize(history_capacity_);
  std::array<bool, 4> taken{};
  for (const HistoryEntry& entry : history_) {
    if (entry.slot >= 0) taken[entry.slot] = true;
  }
  // A slot that a dropped entry leaves may be written now: the transition reads all slots before it writes any.
  for (HistoryEntry& entry : history_) {
    if (entry.slot < 0) {
      entry.slot = static_cast<int>(std::find(taken.begin(), taken.end(), false) - taken.begin());
      taken[entry.slot] = true;
      values_[kFirstHistorySlot + entry.slot] = entry.value;
    }
    entry.value = LinearForm::Of(static_cast<Slot>(kFirstHistorySlot + entry.slot));
  }
}

void ProgramBuilder::Close() {
  if (!open_) return;
  open_ = false;
  PlaceHistory();
  std::vector<Term>& transition = program_.evaluations.back().transition;
  for (int to = 0; to < kSlotCount; ++to) {
    const Slot slot = static_cast<Slot>(to);
    const LinearForm& value = values_[to];
    if (value == LinearForm::Of(slot)) continue;
    const size_t before = transition.size();
    for (int from = 0; from < kSlotCount; ++from) {
      const auto coefficient = static_cast<float>(value.coefficient(static_cast<Slot>(from)));
      if (coefficient != 0.0f) transition.push_back({slot, static_cast<Slot>(from), coefficient});
    }
    // A slot without terms would keep its value.
    if (transition.size() == before) transition.push_back({slot, slot, 0.0f});
  }
}

absl::Status ProgramBuilder::CheckFinite() const {
  for (const Evaluation& e : program_.evaluations) {
    bool finite = std::isfinite(e.timestep) && std::isfinite(e.input_scale) && std::isfinite(e.x0_from_latents) &&
                  std::isfinite(e.x0_from_output);
    const SpecialCoefs& coefs = e.special_coefs;
    finite = finite && std::isfinite(coefs.scale) && std::isfinite(coefs.offset) &&
             std::isfinite(coefs.score_from_latents) && std::isfinite(coefs.score_from_output) &&
             std::isfinite(e.level.image_coef) && std::isfinite(e.level.noise_coef);
    for (const Term& term : e.transition) finite = finite && std::isfinite(term.coefficient);
    if (!finite) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "sampler: %s has coefficients that are not finite at step %d (timestep %g); this model's noise schedule and "
          "prediction type do not go with this sampler, spacing and number of steps",
          SamplerName(program_.sampler), e.step, e.timestep));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<SamplingProgram> ProgramBuilder::Build() && {
  Close();
  if (program_.evaluations.empty()) return absl::InvalidArgumentError("steps: there is no step to run");
  if (absl::Status status = CheckFinite(); !status.ok()) return status;
  if (!std::isfinite(program_.start.image_coef) || !std::isfinite(program_.start.noise_coef)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("sampler: %s cannot start from this model's noise schedule", SamplerName(program_.sampler)));
  }
  DropDeadWrites(program_);
  program_.slots_used = SlotsUsed(program_);
  for (size_t i = 0; i < program_.evaluations.size(); ++i) {
    if (i == 0 || program_.evaluations[i].step != program_.evaluations[i - 1].step) ++program_.steps;
  }
  return std::move(program_);
}

}  // namespace stepcast::sampling

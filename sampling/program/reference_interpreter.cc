#include "sampling/program/reference_interpreter.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

namespace stepcast::sampling {
namespace {

// The `ratio` quantile of |values|, linear between order statistics.
float AbsoluteQuantile(absl::Span<const float> values, float ratio) {
  std::vector<float> sorted(values.begin(), values.end());
  for (float& value : sorted) value = std::abs(value);
  std::sort(sorted.begin(), sorted.end());
  const float rank = ratio * static_cast<float>(sorted.size() - 1);
  const auto low = static_cast<size_t>(rank);
  const size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (rank - static_cast<float>(low)) * (sorted[high] - sorted[low]);
}

float Norm(absl::Span<const float> values) {
  double sum = 0.0;
  for (const float value : values) sum += static_cast<double>(value) * value;
  return static_cast<float>(std::sqrt(sum));
}

void ScaleByLangevinStep(const SpecialCoefs& coefs, const SpecialSlots& slots) {
  for (size_t i = 0; i < slots.model_output.size(); ++i) {
    float& value = slots.model_output[i];
    value = coefs.score_from_latents * slots.latents[i] + coefs.score_from_output * value;
  }
  const float score_norm = Norm(slots.model_output);
  const float ratio = score_norm == 0.0f ? 0.0f : coefs.scale * Norm(slots.noise) / score_norm;
  const float step = 2.0f * ratio * ratio;
  for (float& value : slots.model_output) value *= step;
  for (float& value : slots.noise) value *= std::sqrt(2.0f * step);
}

}  // namespace

void ApplySpecial(Special special, const SpecialCoefs& coefs, const SpecialSlots& slots) {
  switch (special) {
    case Special::kNone:
      return;
    case Special::kVarianceNoise:
      for (size_t i = 0; i < slots.noise.size(); ++i) {
        slots.noise[i] *= std::exp(0.5f * (coefs.scale * slots.variance[i] + coefs.offset));
      }
      return;
    case Special::kVarianceRoot:
      for (size_t i = 0; i < slots.noise.size(); ++i) slots.noise[i] *= std::sqrt(std::max(slots.variance[i], 0.0f));
      return;
    case Special::kLangevinNorm:
      ScaleByLangevinStep(coefs, slots);
      return;
  }
}

void ApplyPost(const Post& post, absl::Span<float> x0) {
  switch (post.kind) {
    case PostKind::kNone:
      return;
    case PostKind::kClip:
      for (float& value : x0) value = std::clamp(value, -post.limit, post.limit);
      return;
    case PostKind::kThreshold: {
      const float s = std::min(std::max(AbsoluteQuantile(x0, post.ratio), 1.0f), post.limit);
      for (float& value : x0) value = std::clamp(value, -s, s) / s;
      return;
    }
  }
}

std::vector<float> StartLatents(const Start& start, absl::Span<const float> image, absl::Span<const float> noise) {
  std::vector<float> latents(noise.size());
  for (size_t i = 0; i < noise.size(); ++i) {
    latents[i] = start.noise_coef * noise[i];
    if (!image.empty()) latents[i] += start.image_coef * image[i];
  }
  return latents;
}

ReferenceInterpreter::ReferenceInterpreter(const SamplingProgram& program, std::vector<float> latents, int position)
    : program_(program), position_(position) {
  slots_.fill(std::vector<float>(latents.size(), 0.0f));
  slots_[static_cast<size_t>(Slot::kLatents)] = std::move(latents);
}

std::vector<float> ReferenceInterpreter::DenoiserInput() const {
  const absl::Span<const float> latents = slot(Slot::kLatents);
  std::vector<float> input(latents.begin(), latents.end());
  for (float& value : input) value *= next().input_scale;
  return input;
}

void ReferenceInterpreter::Step(absl::Span<const float> model_output, absl::Span<const float> noise) {
  const Evaluation& evaluation = next();
  const size_t size = slot(Slot::kLatents).size();
  std::vector<float>& prediction = slots_[static_cast<size_t>(Slot::kModelOutput)];
  prediction.assign(model_output.begin(), model_output.begin() + static_cast<std::ptrdiff_t>(size));
  if (evaluation.draws_noise) slots_[static_cast<size_t>(Slot::kNoise)].assign(noise.begin(), noise.end());

  std::vector<float>& x0 = slots_[static_cast<size_t>(Slot::kX0)];
  const absl::Span<const float> latents = slot(Slot::kLatents);
  for (size_t i = 0; i < x0.size(); ++i) {
    x0[i] = evaluation.x0_from_latents * latents[i] + evaluation.x0_from_output * prediction[i];
  }
  ApplyPost(evaluation.post, absl::MakeSpan(x0));
  ApplySpecial(evaluation.special, evaluation.special_coefs,
               {.latents = latents,
                .variance = model_output.subspan(size),
                .model_output = absl::MakeSpan(prediction),
                .noise = absl::MakeSpan(slots_[static_cast<size_t>(Slot::kNoise)])});

  std::array<std::vector<float>, kSlotCount> written;
  for (const Term& term : evaluation.transition) {
    std::vector<float>& to = written[static_cast<size_t>(term.to)];
    const absl::Span<const float> from = slot(term.from);
    to.resize(from.size(), 0.0f);
    for (size_t i = 0; i < to.size(); ++i) to[i] += term.coefficient * from[i];
  }
  for (int i = 0; i < kSlotCount; ++i) {
    if (!written[i].empty()) slots_[i] = std::move(written[i]);
  }
  ++position_;
}

std::vector<float> ReferenceInterpreter::Result() const {
  const absl::Span<const float> latents = slot(Slot::kLatents);
  const absl::Span<const float> x0 = slot(Slot::kX0);
  std::vector<float> result(latents.size());
  for (size_t i = 0; i < result.size(); ++i) {
    result[i] = program_.finish.latents_coef * latents[i] + program_.finish.x0_coef * x0[i];
  }
  return result;
}

std::vector<float> RunProgram(const SamplingProgram& program, std::vector<float> latents, const Denoiser& denoiser,
                              NoiseGenerator& noise) {
  std::vector<float> normals(latents.size());
  ReferenceInterpreter interpreter(program, std::move(latents));
  while (!interpreter.done()) {
    const Evaluation& evaluation = interpreter.next();
    const std::vector<float> output = denoiser(interpreter.DenoiserInput(), evaluation);
    if (evaluation.draws_noise) noise.Fill(absl::MakeSpan(normals));
    interpreter.Step(output, normals);
  }
  return interpreter.Result();
}

}  // namespace stepcast::sampling

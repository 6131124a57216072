#include "sampling/reference_interpreter.h"

#include <algorithm>
#include <cmath>
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

}  // namespace

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
  slots_[static_cast<size_t>(Slot::kModelOutput)].assign(model_output.begin(), model_output.end());
  if (evaluation.draws_noise) slots_[static_cast<size_t>(Slot::kNoise)].assign(noise.begin(), noise.end());

  std::vector<float>& x0 = slots_[static_cast<size_t>(Slot::kX0)];
  const absl::Span<const float> latents = slot(Slot::kLatents);
  for (size_t i = 0; i < x0.size(); ++i) {
    x0[i] = evaluation.x0_from_latents * latents[i] + evaluation.x0_from_output * model_output[i];
  }
  ApplyPost(evaluation.post, absl::MakeSpan(x0));

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
